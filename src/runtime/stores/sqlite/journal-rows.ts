/**
 * The journal, and the snapshots in it: an entry that a step made holds the snapshot that the step left.
 *
 *   snap_path, snap_inc    whose snapshot it is, only where the entry is about somebody else; `journal_snap` finds the newest of a life in one seek
 *   data, snap             come last: a row is read up to its sum without following what is long
 */
import { hash as sha } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { Defect } from '../../../errors.ts'
import type { Chunk, EncodedSnapshot } from '../../cell.ts'
import type { JournalEntry } from '../../journal.ts'
import type { Commit, SnapshotVersion } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow } from './errors.ts'
import { fromText, toText } from './json-text.ts'
import { boundKey, lastKey, numberOf, rowKey, runOf } from './keys.ts'
import { hexOf, sumOf } from './sums.ts'

type Taken = Commit['snapshots'][number]

/** A row without its snapshot. */
export interface JournalColumns {
  readonly id: number
  readonly at: number
  readonly type: string
  readonly path: string | null
  readonly inc: number | null
  readonly cause: number | null
  readonly hash: Uint8Array
  readonly ends: number
  readonly snap_hash: Uint8Array | null
  readonly snap_path: string | null
  readonly snap_inc: number | null
  readonly tags: string | null
  readonly sum: number
  readonly data: Stored
}

export interface JournalRows {
  /** Appends the entries after `position`, with the snapshots of their steps. @throws {Defect} `E_JOURNAL_GAP`, `E_COMMIT_INVALID`. */
  append(key: number, position: number, body: Pick<Commit, 'journal' | 'snapshots'>): void
  /** Entries with `since < pos`, in order, at most `limit`: those that are there. @throws {UserError} `E_STORE_DAMAGED` for one that is another. */
  read(key: number, since: number, limit: number): readonly JournalEntry[]
  /** Hash of the entry at a position, hex; null where it is none. */
  hashAt(key: number, position: number): string | null
  /** The first position from this one on that ends a commit, or null. */
  endFrom(key: number, position: number): number | null
  /** Position of the newest snapshot of a life up to `at`; 0: none. */
  newest(key: number, address: string, incarnation: number, at: number): number
  /** @throws {Defect} `E_SNAPSHOT_DAMAGED`. */
  snapshot(key: number, address: string, incarnation: number, at: number): EncodedSnapshot | null
  /** Snapshots of all lives of an address before a position, newest first. */
  versions(key: number, address: string, before: number, limit: number): readonly SnapshotVersion[]
}

const COLUMNS = 'id, at, type, path, inc, cause, hash, ends, snap_hash, snap_path, snap_inc, tags, sum, data'
/** The index of snapshots is on these expressions. */
const OF_LIFE = 'coalesce(snap_path, path) = ? AND coalesce(snap_inc, inc) = ? AND snap IS NOT NULL'
const NO_CHUNKS: readonly Chunk[] = []

