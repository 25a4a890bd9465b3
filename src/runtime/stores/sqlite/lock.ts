/**
 * Who is alive: one SQLite file per run, on which the owner keeps a transaction open. Nothing is ever written to it.
 *
 *   owner   BEGIN EXCLUSIVE, held       gone with its process however that ends, kept while the process is stopped
 *   probe   takes a shared lock         refused while there is an owner; two probes do not disturb each other
 *
 * A lock file is never opened with plain file calls and never removed: closing a second descriptor drops the POSIX locks of the process, and a
 * removed file could be locked a second time under the same name. What this process holds is known without touching the file: see `held`.
 * Safety does not rest on this: the epoch in the main store is the fence.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { sqliteCode } from './errors.ts'

/** Locks of this process by real path, over all stores that it has open. */
const held = new Map<string, object>()

/** How long taking a lock waits: longer than a probe of another process holds its shared lock, far below the patience of a person. */
const ACQUIRE_WAIT_MS = 250

/** The lock file of a run's seat: see ownership.ts. */
export function lockPath(folder: string, run: string, seat: number): string {
  return join(folder, seat === 0 ? `${run}.lock` : `${run}.${seat}.lock`)
}

/** Takes the lock, and gives the function that releases it (idempotent); null while somebody lives who holds it, this process included. */
export function acquire(path: string): (() => void) | null {
  if (held.has(path)) return null
  const holder = {}
  if (path.startsWith(':memory:')) {
    held.set(path, holder)
    return () => forget(path, holder)
  }
  const db = new Database(path, { timeout: ACQUIRE_WAIT_MS })
  if (!begin(db, 'BEGIN EXCLUSIVE')) return null
  held.set(path, holder)
  return () => {
    forget(path, holder)
    db.close()
  }
}

/** Does a live process hold the lock? Leaves no trace. */
export function isHeld(path: string): boolean {
  if (held.has(path)) return true
  if (path.startsWith(':memory:') || !existsSync(path)) return false
  const db = new Database(path, { timeout: 0 })
  if (!begin(db, 'BEGIN')) return true
  db.close()
  return false
}

/** Begins and makes it take its locks now. On a lost race the handle is closed. */
function begin(db: Database.Database, sql: string): boolean {
  try {
    db.pragma('journal_mode = memory')
    db.exec(sql)
    db.prepare('SELECT count(*) FROM sqlite_schema').get()
    return true
  } catch (error) {
    db.close()
    if (sqliteCode(error).startsWith('SQLITE_BUSY')) return false
    throw error
  }
}

function forget(path: string, holder: object): void {
  if (held.get(path) === holder) held.delete(path)
}
