/**
 * What SQLite says, told to a person: each result code that can happen in operation becomes one error of the catalogue, by who must act.
 *
 *   SQLITE_FULL, _IOERR_SHMSIZE   E_STORE_FULL       free space; the same handle goes on
 *   SQLITE_BUSY*, _LOCKED*        E_STORE_BUSY       the same call again
 *   SQLITE_IOERR*, _CANTOPEN      E_STORE_IO         after a write: the handle refuses from then on
 *   SQLITE_CORRUPT*, _NOTADB      E_STORE_DAMAGED    restore
 *   SQLITE_READONLY*, _PERM       E_STORE_READ_ONLY  permissions
 *   SQLITE_CONSTRAINT*            Defect E_STORE_CONSTRAINT: the caller broke a rule of the schema
 *
 * What SQLite does not notice, a row that is not what was written, is E_STORE_DAMAGED too: see sums.ts.
 */
import type { Database } from 'better-sqlite3'
import { Defect, UserError, type UserErrorOptions } from '../../../errors.ts'

/** Exit code of everything that is wrong with the store: locked, damaged, newer, full. */
export const EXIT_STORE = 10

const FIX_DAMAGED = 'troupe db restore <backup>; nothing runs on this file, and it was not changed'

/** An error about the database file, with exit code 10. */
export function storeError(code: string, message: string, file: string, fix: string, more: Partial<UserErrorOptions> = {}): UserError {
  return new UserError(code, message, { where: 'store', file, fix, exit: EXIT_STORE, ...more })
}

/** The result code of an error thrown by SQLite, such as `SQLITE_BUSY`; empty for any other error. */
export function sqliteCode(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : ''
}

/** Is the file in an unknown state after this? What a failed sync wrote, or did not, cannot be told on the same handle. */
export function poisons(error: unknown): boolean {
  const code = sqliteCode(error)
  return code.startsWith('SQLITE_IOERR') && code !== 'SQLITE_IOERR_SHMSIZE'
}

/** Turns an error of SQLite into one of ours; everything else is given back as it is. */
export function explain(error: unknown, file: string, busyTimeoutMs: number): unknown {
  const code = sqliteCode(error)
  if (code === '') return error
  const { message } = error as Error
  const cause = { cause: error, details: { sqlite: code } }
  // SQLite grows its shared memory file before it writes: on a full disk that is what fails first.
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE') {
    const fix = 'free space on it, then: troupe resume --last'
    return storeError('E_STORE_FULL', `the disk of ${file} is full; nothing acknowledged is lost`, file, fix, { ...cause, retryable: true })
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    const text = `another process held the write lock for ${busyTimeoutMs} ms`
    return storeError('E_STORE_BUSY', text, file, 'again, or `troupe ps --everywhere`', { ...cause, retryable: true })
  }
  if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_CANTOPEN') {
    const text = `reading or writing ${file} failed (${code}: ${message}); stopped`
    return storeError('E_STORE_IO', text, file, 'look at the disk, then: troupe resume --last   (it checks the journal first)', cause)
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return storeError('E_STORE_DAMAGED', `${file} is damaged (${message})`, file, FIX_DAMAGED, cause)
  }
  // Every statement is ours and fits the schema of this version: where one does not, the schema in the file is not what was written.
  if (code === 'SQLITE_ERROR') {
    return storeError('E_STORE_DAMAGED', `the schema of ${file} is damaged (${message})`, file, FIX_DAMAGED, cause)
  }
  if (code.startsWith('SQLITE_READONLY') || code === 'SQLITE_PERM') return readOnly(file, error)
  if (code.startsWith('SQLITE_CONSTRAINT')) {
    return new Defect('E_STORE_CONSTRAINT', `the store refused a row: ${message}`, { sqlite: code })
  }
  return error
}

/** A row is not what was written, or a text that it refers to is missing or another. @param key  of the run; 0 where the row belongs to none. */
export function damagedRow(db: Database, key: number, table: string, id: string | number): UserError {
  const run = db.prepare<[number], string>('SELECT run FROM run WHERE k = ?').pluck().get(key) ?? null
  const text = `${run === null ? '' : `run ${run}: `}${table} ${id} is not what was written; ${db.name} is damaged`
  return storeError('E_STORE_DAMAGED', text, db.name, FIX_DAMAGED, { details: { run, table, id } })
}

/** The file or its folder cannot be written. */
export function readOnly(file: string, cause?: unknown): UserError {
  return storeError(
    'E_STORE_READ_ONLY',
    `${file} cannot be written`,
    file,
    `chmod u+w '${file}', or set TROUPE_HOME to a folder of yours`,
    { cause },
  )
}

/** The path holds something that is no store of Troupe; it is left as it is. */
export function wrongFile(file: string, found: string, cause?: unknown): UserError {
  return storeError('E_STORE_WRONG_FILE', `${file} is ${found}, not a store of troupe; it was not touched`, file, 'name another file', {
    cause,
  })
}
