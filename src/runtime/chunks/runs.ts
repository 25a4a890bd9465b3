/**
 * Long sequences as trees of runs. Where a run ends is decided by the entries in it alone, so that two sequences that share a stretch share its runs,
 * wherever it stands: an entry appended, changed, removed or put in front costs the runs around it and those above them.
 *
 *   entries   a b c | d e | f g h i | j k      the last run is open: its entries stand in the node itself, so appending touches no run
 *   level 0   [R1     R2    R3]                runs are chunks; a list of them that is too long is cut into runs again
 *
 * Invariants: the same entries give the same runs, whatever was there before; `before` only saves the work.
 */
import type { Chunk } from '../cell.ts'
import { chunkOf, chunksOf, concatOf, type Entry, NODE_CHARS, type Part, REF_CHARS, refTo } from './part.ts'

/** A run is not ended before, is ended by one entry in so many characters, and is ended here at the latest. */
const RUN_CHARS_MIN = 300
const RUN_CHARS_MEAN = 500
const RUN_CHARS_MAX = 1_200
if (RUN_CHARS_MAX > NODE_CHARS) throw new Error('runs: a node that is too long must hold a run that is ended')
if (4 * REF_CHARS > RUN_CHARS_MAX) throw new Error('runs: a run holds several references, or trees would not end')

/** A run that is ended. */
export interface Run {
  /** How many entries of the level below it holds. */
  readonly count: number
  readonly chunk: Chunk
}
export type Levels = readonly (readonly Run[])[]

/** What is cut. `isSame(i, j)`: is entry `i` the one that was at `j` in the sequence before? */
export interface Sequence {
  readonly length: number
  entry(index: number): Entry
  text(entries: readonly Entry[]): string
}
export interface Before {
  readonly length: number
  readonly runs: readonly Run[]
  isSame(index: number, before: number): boolean
}

/** The runs of a sequence that have ended, from its beginning. */
export function cut(sequence: Sequence, before?: Before | undefined): Run[] {
  const { length } = sequence
  const runs: Run[] = []
  let at = before === undefined ? 0 : takeFront(runs, length, before)
  const behind = before === undefined ? 0 : sameBehind(length, before)
  let old = { run: runs.length, at }
  let open: Entry[] = []
  let chars = 0
  while (at < length) {
    if (open.length === 0 && before !== undefined && length - at <= behind) {
      const place = at - length + before.length
      old = runFrom(before.runs, old, place)
      if (old.at === place) return [...runs, ...before.runs.slice(old.run)]
    }
    const entry = sequence.entry(at++)
    open.push(entry)
    chars += entry.text.length + 1
    if (!isLast(entry, chars)) continue
    runs.push({ count: open.length, chunk: chunkOf(sequence.text(open), chunksOf(open)) })
    open = []
    chars = 0
  }
  return runs
}

/** Runs whose entries are all still there, in front. */
function takeFront(runs: Run[], length: number, before: Before): number {
  let at = 0
  for (const run of before.runs) {
    const end = at + run.count
    if (end > length) break
    for (let index = at; index < end; index++) if (!before.isSame(index, index)) return at
    runs.push(run)
    at = end
  }
  return at
}

/** How many entries at the end are the same. */
function sameBehind(length: number, before: Before): number {
  const most = Math.min(length, before.length)
  let count = 0
  while (count < most && before.isSame(length - 1 - count, before.length - 1 - count)) count++
  return count
}

/** The first run that begins at `place` or behind it. */
function runFrom(runs: readonly Run[], from: { run: number; at: number }, place: number): { run: number; at: number } {
  let { run, at } = from
  while (at < place && run < runs.length) at += runs[run++]!.count
  return { run, at }
}

/** Decided by the text of the entry: long ones end a run more often. */
function isLast(entry: Entry, chars: number): boolean {
  if (chars >= RUN_CHARS_MAX) return true
  return chars >= RUN_CHARS_MIN && scatter(entry.text) * RUN_CHARS_MEAN < entry.text.length + 1
}

/** A number in [0, 1) for a text: FNV-1a with the last mix of Murmur3. */
function scatter(text: string): number {
  let h = 0x811c9dc5
  for (let index = 0; index < text.length; index++) h = Math.imul(h ^ text.charCodeAt(index), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}

/** Puts levels on top of the first one until the topmost fits into a node. */
export function levelsOn(runs: readonly Run[], before?: Levels | undefined): Levels {
  const levels = [runs]
  for (let top = runs; top.length * (REF_CHARS + 1) > NODE_CHARS; ) {
    const below = before?.[levels.length - 1]
    const old = before?.[levels.length]
    const isKnown = below !== undefined && old !== undefined
    const list = top
    top = cut(
      { length: list.length, entry: (index) => entryOf(list[index]!), text: concatOf },
      isKnown ? { length: below.length, runs: old, isSame: (index, was) => list[index] === below[was] } : undefined,
    )
    levels.push(top)
  }
  return levels
}

const entryOf = ({ chunk }: Run): Entry => ({ text: refTo(chunk), chunks: [chunk] })

export const countOf = (runs: readonly Run[]): number => runs.reduce((sum, run) => sum + run.count, 0)

/** The node: the topmost runs, on each level below those that no run holds yet, and what is behind all runs. */
export function listPart(levels: Levels, rest: Entry | null): Part {
  const parts: Entry[] = []
  for (let level = levels.length - 1; level >= 0; level--) {
    const held = level === levels.length - 1 ? 0 : countOf(levels[level + 1]!)
    for (const run of levels[level]!.slice(held)) parts.push(entryOf(run))
  }
  if (rest !== null) parts.push(rest)
  return { text: concatOf(parts), chunks: chunksOf(parts), isList: true }
}
