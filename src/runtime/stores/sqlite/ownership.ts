/**
 * Who owns a run. A lock file says that somebody lives; the epoch, raised here, is what every commit of theirs is checked against.
 *
 *   seat 0   locks/<run>.lock       the owner's, as long as nobody takes a run over
 *   seat n   locks/<run>.n.lock     of an owner who took the run over while the seats before it were held, by processes that were stopped
 *
 *   what a resume rests on is not what was committed (verify.ts) -> E_STORE_DAMAGED, E_STORE_TAIL_LOST; nothing is changed
 *   the current seat is free    -> lock it, epoch + 1, owner recorded -> Owned
 *   it is held                  -> E_RUN_OWNED, with what the run's row tells of its owner
 *   ... takeOver                -> lock another seat, epoch + 1, that seat is the current one: the other owner lives on, but can commit no more
 *
 * Invariants:
 * - The current seat stands beside the epoch and changes with it: its lock is held exactly as long as the owner of the current epoch lives.
 *   What happens to the seats of owners before it says nothing, so their ends do not free the run.
 * - Seats are taken under the write lock of the store: of two who want a run one is first, and the other one sees it.
 * - Verifying is done before, so that nobody waits for it; under the lock only where somebody has committed in between.
 */
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { UserError } from '../../../errors.ts'
import type { Owned, RunRow, Store } from '../../store.ts'
import { explainFile } from './backup.ts'
import type { CommitWriter } from './commit.ts'
import { EXIT_STORE, explain } from './errors.ts'
import type { Head } from './head.ts'
import { acquire, isHeld, lockPath } from './lock.ts'
import type { MarkFound, Marks, MarkWriter } from './mark.ts'
import { ownedRun } from './owned.ts'
import type { Rows } from './rows.ts'
import type { Transactions } from './transaction.ts'
import { caught, throwFirst, verify } from './verify.ts'

interface OwnershipOptions {
  readonly db: Database
  readonly file: string
  readonly busyTimeoutMs: number
  readonly tx: Transactions
  readonly rows: Rows
  /** Null: the store is in memory. */
  readonly marks: Marks | null
  /** Is a commit that returned safe from a power cut? Else marks are read and not written: they might lead. */
  readonly isSynced: boolean
  readonly write: CommitWriter
  /** The key of a run. @throws {UserError} `E_RUN_NOT_FOUND`. */
  readonly known: (run: string) => number
}

export interface Ownership extends Pick<Store, 'own' | 'isOwned'> {
  /** Inside a write, so that nobody can take it meanwhile. @throws {UserError} `E_RUN_OWNED`. */
  assertFree(run: string): void
  /** As `isOwned`, by the number of a lock file; inside a transaction too. */
  isSeatHeld(run: string, seat: number): boolean
  /** Has owning found that something is missing or wrong? Then the file and its log are to be left as they are. */
  isDamaged(): boolean
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

export function ownership({ db, file, busyTimeoutMs, tx, rows: all, marks, isSynced, write, known }: OwnershipOptions): Ownership {
  const { runs: rows } = all
  const folder = db.memory ? `:memory:${++memories}` : join(dirname(file), 'locks')
  const releases = new Set<() => void>()
  let damaged = false

  /** What the lock file's own errors are called. */
  function locks<T>(path: string, work: (path: string) => T): T {
    try {
      return work(path)
    } catch (error) {
      throw explain(error, path, busyTimeoutMs)
    }
  }
  const isSeatHeld = (run: string, seat: number): boolean => locks(lockPath(folder, run, seat), isHeld)
  function isOwned(run: string): boolean {
    const seat = tx.read(() => {
      const key = rows.key(run)
      return key === null ? null : rows.seat(key)
    })
    return seat !== null && isSeatHeld(run, seat)
  }
  /** Null while the owner of the current epoch lives, unless it is taken over: then the first seat that is free. */
  function takeSeat(run: string, current: number, takeOver: boolean): Seat | null {
    for (let seat = current, next = 0; ; seat = next++) {
      const path = lockPath(folder, run, seat)
      // Asked first, because taking waits where it is refused, and everybody who commits waits with it.
      const unlock = locks(path, () => (isHeld(path) ? null : acquire(path)))
      if (unlock !== null) return { seat, unlock }
      if (!takeOver) return null
    }
  }
  /** What the file system says of marks, told to a person. */
  function marked<T>(run: string, work: (marks: Marks) => T): T | null {
    try {
      return marks === null ? null : work(marks)
    } catch (error) {
      throw explainFile(error, marks!.path(run))
    }
  }
  /** The mark is read first: one that is newer than what is looked at would seem to lead. */
  function verified(run: string, key: number): Head {
    const mark = marked(run, ({ read }) => read(run)) ?? 'none'
    return tx.read(() => sound(run, key, mark))
  }
  function sound(run: string, key: number, mark: MarkFound): Head {
    const findings = verify(db, all, { run, key, mark })
    try {
      throwFirst(findings, file)
    } catch (error) {
      damaged = true
      throw error
    }
    return all.heads.read(key)
  }
  function own(run: string, owner: NonNullable<RunRow['owner']>, options: { takeOver?: boolean } = {}): Owned {
    tx.check()
    const key = tx.read(() => known(run))
    const refuse = (): never => {
      throw owned(rows.get(run)!, Date.now())
    }
    const takeOver = options.takeOver === true
    // Without the write lock, which may be busy for long. Where not even this can be read, verifying says why.
    if (!takeOver) caught(run, () => (isOwned(run) ? tx.read(refuse) : []))
    const before = verified(run, key)
    if (!db.memory) locks(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }))
    let [unlock, mark]: [() => void, MarkWriter | null] = [() => {}, null]
    try {
      if (isSynced) mark = marked(run, ({ open }) => open(run))
      const head = tx.write(() => {
        const taken = takeSeat(run, rows.seat(key), takeOver)
        if (taken === null) return refuse()
        unlock = taken.unlock
        if (!isSame(all.heads.read(key), before)) sound(run, key, marked(run, ({ read }) => read(run)) ?? 'none')
        rows.raiseEpoch(key, owner, taken.seat)
        return all.heads.read(key)
      })
      mark?.write(head)
      const onRelease = (): void => {
        releases.delete(onRelease)
        mark?.close()
        unlock()
      }
      releases.add(onRelease)
      return ownedRun({
        tx,
        heads: all.heads,
        write,
        mark,
        ownerNow: () => rows.get(run)?.owner ?? null,
        run,
        key,
        epoch: head.epoch,
        onRelease,
      })
    } catch (error) {
      mark?.close()
      unlock()
      throw error
    }
  }
  return {
    own,
    isOwned,
    assertFree(run) {
      if (isSeatHeld(run, rows.seat(known(run)))) throw owned(rows.get(run)!, Date.now())
    },
    isSeatHeld,
    isDamaged: () => damaged,
    releaseAll() {
      for (const release of [...releases]) release()
    },
  }
}

const isSame = (a: Head, b: Head): boolean => a.position === b.position && a.hash === b.hash && a.digest === b.digest

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
