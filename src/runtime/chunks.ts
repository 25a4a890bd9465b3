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
import { APART_CHARS, apart, chunksOf, type Entry, INLINE_CHARS, NODE_CHARS, type Part, REF_CHARS, textOf, whole } from './chunks/part.ts'
import { type Before, countOf, cut, type Levels, levelsOn, listPart, type Sequence } from './chunks/runs.ts'
import { type LongString, longString } from './chunks/strings.ts'
import { isRef } from './ref.ts'

export { refsIn } from './chunks/part.ts'

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
  // What was read from a store knows its own runs, and needs no predecessor.
  const known = levelsBuilt.has(value) ? value : before
  const shape = shapeOf(value, typeof known === 'object' && known !== null ? known : undefined)
  const part = plain(shape) ?? long(shape, value)
  if (shape.strings.size > 0) stringsBuilt.set(value, shape.strings)
  partsBuilt.set(value, part)
  return part
}

/** A large value in a member's place, or as it is. */
export const memberOf = (part: Part): Entry => (part.isList || part.text.length > APART_CHARS ? apart(part) : part)

/** An array or an object, as a sequence of entries. */
interface Shape {
  readonly members: Members
  /** The text before an entry: nothing, or its key. */
  readonly label: (index: number) => string
  readonly part: (index: number) => Part
  readonly wrap: (text: string) => string
  readonly before: { readonly members: Members; readonly levels: Levels } | undefined
  /** Filled while parts are built. */
  readonly strings: Map<string | number, LongString>
}

function shapeOf(value: object, before: object | undefined): Shape {
  const strings = new Map<string | number, LongString>()
  const stringsBefore = before === undefined ? undefined : stringsBuilt.get(before)
  const members = membersOf(value)
  const { keys, values } = members
  const part = (index: number): Part => {
    const key = keys?.[index] ?? index
    const member = values[index]
    if (typeof member !== 'string') return partOf(member, (before as Record<string, unknown> | undefined)?.[key])
    const long = longString(member, stringsBefore?.get(key))
    if (long.part.text.length > APART_CHARS) strings.set(key, long)
    return long.part
  }
  const levels = before !== undefined && Array.isArray(before) === Array.isArray(value) ? levelsBuilt.get(before) : undefined
  return {
    members,
    label: keys === null ? () => '' : (index) => `${JSON.stringify(keys[index])}:`,
    part,
    wrap: keys === null ? (text) => `[${text}]` : (text) => `{${text}}`,
    before: levels === undefined ? undefined : { members: membersOf(before!), levels },
    strings,
  }
}

interface Members {
  /** Null for an array. */
  readonly keys: readonly string[] | null
  readonly values: readonly unknown[]
}
/** Of long objects: to list the members of one costs more than to compare them. */
const membersListed = new WeakMap<object, Members>()

function membersOf(value: object): Members {
  if (Array.isArray(value)) return { keys: null, values: value }
  const listed = membersListed.get(value)
  if (listed !== undefined) return listed
  const keys: string[] = []
  const values: unknown[] = []
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key]
    if (member === undefined) continue // JSON drops it.
    keys.push(key)
    values.push(member)
  }
  const members = { keys, values }
  if (keys.length > 64) membersListed.set(value, members)
  return members
}

function runsBefore({ members, before }: Shape): Before | undefined {
  if (before === undefined) return undefined
  const { keys, values } = members
  const { keys: keysWere, values: valuesWere } = before.members
  const runs = before.levels[0]!
  if (keys === null || keysWere === null)
    return {
      runs,
      now: (index) => values[index],
      was: (was) => valuesWere[was],
      isSame: (index, was) => values[index] === valuesWere[was],
    }
  return {
    runs,
    now: (index) => keys[index],
    was: (was) => keysWere[was],
    isSame: (index, was) => values[index] === valuesWere[was] && keys[index] === keysWere[was],
  }
}

/** All entries side by side; undefined where they are too many. */
function plain(shape: Shape): Part | undefined {
  const parts: Part[] = []
  let chars = 0
  let inlineChars = 0
  for (let index = 0; index < shape.members.values.length; index++) {
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
  const { length } = shape.members.values
  const sequence: Sequence = {
    length,
    entry: (index) => labelled(shape.label(index), memberOf(shape.part(index))),
    text: (entries) => shape.wrap(textOf(entries)),
  }
  const levels = levelsOn(cut(sequence, runsBefore(shape)), shape.before?.levels)
  levelsBuilt.set(value, levels)
  const rest: Entry[] = []
  for (let index = countOf(levels[0]!); index < length; index++) rest.push(sequence.entry(index))
  return listPart(levels, rest.length === 0 ? null : { text: sequence.text(rest), chunks: chunksOf(rest) })
}
