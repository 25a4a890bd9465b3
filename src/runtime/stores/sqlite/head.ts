/**
 * The small row that every commit changes: where a run's journal ends, who may write to it, and what everything open adds up to.
 * It is read and written as a whole, and its own sum says whether it is what was written.
 */
import type { Database } from 'better-sqlite3'
import { damagedRow } from './errors.ts'
import { hexOf, holds, sumOf } from './sums.ts'
import type { Transactions } from './transaction.ts'

export interface Head {
  readonly epoch: number
  /** Number of the lock file that the owner of the epoch holds, or held. */
  readonly seat: number
  readonly position: number
  /** Hashes are hex here; empty where there is no entry. */
  readonly hash: string
  readonly runMs: number
  readonly wallMs: number
  readonly seq: number
  readonly effects: number
  readonly timers: number
  /** The last entry that retention has forgotten; 0: none. */
  readonly anchor: number
  readonly anchorHash: string
  /** The last entry from which on a check need not look further back. */
  readonly seal: number
  readonly sealHash: string
  /** See sums.ts. */
  readonly digest: number
}

interface HeadColumns {
  readonly run: number
  readonly epoch: number
  readonly seat: number
  readonly position: number
  readonly hash: Buffer
  readonly run_ms: number
  readonly wall_ms: number
  readonly seq: number
  readonly effects: number
  readonly timers: number
  readonly anchor: number
  readonly anchor_hash: Buffer
  readonly seal: number
  readonly seal_hash: Buffer
  readonly digest: number
  readonly sum: number
}

export interface Heads {
  /** @throws {UserError} `E_STORE_DAMAGED` where there is none, or another than was written. */
  read(key: number): Head
  insert(key: number, head: Head): void
  write(key: number, head: Head): void
  /** Where a commit begins, inside a write: the head as this handle has left it, if it still stands there; else as it is read. */
  before(key: number): Head
  /** Where it ends: as {@link write}, of a head whose epoch, seat and anchor have not changed. */
  advance(key: number, head: Head): void
}

/** Heads that a handle remembers. */
const KEPT_MAX = 1_024

/** Nothing has happened. */
export const EMPTY_HEAD: Head = {
  epoch: 0,
  seat: 0,
  position: 0,
  hash: '',
  runMs: 0,
  wallMs: 0,
  seq: 0,
  effects: 0,
  timers: 0,
  anchor: 0,
  anchorHash: '',
  seal: 0,
  sealHash: '',
  digest: 0,
}

export function heads(db: Database, tx: Pick<Transactions, 'afterCommit'>): Heads {
  /** What this handle has committed last. That nobody else has is asked in one seek, instead of reading the row, its hashes and its sum. */
  const kept = new Map<number, { readonly head: Head; readonly sum: number }>()
  const stands = db
    .prepare<[number, number, number, number], number>('SELECT 1 FROM head WHERE run = ? AND epoch = ? AND position = ? AND sum = ?')
    .pluck()
  const advance = db.prepare(`UPDATE head SET position = ?, hash = ?, run_ms = ?, wall_ms = ?, seq = ?, effects = ?, timers = ?,
    seal = ?, seal_hash = ?, digest = ?, sum = ? WHERE run = ?`)
  const select = db.prepare<[number], HeadColumns>('SELECT * FROM head WHERE run = ?')
  const insert = db.prepare('INSERT INTO head VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const update =
    db.prepare(`UPDATE head SET epoch = ?, seat = ?, position = ?, hash = ?, run_ms = ?, wall_ms = ?, seq = ?, effects = ?, timers = ?,
    anchor = ?, anchor_hash = ?, seal = ?, seal_hash = ?, digest = ?, sum = ? WHERE run = ?`)
  return {
    read(key) {
      const columns = select.get(key)
      const head = columns === undefined ? null : decodeHead(columns)
      if (head === null) throw damagedRow(db, key, 'head', key)
      return head
    },
    insert: (key, head) => void insert.run(key, ...encode(key, head)),
    write: (key, head) => void update.run(...encode(key, head), key),
    before(key) {
      const known = kept.get(key)
      const isLeft = known !== undefined && stands.get(key, known.head.epoch, known.head.position, known.sum) === 1
      return isLeft ? known.head : this.read(key)
    },
    advance(key, head) {
      const sum = headSum(key, head)
      const { position, hash, runMs, wallMs, seq, effects, timers, seal, sealHash, digest } = head
      advance.run(position, blob(hash), runMs, wallMs, seq, effects, timers, seal, blob(sealHash), digest, sum, key)
      tx.afterCommit(() => {
        if (kept.size >= KEPT_MAX) kept.clear()
        kept.set(key, { head, sum })
      })
    },
  }
}

/** The row as read from its columns; null where it is not what was written. */
function decodeHead(columns: HeadColumns): Head | null {
  const { run, run_ms: runMs, wall_ms: wallMs, anchor_hash, seal_hash, sum, hash, ...rest } = columns
  const [anchorHash, sealHash] = [hexOf(anchor_hash), hexOf(seal_hash)]
  const head = { ...rest, hash: hexOf(hash), runMs, wallMs, anchorHash, sealHash }
  return holds(sum, headSum(run, head)) ? head : null
}

function headSum(key: number, h: Head): number {
  const { epoch, seat, position, hash, runMs, wallMs, seq, effects, timers, anchor, anchorHash, seal, sealHash, digest } = h
  return sumOf(key, epoch, seat, position, hash, runMs, wallMs, seq, effects, timers, anchor, anchorHash, seal, sealHash, digest)
}

function encode(key: number, h: Head): unknown[] {
  const counters = [h.seq, h.effects, h.timers]
  const place = [h.anchor, blob(h.anchorHash), h.seal, blob(h.sealHash), h.digest]
  return [h.epoch, h.seat, h.position, blob(h.hash), h.runMs, h.wallMs, ...counters, ...place, headSum(key, h)]
}

const blob = (hex: string): Buffer => Buffer.from(hex, 'hex')
