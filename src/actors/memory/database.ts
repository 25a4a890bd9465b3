/**
 * Opens the file of a project's memory, and gives transactions on it that several processes may have at once (P13).
 *
 *   folder 0700, file 0600  ->  is it ours?  ->  WAL  ->  migrations
 *
 * `synchronous = normal`: what is committed survives `kill -9`; power loss may take the last commits, never the file.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { UserError } from '../../errors.ts'
import { EXIT_STORE, explain, sqliteCode } from '../../runtime/stores/sqlite/errors.ts'
import { migrate } from '../../runtime/stores/sqlite/migrate.ts'
import { type Transactions, transactions } from '../../runtime/stores/sqlite/transaction.ts'
import { MEMORY_APPLICATION_ID, MEMORY_MIGRATIONS } from './schema.ts'

/** How long opening waits for another process. */
const OPEN_MS_MAX = 5_000
/** How long one write holds up everybody in this process, before it is tried again later. */
const BUSY_MS_MAX = 50

export interface MemoryDatabase extends Transactions {
  readonly db: Database.Database
}

/** @throws {UserError} `E_STORE_WRONG_FILE`, `E_STORE_NEWER`, `E_STORE_BUSY`, `E_STORE_IO`, `E_STORE_DAMAGED`, `E_STORE_READ_ONLY`. */
export function openMemoryDatabase(file: string): MemoryDatabase {
  let db: Database.Database | undefined
  try {
    makePrivate(file)
    db = new Database(file, { timeout: OPEN_MS_MAX })
    claim(db, file)
    db.pragma('journal_mode = wal')
    db.pragma('synchronous = normal')
    db.pragma('journal_size_limit = 16777216')
    db.pragma('foreign_keys = on')
    migrate(db, file, MEMORY_MIGRATIONS)
    return { db, ...transactions(db, file, BUSY_MS_MAX) }
  } catch (thrown) {
    db?.close()
    throw explain(inWords(thrown, file), file, OPEN_MS_MAX)
  }
}

/** Made here and not by SQLite, so that it never was readable to others. */
function makePrivate(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  if (existsSync(file)) return
  closeSync(openSync(file, 'a', 0o600))
  chmodSync(file, 0o600)
}

/** Our mark into an empty file; any other file without it is somebody else's. */
function claim(db: Database.Database, file: string): void {
  const isOurs = (): boolean => db.pragma('application_id', { simple: true }) === MEMORY_APPLICATION_ID
  if (isOurs()) return
  db.transaction(() => {
    if (isOurs()) return
    if (db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() !== 0)
      throw memoryError('E_STORE_WRONG_FILE', `${file} is no memory of a project`, file)
    db.pragma(`application_id = ${MEMORY_APPLICATION_ID}`)
  }).immediate()
}

const memoryError = (code: string, message: string, file: string, cause?: unknown): UserError =>
  new UserError(code, message, { where: 'memory', file, fix: `mv '${file}' '${file}.old'`, exit: EXIT_STORE, cause })

/** What is said about folders, files and what is in them, as an error of ours. */
function inWords(thrown: unknown, file: string): unknown {
  if (sqliteCode(thrown) === 'SQLITE_NOTADB') return memoryError('E_STORE_WRONG_FILE', `${file} is no database`, file, thrown)
  const { code = '', syscall } = (thrown ?? {}) as NodeJS.ErrnoException
  if (syscall === undefined) return thrown
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
  return memoryError(denied ? 'E_STORE_READ_ONLY' : 'E_STORE_IO', `${file} cannot be made (${code})`, file, thrown)
}
