/** What makes the raw side a fair one: it writes the same rows, and nothing that the engine wrote is left out without a word. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { layoutOf, type Write } from '../../bench/load/rows.ts'
import { checkAndWeigh, record, type Sample } from '../../bench/load/sample.ts'

const base = mkdtempSync(join(tmpdir(), 'troupe-bench-test-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

test('raw writes the same rows as the engine, and one row less or one byte more stops the benchmark', async () => {
  const sample = await record({ path: join(base, 'sample.db'), actors: 2, steps: 6 })
  const check = (name: string, transactions: Sample['layout']['transactions']) =>
    checkAndWeigh({ ...sample, layout: { ...sample.layout, transactions }, path: join(base, name) })
  const [first, ...rest] = sample.layout.transactions
  expect(await check('same.db', sample.layout.transactions)).toBeGreaterThan(0)
  await expect(check('less.db', [first!.slice(0, -1), ...rest])).rejects.toThrow('the two sides do not write the same rows: journal differ')
  const longer = (write: Write): Write => ({
    ...write,
    values: write.values.map((value) => (value === 'step.committed' ? 'step.committed!' : value)),
  })
  await expect(check('more.db', [first!.map(longer), ...rest])).rejects.toThrow('the two sides do not write the same rows: journal differ')
  const last = sample.layout.transactions.at(-1)!
  const headless = last.filter(({ table }) => table !== 'head')
  await expect(check('head.db', [...sample.layout.transactions.slice(0, -1), headless])).rejects.toThrow('same rows: head differ')
})

test('a step of one actor alone is the head and two facts', async () => {
  const { layout } = await record({ path: join(base, 'one.db'), actors: 1, steps: 3 })
  expect(layout.transactions.map((writes) => writes.map(({ table }) => table))).toEqual([
    ['head', 'journal', 'journal'],
    ['head', 'journal', 'journal'],
    ['head', 'journal', 'journal'],
  ])
})

test('rows that a measured step should not write are refused instead of left out on one side', async () => {
  const { recording } = await record({ path: join(base, 'others.db'), actors: 1, steps: 2 })
  expect(() => layoutOf(join(base, 'others.db'), recording.commits.slice(0, 1), [[], []])).toThrow(/^a measured commit writes .*cells/)
})
