/**
 * Many small writes as few commits (R2). It takes what it is given without waiting, and a worker in the background writes it.
 *
 *   enqueue --10 wait, or the first has waited 1 s--> write(batch) --committed--> the next
 *                                                          |--another process writes: the same batch again, soon. No error
 *                                                          '--refused: rolled back whole, then one by one: one bad operation loses no good ones
 *   full: no.    stop: takes nothing more, writes the rest for 30 s, says of each that is left that it was not written
 *
 * Order is first in, first out. One batch is written between two turns of the event loop, so that nobody else waits for all of them.
 */
import { type ErrorData, errorData } from '../../errors.ts'
import { MEMORY_OPERATIONS_MAX } from '../../limits.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Drained, Enqueued, OperationEnd, QueueStatistics } from '../memory.ts'

/** Between two tries while another process writes: at least, and so much more by chance. */
const BUSY_PAUSE_MS = 10

/** The bounds of R2 are the defaults. */
export interface QueueOptions {
  readonly batchSize?: number | undefined
  readonly batchTimeoutMs?: number | undefined
  readonly operationsMax?: number | undefined
  readonly drainTimeoutMs?: number | undefined
}

export interface WriteQueue<Operation> {
  enqueue(operation: Operation): Enqueued
  flush(): Promise<void>
  stop(): Promise<Drained>
  statistics(): QueueStatistics
}

interface Waiting<Operation> {
  readonly operation: Operation
  readonly done: Promise<OperationEnd>
  readonly end: (end: OperationEnd) => void
}

/** @param write  all of the batch or nothing, committed when it returns. Throws `E_STORE_BUSY` where another process writes. */
export function writeQueue<Operation>(
  write: (batch: readonly Operation[]) => void,
  clock: Clock,
  { batchSize = 10, batchTimeoutMs = 1_000, operationsMax = MEMORY_OPERATIONS_MAX, drainTimeoutMs = 30_000 }: QueueOptions = {},
): WriteQueue<Operation> {
  let waiting: Waiting<Operation>[] = []
  let [queued, processed, batchesCommitted, errors] = [0, 0, 0, 0]
  /** So many of those that wait do not wait for others. */
  let hurried = 0
  let stopped: Promise<Drained> | null = null
  let plan: { readonly isLater: boolean; readonly cancel: () => void } | null = null

  const isDue = (): boolean => waiting.length >= batchSize || hurried > 0

  /** The next batch: soon where it is due, else when the first of it has waited long enough. */
  function schedule(pauseMs = 0): void {
    const isLater = !isDue()
    if (waiting.length === 0 || (plan !== null && (!plan.isLater || isLater))) return
    plan?.cancel()
    const run = (): void => {
      plan = null
      schedule(writeNext())
    }
    const delayMs = isLater ? batchTimeoutMs : pauseMs
    plan = { isLater, cancel: delayMs > 0 ? clock.setTimer(delayMs, run) : soon(run) }
  }

  /** It cannot be taken back; where nothing waits any more, it does nothing. */
  function soon(run: () => void): () => void {
    clock.defer(run)
    return () => {}
  }

  /** Gives back for how long to leave the lock to others. */
  function writeNext(): number {
    const batch = waiting.slice(0, batchSize)
    if (batch.length === 0) return 0
    try {
      commit(batch)
      return 0
    } catch (thrown) {
      if (isBusy(thrown)) return pause(batch)
    }
    for (const one of batch) {
      try {
        commit([one])
      } catch (thrown) {
        if (isBusy(thrown)) return pause(batch)
        errors++
        settle([one], { ok: false, error: errorData(thrown) })
      }
    }
    return 0
  }

  function commit(batch: readonly Waiting<Operation>[]): void {
    write(batch.map(({ operation }) => operation))
    batchesCommitted++
    processed += batch.length
    settle(batch, { ok: true })
  }

  /** It was due, and stays so: the lock of others is no reason to begin its second anew. */
  function pause(batch: readonly unknown[]): number {
    hurried = Math.max(hurried, Math.min(batch.length, waiting.length))
    return BUSY_PAUSE_MS * (1 + clock.random())
  }

  function settle(batch: readonly Waiting<Operation>[], end: OperationEnd): void {
    waiting = waiting.slice(batch.length)
    hurried = Math.max(0, hurried - batch.length)
    for (const one of batch) one.end(end)
  }

  async function flush(): Promise<void> {
    hurried = waiting.length
    schedule()
    await Promise.all(waiting.map(({ done }) => done))
  }

  async function drain(): Promise<Drained> {
    let isOver = false
    const over = new Promise<void>((resolve) => {
      const cancel = clock.setTimer(drainTimeoutMs, () => {
        isOver = true
        resolve()
      })
      void flush().then(() => {
        cancel()
        resolve()
      })
    })
    await over
    const left = isOver ? waiting.length : 0
    plan?.cancel()
    settle(waiting, { ok: false, error: notWritten(left, drainTimeoutMs) })
    return { drained: left === 0, left }
  }

  return {
    enqueue(operation) {
      if (stopped !== null) return { accepted: false, why: 'stopped' }
      if (waiting.length >= operationsMax) return { accepted: false, why: 'full' }
      const { promise: done, resolve: end } = Promise.withResolvers<OperationEnd>()
      waiting.push({ operation, done, end })
      queued++
      schedule()
      return { accepted: true, done }
    },
    flush,
    stop: () => {
      stopped ??= drain()
      return stopped
    },
    statistics: () => ({ queued, processed, batchesCommitted, errors, depth: waiting.length }),
  }
}

const isBusy = (thrown: unknown): boolean => errorData(thrown).code === 'E_STORE_BUSY'

const notWritten = (left: number, drainTimeoutMs: number): ErrorData => ({
  code: 'E_MEMORY_REFUSED',
  message: `${left} operations were not written within ${drainTimeoutMs} ms, when the memory was closed`,
})
