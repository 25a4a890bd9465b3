/** The benchmark runs and says what it should; how fast anything is, no test asks. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { writesOf } from '../../bench/raw-side.ts'
import { checkAndWeigh, record, type Sample } from '../../bench/shape.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-bench-test-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const SCRIPT = new URL('../../bench/steps.ts', import.meta.url).pathname
const run = (...flags: string[]) => promisify(execFile)(process.execPath, [SCRIPT, '--dir', base, ...flags])

/** A report with every figure replaced by what kind of figure it is. */
function kinds(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? 'finite' : String(value)
  if (Array.isArray(value)) return value.map(kinds)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, kinds(member)]))
  return typeof value
}

const MEASURED = Object.fromEntries(
  [
    ...['actors', 'steps', 'rounds', 'commits', 'engineStepsPerSecond', 'rawStepsPerSecond', 'ratio', 'ratioMin', 'ratioMax'],
    ...['engineCpuUs', 'rawCpuUs', 'ownCpuUs', 'rowsPerStep', 'bytesPerStep', 'journalPerStep', 'walBytesPerStep'],
  ].map((key) => [key, 'finite']),
)

test('the benchmark reports both shapes and the machine as one JSON object, and leaves no file', async () => {
  const { stdout } = await run('--steps', '8', '--rounds', '2', '--json')
  const report = JSON.parse(stdout) as { schema: string; shapes: { actors: number; steps: number; rounds: number; commits: number }[] }
  expect(kinds(report)).toEqual({
    schema: 'string',
    machine: {
      processor: 'string',
      cores: 'finite',
      load1m: 'finite',
      platform: 'string',
      node: 'string',
      sqlite: 'string',
      tmpfs: 'boolean',
      at: 'string',
    },
    shapes: [MEASURED, MEASURED],
    plainStepsPerSecond: 'finite',
  })
  expect(report.shapes.map(({ actors, steps, rounds, commits }) => ({ actors, steps, rounds, commits }))).toEqual([
    { actors: 1, steps: 8, rounds: 2, commits: 8 },
    { actors: 64, steps: 64, rounds: 2, commits: 1 },
  ])
  expect(readdirSync(base)).toEqual([])
})

test.for([['--steps', '0'], ['--rounds', 'many'], ['--fast']])('%s is a usage error with exit code 2', async (flags) => {
  await expect(run(...flags)).rejects.toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('usage: npm run bench') })
})

test('raw writes the same rows as the engine, and one row less or one byte more stops the benchmark', async () => {
  const sample = await record({ path: join(base, 'sample.db'), actors: 2, steps: 6 })
  const check = (name: string, transactions: Sample['transactions']) => checkAndWeigh({ ...sample, transactions, path: join(base, name) })
  expect(await check('same.db', sample.transactions)).toBeGreaterThan(0)
  const [first, ...rest] = sample.transactions
  await expect(check('less.db', [first!.slice(0, -1), ...rest])).rejects.toThrow(
    'the two sides do not write the same rows: snapshot differ',
  )
  const longer = first!.map((write) =>
    write.table === 'journal'
      ? { ...write, values: write.values.map((value) => (value === 'step.committed' ? 'step.committed!' : value)) }
      : write,
  )
  await expect(check('more.db', [longer, ...rest])).rejects.toThrow('the two sides do not write the same rows: journal differ')
})

test('rows that a measured step should not write are refused instead of left out on one side', async () => {
  const { recording, setup } = await record({ path: join(base, 'others.db'), actors: 1, steps: 2 })
  expect(() => writesOf(recording.commits[0]!)).toThrow('a measured commit writes cells')
  expect(writesOf(recording.commits[setup]!).map(({ table }) => table)).toEqual(['head', 'journal', 'journal', 'snapshot'])
})
