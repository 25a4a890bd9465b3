/**
 * Who owns a run. The lock file says that somebody lives; the epoch, raised here, is what every commit of theirs is checked against.
 *
 *   lock taken      -> epoch + 1, owner recorded -> Owned
 *   lock refused    -> E_RUN_OWNED, with what the run's row tells of its owner
 *   ... takeOver    -> epoch + 1 without the lock: the other one lives on, but can commit no more
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

/** Numbers stores in memory, so that their locks do not meet. */
let memories = 0

export function ownership({ db, file, busyTimeoutMs, tx, rows, write, known }: OwnershipOptions): Ownership {
  const folder = db.memory ? `:memory:${++memories}` : join(dirname(file), 'locks')
  const lockPath = (run: string): string => join(folder, `${run}.lock`)
  const releases = new Set<() => void>()

  /** What the lock file's own errors are called. */
  function locks<T>(run: string, work: (path: string) => T): T {
    try {
      return work(lockPath(run))
    } catch (error) {
      throw explain(error, lockPath(run), busyTimeoutMs)
    }
  }
  function own(run: string, owner: NonNullable<RunRow['owner']>, options: { takeOver?: boolean } = {}): Owned {
    tx.check()
    const key = tx.read(() => known(run))
    const unlock = locks(run, (path) => {
      if (!db.memory) mkdirSync(folder, { recursive: true, mode: 0o700 })
      return acquire(path)
    })
    if (unlock === null && options.takeOver !== true)
      throw owned(
        tx.read(() => rows.get(run)!),
        Date.now(),
      )
    try {
      const epoch = tx.write(() => rows.raiseEpoch(key, owner))
      const onRelease = (): void => {
        releases.delete(onRelease)
        unlock?.()
      }
      releases.add(onRelease)
      return ownedRun({ db, tx, write, run, key, epoch, onRelease })
    } catch (error) {
      unlock?.()
      throw error
    }
  }
  return {
    own,
    isOwned: (run) => tx.read(() => rows.key(run)) !== null && locks(run, isHeld),
    releaseAll() {
      for (const release of [...releases]) release()
    },
  }
}

/** Who holds the run, as far as its row tells: the lock says only that somebody does. */
function owned(row: RunRow, nowMs: number): UserError {
  const host = row.owner?.host === hostname() ? 'this host' : row.owner?.host
  const who = row.owner === null ? 'running in a process that has not said its name yet' : `running on ${host}, pid ${row.owner.pid}`
  const lastCommitMs = Math.max(0, nowMs - row.clock.wallMs)
  return new UserError('E_RUN_OWNED', `${who}, epoch ${row.epoch}, last commit ${ago(lastCommitMs)}`, {
    where: `run ${row.run}`,
    fix: `troupe logs ${row.run} -f`,
    exit: EXIT_STORE,
    retryable: true,
    details: { pid: row.owner?.pid ?? null, host: row.owner?.host ?? null, epoch: row.epoch, lastCommitMs },
  })
}

function ago(ms: number): string {
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)}s ago`
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)}m ago`
  return `${Math.floor(ms / 3_600_000)}h ago`
}
