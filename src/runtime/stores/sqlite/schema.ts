/**
 * The schema and its migrations. Times are milliseconds, positions are positions of the run's journal.
 *
 *   run       what a run was started with, and how it stands           head      what every commit changes: one small row a run
 *   journal   (run, pos)                                              thread    (run, thread, place)
 *   cell      a version for each change; `live` marks the current one of the newest life of an address that is not gone
 *   snapshot  a version for each change, current: the highest born of a life
 *   effect    a version for each change, current: the highest changed; `input` only where it differs from the version before
 *   envelope, timer, ask, request   one row, open until `died` is set
 *
 * Invariants:
 * - Rows are never deleted. What lived at position p: born <= p, and died is null or > p (versions: the highest born <= p).
 * - `run` in every table but the first is the small integer `run.k`. It has no foreign key: a commit updates `head` first, or writes nothing.
 * - Partial indexes hold the open rows alone, so that an image costs what is open, not what has been.
 * - WITHOUT ROWID where rows are small; snapshots are not, and would take a page of their own in a tree of keys.
 */
import { closeSync, openSync, renameSync, rmSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import type { UserError } from '../../../errors.ts'
import { storeError } from './errors.ts'

/** `TRUP`, in the header of the file: SQLite's field for programs that own a file format. */
export const APPLICATION_ID = 0x54525550

const V1 = `
CREATE TABLE run (
  k INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, name TEXT, project TEXT, status TEXT NOT NULL, reason TEXT, tree TEXT NOT NULL,
  input TEXT NOT NULL, limits TEXT NOT NULL, meta TEXT NOT NULL, output TEXT NOT NULL, created_at INTEGER NOT NULL, ended_at INTEGER, owner TEXT
) STRICT;
CREATE TABLE head (
  run INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL, run_ms REAL NOT NULL, wall_ms REAL NOT NULL,
  seq INTEGER NOT NULL, effects INTEGER NOT NULL, timers INTEGER NOT NULL
) STRICT;
CREATE TABLE journal (
  run INTEGER NOT NULL, pos INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL, path TEXT, inc INTEGER, cause INTEGER,
  data TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (run, pos)
) STRICT, WITHOUT ROWID;
CREATE TABLE cell (
  run INTEGER NOT NULL, address TEXT NOT NULL, incarnation INTEGER NOT NULL, born INTEGER NOT NULL, live INTEGER NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (run, address, incarnation, born)
) STRICT, WITHOUT ROWID;
CREATE INDEX cell_open ON cell (run, address) WHERE live = 1;
CREATE TABLE snapshot (
  run INTEGER NOT NULL, address TEXT NOT NULL, incarnation INTEGER NOT NULL, born INTEGER NOT NULL,
  json TEXT NOT NULL, hash TEXT NOT NULL, status TEXT NOT NULL, value TEXT NOT NULL, tags TEXT NOT NULL,
  PRIMARY KEY (run, address, incarnation, born)
) STRICT;
CREATE TABLE envelope (
  run INTEGER NOT NULL, seq INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, outcome TEXT, data TEXT NOT NULL, PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX envelope_open ON envelope (run, seq) WHERE died IS NULL;
CREATE TABLE timer (
  run INTEGER NOT NULL, timer INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, data TEXT NOT NULL, PRIMARY KEY (run, timer)
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_open ON timer (run, timer) WHERE died IS NULL;
CREATE TABLE effect (
  run INTEGER NOT NULL, id TEXT NOT NULL, changed INTEGER NOT NULL, open INTEGER NOT NULL, input TEXT, output TEXT, data TEXT NOT NULL,
  PRIMARY KEY (run, id, changed)
) STRICT, WITHOUT ROWID;
CREATE INDEX effect_open ON effect (run, id) WHERE open = 1;
CREATE TABLE ask (
  run INTEGER NOT NULL, ask INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, data TEXT NOT NULL, PRIMARY KEY (run, ask)
) STRICT, WITHOUT ROWID;
CREATE INDEX ask_open ON ask (run, ask) WHERE died IS NULL;
CREATE TABLE thread (
  run INTEGER NOT NULL, thread TEXT NOT NULL, place INTEGER NOT NULL, born INTEGER NOT NULL, item TEXT NOT NULL, PRIMARY KEY (run, thread, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE request (
  request INTEGER PRIMARY KEY, run INTEGER NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, died INTEGER
) STRICT;
CREATE INDEX request_open ON request (run, request) WHERE died IS NULL;
`

/** Which of a run's lock files the owner of the current epoch holds: see ownership.ts. */
const V2 = 'ALTER TABLE head ADD COLUMN seat INTEGER NOT NULL DEFAULT 0'

/** Step n makes version n + 1. Only ever appended to: a file of any older version goes through the rest, in order. */
export const MIGRATIONS: readonly string[] = [V1, V2]

/**
 * Brings a file to the last version, each step in its own transaction: after a crash it is at one version or the next, never between.
 * A file with data is copied to `<file>.v<version>.bak` first. Several processes may do this at once; the lock decides who does.
 * @throws {UserError} `E_STORE_NEWER` when the file has more versions than we know.
 */
export function migrate(db: Database, file: string, migrations: readonly string[] = MIGRATIONS): void {
  const found = version(db)
  if (found > 0 && found < migrations.length && !db.memory) backUp(db, `${file}.v${found}.bak`)
  const step = db.transaction(() => {
    const at = version(db)
    const sql = migrations[at]
    if (sql === undefined) return false
    db.exec(sql)
    db.pragma(`user_version = ${at + 1}`)
    return true
  })
  while (version(db) < migrations.length && step.immediate());
  if (version(db) > migrations.length) throw newer(file, version(db), migrations.length)
}

function version(db: Database): number {
  return Number(db.pragma('user_version', { simple: true }))
}

/** Written beside and renamed: a backup that exists is whole. */
function backUp(db: Database, target: string): void {
  const part = `${target}.${process.pid}`
  rmSync(part, { force: true })
  closeSync(openSync(part, 'wx', 0o600))
  db.prepare('VACUUM INTO ?').run(part)
  renameSync(part, target)
}

function newer(file: string, found: number, wanted: number): UserError {
  const text = `made by a newer troupe, schema ${found}; this is ${wanted}`
  return storeError('E_STORE_NEWER', text, file, 'npm install -g troupe@latest', { details: { found, wanted } })
}
