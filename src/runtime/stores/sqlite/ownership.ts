/**
 * Who owns a run. A lock file says that somebody lives; the epoch, raised here, is what every commit of theirs is checked against.
 *
 *   seat 0   locks/<run>.lock       the owner's, as long as nobody takes a run over
 *   seat n   locks/<run>.n.lock     of an owner who took the run over while the seats before it were held, by processes that were stopped
 *
 *   the current seat is free    -> lock it, epoch + 1, owner recorded -> Owned
 *   it is held                  -> E_RUN_OWNED, with what the run's row tells of its owner
 *   ... takeOver                -> lock another seat, epoch + 1, that seat is the current one: the other owner lives on, but can commit no more
 *
 * Invariants:
 * - The current seat stands beside the epoch and changes with it: its lock is held exactly as long as the owner of the current epoch lives.
 *   What happens to the seats of owners before it says nothing, so their ends do not free the run.
 * - Seats are taken under the write lock of the store: of two who want a run one is first, and the other one sees it.
 */
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { UserError } from '../../../errors.ts'
import type { Owned, RunRow, Store } from '../../store.ts'
import type { CommitWriter } from './commit.ts'
import { EXIT_STORE, explain } from './errors.ts'
import { acquire, isHeld } from './lock.ts'
import { ownedRun } from './owned.ts'
import type { RunRows } from './run-row.ts'
import type { Transactions } from './transaction.ts'

interface OwnershipOptions {
  readonly db: Database
  readonly file: string
  readonly busyTimeoutMs: number
  readonly tx: Transactions
  readonly rows: RunRows
  readonly write: CommitWriter
  /** The key of a run. @throws {UserError} `E_RUN_NOT_FOUND`. */
  readonly known: (run: string) => number
}

export interface Ownership extends Pick<Store, 'own' | 'isOwned'> {
  /** Lets go of everything that was owned through this store. */
  releaseAll(): void
}

/** A run whose owner has committed nothing for so long may be stuck: taking it over is offered, and never done unasked. */
const TAKE_OVER_OFFERED_MS = 30_000

interface Seat {
  readonly seat: number
  readonly unlock: () => void
}

/** Numbers stores in memory, so that their locks do not meet. */
let memories = 0

export function ownership({ db, file, busyTimeoutMs, tx, rows, write, known }: OwnershipOptions): Ownership {
  const folder = db.memory ? `:memory:${++memories}` : join(dirname(file), 'locks')
  const lockPath = (run: string, seat: number): string => join(folder, seat === 0 ? `${run}.lock` : `${run}.${seat}.lock`)
  const releases = new Set<() => void>()

  /** What the lock file's own errors are called. */
  function locks<T>(path: string, work: (path: string) => T): T {
    try {
      return work(path)
    } catch (error) {
      throw explain(error, path, busyTimeoutMs)
    }
  }
  function isOwned(run: string): boolean {
    const seat = tx.read(() => {
      const key = rows.key(run)
      return key === null ? null : rows.seat(key)
    })
    return seat !== null && locks(lockPath(run, seat), isHeld)
  }
  /** Null while the owner of the current epoch lives, unless it is taken over: then the first seat that is free. */
  function takeSeat(run: string, current: number, takeOver: boolean): Seat | null {
    for (let seat = current, next = 0; ; seat = next++) {
      const path = lockPath(run, seat)
      // Asked first, because taking waits where it is refused, and everybody who commits waits with it.
      const unlock = locks(path, () => (isHeld(path) ? null : acquire(path)))
      if (unlock !== null) return { seat, unlock }
      if (!takeOver) return null
    }
  }
  function own(run: string, owner: NonNullable<RunRow['owner']>, options: { takeOver?: boolean } = {}): Owned {
    tx.check()
    const key = tx.read(() => known(run))
    const refuse = (): never => {
      throw owned(rows.get(run)!, Date.now())
    }
    const takeOver = options.takeOver === true
    if (!takeOver && isOwned(run)) tx.read(refuse) // Without the write lock, which may be busy for long.
    if (!db.memory) locks(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }))
    let unlock = (): void => {}
    try {
      const epoch = tx.write(() => {
        const taken = takeSeat(run, rows.seat(key), takeOver)
        if (taken === null) return refuse()
        unlock = taken.unlock
        return rows.raiseEpoch(key, owner, taken.seat)
      })
      const onRelease = (): void => {
        releases.delete(onRelease)
        unlock()
      }
      releases.add(onRelease)
      return ownedRun({ db, tx, write, ownerNow: () => rows.get(run)?.owner ?? null, run, key, epoch, onRelease })
    } catch (error) {
      unlock()
      throw error
    }
  }
  return {
    own,
    isOwned,
    releaseAll() {
      for (const release of [...releases]) release()
    },
  }
}

/** Who holds the run, as far as its row tells: the lock says only that somebody does. Taking over is named where the last commit is old. */
function owned(row: RunRow, nowMs: number): UserError {
  const host = row.owner?.host === hostname() ? 'this host' : row.owner?.host
  const who = row.owner === null ? 'running in a process that has not said its name yet' : `running on ${host}, pid ${row.owner.pid}`
  const lastCommitMs = Math.max(0, nowMs - row.clock.wallMs)
  const look = `troupe logs ${row.run} -f`
  return new UserError('E_RUN_OWNED', `${who}, epoch ${row.epoch}, last commit ${ago(lastCommitMs)}`, {
    where: `run ${row.run}`,
    fix: lastCommitMs < TAKE_OVER_OFFERED_MS ? look : `${look}   or, where that process is stuck: troupe resume ${row.run} --take-over`,
    exit: EXIT_STORE,
    retryable: true,
    details: { run: row.run, pid: row.owner?.pid ?? null, host: row.owner?.host ?? null, epoch: row.epoch, lastCommitMs },
  })
}

function ago(ms: number): string {
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)}s ago`
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)}m ago`
  return `${Math.floor(ms / 3_600_000)}h ago`
}
