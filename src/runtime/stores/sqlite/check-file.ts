/**
 * A check of a file as it lies there: of any schema, in any state, also where no store can be opened on it. The handle is read-only, so nothing is
 * migrated, folded or repaired, and a damaged file stays as it is.
 */
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { type CheckOptions, checkStore, type FullReport, readMarks, runsLost } from './check.ts'
import { explain } from './errors.ts'
import { isHeld, lockPath } from './lock.ts'
import { marksOf } from './mark.ts'
import { MIGRATIONS } from './migrate.ts'
import { rowsOf } from './rows.ts'
import { APPLICATION_ID } from './schema.ts'
import { transactions } from './transaction.ts'
import { caught, damage, type Finding } from './verify.ts'

export interface FileReport extends FullReport {
  readonly bytes: number
  readonly walBytes: number
  /** 0: no store of ours, or none yet. */
  readonly schemaFound: number
  readonly schemaWanted: number
  /** False where rows of its schema cannot be read by this release: then its pages alone were looked at. */
  readonly readable: boolean
}

/** How long it waits for a writer who is about to recover the log. */
const BUSY_TIMEOUT_MS = 5_000

/**
 * Looks at a file. A missing one is empty; marks beside it may still tell what was there.
 * @throws {UserError} `E_STORE_IO`, `E_STORE_READ_ONLY`, `E_STORE_BUSY`: nothing could be learned. Never for damage.
 */
export function checkFile(file: string, options: CheckOptions = {}): FileReport {
  const facts = { bytes: sizeOf(file), walBytes: sizeOf(`${file}-wal`), schemaWanted: MIGRATIONS.length }
  const none = { ...facts, ...EMPTY, path: file, deep: options.deep === true }
  if (!existsSync(file)) {
    const findings = runsLost(readMarks(marksOf(file)), new Set(), options.run)
    return { ...none, findings, missing: findings.reduce((sum, { missing = 0 }) => sum + missing, 0) }
  }
  let db: Database.Database | undefined
  try {
    const opened = new Database(file, { readonly: true, timeout: BUSY_TIMEOUT_MS })
    db = opened
    let report: FileReport | undefined
    const findings = caught(null, () => {
      report = reportOf(opened, file, options, none)
      return []
    })
    return report ?? { ...none, findings }
  } catch (error) {
    throw explain(error, file, BUSY_TIMEOUT_MS)
  } finally {
    db?.close()
  }
}

const EMPTY = { schemaFound: 0, readable: false, runs: 0, entries: 0, blobs: 0, missing: 0, findings: [], heads: [] } as const

function reportOf(db: Database.Database, file: string, options: CheckOptions, none: FileReport): FileReport {
  const schemaFound = Number(db.pragma('user_version', { simple: true }))
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    return {
      ...none,
      findings: none.bytes === 0 ? [] : [{ run: null, code: 'E_STORE_WRONG_FILE', what: 'a database of another program', position: null }],
    }
  }
  if (schemaFound !== none.schemaWanted) return { ...none, schemaFound, findings: schemaFindings(db, schemaFound, none.schemaWanted) }
  const tx = transactions(db, file, BUSY_TIMEOUT_MS)
  const locks = join(dirname(file), 'locks')
  const rows = rowsOf(db, tx)
  const isSeatHeld = (run: string, seat: number): boolean => isHeld(lockPath(locks, run, seat))
  return { ...none, schemaFound, readable: true, ...checkStore({ db, file, rows, tx, marks: marksOf(file), isSeatHeld }, options) }
}

/** Pages can be checked in any schema; rows only in ours. */
function schemaFindings(db: Database.Database, found: number, wanted: number): readonly Finding[] {
  if (found > wanted)
    return [{ run: null, code: 'E_STORE_NEWER', what: `made by a newer troupe, schema ${found}; this is ${wanted}`, position: null }]
  const said = db.pragma('integrity_check(1)', { simple: true })
  return said === 'ok' ? [] : [damage(null, null, `SQLite: ${String(said)}`)]
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0
}
