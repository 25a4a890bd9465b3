/**
 * Transactions of one handle. A write is `BEGIN IMMEDIATE`: it takes the write lock first, so nothing that it read can be stale at its commit.
 *
 *   open --write fails, SQLITE_IOERR--> poisoned: after a failed sync nobody knows what is on disk; only a new handle, which recovers the log, does
 *   open --write fails, other--> open: rolled back, nothing happened
 */
import type { Database } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import { explain, poisons } from './errors.ts'

export interface Transactions {
  /** All of `work` or nothing; durable when it returns. @throws {UserError} `E_STORE_FULL`, `E_STORE_BUSY`, `E_STORE_IO`. @throws {Defect} `E_STORE_CLOSED`. */
  write<T>(work: () => T): T
  /** One consistent view of all rows, whatever others commit meanwhile. */
  read<T>(work: () => T): T
  /** Throws what the next write would throw for the handle's sake: poisoned, or closed. */
  check(): void
}

export function transactions(db: Database, file: string, busyTimeoutMs: number): Transactions {
  const [beginImmediate, begin, commit, rollback] = ['BEGIN IMMEDIATE', 'BEGIN', 'COMMIT', 'ROLLBACK'].map((sql) => db.prepare(sql))
  let poison: unknown = null

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
    write(work) {
      check()
      try {
        beginImmediate!.run()
        const result = work()
        commit!.run()
        return result
      } catch (error) {
        const told = explain(error, file, busyTimeoutMs)
        if (poisons(error)) poison = told
        undo()
        throw told
      }
    },
    read(work) {
      if (!db.open) throw closed()
      try {
        begin!.run()
        return work()
      } catch (error) {
        throw explain(error, file, busyTimeoutMs)
      } finally {
        undo()
      }
    },
  }
}
