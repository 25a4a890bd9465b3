/** Beside a resume: a fresh process opens a killed one's file with better-sqlite3 alone, reads a row and changes it, synced. Then it is killed. */
import Database from 'better-sqlite3'
import { answer, die, question } from '../fresh.ts'

/** Milliseconds. */
export interface RawAnswer {
  readonly answeredMs: number
}

const { path } = question<{ path: string }>()
const start = performance.now()
const db = new Database(path)
db.pragma('journal_mode = wal')
db.pragma('synchronous = full')
const row = db.prepare<[], { wall_ms: number }>('SELECT * FROM head').get()
db.prepare('UPDATE head SET wall_ms = ?').run((row?.wall_ms ?? 0) + 1)
answer({ answeredMs: performance.now() - start } satisfies RawAnswer)
die()
