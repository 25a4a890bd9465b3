/**
 * From version 2 to 3: the commits of every run are written again, by the writer of now, out of the rows of then.
 *
 *   old_journal, old_cell, ... of one run  ──by where commits ended──>  Commit, Commit, ...  ──commitWriter──>  rows of version 3
 *
 * Nothing that was committed changes: entries keep their positions and hashes byte for byte, rows their births and deaths.
 * What version 2 did not say is found out: a turn has one instant, so an entry of another instant began another commit, and cells were born at the end
 * of theirs. Between two commits of one millisecond no end is known; they count as one.
 */
import type { Database } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import type { RunRow } from '../../store.ts'
import { commitWriter } from './commit.ts'
import { type OldCommit, type OldHead, type OldRun, oldCommits, oldRun } from './migrate-3-old.ts'
import { type Rows, rowsOf } from './rows.ts'
import { V3 } from './schema.ts'

const TABLES = ['run', 'head', 'journal', 'cell', 'snapshot', 'envelope', 'timer', 'effect', 'ask', 'thread', 'request'] as const
const INDEXES = ['cell_open', 'envelope_open', 'timer_open', 'effect_open', 'ask_open', 'request_open'] as const

/** Inside a transaction: all of it, or version 2 as it was. */
export function toVersion3(db: Database): void {
  for (const index of INDEXES) db.exec(`DROP INDEX ${index}`)
  for (const table of TABLES) db.exec(`ALTER TABLE ${table} RENAME TO old_${table}`)
  db.exec(V3)
  const rows = rowsOf(db, { afterCommit: () => {} })
  const write = commitWriter(rows)
  const runs = db.prepare<[], OldRun & OldHead>('SELECT * FROM old_run JOIN old_head ON old_head.run = old_run.k ORDER BY k').all()
  const names = db.prepare<[number], string>('SELECT run FROM old_run WHERE k = ?').pluck()
  for (const old of runs) {
    const row = oldRun({ ...old, run: names.get(old.k)! })
    same('run', old.k, rows.runs.insert({ ...row, position: 0, hash: '' }))
    writeAll(write, old.k, row, oldCommits(db, old.k, row.position))
    const head = rows.heads.read(old.k)
    same('end of run', old.position, head.position)
    rows.heads.write(old.k, { ...head, seat: old.seat, hash: old.hash, ...row.clock, ...row.counters })
    checkCells(db, rows, old.k)
  }
  carryRequests(db, rows)
  for (const table of TABLES) db.exec(`DROP TABLE old_${table}`)
}

function writeAll(
  write: ReturnType<typeof commitWriter>,
  key: number,
  { epoch, clock, counters }: RunRow,
  commits: Iterable<OldCommit>,
): void {
  let position = 0
  for (const body of commits) {
    write({ key, epoch, position }, { ...body, requestsDone: [], clock, counters, run_: null })
    position += body.journal.length
  }
}

/** The cells that are current now are those that were marked so. */
function checkCells(db: Database, rows: Rows, key: number): void {
  const marked = db.prepare<[number], { address: string; incarnation: number }>(
    'SELECT address, incarnation FROM old_cell WHERE run = ? AND live = 1',
  )
  const before = marked.all(key)
  for (const { address, incarnation } of before) same(`life of ${address}`, incarnation, rows.cells.life(key, address) ?? 0)
  same('number of cells', before.length, rows.cells.allNow(key).length)
}

function carryRequests(db: Database, rows: Rows): void {
  const requests = db.prepare<[], { request: number; run: number; kind: 'send'; data: string; died: number | null }>(
    'SELECT * FROM old_request ORDER BY request',
  )
  for (const { request, run, kind, data, died } of requests.all()) {
    same('request', request, rows.requests.add(run, kind, JSON.parse(data)))
    if (died !== null) rows.requests.end(run, request, died)
  }
}

/** What must come out as it was. */
function same(what: string, before: number, after: number): void {
  if (before !== after) throw new Defect('E_STORE_MIGRATION', `${what} was ${before} in version 2 and would be ${after}`)
}
