/**
 * The SQLite store: one file, many runs, many processes.
 *
 *   sqliteStore ── open.ts ── migrate.ts ── schema.ts     file, folders, permissions, the format and how older ones become it
 *       ├── transaction.ts ── errors.ts      all or nothing, poisoned after a failed sync
 *       ├── rows.ts                          a file for each table: run-row, head, journal-rows, cell-rows, ... on keys.ts, sums.ts and blob.ts
 *       ├── commit.ts, read.ts, retention.ts what is written, read and forgotten together
 *       └── ownership.ts ── lock.ts          proof of life; owned.ts: the fence
 */
import type { Database } from 'better-sqlite3'
import { UserError } from '../../../errors.ts'
import { assertJson } from '../../../json.ts'
import type { RunRow, Store } from '../../store.ts'
import { backUp, closeUnfolded } from './backup.ts'
import { checkStore, reportOf } from './check.ts'
import { type CommitWriter, commitWriter } from './commit.ts'
import { explain } from './errors.ts'
import { gap } from './journal-rows.ts'
import { marksOf } from './mark.ts'
import { openDatabase } from './open.ts'
import { ownership } from './ownership.ts'
import { reads } from './read.ts'
import { retention } from './retention.ts'
import { rowsOf } from './rows.ts'
import { assertRun, type RunRows } from './run-row.ts'
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
  const { tx, all, read, write, forget } = prepared(db, file, busyTimeoutMs)
  const { runs: rows, requests } = all

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
  const marks = db.memory ? null : marksOf(file)
  const { own, isOwned, isSeatHeld, isDamaged, assertFree, releaseAll } = ownership({
    ...{ db, file, busyTimeoutMs, tx, rows: all, marks, write, known },
    isSynced: synchronous === 'full',
  })

  /** Deletes of a run that nobody owns, and cannot own meanwhile; then texts that nobody names any more. */
  function retire(run: string, find: (run: string) => number | null, work: (key: number) => void): void {
    tx.write(() => {
      const key = find(run)
      if (key === null) return
      assertFree(run)
      work(key)
    })
    tx.write(forget.sweep)
  }

  return {
    path: file,
    createRun(row, first) {
      assertRun(row)
      tx.write(() => {
        if (rows.key(row.run) !== null) throw exists(row.run, file)
        create(rows, write, row, first)
      })
    },
    own,
    isOwned,
    run: (run) => tx.read(() => rows.get(run)),
    runs: (filter = {}) => tx.read(() => rows.list(filter)),
    journal: (run, since, limit) => of(run, [], (key) => read.journal(key, since, limit)),
    commitEnd: (run, position) => of(run, 0, (key) => read.commitEnd(key, position)),
    image: (run, at) => tx.read(() => read.image(known(run), rows.get(run)!, at)),
    cells: (run, at) => of(run, [], (key) => read.cells(key, at)),
    cell: (run, address, at) => of(run, null, (key) => read.cell(key, address, at)),
    children: (run, address) => of(run, [], (key) => read.children(key, address)),
    snapshot: (run, address, incarnation, at) => of(run, null, (key) => read.snapshot(key, address, incarnation, at)),
    snapshots: (run, address, options) => of(run, [], (key) => read.snapshots(key, address, options)),
    effects: (run, at) => of(run, [], (key) => read.effects(key, at)),
    thread: (run, thread, from, at) => of(run, [], (key) => read.thread(key, thread, from, at)),
    machines: (run) => of(run, [], (key) => read.machines(key)),
    request(run, kind, data) {
      assertJson(data, 'data')
      return tx.write(() => requests.add(known(run), kind, data))
    },
    requests: (run) => of(run, [], requests.open),
    prune(run, before) {
      retire(run, known, (key) => forget.prune(key, before))
    },
    remove(run) {
      retire(run, rows.key, (key) => {
        // Before the run is gone: a mark without its run would tell of a loss, a run without its mark only lacks a witness until it is owned again.
        marks?.remove(run)
        forget.remove(key)
      })
    },
    backup: (target) => {
      tx.check()
      return backUp({ file, memory: db.memory ? db : undefined, busyTimeoutMs, target })
    },
    check: (options) => reportOf(checkStore({ db, file, rows: all, tx, marks, isSeatHeld }, options)),
    close() {
      if (!db.open) return
      releaseAll()
      if (isDamaged()) return closeUnfolded(db, file)
      flush(db)
      db.close()
    },
  }
}

/** All statements of a handle. They fit the schema that was written: where the one in the file is another, it is damaged. */
function prepared(db: Database, file: string, busyTimeoutMs: number) {
  try {
    const tx = transactions(db, file, busyTimeoutMs)
    const all = rowsOf(db, tx)
    return { tx, all, read: reads(all), write: commitWriter(all), forget: retention(db, all) }
  } catch (error) {
    db.close()
    throw explain(error, file, busyTimeoutMs)
  }
}

/** The row may tell of the run as it is before its first commit, or after it. */
function create(rows: RunRows, write: CommitWriter, row: RunRow, first: Parameters<Store['createRun']>[1]): void {
  const position = first.journal.length === 0 ? row.position : first.journal[0]!.pos - 1
  if (row.position !== position && row.position !== position + first.journal.length) throw gap(row.position, position)
  const hash = row.position === position ? row.hash : ''
  write({ key: rows.insert({ ...row, position, hash }), epoch: row.epoch, position }, first)
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
