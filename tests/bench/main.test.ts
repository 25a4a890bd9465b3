/** The benchmark's own command: what it prints, and what it refuses. How fast anything is, no test asks. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'

const base = mkdtempSync(join(tmpdir(), 'troupe-bench-test-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const SCRIPT = new URL('../../bench/main.ts', import.meta.url).pathname
const run = (...flags: string[]) => promisify(execFile)(process.execPath, [SCRIPT, '--dir', base, ...flags])

/** A report with every figure replaced by what kind of figure it is. */
function kinds(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? 'finite' : String(value)
  if (Array.isArray(value)) return value.map(kinds)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, kinds(member)]))
  return typeof value
}

const ENVIRONMENT = {
  processor: 'string',
  cores: 'finite',
  load1m: 'finite',
  platform: 'string',
  node: 'string',
  sqlite: 'string',
  tmpfs: 'boolean',
  at: 'string',
}

test('two measurements, each in a process of its own, are one JSON object, and leave no file', async () => {
  const { stdout } = await run('fairness', 'pool', '--scale', '0.001', '--rounds', '1', '--json')
  const report = JSON.parse(stdout) as { schema: string; environment: unknown; sections: { measurement: string; cases: unknown[] }[] }
  expect(kinds(report.environment)).toEqual(ENVIRONMENT)
  expect({ schema: report.schema, sections: report.sections.map(({ measurement, cases }) => [measurement, cases.length]) }).toEqual({
    schema: 'troupe.bench/1',
    sections: [
      ['pool', 3],
      ['fairness', 3],
    ],
  })
  expect(readdirSync(base)).toEqual([])
})

test('one measurement is printed as text, with its question and its goals', async () => {
  const { stdout } = await run('pool', '--scale', '0.001', '--rounds', '1')
  expect(stdout).toContain('pool: does the 10,000th child of a pool cost more to start than the 100th?')
  expect(stdout).toMatch(/many to few, time +[\d.]+ x +goal: at most 1\.50 {2}(met|MISSED)/)
})

test('what cannot be understood is a usage error with exit code 2', async () => {
  await expect(run('--fast')).rejects.toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('usage: npm run bench') })
})
