/**
 * Large snapshots in parts, so that a step writes what it changed and not what there is.
 *
 *   {"messages": [m1 ... m1000], "n": 7}
 *       ->  {"messages":{"@troupe.concat":[#A,#B,#C,[m999,m1000]]},"n":7}       #X = {"@troupe.chunk":"<sha256>"}
 *           A = {"@troupe.concat":[#A1,#A2,...]}     A1 = [m1,m2,...]     an m of more than 1 KB is a chunk itself
 *
 * The text is a function of the value alone: a step that is taken again gives the same hash. Speed comes from identity: contexts are frozen, so what was
 * built for an object holds for as long as it lives, and a sequence is compared with the one that was in its place before. An append to a list of a
 * thousand then costs a thousand comparisons of pointers, and a few short texts.
 */
import type { Chunk } from './cell.ts'
import {
  APART_CHARS,
  apart,
  chunksOf,
  type Entry,
  INLINE_CHARS,
  NODE_CHARS,
  type Part,
  PIECE_CHARS,
  REF_CHARS,
  textOf,
  whole,
} from './chunks/part.ts'
import { type Before, countOf, cut, type Levels, levelsOn, listPart, type Run, type Sequence } from './chunks/runs.ts'
import { isRef } from './ref.ts'

export { refsIn } from './chunks/part.ts'

/** A long string, as it stood under a key. Strings have no identity, so what was built for them is kept beside the object that holds them. */
export interface LongString {
  readonly text: string
  readonly part: Part
  readonly levels: Levels
}

/** What was built for arrays and objects that have large parts. */
export const partsBuilt = new WeakMap<object, Part>()
/** The runs of long ones. */
export const levelsBuilt = new WeakMap<object, Levels>()
/** Their long strings, by key or index. */
export const stringsBuilt = new WeakMap<object, ReadonlyMap<string | number, LongString>>()

/** Is the JSON text of a value surely longer? Looks at no more of it than that. */
export function exceeds(value: unknown, chars: number): boolean {
  return weigh(value, chars) < 0
}

function weigh(value: unknown, left: number): number {
  if (typeof value === 'string') return left - value.length - 2
  if (typeof value !== 'object' || value === null || isRef(value)) return left - 1
  if (Array.isArray(value)) {
    let rest = left - value.length
    for (let index = 0; index < value.length && rest >= 0; index++) rest = weigh(value[index], rest)
    return rest
  }
  let rest = left - 2
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key]
    if (member !== undefined) rest = weigh(member, rest - key.length - 3)
    if (rest < 0) break
  }
  return rest
}

/**
 * The text of a value with what is large in it stored apart. The value is frozen to its depth, and stays so.
 * @param before  the value that was in its place before: what they share is not built again. It changes nothing else.
 */
export function partOf(value: unknown, before?: unknown): Part {
  if (typeof value !== 'object' || value === null || isRef(value))
    return typeof value === 'string' ? longString(value, undefined).part : whole(JSON.stringify(value))
  const built = partsBuilt.get(value)
  if (built !== undefined) return built
  if (!exceeds(value, APART_CHARS)) {
    const text = JSON.stringify(value)
    if (text.length <= APART_CHARS) return whole(text)
  }
  const shape = shapeOf(value, typeof before === 'object' && before !== null ? before : undefined)
  const part = plain(shape) ?? long(shape, value)
  if (shape.strings.size > 0) stringsBuilt.set(value, shape.strings)
  partsBuilt.set(value, part)
  return part
}

/** A large value in a member's place, or as it is. */
export const memberOf = (part: Part): Entry => (part.isList || part.text.length > APART_CHARS ? apart(part) : part)

/** An array or an object, as a sequence of entries. */
interface Shape {
  readonly length: number
  readonly label: (index: number) => string
  readonly part: (index: number) => Part
  readonly wrap: (text: string) => string
  readonly before: Before | undefined
  readonly levelsBefore: Levels | undefined
  /** Filled while parts are built. */
  readonly strings: Map<string | number, LongString>
}

