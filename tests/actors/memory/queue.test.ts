/** R2: the write queue, with a clock that is told what time it is. */
import { describe, expect, test } from 'vitest'
import { writeQueue } from '../../../src/actors/memory/queue.ts'
import { UserError } from '../../../src/errors.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const busy = (): UserError => new UserError('E_STORE_BUSY', 'another process writes', { where: 'store', fix: 'again', exit: 10 })

/** A queue into a list of commits. `refuses`: throws for a batch. */
function queue(refuses: (batch: readonly number[]) => Error | undefined = () => undefined, options = {}) {
  const clock = virtualClock()
  const commits: (readonly number[])[] = []
  const write = (batch: readonly number[]): void => {
    const error = refuses(batch)
    if (error !== undefined) throw error
    commits.push(batch)
  }
  return { clock, commits, queue: writeQueue<number>(write, clock, options) }
}
const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index)

describe('R2.1 a queue makes few commits of many writes', () => {
  test('enqueueing does not write; ten operations are one commit at once, fewer are one after a second', async () => {
    const { clock, commits, queue: q } = queue()
    for (const n of numbers(13)) q.enqueue(n)
    expect(commits).toEqual([])
    await clock.advance(0)
    expect(commits).toEqual([numbers(10)])
    await clock.advance(999)
    expect(commits).toHaveLength(1)
    await clock.advance(1)
    expect(commits[1]).toEqual([10, 11, 12])
    expect(q.statistics()).toEqual({ queued: 13, processed: 13, batchesCommitted: 2, errors: 0, depth: 0 })
  })

  test('the second of a batch is that of its first operation: one that comes later does not begin it anew', async () => {
    const { clock, commits, queue: q } = queue()
    q.enqueue(1)
    await clock.advance(900)
    q.enqueue(2)
    await clock.advance(100)
    expect(commits).toEqual([[1, 2]])
    q.enqueue(3)
    await clock.advance(999)
    expect(commits).toHaveLength(1)
  })

  test('1,000 operations are 100 commits: 90 % fewer than one for each', async () => {
    const { clock, commits, queue: q } = queue()
    for (const n of numbers(1_000)) q.enqueue(n)
    for (let round = 0; round < 20; round++) await clock.advance(0)
    expect(commits).toHaveLength(100)
    expect(commits.flat()).toEqual(numbers(1_000))
  })
})

describe('R2.2 nothing that was taken is lost without a word', () => {
  test('a bad operation takes its batch back, and then only itself away: nine good ones are written, the error is counted', async () => {
    const { clock, commits, queue: q } = queue((batch) => (batch.includes(4) ? new TypeError('no such entity') : undefined))
    const ends = numbers(10).map((n) => q.enqueue(n))
    await clock.advance(0)
    expect(commits).toEqual([[0], [1], [2], [3], [5], [6], [7], [8], [9]])
    expect(q.statistics()).toEqual({ queued: 10, processed: 9, batchesCommitted: 9, errors: 1, depth: 0 })
    const said = await Promise.all(ends.map((end) => (end.accepted ? end.done : null)))
    expect(said[4]).toMatchObject({ ok: false, error: { message: 'no such entity' } })
    expect(said.filter((end) => end?.ok)).toHaveLength(9)
  })

  test('while another process writes the batch waits, whole and in order, and that is no error', async () => {
    let refusals = 3
    const { clock, commits, queue: q } = queue(() => (refusals-- > 0 ? busy() : undefined))
    for (const n of numbers(12)) q.enqueue(n)
    await clock.advance(0)
    expect(commits).toEqual([])
    await clock.advance(100)
    expect(commits).toEqual([numbers(10)])
    await clock.advance(1_000)
    expect(commits.flat()).toEqual(numbers(12))
    expect(q.statistics()).toMatchObject({ processed: 12, errors: 0 })
  })

  test('a lock that is taken between two operations of a batch that goes one by one costs none of them', async () => {
    const seen: number[] = []
    let refusals = 2
    const {
      clock,
      commits,
      queue: q,
    } = queue((batch) => {
      if (batch.includes(0) && batch.length > 1) return new TypeError('bad')
      seen.push(...batch)
      return batch.includes(1) && refusals-- > 0 ? busy() : undefined
    })
    for (const n of numbers(3)) q.enqueue(n)
    await clock.advance(2_000)
    expect(commits.flat()).toEqual([0, 1, 2])
    expect(q.statistics()).toMatchObject({ processed: 3, errors: 0, depth: 0 })
  })

  test('10,000 wait at most: the next one is told that it is full, and is let in when there is room again', async () => {
    const { clock, queue: q } = queue()
    for (const n of numbers(10_000)) expect(q.enqueue(n).accepted).toBe(true)
    expect(q.enqueue(10_000)).toEqual({ accepted: false, why: 'full' })
    expect(q.statistics()).toMatchObject({ queued: 10_000, depth: 10_000 })
    await clock.advance(0)
    expect(q.enqueue(10_000).accepted).toBe(true)
  })

  test('stop takes nothing more, writes what waits without waiting for a second, and can be asked twice', async () => {
    const { clock, commits, queue: q } = queue()
    for (const n of numbers(25)) q.enqueue(n)
    const ends = [q.stop(), q.stop()]
    expect(q.enqueue(99)).toEqual({ accepted: false, why: 'stopped' })
    await clock.advance(0)
    expect(await Promise.all(ends)).toEqual([
      { drained: true, left: 0 },
      { drained: true, left: 0 },
    ])
    expect(commits.map(({ length }) => length)).toEqual([10, 10, 5])
  })

  test('stop gives up after 30 s, says how many were left, and says so to each of them', async () => {
    const { clock, commits, queue: q } = queue(() => busy())
    const end = q.enqueue(1)
    q.enqueue(2)
    let stopped: unknown = 'not yet'
    void q.stop().then((drained) => {
      stopped = drained
    })
    await clock.advance(29_999)
    expect(stopped).toBe('not yet')
    await clock.advance(1)
    expect(stopped).toEqual({ drained: false, left: 2 })
    expect(await (end as { done: Promise<unknown> }).done).toMatchObject({ ok: false, error: { code: 'E_MEMORY_REFUSED' } })
    await clock.advance(1_000)
    expect(commits).toEqual([])
  })
})
