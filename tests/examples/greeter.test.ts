/**
 * The demo's repository and its script belong together: the script's edits must fit the files as they are, and do what the script says of them.
 *
 *   before (red) -> round one (green, but it spoils its caller's array) -> the review says so -> round two (green, and the flaw is gone)
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname

const Call = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('list'), args: z.strictObject({ dir: z.string().optional() }) }),
  z.strictObject({ name: z.literal('read'), args: z.strictObject({ path: z.string() }) }),
  z.strictObject({ name: z.literal('search'), args: z.strictObject({ pattern: z.string() }) }),
  z.strictObject({ name: z.literal('edit'), args: z.strictObject({ path: z.string(), old: z.string(), new: z.string() }) }),
  z.strictObject({ name: z.literal('write'), args: z.strictObject({ path: z.string(), content: z.string() }) }),
  z.strictObject({ name: z.literal('done'), args: z.strictObject({ summary: z.string() }) }),
])
type Call = z.infer<typeof Call>

const Script = z.object({
  gates: z.object({ checks: z.array(z.object({ id: z.string(), run: z.string() })) }),
  work: z.array(z.object({ id: z.string() })),
  replies: z.array(
    z.object({
      agent: z.enum(['coder', 'reviewer']),
      item: z.string(),
      turn: z.number(),
      reply: z.union([z.string(), z.object({ verdict: z.string(), feedback: z.array(z.string()) })]).optional(),
      tool_calls: z.array(Call).optional(),
    }),
  ),
})

const script = Script.parse(parse(readFileSync(join(EXAMPLES, 'greeter.task.yaml'), 'utf8')))
const turnsOf = (agent: string) => script.replies.filter((reply) => reply.agent === agent)
/** What the coder calls until each `done`: one list of calls per round. */
const rounds = roundsOf(turnsOf('coder').flatMap((reply) => reply.tool_calls ?? []))

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'greeter-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

test('the script answers every turn of two rounds, and the review sends the first one back', () => {
  expect({
    items: script.work.map((item) => item.id),
    checks: script.gates.checks,
    coder: turnsOf('coder').map((reply) => reply.turn),
    reviewer: turnsOf('reviewer').map((reply) => [reply.turn, typeof reply.reply === 'object' && reply.reply.verdict]),
    rounds: rounds.length,
    otherItems: script.replies.filter((reply) => reply.item !== 'plural'),
  }).toEqual({
    items: ['plural'],
    checks: [{ id: 'test', run: 'node --test' }],
    coder: [1, 2, 3, 4, 5, 6, 7, 8],
    reviewer: [
      [1, 'needs_changes'],
      [2, 'approved'],
    ],
    rounds: 2,
    otherItems: [],
  })
})

test('the repository is red, each round of the script makes it green, and only the second leaves the names as they were', () => {
  expect([0, 1, 2].map((count) => state(repositoryAfter(count)))).toEqual([
    { tests: 10, pass: 6, fail: 4, keepsItsArgument: true },
    { tests: 10, pass: 10, fail: 0, keepsItsArgument: false },
    { tests: 11, pass: 11, fail: 0, keepsItsArgument: true },
  ])
})

test.each(['src/locales.js', 'src/count.js'])('the Polish plural stays red without the edit of %s', (path) => {
  const dir = repositoryAfter(2)
  cpSync(join(EXAMPLES, 'greeter', path), join(dir, path))
  expect(suite(dir)).toEqual({ tests: 11, pass: 9, fail: 2 })
})

/** A fresh copy of the repository with the first `count` rounds of the script applied. */
function repositoryAfter(count: number): string {
  const dir = mkdtempSync(join(root, 'copy-'))
  cpSync(join(EXAMPLES, 'greeter'), dir, { recursive: true })
  for (const call of rounds.slice(0, count).flat()) apply(dir, call)
  return dir
}

function roundsOf(calls: readonly Call[]): Call[][] {
  const found: Call[][] = []
  let open: Call[] = []
  for (const call of calls) {
    open.push(call)
    if (call.name !== 'done') continue
    found.push(open)
    open = []
  }
  expect(open, 'calls after the last done').toEqual([])
  return found
}

function apply(dir: string, call: Call): void {
  if (call.name === 'read') readFileSync(join(dir, call.args.path))
  if (call.name === 'write') writeFileSync(join(dir, call.args.path), call.args.content)
  if (call.name !== 'edit') return
  const path = join(dir, call.args.path)
  const parts = readFileSync(path, 'utf8').split(call.args.old)
  expect(parts.length - 1, `how often the old text of the edit stands in ${call.args.path}`).toBe(1)
  writeFileSync(path, parts.join(call.args.new))
}

function state(dir: string) {
  return { ...suite(dir), keepsItsArgument: keepsItsArgument(dir) }
}

/** Counts as `node --test` gives them. */
function suite(cwd: string) {
  const output = node(['--test', '--test-reporter=tap'], cwd)
  const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(output)?.[1] ?? Number.NaN)
  return { tests: count('tests'), pass: count('pass'), fail: count('fail') }
}

function keepsItsArgument(dir: string): boolean {
  const program = `import { greet } from './src/index.js'; const names = ['Ann', 'Bob']; greet(names); console.log(names.length)`
  return node(['--input-type=module', '--eval', program], dir).trim() === '2'
}

/** Without what a surrounding test runner puts into the environment: `node --test` behaves otherwise below another runner. */
function node(args: readonly string[], cwd: string): string {
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, NODE_V8_COVERAGE: _coverage, ...env } = process.env
  return spawnSync(process.execPath, args, { cwd, env, encoding: 'utf8' }).stdout
}