function shapeOf(value: object, before: object | undefined): Shape {
  const strings = new Map<string | number, LongString>()
  const stringsBefore = before === undefined ? undefined : stringsBuilt.get(before)
  const levelsBefore = before === undefined ? undefined : levelsBuilt.get(before)
  const build = (member: unknown, key: string | number): Part => {
    if (typeof member !== 'string' || member.length <= APART_CHARS / 6) return partOf(member, (before as Record<string, unknown> | undefined)?.[key])
    const long = longString(member, stringsBefore?.get(key))
    if (long.part.text.length > APART_CHARS) strings.set(key, long)
    return long.part
  }
  if (Array.isArray(value)) {
    const was = Array.isArray(before) ? (before as readonly unknown[]) : undefined
    return {
      length: value.length,
      label: () => '',
      part: (index) => build(value[index], index),
      wrap: (text) => `[${text}]`,
      before: sameIn(was?.length, levelsBefore, (index, old) => value[index] === was?.[old]),
      levelsBefore: was === undefined ? undefined : levelsBefore,
      strings,
    }
  }
  const members = value as Readonly<Record<string, unknown>>
  const keys = keysOf(members)
  const was = before === undefined || Array.isArray(before) || levelsBefore === undefined ? undefined : (before as Readonly<Record<string, unknown>>)
  const keysWere = was === undefined ? [] : keysOf(was)
  const isSame = (index: number, old: number): boolean => {
    const key = keys[index]!
    return key === keysWere[old] && members[key] === was![key]
  }
  return {
    length: keys.length,
    label: (index) => `${JSON.stringify(keys[index])}:`,
    part: (index) => build(members[keys[index]!], keys[index]!),
    wrap: (text) => `{${text}}`,
    before: was === undefined ? undefined : sameIn(keysWere.length, levelsBefore, isSame),
    levelsBefore: was === undefined ? undefined : levelsBefore,
    strings,
  }
}

const keysOf = (value: Readonly<Record<string, unknown>>): readonly string[] => Object.keys(value).filter((key) => value[key] !== undefined)

function sameIn(length: number | undefined, levels: Levels | undefined, isSame: Before['isSame']): Before | undefined {
  return length === undefined || levels === undefined ? undefined : { length, runs: levels[0]!, isSame }
}

/** All entries side by side; undefined where they are too many. */
function plain(shape: Shape): Part | undefined {
  const parts: Part[] = []
  let chars = 0
  let inlineChars = 0
  for (let index = 0; index < shape.length; index++) {
    const part = shape.part(index)
    const length = part.isList || part.text.length > APART_CHARS ? REF_CHARS : part.text.length
    chars += shape.label(index).length + length + 1
    inlineChars += part.isList ? part.text.length : length
    if (chars > NODE_CHARS) return undefined
    parts.push(part)
  }
  const holdsLists = inlineChars <= INLINE_CHARS
  const entries = parts.map((part, index) => labelled(shape.label(index), holdsLists && part.isList ? part : memberOf(part)))
  return { text: shape.wrap(textOf(entries)), chunks: chunksOf(entries), isList: false }
}

const labelled = (label: string, { text, chunks }: Entry): Entry => ({ text: label + text, chunks })

function long(shape: Shape, value: object): Part {
  const sequence: Sequence = {
    length: shape.length,
    entry: (index) => labelled(shape.label(index), memberOf(shape.part(index))),
    text: (entries) => shape.wrap(textOf(entries)),
  }
  const levels = levelsOn(cut(sequence, shape.before), shape.levelsBefore)
  levelsBuilt.set(value, levels)
  const rest: Entry[] = []
  for (let index = countOf(levels[0]!); index < shape.length; index++) rest.push(sequence.entry(index))
  return listPart(levels, rest.length === 0 ? null : { text: sequence.text(rest), chunks: chunksOf(rest) })
}

/** Strings are cut at fixed places: what grows at its end, or is changed in place, keeps its other pieces. */
function longString(text: string, before: LongString | undefined): LongString {
  if (before?.text === text) return before
  if (text.length <= 2 * PIECE_CHARS) return { text, part: whole(JSON.stringify(text)), levels: [] }
  const runs: Run[] = []
  const runsWere = before?.levels[0] ?? []
  let at = 0
  let wasAt = 0
  for (let end = pieceEnd(text, 0); end < text.length; end = pieceEnd(text, at)) {
    const old = runsWere[runs.length]
    const piece = text.slice(at, end)
    const isKept = old?.count === piece.length && wasAt === at && before?.text.slice(at, end) === piece
    runs.push(isKept ? old : { count: piece.length, chunk: apartString(piece) })
    at = end
    wasAt += old?.count ?? 0
  }
  const levels = levelsOn(runs, before?.levels)
  return { text, part: listPart(levels, whole(JSON.stringify(text.slice(at)))), levels }
}

const apartString = (piece: string): Chunk => apart(whole(JSON.stringify(piece))).chunks[0]!

/** No piece ends inside a surrogate pair. */
function pieceEnd(text: string, at: number): number {
  const end = at + PIECE_CHARS
  if (end >= text.length) return text.length
  const unit = text.charCodeAt(end - 1)
  return unit >= 0xd800 && unit < 0xdc00 ? end - 1 : end
}
