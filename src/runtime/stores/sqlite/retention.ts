/**
 * Retention: the only thing that deletes. The history of a run up to a position, or all of a run; then the texts that nobody names any more.
 *
 *   prune(run, before)     ... anchor | before ...
 *     entries up to the anchor go, except where one holds the newest snapshot of a life that lived at the anchor: that row stays, without what it told
 *     rows that were dead at the anchor go; what lived then or later stays, so every position from the anchor on can still be looked at
 *
 * Invariants:
 * - Each of these is one transaction, in which the run is not owned. A crash in between leaves texts that nobody names: the next sweep takes them.
 * - Open rows stay as they are. Of the digest only a snapshot that was taken before its cell lived can leave with its entry.
 *   Numbers go on, and keys of runs are never given again.
 * - A sweep raises `store.sweeps` where it deletes: whoever remembers which texts are there asks again then (blob.ts).
 */
import type { Database } from 'better-sqlite3'
import { refsIn } from '../../chunks.ts'
import type { Stored } from './blob.ts'
import { snapshotPins } from './digest.ts'
import { type JournalColumns, journalSum } from './journal-rows.ts'
import { itemKey, lastItemKey, lastKey, rowKey } from './keys.ts'
import type { Rows } from './rows.ts'
import { Tally } from './sums.ts'

export interface Retention {
  /** Forgets entries before a position. Positions before the anchor or after the end are those. Inside a transaction. */
  prune(key: number, before: number): void
  /** Deletes a run. Inside a transaction. */
  remove(key: number): void
  /** Deletes texts that nobody names. Inside a transaction of its own: it reads every row of the file. */
  sweep(): void
}

const NUMBERED = ['journal', 'cell', 'effect', 'envelope', 'timer', 'ask'] as const
/** Columns that may name a blob. */
export const NAMING = {
  run: ['tree', 'input', 'meta', 'output'],
  journal: ['data', 'snap'],
  cell: ['data'],
  effect: ['input', 'output'],
  envelope: ['data'],
  timer: ['data'],
  ask: ['data'],
  thread_item: ['item'],
  machine: ['definition'],
  request: ['data'],
} as const

export function retention(db: Database, rows: Rows): Retention {
  return {
    prune: (key, before) => prune(db, rows, key, before),
    remove: (key) => remove(db, key),
    sweep: () => sweep(db, rows),
  }
}

function prune(db: Database, rows: Rows, key: number, before: number): void {
  const head = rows.heads.read(key)
  const anchor = Math.min(before - 1, head.position)
  if (anchor <= head.anchor) return
  const anchorHash = rows.journal.hashAt(key, anchor)!
  const standing = standingSnapshots(db, rows, key, anchor)
  const tally = new Tally(head.digest)
  tally.died(snapshotPins(db, key))
  const [first, last, end] = [rowKey(key, 0), rowKey(key, anchor), lastKey(key)]
  const ids = db.prepare<[number, number], number>('SELECT id FROM journal WHERE id > ? AND id <= ?').pluck().all(first, last)
  const forget = db.prepare('DELETE FROM journal WHERE id = ?')
  for (const id of ids) if (!standing.has(id)) forget.run(id)
  for (const id of standing) silence(db, id)
  for (const table of ['cell', 'envelope', 'timer', 'ask']) {
    db.prepare(`DELETE FROM ${table} WHERE id > ? AND id <= ? AND died <= ?`).run(first, end, anchor)
  }
  // A version that holds the input of a later one stays.
  db.prepare(`DELETE FROM effect WHERE id > ? AND id <= ? AND died <= ?
    AND id NOT IN (SELECT same FROM effect WHERE id > ? AND id <= ? AND same IS NOT NULL AND (died IS NULL OR died > ?))`).run(
    ...[first, end, anchor, first, end, anchor],
  )
  db.prepare('DELETE FROM request WHERE run = ? AND died <= ?').run(key, anchor)
  const seal = head.seal > anchor ? {} : { seal: anchor, sealHash: anchorHash }
  tally.born(snapshotPins(db, key))
  rows.heads.write(key, { ...head, anchor, anchorHash, ...seal, digest: tally.digest })
}

