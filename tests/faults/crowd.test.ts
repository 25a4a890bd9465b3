/** Many processes on one database file, all of them committing as fast as they can: nobody is told that it is busy, and nothing is lost. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../harness.ts'
import { crowd, waitsOf } from './crowd.ts'

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined

/** Everybody ends with the sum of what it sent; a busy error, a lost commit or a wrong result would stand here instead. */
async function together(size: number, events: number): Promise<void> {
  const { members, tookMs } = await crowd(join(temporaryFolder(), 'troupe.db'), size, events)
  const said = members.map(({ waits: _, run: __, ...rest }) => rest)
  const right = { status: 'succeeded', output: { count: events, sum: (events * (events + 1)) / 2 }, lost: [] }
  process.stderr.write(`${size} processes, ${events} events each: ${(tookMs / 1_000).toFixed(1)} s, ${waitsOf(members)}\n`)
  expect(said).toEqual(Array.from({ length: size }, () => right))
  expect(new Set(members.map(({ run }) => run)).size).toBe(size)
}

test('AC3: three parallel jobs on one store end without a database error', { timeout: 60_000 }, () => together(3, 100))

test('AC3: 8 processes with runs of their own on one store: no busy error, every result right, no commit lost', { timeout: 120_000 }, () =>
  together(8, 100),
)

test.runIf(NIGHTLY)(
  'AC3: 32 processes with runs of their own on one store: no busy error, every result right, no commit lost',
  {
    timeout: 600_000,
  },
  () => together(32, 300),
)
