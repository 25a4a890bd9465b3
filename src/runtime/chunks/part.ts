/**
 * The text of a part of a snapshot, and how it is stored apart.
 *
 *   {"@troupe.chunk":"<sha256 of the text>"}      stands for a text that is stored apart, once
 *   {"@troupe.concat":[p, p, ...]}                stands for its parts put together: arrays, objects or strings, each a chunk or as it is
 *
 * The sizes below are part of the format: with others the same value gives another text, and another hash.
 */
import { hash } from 'node:crypto'
import { CHUNK_KEY, CONCAT_KEY } from '../../json.ts'
import type { Chunk } from '../cell.ts'

/** A member whose own text is longer is stored apart. All sizes are lengths of JSON text in UTF-16 units. */
export const APART_CHARS = 1_024
/** Entries of an array or object that stand side by side in one text. Longer ones are cut into runs. */
export const NODE_CHARS = 1_536
/** Up to this length an object holds its lists themselves, not references to them: a list that grows then costs one chunk less. */
export const INLINE_CHARS = 4_096
/** Length of the pieces that long strings are cut into. */
export const PIECE_CHARS = 1_024

export interface Part {
  readonly text: string
  /** What `text` refers to directly. */
  readonly chunks: readonly Chunk[]
  /** Is it `{"@troupe.concat": ...}`? */
  readonly isList: boolean
  /** Set when it has been stored apart. */
  chunk?: Chunk
}

/** An entry of an array or object as it stands in the text of that, with its key where it has one. */
export interface Entry {
  readonly text: string
  readonly chunks: readonly Chunk[]
}

export const whole = (text: string): Part => ({ text, chunks: [], isList: false })

export const refTo = (chunk: Chunk): string => `{"${CHUNK_KEY}":"${chunk.hash}"}`
/** Length of a reference. */
export const REF_CHARS = `{"${CHUNK_KEY}":""}`.length + 64

export function chunkOf(text: string, chunks: readonly Chunk[]): Chunk {
  return { hash: hash('sha256', text, 'hex'), text, chunks }
}

/** The part as a member of something else. */
export function apart(part: Part): Entry {
  part.chunk ??= chunkOf(part.text, part.chunks)
  return { text: refTo(part.chunk), chunks: [part.chunk] }
}

/** Each chunk once, in the order of their first use. */
export function chunksOf(entries: readonly Entry[]): readonly Chunk[] {
  const first = new Map<string, Chunk>()
  for (const entry of entries) for (const chunk of entry.chunks) if (!first.has(chunk.hash)) first.set(chunk.hash, chunk)
  return [...first.values()]
}

export const textOf = (entries: readonly Entry[]): string => entries.map((entry) => entry.text).join(',')

export const concatOf = (parts: readonly Entry[]): string => `{"${CONCAT_KEY}":[${textOf(parts)}]}`

const REFERENCE = new RegExp(`"${CHUNK_KEY.replace('.', '\\.')}":"([0-9a-f]{64})"`, 'g')

/** Hashes of the chunks that a text refers to directly, each once, in the order of their first use. For whoever loads chunks. */
export function refsIn(text: string): readonly string[] {
  if (!text.includes(CHUNK_KEY)) return []
  // A quote inside a string is escaped, and data with the key itself is refused: what matches is a reference.
  return [...new Set([...text.matchAll(REFERENCE)].map((match) => match[1]!))]
}
