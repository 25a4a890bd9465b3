/**
 * Brings files of earlier versions to the last one.
 *
 *   version 0 (empty) ──V1──> 1 ──V2──> 2 ──V3 and its rows──> 3        each arrow is one transaction
 *
 * A file with data is copied to `<file>.v<version>.bak` first: going back to an older troupe is then a matter of renaming.
 */
import { closeSync, openSync, renameSync, rmSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import type { UserError } from '../../../errors.ts'
import { storeError } from './errors.ts'
import { toVersion3 } from './migrate-3.ts'
import { V1, V2, V3 } from './schema.ts'

/** A step in SQL, or one that also computes. It runs inside a transaction. */
export type Migration = string | ((db: Database) => void)

/** Step n makes version n + 1. Only ever appended to: a file of any older version goes through the rest, in order. */
export const MIGRATIONS: readonly Migration[] = [V1, V2, toVersion3]

/**
 * Brings a file to the last version, each step in its own transaction: after a crash it is at one version or the next, never between.
 * Several processes may do this at once; the lock decides who does.
 * @throws {UserError} `E_STORE_NEWER` when the file has more versions than we know.
 */
export function migrate(db: Database, file: string, migrations: readonly Migration[] = MIGRATIONS): void {
  const found = version(db)
  if (found > 0 && found < migrations.length && !db.memory) backUp(db, `${file}.v${found}.bak`)
  const step = db.transaction(() => {
    const at = version(db)
    // A new file holds nothing of old tables: of pages that they left free no row would tell the damage.
    if (at === 0 && migrations === MIGRATIONS) {
      db.exec(V3)
      db.pragma(`user_version = ${migrations.length}`)
      return true
    }
    const migration = migrations[at]
    if (migration === undefined) return false
    if (typeof migration === 'string') db.exec(migration)
    else migration(db)
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
