/**
 * Rules about work items, as pure functions: what is accepted at the door and in which order it is done, and what an agent's JSON answer says.
 */
import { z } from 'zod'
import { reasons, type WorkItem, workItem } from './vocabulary.ts'

export type Checked =
  | { readonly ok: true; readonly work: readonly WorkItem[] }
  | { readonly ok: false; readonly reasons: readonly string[] }

/**
 * Checks work items (M7) and puts them in the order in which they are done: what others need first, then by priority, then as listed.
 * Every problem is named, not only the first.
 */
export function acceptWork(value: unknown): Checked {
  const parsed = z.array(workItem).min(1).safeParse(value)
  if (!parsed.success) return { ok: false, reasons: reasons(parsed.error, 'work') }
  const found = [...duplicates(parsed.data), ...unknownNeeds(parsed.data)]
  if (found.length > 0) return { ok: false, reasons: found }
  return inOrder(parsed.data)
}

function duplicates(work: readonly WorkItem[]): readonly string[] {
  const twice = new Set(work.filter((item, index) => work.findIndex((other) => other.id === item.id) !== index).map((item) => item.id))
  return [...twice].map((id) => `work.${id}: the id is used more than once`)
}

function unknownNeeds(work: readonly WorkItem[]): readonly string[] {
  const ids = new Set(work.map((item) => item.id))
  return work.flatMap((item) =>
    item.needs.filter((need) => !ids.has(need)).map((need) => `work.${item.id}.needs: there is no item '${need}'`),
  )
}

function inOrder(work: readonly WorkItem[]): Checked {
  const ordered: WorkItem[] = []
  const rest = [...work].sort((a, b) => b.priority - a.priority)
  while (rest.length > 0) {
    const next = rest.findIndex((item) => item.needs.every((need) => ordered.some((done) => done.id === need)))
    const item = next === -1 ? undefined : rest.splice(next, 1)[0]
    if (item === undefined) return { ok: false, reasons: [`work: ${rest.map((left) => left.id).join(', ')} need each other in a circle`] }
    ordered.push(item)
  }
  return { ok: true, work: ordered }
}

export type Answer<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly reasons: readonly string[] }

/** Reads an answer that must be JSON of a shape. A fence of Markdown around it is taken off; nothing else is mended. */
export function readAnswer<Value>(schema: z.ZodType<Value>, content: string): Answer<Value> {
  const fenced = /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/.exec(content)
  let value: unknown
  try {
    value = JSON.parse(fenced?.[1] ?? content)
  } catch {
    return { ok: false, reasons: ['the answer is not JSON'] }
  }
  const parsed = schema.safeParse(value)
  return parsed.success ? { ok: true, value: parsed.data } : { ok: false, reasons: reasons(parsed.error, 'answer') }
}

/** What an agent is told when its answer did not fit; it may repair it once. */
export const repairRequest = (problems: readonly string[]): string =>
  `Your answer could not be used:\n${problems.map((problem) => `- ${problem}`).join('\n')}\nAnswer again with the JSON alone.`

/** Feedback of a failed gate, in the wording of R6. */
export const gateFeedback = (summary: string): string => `WORKFLOW FAILURE: ${summary}`

/** The end of a text, with a note of what was left out: the end of a log is where the reason is. */
export function tail(text: string, charsMax: number): string {
  return text.length <= charsMax
    ? text
    : `[${text.length - charsMax} characters left out]\n${text.slice(text.length - charsMax).toWellFormed()}`
}

/** The start of a text, with a note of what was left out. */
export function head(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax).toWellFormed()}\n[${text.length - charsMax} characters left out]`
}
