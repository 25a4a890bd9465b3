/**
 * The SQLite store: one file, many runs, many processes.
 *
 *   sqliteStore ── open.ts ── schema.ts      file, folders, permissions, migrations
 *       ├── transaction.ts ── errors.ts      all or nothing, poisoned after a failed sync
 *       ├── run-row.ts, commit.ts, read.ts   rows
 *       └── ownership.ts ── lock.ts          proof of life; owned.ts: the fence
 */
import type { Database } from 'better-sqlite3'
import { UserError } from '../../../errors.ts'
import { assertJson } from '../../../json.ts'
import type { RunRow, Store } from '../../store.ts'
import { type CommitWriter, commitWriter, gap } from './commit.ts'
import { toText } from './json-text.ts'
import { openDatabase } from './open.ts'
import { ownership } from './ownership.ts'
import { reads } from './read.ts'
import { type RunRows, runRows } from './run-row.ts'
import { transactions } from './transaction.ts'

export interface SqliteStoreOptions {
  /** The file, or `:memory:` for a store that ends with its process. Missing folders are made, readable by the user alone. */
  readonly path: string
  /** How long a write waits for another process, milliseconds. Default 15000: a slow disk with dozens of writers gives each its turn. */
  readonly busyTimeoutMs?: number
  /** Default `full`: what was acknowledged survives power loss. `normal` survives `kill -9`, and is several times faster on slow disks. */
  readonly synchronous?: 'full' | 'normal'
}

/**
 * Opens or makes a store. Close it when done; a process that dies with it open loses nothing that was committed.
 * @throws {UserError} `E_NODE_VERSION`, `E_STORE_WRONG_FILE`, `E_STORE_READ_ONLY`, `E_STORE_NEWER`, `E_STORE_DAMAGED`, `E_STORE_BUSY`, `E_STORE_IO`, `E_STORE_FULL`.
 */
export function sqliteStore({ path, busyTimeoutMs = 15_000, synchronous = 'full' }: SqliteStoreOptions): Store {
  const { db, file } = openDatabase({ path, busyTimeoutMs, synchronous })
  const tx = transactions(db, file, busyTimeoutMs)
  const rows = runRows(db)
  const read = reads(db)
  const write = commitWriter(db, rows)
  const addRequest = db.prepare('INSERT INTO request (run, kind, data) VALUES (?, ?, ?)')

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
  const { own, isOwned, releaseAll } = ownership({ db, file, busyTimeoutMs, tx, rows, write, known })

  return {
    path: file,
    createRun: (row, first) =>
      tx.write(() => {
        if (rows.key(row.run) !== null) throw exists(row.run, file)
        create(rows, write, row, first)
      }),
    own,
    isOwned,
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
      releaseAll()
      flush(db)
      db.close()
    },
  }
}

/** The row may tell of the run as it is before its first commit, or after it. */
function create(rows: RunRows, write: CommitWriter, row: RunRow, first: Parameters<Store['createRun']>[1]): void {
  const position = first.journal.length === 0 ? row.position : first.journal[0]!.pos - 1
  if (row.position !== position && row.position !== position + first.journal.length) throw gap(row.position, position)
  write({ key: rows.insert({ ...row, position }), epoch: row.epoch, position }, first)
}

/** Folds the log into the file, if that needs no waiting. */
function flush(db: Database): void {
  try {
    db.pragma('busy_timeout = 0')
    db.pragma('wal_checkpoint(TRUNCATE)')
  } catch {
    // Nothing is lost: the next opener finds the log and folds it in.
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
