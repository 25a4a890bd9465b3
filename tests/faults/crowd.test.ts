/** Many processes on one database file, all of them committing as fast as they can: nobody is told that it is busy, and nothing is lost. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NIGHTLY } from './chance.ts'
import { crowd, type Member, waitsOf } from './crowd.ts'
import { faultPlace } from './place.ts'

const place = faultPlace()

/** Everybody ends with the sum of what it sent; a busy error, a lost commit or a wrong result would stand here instead. */
async function together(size: number, events: number): Promise<void> {
  const { members, tookMs } = await crowd(join(place.folder(), 'troupe.db'), size, events)
  told(members, tookMs, events)
  expect(new Set(members.map(({ run }) => run)).size).toBe(size)
}

function told(members: readonly Member[], tookMs: number, events: number): void {
  process.stderr.write(`${members.length} processes, ${events} events each: ${(tookMs / 1_000).toFixed(1)} s, ${waitsOf(members)}\n`)
  const said = members.map(({ waits: _, run: __, ...rest }) => rest)
  const right = { status: 'succeeded', output: { count: events, sum: (events * (events + 1)) / 2 }, lost: [] }
  expect(said).toEqual(members.map(() => right))
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

test.for([{ size: 8, events: 30, syncMs: 10 }, ...(NIGHTLY ? [{ size: 32, events: 60, syncMs: 20 }] : [])])(
  'AC3: $size processes on a disk that needs $syncMs ms for a sync each get their turn, and nobody is told that it is busy',
  {
    timeout: 300_000,
  },
  async ({ size, events, syncMs }, context) => {
    const disk = place.disk(context)
    const folder = place.folder()
    disk.slow(folder, syncMs)
    const { members, tookMs } = await crowd(join(folder, 'troupe.db'), size, events, disk.env)
    told(members, tookMs, events)
  },
)
