/**
 * A copy of a database while others write to it.
 *
 *   a read transaction on a handle of its own  ->  pages into <target>.part  ->  one file without a log  ->  checked  ->  synced  ->  renamed
 *
 * The read transaction pins one state: without it SQLite begins again whenever another process commits, and a busy store is never copied.
 * While it lasts the log cannot be reset and grows. A target that exists is whole; what was cut off is a `.part`.
 * The database is never copied with file calls: closing such a copy drops the locks that this process holds on it.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { exitOf } from '../../../catalogue.ts'
import { UserError } from '../../../errors.ts'
import { explain, readOnly, storeError } from './errors.ts'

export interface BackupOptions {
  /** The database, closed or in use by anybody. */
  readonly file: string
  /** A handle on it, where it lives in memory: nothing else reaches it then. */
  readonly memory?: Database.Database | undefined
  readonly busyTimeoutMs: number
  /** Where the copy goes. Folders above it are made, readable by the user alone. */
  readonly target: string
  /** Replaces a target that exists. Default false. */
  readonly force?: boolean | undefined
}

/**
 * Writes the copy; it survives power loss when this resolves. The copy is one file with mode 0600.
 * Pages are copied in pieces between which this process goes on; the check of the copy is not interrupted, about a second for 500 MB.
 * @throws {UserError} `E_FILE_EXISTS`; `E_STORE_DAMAGED` where the copy, and so the original, is damaged; `E_STORE_FULL`, `E_STORE_IO`, `E_STORE_READ_ONLY`.
 */
export async function backUp({ file, memory, busyTimeoutMs, target, force = false }: BackupOptions): Promise<void> {
  const to = resolve(target)
  if (!force && existsSync(to)) throw taken(to, `${to} exists`, `another name, or --force`)
  const part = `${to}.part`
  makePart(part)
  try {
    await copyPages(file, memory, part, busyTimeoutMs)
    finish(part, file, busyTimeoutMs)
    syncFile(part)
    if (!force && existsSync(to)) throw taken(to, `${to} was made meanwhile`, 'another name, or --force')
    renameSync(part, to)
    syncFolder(dirname(to))
  } catch (error) {
    rmSync(part, { force: true })
    throw explainFile(error, to)
  }
}

/** The newest state of a database, or the one that a transaction of the handle has pinned, as pages of another file. */
async function copyPages(file: string, memory: Database.Database | undefined, part: string, busyTimeoutMs: number): Promise<void> {
  let source: Database.Database | undefined
  try {
    source = memory ?? new Database(file, { readonly: true, timeout: busyTimeoutMs })
    if (memory === undefined) {
      source.exec('BEGIN')
      source.prepare('SELECT count(*) FROM sqlite_schema').get()
    }
    await source.backup(part)
  } catch (error) {
    throw explain(error, file, busyTimeoutMs)
  } finally {
    if (memory === undefined) source?.close()
  }
}

/** The header of the copy says that it has a log, as the original has: one file is easier to keep whole than three. */
function finish(part: string, file: string, busyTimeoutMs: number): void {
  let copy: Database.Database | undefined
  try {
    copy = new Database(part, { timeout: busyTimeoutMs })
    copy.pragma('journal_mode = delete')
    const said = copy.pragma('quick_check(1)', { simple: true })
    if (said !== 'ok') throw damaged(file, String(said))
  } catch (error) {
    throw explain(error, part, busyTimeoutMs)
  } finally {
    copy?.close()
  }
}

function makePart(part: string): void {
  try {
    mkdirSync(dirname(part), { recursive: true, mode: 0o700 })
  } catch (error) {
    throw explainFile(error, dirname(part))
  }
  try {
    closeSync(openSync(part, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw taken(part, `${part} exists: another backup is being written, or one was cut off`, `rm '${part}'`)
    throw explainFile(error, part)
  }
}

/** The newest file in the folder `backups` beside a database, and when it was made; null where there is none. */
export function newestBackup(file: string): { readonly path: string; readonly atMs: number } | null {
  const folder = backupsOf(file)
  const found = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.db')) : []
  const dated = found.map((name) => ({ path: join(folder, name), atMs: statSync(join(folder, name)).mtimeMs }))
  return dated.sort((a, b) => b.atMs - a.atMs)[0] ?? null
}

/** Where backups of a database go unless another place is named. */
export const backupsOf = (file: string): string => join(dirname(file), 'backups')

/**
 * Closes a handle without folding its log into the file, as SQLite does when the last one is closed: what is behind a damaged frame of the log would be
 * gone for good. A handle that only reads keeps the other one from being the last, and changes nothing by its own closing.
 */
export function closeUnfolded(db: Database.Database, file: string): void {
  if (db.memory) return void db.close()
  const witness = new Database(file, { readonly: true })
  witness.prepare('SELECT count(*) FROM sqlite_schema').get()
  db.close()
  witness.close()
}

/** Makes the content of a closed file durable. */
function syncFile(path: string): void {
  const fd = openSync(path, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Makes the names in a folder durable, where the file system can. */
export function syncFolder(path: string): void {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    fsyncSync(fd)
  } catch {
    // Some file systems have no sync of folders; the content is durable under its old name or its new one.
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** What the file system says about a file that is no open database, told to a person. */
export function explainFile(error: unknown, path: string): unknown {
  const code = error instanceof Error ? String((error as NodeJS.ErrnoException).code) : ''
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return storeError('E_STORE_FULL', `the disk of ${path} is full`, path, 'free space on it, or name another disk', {
      cause: error,
      retryable: true,
    })
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return readOnly(path, error)
  if (/^E[A-Z]+$/.test(code))
    return storeError('E_STORE_IO', `${path} cannot be written (${code})`, path, 'name another file', { cause: error })
  return error
}

function taken(path: string, what: string, fix: string): UserError {
  return new UserError('E_FILE_EXISTS', what, { where: path, file: path, fix, exit: exitOf('E_FILE_EXISTS') })
}

function damaged(file: string, said: string): UserError {
  return storeError(
    'E_STORE_DAMAGED',
    `${file} is damaged (${said.split('\n')[0]}), and so is its copy; the copy was removed`,
    file,
    'troupe db check --deep',
  )
}