export function journalRows(db: Database, blobs: Blobs): JournalRows {
  const insert = db.prepare('INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const list = db.prepare<[number, number, number], JournalColumns>(
    `SELECT ${COLUMNS} FROM journal WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`,
  )
  const end = db
    .prepare<[number, number], number>('SELECT id FROM journal WHERE id >= ? AND id <= ? AND ends = 1 ORDER BY id LIMIT 1')
    .pluck()
  const newest = db
    .prepare<[string, number, number, number], number>(
      `SELECT id FROM journal INDEXED BY journal_snap WHERE ${OF_LIFE} AND id > ? AND id <= ? ORDER BY id DESC LIMIT 1`,
    )
    .pluck()
  const one = db.prepare<[number], JournalColumns & { snap: Stored }>(`SELECT ${COLUMNS}, snap FROM journal WHERE id = ?`)
  const lives = db
    .prepare<[string, number, number], number>(
      `SELECT min(coalesce(snap_inc, inc)) FROM journal INDEXED BY journal_snap
      WHERE coalesce(snap_path, path) = ? AND coalesce(snap_inc, inc) > ? AND coalesce(snap_inc, inc) <= ? AND snap IS NOT NULL`,
    )
    .pluck()
  const versions = db.prepare<[string, number, number, number, number], JournalColumns>(
    `SELECT ${COLUMNS} FROM journal INDEXED BY journal_snap WHERE ${OF_LIFE} AND id > ? AND id < ? ORDER BY id DESC LIMIT ?`,
  )

  function whole(columns: JournalColumns): JournalColumns {
    if (journalSum(columns) !== columns.sum) throw damagedRow(db, runOf(columns.id), 'journal', numberOf(columns.id))
    return columns
  }
  function add(key: number, entry: JournalEntry, ends: number, taken: Taken | undefined): void {
    const { pos, at, type, path, inc, cause } = entry
    const id = rowKey(key, pos)
    const data = blobs.put(entry.data)
    const other = taken !== undefined && (taken.address !== path || taken.incarnation !== inc)
    const [snapPath, snapInc] = other ? [taken.address, taken.incarnation] : [null, null]
    const tags = taken === undefined || taken.snapshot.tags.length === 0 ? null : toText(taken.snapshot.tags, `tags of ${taken.address}`)
    const snapHash = taken?.snapshot.hash ?? null
    const sum = sumOf(id, at, type, path, inc, cause, entry.hash, ends, snapHash, snapPath, snapInc, tags, data)
    let snap: Stored | null = null
    if (taken !== undefined) {
      blobs.keep(taken.snapshot.chunks ?? NO_CHUNKS)
      snap = blobs.putHashed(taken.snapshot.json, taken.snapshot.hash)
    }
    const [hash, hashOfSnap] = [Buffer.from(entry.hash, 'hex'), snapHash === null ? null : Buffer.from(snapHash, 'hex')]
    insert.run(id, at, type, path, inc, cause, hash, ends, hashOfSnap, snapPath, snapInc, tags, sum, data, snap)
  }
  function newestId(key: number, address: string, incarnation: number, at: number): number | undefined {
    return newest.get(address, incarnation, rowKey(key, 0), boundKey(key, at))
  }
  return {
    append(key, position, { journal, snapshots }) {
      const taken = byPosition(position, journal.length, snapshots)
      journal.forEach((entry, index) => {
        if (entry.pos !== position + 1 + index) throw gap(entry.pos, position + 1 + index)
        add(key, entry, Number(index === journal.length - 1), taken?.get(entry.pos))
      })
    },
    read(key, since, limit) {
      const rows = list.all(boundKey(key, since), lastKey(key), limit)
      return rows.map((columns) => decode(whole(columns), blobs.get(columns.data, key)))
    },
    hashAt(key, position) {
      const columns = one.get(rowKey(key, position))
      return columns === undefined ? null : hexOf(whole(columns).hash)
    },
    endFrom(key, position) {
      const id = end.get(boundKey(key, position), lastKey(key))
      return id === undefined ? null : numberOf(id)
    },
    newest(key, address, incarnation, at) {
      const id = newestId(key, address, incarnation, at)
      return id === undefined ? 0 : numberOf(id)
    },
    snapshot(key, address, incarnation, at) {
      const id = newestId(key, address, incarnation, at)
      if (id === undefined) return null
      const found = snapshotIn(one.get(id)!, blobs)
      if (found !== null) return found
      const position = numberOf(id)
      throw new Defect('E_SNAPSHOT_DAMAGED', `the snapshot of ${address} at ${position} is not what was committed`, { address, position })
    },
    versions(key, address, before, limit) {
      const found: SnapshotVersion[] = []
      for (let life = -1, next = lives.get(address, life, LIFE_MAX); next != null; next = lives.get(address, life, LIFE_MAX)) {
        life = next
        for (const columns of versions.all(address, life, rowKey(key, 0), boundKey(key, before), limit)) {
          const { id, at, snap_hash } = whole(columns)
          found.push({ position: numberOf(id), incarnation: life, at, hash: hexOf(snap_hash!) })
        }
      }
      return found.sort((a, b) => b.position - a.position).slice(0, limit)
    },
  }
}

const LIFE_MAX = Number.MAX_SAFE_INTEGER

/** The sum that a row must have. */
export function journalSum(c: JournalColumns): number {
  const [hash, snapHash] = [hexOf(c.hash), c.snap_hash === null ? null : hexOf(c.snap_hash)]
  return sumOf(c.id, c.at, c.type, c.path, c.inc, c.cause, hash, c.ends, snapHash, c.snap_path, c.snap_inc, c.tags, c.data)
}

/** The numbers of a commit and of its run do not meet. */
export function gap(found: number, wanted: number): Defect {
  return new Defect('E_JOURNAL_GAP', `journal position ${found} was given where ${wanted} is next`)
}

/** A snapshot belongs to the entry of the step that took it: one position, one snapshot. */
function byPosition(position: number, entries: number, snapshots: readonly Taken[]): ReadonlyMap<number, Taken> | null {
  if (snapshots.length === 0) return null
  const taken = new Map<number, Taken>()
  for (const one of snapshots) {
    const { address, born } = one
    if (!(born > position && born <= position + entries))
      throw new Defect('E_COMMIT_INVALID', `the snapshot of ${address} is born at ${born}, which is no entry of its commit`)
    if (taken.has(born)) throw new Defect('E_COMMIT_INVALID', `two snapshots are born at ${born}; the second is of ${address}`)
    taken.set(born, one)
  }
  return taken
}

/** Null where anything of it is not what was committed. */
function snapshotIn(columns: JournalColumns & { readonly snap: Stored }, blobs: Blobs): EncodedSnapshot | null {
  const hash = hexOf(columns.snap_hash!)
  if (journalSum(columns) !== columns.sum) return null
  const json = blobs.find(columns.snap)
  if (json === null || (typeof columns.snap === 'string' && sha('sha256', json, 'hex') !== hash)) return null
  const chunks = blobs.chunks(json)
  if (chunks === null) return null
  const { status, value } = fromText<Pick<EncodedSnapshot, 'status' | 'value'>>(json)
  const tags = columns.tags === null ? [] : fromText<string[]>(columns.tags)
  return { json, hash, status, value, tags, ...(chunks.length === 0 ? {} : { chunks }) }
}

function decode({ id, at, type, path, inc, cause, hash }: JournalColumns, data: string): JournalEntry {
  return { pos: numberOf(id), at, type, path, inc, cause, data, hash: hexOf(hash) }
}
