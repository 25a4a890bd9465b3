/**
 * The other side: better-sqlite3 alone, writing the rows that an engine's run wrote into a fresh file of the same schema.
 *
 *   recording -> setup through the store, not timed -> each measured commit as a list of [statement, values], prepared beforehand -> timed loop
 *
 * No machine, no hashing, no JSON, no fence: what is left is what SQLite and the disk take for these rows in these transactions.
 */
import Database from 'better-sqlite3'
import type { Commit } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { meter, type Spent } from '../meter.ts'
import type { Recording } from './recording-store.ts'

const SQL = {
  head: 'UPDATE head SET position = ?, hash = ?, run_ms = ?, wall_ms = ?, seq = ?, effects = ?, timers = ? WHERE run = 1',
  journal: 'INSERT INTO journal VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)',
  snapshot: 'INSERT INTO snapshot VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)',
}
type Table = keyof typeof SQL
type Value = string | number | null

/** One row that is written. */
export interface Write {
  readonly table: Table
  readonly values: readonly Value[]
}

/** The rows of a commit, in the order in which the store writes them. Throws for rows that a measured step is not expected to write. */
export function writesOf(commit: Commit): Write[] {
  const { journal, snapshots, clock, counters } = commit
  const others = Object.entries(commit).filter(
    ([key, rows]) => key !== 'journal' && key !== 'snapshots' && Array.isArray(rows) && rows.length > 0,
  )
  if (others.length > 0 || commit.run_ !== null)
    throw new Error(`a measured commit writes ${others.map(([key]) => key).join(', ') || 'run'}`)
  return [
    {
      table: 'head',
      values: [journal.at(-1)!.pos, journal.at(-1)!.hash, clock.runMs, clock.wallMs, counters.seq, counters.effects, counters.timers],
    },
    ...journal.map(
      ({ pos, at, type, path, inc, cause, data, hash }): Write => ({
        table: 'journal',
        values: [pos, at, type, path, inc, cause, data, hash],
      }),
    ),
    ...snapshots.map(
      ({ address, incarnation, born, snapshot: s }): Write => ({
        table: 'snapshot',
        values: [address, incarnation, born, s.json, s.hash, s.status, JSON.stringify(s.value), JSON.stringify(s.tags)],
      }),
    ),
  ]
}

export interface RawRunOptions {
  /** A file that does not exist yet. */
  readonly path: string
  readonly recording: Recording
  /** Commits before the first measured one. */
  readonly setup: number
  /** One list per transaction. */
  readonly transactions: readonly (readonly Write[])[]
  /** Leaves the log alone, so that its size tells what was written. */
  readonly keepLog?: boolean
  /** Called with everything committed and the file still open. */
  readonly committed?: () => void
}

/** Makes the file, brings it to where measuring began, and writes the rest. */
export async function runRaw({ path, recording, setup, transactions, keepLog = false, committed }: RawRunOptions): Promise<Spent> {
  prepare(path, recording, setup)
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  db.pragma('journal_size_limit = 67108864')
  if (keepLog) db.pragma('wal_autocheckpoint = 0')
  const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')]
  const statements = { head: db.prepare(SQL.head), journal: db.prepare(SQL.journal), snapshot: db.prepare(SQL.snapshot) }
  const spent = await meter(() => {
    for (const writes of transactions) {
      begin.run()
      for (const { table, values } of writes) statements[table].run(...values)
      commit.run()
    }
  })
  committed?.()
  db.close()
  return spent
}

function prepare(path: string, { created, owner, commits }: Recording, setup: number): void {
  if (created === null || owner === null) throw new Error('the recording has no beginning')
  const store = sqliteStore({ path })
  store.createRun(created.row, created.first)
  const owned = store.own(created.row.run, owner)
  for (const commit of commits.slice(0, setup)) owned.commit(commit)
  store.close()
}
