/**
 * The other side: better-sqlite3 alone, writing the rows that an engine's run wrote into a fresh file of the same schema.
 *
 *   recording -> setup through the store, not timed -> each measured commit as a list of [statement, values], prepared beforehand -> timed loop
 *
 * No machine, no hashing, no JSON, no fence: what is left is what SQLite and the disk take for these rows in these transactions.
 */
import Database from 'better-sqlite3'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { meter, type Spent } from '../meter.ts'
import type { Recording } from './recording-store.ts'
import type { Layout } from './rows.ts'

export interface RawRunOptions {
  /** A file that does not exist yet. */
  readonly path: string
  readonly recording: Recording
  /** Commits before the first measured one. */
  readonly setup: number
  readonly layout: Layout
  /** Leaves the log alone, so that its size tells what was written. */
  readonly keepLog?: boolean
  /** Called before the first measured commit, and with everything committed and the file still open. */
  readonly prepared?: () => void
  readonly committed?: () => void
}

/** Makes the file, brings it to where measuring began, and writes the rest. */
export async function runRaw({ path, recording, setup, layout, keepLog = false, ...told }: RawRunOptions): Promise<Spent> {
  prepare(path, recording, setup)
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  db.pragma('journal_size_limit = 67108864')
  if (keepLog) db.pragma('wal_autocheckpoint = 0')
  told.prepared?.()
  const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')]
  const statements = Object.fromEntries(Object.entries(layout.statements).map(([table, sql]) => [table, db.prepare(sql)]))
  const spent = await meter(() => {
    for (const writes of layout.transactions) {
      begin.run()
      for (const { table, values } of writes) statements[table]!.run(...values)
      commit.run()
    }
  })
  told.committed?.()
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
