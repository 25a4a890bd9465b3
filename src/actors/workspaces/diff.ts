/** A change as people and models read it: a unified diff, one part for each file. */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff'
import { type Content, unpack } from './content.ts'
import type { PlannedFile, PromotionPlan } from './plan.ts'

/** Lines around a change. */
const CONTEXT_LINES = 3

/**
 * The unified diff of a plan, in the order of its files; empty for an empty plan. Binary files and files whose former content is unknown are named,
 * not shown. Changes of mode are said. `git apply` takes it where all files are text.
 */
export function diffOf(plan: PromotionPlan): string {
  return plan.files.map(diffFile).join('')
}

function diffFile(file: PlannedFile): string {
  const from = file.before === null ? '/dev/null' : `a/${file.path}`
  const to = file.after === null ? '/dev/null' : `b/${file.path}`
  const head = [`diff --git a/${file.path} b/${file.path}`, ...modeLines(file)].map((line) => `${line}\n`).join('')
  if (file.before === file.after) return head
  if (file.before !== null && file.was === null)
    return `${head}# the file was changed in the meantime; what was there before is not known\n`
  if (isBinary(file.was) || isBinary(file.content)) return `${head}Binary files ${from} and ${to} differ\n`
  const options = { context: CONTEXT_LINES, headerOptions: FILE_HEADERS_ONLY }
  const patch = createTwoFilesPatch(from, to, textOf(file.was), textOf(file.content), undefined, undefined, options)
  return head + patch
}

function modeLines({ mode, modeBefore }: PlannedFile): readonly string[] {
  if (modeBefore === null) return [`new file mode ${mode}`]
  if (mode === null) return [`deleted file mode ${modeBefore}`]
  return mode === modeBefore ? [] : [`old mode ${modeBefore}`, `new mode ${mode}`]
}

const isBinary = (content: Content | null): boolean => content !== null && (content.encoding === 'base64' || content.data.includes('\0'))
const textOf = (content: Content | null): string => (content === null ? '' : unpack(content).toString('utf8'))
