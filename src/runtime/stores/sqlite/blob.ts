/**
 * Large texts, each stored once under the SHA-256 of what it says, compressed where that helps.
 *
 *   a column    short text: the text itself            long text: the 32 bytes of its hash          `put` and `get`
 *   a snapshot  names its chunks in its text, a chunk the ones below it                              `keep` and `chunks`
 *
 *   codec 0: the text as it is, UTF-8      1: zstd level 1. Measured against levels 2 and 3 and deflate: as small from 4 KB on, and several times faster
 *   on long texts; level 3 saves another 1 % for twice the time.
 *
 * Invariants:
 * - A text is there before anything that names it, in the same transaction.
 * - What this handle has seen on disk is known by identity, and not asked for again. A transaction that is rolled back has shown nothing; and where a sweep
 *   (retention.ts) has deleted texts since, everything known is forgotten, for one of them may be gone.
 */
import { hash } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Database } from 'better-sqlite3'
import { BLOB_CHARS_MIN, BLOB_COMPRESSED_BYTES_MIN } from '../../../limits.ts'
import type { Chunk } from '../../cell.ts'
import { refsIn } from '../../chunks.ts'
import { damagedRow } from './errors.ts'
import { hexOf } from './sums.ts'
import type { Transactions } from './transaction.ts'

/** A text as its column holds it. */
export type Stored = string | Uint8Array

interface Columns {
  /** Of the text, unpacked. */
  readonly bytes: number
  readonly codec: number
  readonly data: Buffer
}

export interface Blobs {
  /** Gives the column for a text; a long one is written unless it is there. Inside a transaction. */
  put(text: string): Stored
  /** Like `put`, for a text whose hash is known. */
  putHashed(text: string, hex: string): Stored
  /** The text of a column; null where it is missing or another. */
  find(column: Stored): string | null
  /** Like `find`. @param key  of the run, for the error. @throws {UserError} `E_STORE_DAMAGED` where it is missing or another. */
  get(column: Stored, key: number): string
  /** Writes chunks and what is below them, unless they are known to be there. Inside a transaction. */
  keep(chunks: readonly Chunk[]): void
  /** The chunks that a text names, with all below; null where one is missing or another. `seen` shares them within one answer. */
  chunks(text: string, seen?: Map<string, Chunk>): readonly Chunk[] | null
}

const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const RAW = 0
const COMPRESSED = 1

export function blobs(db: Database, tx: Pick<Transactions, 'afterCommit'>): Blobs {
  const select = db.prepare<[Uint8Array], Columns>('SELECT bytes, codec, data FROM blob WHERE hash = ?')
  const has = db.prepare<[Uint8Array], number>('SELECT 1 FROM blob WHERE hash = ?').pluck()
  const insert = db.prepare('INSERT INTO blob (hash, bytes, codec, data) VALUES (?, ?, ?, ?)')
  const sweeps = db.prepare<[], number>('SELECT sweeps FROM store').pluck()
  let known = new WeakSet<Chunk>()
  let knownSince = -1

  function add(text: string, key: Buffer): void {
    if (has.get(key) !== undefined) return
    const raw = Buffer.from(text)
    const packed = raw.length < BLOB_COMPRESSED_BYTES_MIN ? raw : zstdCompressSync(raw, ZSTD)
    if (packed.length < raw.length) insert.run(key, raw.length, COMPRESSED, packed)
    else insert.run(key, raw.length, RAW, raw)
  }
  /** The text, or null where there is none, or another one. */
  function load(hex: string): string | null {
    const row = select.get(Buffer.from(hex, 'hex'))
    const text = row === undefined ? null : unpack(row)
    return text !== null && hash('sha256', text, 'hex') === hex ? text : null
  }
  function putHashed(text: string, hex: string): Stored {
    if (text.length < BLOB_CHARS_MIN) return text
    const key = Buffer.from(hex, 'hex')
    add(text, key)
    return key
  }
  function keepOne(chunk: Chunk, written: Chunk[]): void {
    if (known.has(chunk)) return
    for (const below of chunk.chunks) keepOne(below, written)
    add(chunk.text, Buffer.from(chunk.hash, 'hex'))
    written.push(chunk)
  }
  function chunk(hex: string, seen: Map<string, Chunk>): Chunk | null {
    const found = seen.get(hex)
    if (found !== undefined) return found
    const text = load(hex)
    const below = text === null ? null : chunks(text, seen)
    if (below === null) return null
    const loaded: Chunk = { hash: hex, text: text!, chunks: below }
    seen.set(hex, loaded)
    known.add(loaded)
    return loaded
  }
  function chunks(text: string, seen = new Map<string, Chunk>()): readonly Chunk[] | null {
    const all: Chunk[] = []
    for (const hex of refsIn(text)) {
      const one = chunk(hex, seen)
      if (one === null) return null
      all.push(one)
    }
    return all
  }
  function forgetAfterSweep(): void {
    const now = sweeps.get()!
    if (now !== knownSince) known = new WeakSet()
    knownSince = now
  }
  const find = (column: Stored): string | null => (typeof column === 'string' ? column : load(hexOf(column)))
  return {
    find,
    put: (text) => (text.length < BLOB_CHARS_MIN ? text : putHashed(text, hash('sha256', text, 'hex'))),
    putHashed,
    get(column, key) {
      const text = find(column)
      if (text === null) throw damagedRow(db, key, 'blob', hexOf(column))
      return text
    },
    keep(list) {
      if (list.length === 0) return
      forgetAfterSweep()
      const written: Chunk[] = []
      for (const one of list) keepOne(one, written)
      const since = knownSince
      // Not before: a transaction that is rolled back takes them along.
      tx.afterCommit(() => {
        if (since === knownSince) for (const one of written) known.add(one)
      })
    },
    chunks(text, seen) {
      forgetAfterSweep()
      return chunks(text, seen)
    },
  }
}

/** Null for what cannot be unpacked. */
function unpack({ bytes, codec, data }: Columns): string | null {
  try {
    const raw = codec === COMPRESSED ? zstdDecompressSync(data, { maxOutputLength: Math.max(1, bytes) }) : data
    return raw.length === bytes ? raw.toString() : null
  } catch {
    return null
  }
}
