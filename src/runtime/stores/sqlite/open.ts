/**
 * Opens the database file, and nothing else: what is not a store of ours is told apart before the first byte is written.
 *
 *   folder 0700, file 0600  ->  which file is it? (read-only handle)  ->  application id  ->  WAL  ->  migrations
 *
 * Files are never read with plain file calls here: closing one drops every POSIX lock that this process holds on it.
 */
import { accessSync, chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { UserError } from '../../../errors.ts'
import { explain, readOnly, sqliteCode, storeError, wrongFile } from './errors.ts'
import { migrate } from './migrate.ts'
import { APPLICATION_ID } from './schema.ts'

/** The oldest Node on which better-sqlite3 13 opens a file; older ones end in a segmentation fault. */
const NODE_MIN = [22, 18] as const

export interface OpenOptions {
  /** A file, or `:memory:`. Folders above it are made. */
  readonly path: string
  /** How long a write waits for another process. */
  readonly busyTimeoutMs: number
  /** `full`: a commit that returned survives power loss. `normal`: it survives `kill -9` only. */
  readonly synchronous: 'full' | 'normal'
}

/**
 * An open handle on a store of the last version, and the real path of its file.
 * @throws {UserError} `E_NODE_VERSION`, `E_STORE_WRONG_FILE`, `E_STORE_READ_ONLY`, `E_STORE_NEWER`, `E_STORE_BUSY`, `E_STORE_IO`, `E_STORE_FULL`.
 */
export function openDatabase(options: OpenOptions): { readonly db: Database.Database; readonly file: string } {
  checkNode(process.versions.node)
  const memory = options.path === ':memory:'
  const file = memory ? options.path : prepareFile(resolve(options.path), options.busyTimeoutMs)
  let db: Database.Database | undefined
  try {
    db = new Database(file, { timeout: options.busyTimeoutMs })
    claim(db, file)
    if (!memory) db.pragma('journal_mode = wal')
    db.pragma(`synchronous = ${options.synchronous}`)
    db.pragma('journal_size_limit = 67108864')
    migrate(db, file)
    return { db, file }
  } catch (error) {
    db?.close()
    throw explain(error, file, options.busyTimeoutMs)
  }
}

/**
 * A message instead of a segmentation fault.
 * @throws {UserError} `E_NODE_VERSION`
 */
export function checkNode(found: string): void {
  const [major = 0, minor = 0] = found.split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return
  throw new UserError('E_NODE_VERSION', `needs Node ${NODE_MIN.join('.')} or newer, this is ${found}`, {
    where: process.execPath,
    fix: 'npm install -g node@24',
    exit: 1,
  })
}

function prepareFile(path: string, busyTimeoutMs: number): string {
  try {
    makeFolder(dirname(path))
    // Made here and not by SQLite, so that it never was readable to others; -wal and -shm take over its mode.
    if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (errno(error) !== 'EEXIST' || !existsSync(path)) throw fileError(error, path)
  }
  const stat = statSync(path)
  if (stat.isDirectory()) throw wrongFile(path, 'a folder')
  if (!stat.isFile()) throw wrongFile(path, 'no regular file')
  const file = realpathSync(path)
  try {
    accessSync(file, constants.R_OK | constants.W_OK)
    accessSync(dirname(file), constants.W_OK)
  } catch (error) {
    throw readOnly(file, error)
  }
  if (stat.size > 0) identify(file, busyTimeoutMs)
  else restrict(file, stat)
  return file
}

/** One by one: `recursive` reports a read-only file system as ENOENT. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path, 0o700)
  } catch (error) {
    if (errno(error) !== 'EEXIST') throw error
  }
}

/** An empty file that was made by somebody else (`touch`) becomes ours, and private. */
function restrict(file: string, stat: Stats): void {
  if ((stat.mode & 0o077) !== 0) chmodSync(file, 0o600)
}

/** A read-only handle changes nothing, not even by its closing: a writable one would fold another program's log into its file. */
function identify(file: string, busyTimeoutMs: number): void {
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, timeout: busyTimeoutMs })
    if (!isOurs(db)) throw wrongFile(file, 'a database of another program')
  } catch (error) {
    const code = sqliteCode(error)
    if (code === 'SQLITE_NOTADB') throw wrongFile(file, 'no SQLite database', error)
    // Our own file after a crash in its first milliseconds: only a writable handle can bring it back, and `claim` asks again.
    if (!code.startsWith('SQLITE_READONLY')) throw explain(error, file, busyTimeoutMs)
  } finally {
    db?.close()
  }
}

function isOurs(db: Database.Database): boolean {
  return db.pragma('application_id', { simple: true }) === APPLICATION_ID
}

/** Puts our application id into an empty file, before WAL: then it is in the file itself, and no crash makes it look like somebody else's. */
function claim(db: Database.Database, file: string): void {
  if (isOurs(db)) return
  db.transaction(() => {
    if (isOurs(db)) return
    if (db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() !== 0) throw wrongFile(file, 'a database of another program')
    db.pragma(`application_id = ${APPLICATION_ID}`)
  }).immediate()
}

function errno(error: unknown): string {
  return error instanceof Error ? String((error as NodeJS.ErrnoException).code) : ''
}

function fileError(error: unknown, path: string): UserError {
  const code = errno(error)
  if (code === 'ENOTDIR' || code === 'EEXIST') return wrongFile(path, 'below a file', error)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return readOnly(path, error)
  return storeError('E_STORE_IO', `${path} cannot be made (${code})`, path, 'name another file', { cause: error })
}
