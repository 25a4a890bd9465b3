/**
 * The SQLite store: one file, many runs, many processes.
 *
 *   sqliteStore ── open.ts ── schema.ts      file, folders, permissions, migrations
 *       ├── transaction.ts ── errors.ts      all or nothing, poisoned after a failed sync
 *       ├── run-row.ts, commit.ts, read.ts   rows
 *       └── owned.ts ── lock.ts              epoch (fence) and lock file (proof of life)
 */
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { UserError } from '../../../errors.ts'
import { assertJson } from '../../../json.ts'
import type { Owned, RunRow, Store } from '../../store.ts'
import { commitWriter } from './commit.ts'
import { EXIT_STORE, explain } from './errors.ts'
import { toText } from './json-text.ts'
import { acquire, isHeld } from './lock.ts'
import { openDatabase } from './open.ts'
import { ownedRun } from './owned.ts'
import { reads } from './read.ts'
import { runRows } from './run-row.ts'
import { transactions } from './transaction.ts'

export interface SqliteStoreOptions {
  /** The file, or `:memory:` for a store that ends with its process. Missing folders are made, readable by the user alone. */
  readonly path: string
  /** How long a write waits for another process, milliseconds. Default 5000. */
  readonly busyTimeoutMs?: number
  /** Default `full`: what was acknowledged survives power loss. `normal` survives `kill -9`, and is several times faster on slow disks. */
  readonly synchronous?: 'full' | 'normal'
}

/** Numbers stores in memory, so that their locks do not meet. */
let memories = 0

/**
 * Opens or makes a store. Close it when done; a process that dies with it open loses nothing that was committed.
 * @throws {UserError} `E_NODE_VERSION`, `E_STORE_WRONG_FILE`, `E_STORE_READ_ONLY`, `E_STORE_NEWER`, `E_STORE_DAMAGED`, `E_STORE_BUSY`, `E_STORE_IO`, `E_STORE_FULL`.
 */
export function sqliteStore({ path, busyTimeoutMs = 5_000, synchronous = 'full' }: SqliteStoreOptions): Store {
  const { db, file } = openDatabase({ path, busyTimeoutMs, synchronous })
  const tx = transactions(db, file, busyTimeoutMs)
  const rows = runRows(db)
  const read = reads(db)
  const write = commitWriter(db, rows)
  const addRequest = db.prepare('INSERT INTO request (run, kind, data) VALUES (?, ?, ?)')
  const locks = db.memory ? `:memory:${++memories}` : join(dirname(file), 'locks')
  const lockPath = (key: number, run: string): string => (db.memory ? `${locks}/${key}` : join(locks, `${run}.lock`))
  const releases = new Set<() => void>()

  function known(run: string): number {
    const key = rows.key(run)
    if (key === null) throw notFound(run, file)
    return key
  }
  /** An empty answer where there is no such run: asking never makes a row, and is no error. */
  function of<T>(run: string, none: T, query: (key: number) => T): T {
    return tx.read(() => {
      const key = rows.key(run)
      return key === null ? none : query(key)
    })
  }
  function lock(key: number, run: string): (() => void) | null {
    try {
      if (!db.memory) mkdirSync(locks, { recursive: true, mode: 0o700 })
      return acquire(lockPath(key, run))
    } catch (error) {
      throw explain(error, lockPath(key, run), busyTimeoutMs)
    }
  }
  function own(run: string, owner: NonNullable<RunRow['owner']>, options: { takeOver?: boolean } = {}): Owned {
    tx.check()
    const key = tx.read(() => known(run))
    const unlock = lock(key, run)
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
    path: file,
    createRun(row, first) {
      tx.write(() => {
        if (rows.key(row.run) !== null) throw exists(row.run, file)
        const key = rows.insert(row)
        write({ key, epoch: row.epoch, position: row.position }, first)
      })
    },
    own,
    isOwned(run) {
      const key = tx.read(() => rows.key(run))
      return key !== null && isHeld(lockPath(key, run))
    },
    run: (run) => tx.read(() => rows.get(run)),
    runs: (filter = {}) => tx.read(() => rows.list(filter)),
    journal: (run, since, limit) => of(run, [], (key) => read.journal(key, since, limit)),
    image: (run) => tx.read(() => ({ ...read.parts(known(run)), run: rows.get(run)! })),
    snapshot: (run, address, incarnation) => of(run, null, (key) => read.snapshot(key, address, incarnation)),
    effects: (run) => of(run, [], read.effects),
    thread: (run, thread, from = 0) => of(run, [], (key) => read.thread(key, thread, from)),
    request(run, kind, data) {
      assertJson(data, 'data')
      return tx.write(() => Number(addRequest.run(known(run), kind, toText(data, 'data')).lastInsertRowid))
    },
    requests: (run) => of(run, [], read.requests),
    close() {
      if (!db.open) return
      for (const release of [...releases]) release()
      try {
        db.pragma('busy_timeout = 0')
        db.pragma('wal_checkpoint(TRUNCATE)')
      } catch {
        // Nothing is lost: the next opener finds the log and folds it in.
      }
      db.close()
    },
  }
}

function notFound(run: string, file: string): UserError {
  return new UserError('E_RUN_NOT_FOUND', `no run \`${run}\` in ${file}`, {
    where: `run ${run}`,
    fix: '`troupe ps --all --everywhere`',
    exit: 9,
  })
}

function exists(run: string, file: string): UserError {
  return new UserError('E_RUN_EXISTS', `run \`${run}\` is in ${file} already`, {
    where: `run ${run}`,
    fix: `troupe resume ${run}`,
    exit: 2,
  })
}

/** Who holds the run, as far as its row tells: the lock says only that somebody does. */
function owned(row: RunRow, nowMs: number): UserError {
  const host = row.owner === null ? null : row.owner.host === hostname() ? 'this host' : row.owner.host
  const who = row.owner === null ? 'running in a process that has not said its name yet' : `running on ${host}, pid ${row.owner.pid}`
  const lastCommitMs = Math.max(0, nowMs - row.clock.wallMs)
  return new UserError('E_RUN_OWNED', `${who}, epoch ${row.epoch}, last commit ${ago(lastCommitMs)}`, {
    where: `run ${row.run}`,
    fix: `troupe logs ${row.run} -f   or: troupe cancel ${row.run}`,
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
