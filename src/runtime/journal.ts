/**
 * The journal: one numbered list of facts per run, hash-chained.
 *
 *   hash(n) = SHA-256( hash(n-1) NUL pos NUL at NUL type NUL path NUL inc NUL cause NUL data )       hash(0) = ''
 *
 * Types are facts in the past tense (docs/reference/events.md). Positions rise by one without holes. An entry is written in the commit of what it tells.
 */
import { hash } from 'node:crypto'
import type { Address, Incarnation } from '../protocol.ts'

export interface JournalEntry {
  readonly pos: number
  /** Wall clock, milliseconds since 1970. */
  readonly at: number
  readonly type: string
  /** Null for the run itself. */
  readonly path: Address | null
  readonly inc: Incarnation | null
  /** The entry that led to this one. */
  readonly cause: number | null
  /** JSON text of `data`. */
  readonly data: string
  readonly hash: string
}

export type UnsealedEntry = Omit<JournalEntry, 'hash'>

export function chain(previous: string, entry: UnsealedEntry): string {
  return hash(
    'sha256',
    `${previous}\0${entry.pos}\0${entry.at}\0${entry.type}\0${entry.path ?? ''}\0${entry.inc ?? ''}\0${entry.cause ?? ''}\0${entry.data}`,
    'hex',
  )
}

/** The first entry that does not fit the chain, or null. `previous` is the hash before the first entry given. */
export function firstBreak(entries: Iterable<JournalEntry>, previous = ''): JournalEntry | null {
  let last = previous
  for (const entry of entries) {
    if (chain(last, entry) !== entry.hash) return entry
    last = entry.hash
  }
  return null
}
