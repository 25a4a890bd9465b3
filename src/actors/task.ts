/**
 * Reads task files: YAML (so JSON too) against the schema of task-schema.ts. Every problem is reported with its place in the file.
 *
 *   text --yaml--> document with positions --toJS--> data --zod--> Task
 *                                |                     '--path of a problem--> line:column
 *                                '--problem of the YAML itself--> line:column
 */
import { type Document, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import type { z } from 'zod'
import { UserError } from '../errors.ts'
import { assertJson } from '../json.ts'
import { isLaterKey, isLaterValue, keysAt, type Task, taskSchema } from './task-schema.ts'

export type { Task } from './task-schema.ts'

/** Lines of evidence that an error shows. */
const EVIDENCE_MAX = 6

interface Problem {
  readonly message: string
  /** Offsets in the text. */
  readonly from: number
  readonly to: number
}

/**
 * Checks a task file.
 * @param file  its name, for messages.
 * @throws {UserError} `E_TASK_INVALID` (exit 3) with the place of the first problem; the others follow as evidence, all of them in `details.problems`.
 */
export function parseTask(text: string, file: string): Task {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  if (document.errors.length > 0) {
    throw invalid(
      text,
      file,
      lines,
      document.errors.map(({ message, pos: [from, to] }) => ({ message, from, to })),
    )
  }
  const data = asData(document)
  if ('problem' in data) throw invalid(text, file, lines, [{ message: data.problem, from: 0, to: 0 }])
  const parsed = taskSchema.safeParse(data.value)
  if (parsed.success) return parsed.data
  throw invalid(
    text,
    file,
    lines,
    parsed.error.issues.flatMap((issue) => problemsOf(issue, document)),
  )
}

/** The task that a goal in words stands for. @throws {UserError} `E_TASK_INVALID` where it is empty. */
export function taskFromText(goal: string): Task {
  const parsed = taskSchema.safeParse({ goal })
  if (parsed.success) return parsed.data
  throw new UserError('E_TASK_INVALID', 'goal: expected text, got nothing', {
    where: 'text',
    fix: 'troupe run "Add a --version flag"',
    exit: 3,
  })
}

function asData(document: Document): { value: unknown } | { problem: string } {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    if (value === null) return { problem: 'the file is empty: expected `goal` or `work`' }
    assertJson(value, 'task')
    return { value }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function problemsOf(issue: z.core.$ZodIssue, document: Document): readonly Problem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(issue.path, key, document))
  const value = document.getIn(issue.path, false)
  const got = isNode(value) ? (value.toJSON() as unknown) : value
  const key = issue.path.length === 0 ? '' : `${issue.path.map(String).join('.')}: `
  const what = isLaterValue(issue.path, got) ? `${show(got)} is not supported yet` : `${expectation(issue)}, got ${show(got)}`
  return [{ message: `${key}${issue.path.length === 0 ? expectation(issue) : what}`, ...placeOf(document, issue.path) }]
}

function unknownKey(path: readonly PropertyKey[], key: string, document: Document): Problem {
  const name = [...path.map(String), key].join('.')
  const message = isLaterKey(path, key) ? `${name}: not supported yet` : `${name}: unknown key; there are: ${keysAt(path).join(', ')}`
  const map = path.length === 0 ? document.contents : document.getIn(path, true)
  const pair = isMap(map) ? map.items.find((item) => (isScalar(item.key) ? item.key.value === key : item.key === key)) : undefined
  return { message, ...rangeOf(isNode(pair?.key) ? pair.key : undefined) }
}

/** What would have been right, in words. */
function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.startsWith('expected ') ? issue.message : `expected ${NAMES[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return issue.message.startsWith('expected ') ? issue.message : `expected ${issue.values.map(String).join(', ')}`
    case 'too_small':
      return issue.message.startsWith('expected ') ? issue.message : `expected at least ${issue.minimum}`
    case 'too_big':
      return `expected at most ${issue.maximum}`
    case 'invalid_union':
      return issue.message.startsWith('expected ') ? issue.message : 'expected plain data'
    default:
      return issue.message
  }
}

const NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  int: 'a whole number',
  number: 'a number',
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value) ?? String(value)
  return text.length <= 60 ? text : `${text.slice(0, 57).toWellFormed()}...`
}

/** Where a value stands; of one that is missing, where it should stand. */
function placeOf(document: Document, path: readonly PropertyKey[]): { from: number; to: number } {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    if (isNode(node)) return rangeOf(node)
  }
  return rangeOf(document.contents ?? undefined)
}

function rangeOf(node: Node | undefined): { from: number; to: number } {
  const [from, to] = node?.range ?? [0, 0]
  return { from, to }
}

function invalid(text: string, file: string, lines: LineCounter, problems: readonly Problem[]): UserError {
  const placed = [...problems].sort((a, b) => a.from - b.from).map((problem) => ({ ...problem, ...lines.linePos(problem.from) }))
  const first = placed[0] ?? { message: 'it does not fit', from: 0, to: 0, line: 1, col: 1 }
  const line = Math.max(1, first.line)
  const column = Math.max(1, first.col)
  const others = placed.slice(1).map((problem) => `also ${file}:${problem.line}:${problem.col}  ${problem.message}`)
  const room = EVIDENCE_MAX - 2
  const shown = others.length <= room ? others : [...others.slice(0, room - 1), `and ${others.length - room + 1} more`]
  return new UserError('E_TASK_INVALID', first.message, {
    where: `${file}:${line}:${column}`,
    fix: `mend that line, then: troupe run ${file}`,
    exit: 3,
    file,
    line,
    column,
    evidence: [...excerpt(text, { line, column, length: first.to - first.from }), ...shown],
    details: { problems: placed.map((problem) => ({ message: problem.message, line: problem.line, column: problem.col })) },
  })
}

/** The line of a problem, and a mark below it. */
function excerpt(text: string, at: { line: number; column: number; length: number }): readonly string[] {
  const source = text.split(/\r?\n/)[at.line - 1] ?? ''
  const gutter = String(at.line).padStart(4)
  const width = Math.max(1, Math.min(at.length, source.length - at.column + 1))
  return [`${gutter} | ${source}`, `${' '.repeat(gutter.length)} | ${' '.repeat(at.column - 1)}${'^'.repeat(width)}`]
}
