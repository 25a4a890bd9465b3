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

/** What is cut. */
export interface Sequence {
  readonly length: number
  entry(index: number): Entry
  text(entries: readonly Entry[]): string
}

/** The sequence that was in its place before. */
export interface Before {
  readonly runs: readonly Run[]
  /** What tells the entry of the new sequence, and the one of the sequence before, from others. */
  now(index: number): unknown
  was(index: number): unknown
  /** Is entry `index` the one that was at `was`? */
  isSame(index: number, was: number): boolean
}

/** The runs of a sequence that have ended, from its beginning. */
export function cut(sequence: Sequence, before?: Before | undefined): Run[] {
  const runs: Run[] = []
  const old = before === undefined ? undefined : new OldRuns(before, sequence.length)
  let at = 0
  for (;;) {
    const run = old?.at(at) ?? endedRun(sequence, at)
    if (run === undefined) return runs
    runs.push(run)
    at += run.count
  }
}

/** The run that begins at an entry; undefined where the sequence ends in it. */
function endedRun(sequence: Sequence, from: number): Run | undefined {
  const open: Entry[] = []
  let chars = 0
  for (let at = from; at < sequence.length; at++) {
    const entry = sequence.entry(at)
    open.push(entry)
    chars += entry.text.length + 1
    if (isLast(entry, chars)) return { count: open.length, chunk: chunkOf(sequence.text(open), chunksOf(open)) }
  }
  return undefined
}

/** Finds runs again: mostly the next one follows the last, else the one that began with the same entry. */
class OldRuns {
  readonly #before: Before
  readonly #length: number
  /** Number and first entry of the run that is expected next. */
  #next = 0
  #start = 0
  #starts: Map<unknown, { run: number; start: number }> | undefined

  constructor(before: Before, length: number) {
    this.#before = before
    this.#length = length
  }

  /** The run that holds the same entries as the new sequence does from here on. */
  at(index: number): Run | undefined {
    if (index >= this.#length) return undefined
    if (this.#holds(this.#next, this.#start, index)) return this.#take()
    const found = this.#byFirst().get(this.#before.now(index))
    if (found === undefined || !this.#holds(found.run, found.start, index)) return undefined
    this.#next = found.run
    this.#start = found.start
    return this.#take()
  }

  #take(): Run {
    const run = this.#before.runs[this.#next++]!
    this.#start += run.count
    return run
  }

  #holds(number: number, start: number, index: number): boolean {
    const run = this.#before.runs[number]
    if (run === undefined || index + run.count > this.#length) return false
    for (let offset = 0; offset < run.count; offset++) if (!this.#before.isSame(index + offset, start + offset)) return false
    return true
  }

  #byFirst(): Map<unknown, { run: number; start: number }> {
    if (this.#starts !== undefined) return this.#starts
    this.#starts = new Map()
    let start = 0
    for (const [run, { count }] of this.#before.runs.entries()) {
      this.#starts.set(this.#before.was(start), { run, start })
      start += count
    }
    return this.#starts
  }
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
      isKnown
        ? { runs: old, now: (index) => list[index], was: (was) => below[was], isSame: (index, was) => list[index] === below[was] }
        : undefined,
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
