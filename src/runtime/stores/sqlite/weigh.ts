/** How much room runs take in a database file, read on a handle of its own that changes nothing. */
import Database from 'better-sqlite3'

/**
 * About how many bytes are freed when runs are deleted: their share of what is in use, by their journal entries. Large texts that other runs name too
 * stay, so it may be less. An estimate before a person decides; {@link roomOf} before and after tells what it was.
 */
export function weigh(file: string, runs: readonly string[]): number {
  return reading(file, (db) => {
    const entries = db
      .prepare<[string], number>('SELECT position - anchor FROM head JOIN run ON run.k = head.run WHERE run.run = ?')
      .pluck()
    const all = db.prepare<[], number>('SELECT coalesce(sum(position - anchor), 0) FROM head').pluck().get() ?? 0
    // Every table and index has a page, also where nothing is in it.
    const empty = db.prepare<[], number>('SELECT count(*) + 1 FROM sqlite_schema WHERE rootpage > 0').pluck().get() ?? 0
    const pages = Math.max(0, numberIn(db, 'page_count') - numberIn(db, 'freelist_count') - empty)
    const wanted = runs.reduce((sum, run) => sum + (entries.get(run) ?? 0), 0)
    return all === 0 ? 0 : Math.round((pages * numberIn(db, 'page_size') * wanted) / all)
  })
}

/** What deleting changes: bytes of the file that hold nothing and are used again by what is written next, and how many large texts there are. */
export function roomOf(file: string): { readonly freeBytes: number; readonly texts: number } {
  return reading(file, (db) => ({
    freeBytes: numberIn(db, 'freelist_count') * numberIn(db, 'page_size'),
    texts: db.prepare<[], number>('SELECT count(*) FROM blob').pluck().get() ?? 0,
  }))
}

function reading<T>(file: string, work: (db: Database.Database) => T): T {
  const db = new Database(file, { readonly: true })
  try {
    return work(db)
  } finally {
    db.close()
  }
}

const numberIn = (db: Database.Database, pragma: string): number => Number(db.pragma(pragma, { simple: true }))
