/** How much room things take in a database file, read on a handle of its own that changes nothing. */
import Database from 'better-sqlite3'
import { lastKey, rowKey } from './keys.ts'

/** What a row costs beside its texts: header, key, numbers, hash, its places in indexes. Measured on runs of 1 KB steps. */
const ROW_BYTES = 140

/**
 * About how many bytes runs take, from the lengths of their journal entries, snapshots and of the large texts that entries name. What other runs name
 * too is counted, chunks of snapshots are not: an estimate before a person decides.
 */
export function weigh(file: string, runs: readonly string[]): number {
  const db = new Database(file, { readonly: true })
  try {
    const key = db.prepare<[string], number>('SELECT k FROM run WHERE run = ?').pluck()
    const rows = db.prepare<[number, number, number], number>(`SELECT
        coalesce(sum(? + iif(typeof(data) = 'blob', coalesce((SELECT length(b.data) FROM blob b WHERE b.hash = j.data), 0), length(data))
          + coalesce(iif(typeof(snap) = 'blob', (SELECT length(b.data) FROM blob b WHERE b.hash = j.snap), length(snap)), 0)), 0)
      FROM journal j WHERE id BETWEEN ? AND ?`)
    const size = rows.pluck()
    return runs.reduce((sum, run) => {
      const k = key.get(run)
      return k === undefined ? sum : sum + (size.get(ROW_BYTES, rowKey(k, 0), lastKey(k)) ?? 0)
    }, 0)
  } finally {
    db.close()
  }
}

/** What deleting changes: bytes of the file that hold nothing and are used again by what is written next, and how many large texts there are. */
export function roomOf(file: string): { readonly freeBytes: number; readonly texts: number } {
  const db = new Database(file, { readonly: true })
  try {
    const freeBytes = Number(db.pragma('freelist_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }))
    return { freeBytes, texts: db.prepare<[], number>('SELECT count(*) FROM blob').pluck().get() ?? 0 }
  } finally {
    db.close()
  }
}