/** Rows that hold the newest snapshot of a life that lived at a position. */
function standingSnapshots(db: Database, rows: Rows, key: number, at: number): ReadonlySet<number> {
  const lives = db
    .prepare<number[], { address: string; incarnation: number }>(
      'SELECT address, incarnation FROM cell WHERE id > ? AND id <= ? AND born <= ? AND (died IS NULL OR died > ?)',
    )
    .all(rowKey(key, 0), lastKey(key), at, at)
  const positions = lives.map(({ address, incarnation }) => rows.journal.newest(key, address, incarnation, at))
  return new Set(positions.filter((position) => position > 0).map((position) => rowKey(key, position)))
}

/** What is left of an entry that is kept for its snapshot alone. */
function silence(db: Database, id: number): void {
  const columns = db.prepare<[number], JournalColumns>('SELECT * FROM journal WHERE id = ?').get(id)!
  const silent = { ...columns, data: 'null' }
  db.prepare('UPDATE journal SET data = ?, sum = ? WHERE id = ?').run(silent.data, journalSum(silent), id)
}

function remove(db: Database, key: number): void {
  for (const table of NUMBERED) db.prepare(`DELETE FROM ${table} WHERE id > ? AND id <= ?`).run(rowKey(key, 0), lastKey(key))
  const threads = db.prepare<[number], number>('SELECT k FROM thread WHERE run = ?').pluck().all(key)
  const items = db.prepare('DELETE FROM thread_item WHERE id > ? AND id <= ?')
  for (const thread of threads) items.run(itemKey(thread, -1), lastItemKey(thread))
  for (const table of ['thread', 'machine', 'request', 'head']) db.prepare(`DELETE FROM ${table} WHERE run = ?`).run(key)
  db.prepare('DELETE FROM run WHERE k = ?').run(key)
}

function sweep(db: Database, rows: Rows): void {
  if (db.prepare('SELECT 1 FROM blob LIMIT 1').get() === undefined) return
  const named = namedBlobs(db, rows)
  const drop = db.prepare('DELETE FROM blob WHERE k = ?')
  let dropped = 0
  for (const { k, hash } of db.prepare<[], { k: number; hash: Buffer }>('SELECT k, hash FROM blob').all()) {
    if (!named.has(hash.toString('hex'))) dropped += drop.run(k).changes
  }
  if (dropped > 0) db.exec('UPDATE store SET sweeps = sweeps + 1')
}

/** Hashes, hex, of all texts that are named by a row, or by a text that is. */
function namedBlobs(db: Database, rows: Pick<Rows, 'blobs'>): ReadonlySet<string> {
  const named = new Set<string>()
  for (const [table, columns] of Object.entries(NAMING)) {
    for (const column of columns) {
      const hashes = db.prepare<[], string>(`SELECT lower(hex(${column})) FROM ${table} WHERE typeof(${column}) = 'blob'`).pluck()
      for (const hash of hashes.iterate()) named.add(hash)
    }
  }
  const waiting: string[] = []
  const snapshots = db
    .prepare<[], Stored>(`SELECT snap FROM journal WHERE typeof(snap) = 'blob' OR instr(snap, '"@troupe.chunk"') > 0`)
    .pluck()
  for (const snap of snapshots.all()) waiting.push(...refsIn(rows.blobs.find(snap) ?? ''))
  for (let hash = waiting.pop(); hash !== undefined; hash = waiting.pop()) {
    if (named.has(hash)) continue
    named.add(hash)
    waiting.push(...refsIn(rows.blobs.find(Buffer.from(hash, 'hex')) ?? ''))
  }
  return named
}
