/**
 * Transactions of one handle. A write is `BEGIN IMMEDIATE`: it takes the write lock first, so nothing that it read can be stale at its commit.
 *
 *   open --write fails, SQLITE_IOERR--> poisoned: after a failed sync nobody knows what is on disk; only a new handle, which recovers the log, does
 *   open --write fails, other--> open: rolled back, nothing happened
 *
 * Who waits for the lock. SQLite's own waiting sleeps up to 100 ms between two looks, and a process that commits without end lets go for less than one:
 * sleepers would starve. So the looks are close together here, at random, and the closer the longer one has waited: among many the oldest gets it.
 */
import type { Database } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import { explain, poisons, sqliteCode } from './errors.ts'

/** Between two looks at most, at first. */
const LOOK_MS_MAX = 6
/** Between two looks at most, for who has waited {@link OLD_MS}. */
const LOOK_MS_MIN = 1
const OLD_MS = 2_000

export interface Transactions {
  /** All of `work` or nothing; durable when it returns. @throws {UserError} `E_STORE_FULL`, `E_STORE_BUSY`, `E_STORE_IO`. @throws {Defect} `E_STORE_CLOSED`. */
  write<T>(work: () => T): T
  /** Inside a write: calls back once it is durable, and not at all where it is rolled back. The callback must not throw. */
  afterCommit(call: () => void): void
  /** One consistent view of all rows, whatever others commit meanwhile. */
  read<T>(work: () => T): T
  /** Throws what the next write would throw for the handle's sake: poisoned, or closed. */
  check(): void
}

export function transactions(db: Database, file: string, busyTimeoutMs: number): Transactions {
  // A few close looks by SQLite itself cost less than coming back here for each.
  db.pragma(`busy_timeout = ${Math.min(2, busyTimeoutMs)}`)
  const [beginImmediate, begin, commit, rollback] = ['BEGIN IMMEDIATE', 'BEGIN', 'COMMIT', 'ROLLBACK'].map((sql) => db.prepare(sql))
  let poison: unknown = null
  let calls: (() => void)[] = []

  function closed(): Defect {
    return new Defect('E_STORE_CLOSED', `the store ${file} was closed`, { hint: 'use a store until its close() and not after' })
  }
  function check(): void {
    if (!db.open) throw closed()
    if (poison !== null) throw poison
  }
  function undo(): void {
    try {
      if (db.inTransaction) rollback!.run()
    } catch (error) {
      poison ??= explain(error, file, busyTimeoutMs)
    }
  }
  return {
    check,
    afterCommit: (call) => void calls.push(call),
    write(work) {
      check()
      calls = []
      let result: ReturnType<typeof work>
      try {
        patiently(() => beginImmediate!.run(), busyTimeoutMs)
        result = work()
        commit!.run()
      } catch (error) {
        const told = explain(error, file, busyTimeoutMs)
        if (poisons(error)) poison = told
        undo()
        throw told
      }
      for (const call of calls) call()
      return result
    },
    read(work) {
      if (!db.open) throw closed()
      const look = (): ReturnType<typeof work> => {
        try {
          begin!.run()
          return work()
        } finally {
          undo()
        }
      }
      try {
        return patiently(look, busyTimeoutMs) // A reader waits too, while another process folds the log in or recovers it.
      } catch (error) {
        throw explain(error, file, busyTimeoutMs)
      }
    },
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Does it until it is not refused for another process's sake, or the time is over: then the last refusal is thrown. */
function patiently<T>(attempt: () => T, busyTimeoutMs: number): T {
  const from = performance.now()
  for (;;) {
    try {
      return attempt()
    } catch (error) {
      const waitedMs = performance.now() - from
      if (!sqliteCode(error).startsWith('SQLITE_BUSY') || waitedMs >= busyTimeoutMs) throw error
      const longestMs = Math.max(LOOK_MS_MIN, LOOK_MS_MAX * (1 - waitedMs / OLD_MS))
      Atomics.wait(sleeper, 0, 0, Math.min(busyTimeoutMs - waitedMs, 0.2 + Math.random() * longestMs))
    }
  }
}
