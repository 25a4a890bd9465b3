/**
 * Snapshots to text and back. The text is `{"status","value","context","historyValue","output","error"}`; XState's own markers never appear in it.
 * A long one is stored in parts, of which a step writes what it changed: see chunks.ts.
 * A hot cell's decoded snapshot is kept beside its encoded one for as long as somebody holds that: restoring costs five times what a step does.
 * Contexts are frozen, so what is kept says what is stored.
 */
import { hash } from 'node:crypto'
import type { AnyStateMachine } from 'xstate'
import { errorData } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import { atomsOf } from './atoms.ts'
import type { ChildLink, EncodedSnapshot } from './cell.ts'
import { opened } from './chunks/open.ts'
import { chunksOf, type Entry, textOf, whole } from './chunks/part.ts'
import { exceeds, memberOf, partOf } from './chunks.ts'
import { type LiveSnapshot, type RawActor, restore } from './host.ts'
import { isRef, parseWithRefs, Ref } from './ref.ts'

/**
 * What a cell holds while it is hot: the text, and the live snapshot that it is of. A field of its own costs nothing; a WeakMap from one to the other
 * is gone through by every garbage collection.
 */
class Hot implements EncodedSnapshot {
  readonly json: string
  readonly hash: string
  readonly status: EncodedSnapshot['status']
  readonly value: Json
  readonly tags: readonly string[]
  declare readonly chunks?: EncodedSnapshot['chunks']
  #live: LiveSnapshot | null

  constructor(stored: EncodedSnapshot, live: LiveSnapshot | null) {
    this.json = stored.json
    this.hash = stored.hash
    this.status = stored.status
    this.value = stored.value
    this.tags = stored.tags
    if (stored.chunks !== undefined) this.chunks = stored.chunks
    this.#live = live
  }

  static liveOf(encoded: EncodedSnapshot): LiveSnapshot | null {
    return #live in encoded ? (encoded as Hot).#live : (decoded.get(encoded) ?? null)
  }
}
/** Of snapshots that came from a store. */
const decoded = new WeakMap<EncodedSnapshot, LiveSnapshot>()
/** Parts of contexts that were checked to be JSON and are frozen: they are the same for good, so each is looked at once in its life. */
const settled = new WeakSet<object>()

/**
 * Freezes plain data to its depth, so that a change in place throws in the step that tries it instead of parting memory from the store.
 * @param done  what was frozen to its depth before; it is passed over, and what is new is added.
 */
export function freeze(value: unknown, done: WeakSet<object> = new WeakSet()): void {
  if (typeof value !== 'object' || value === null || done.has(value)) return
  const isArray = Array.isArray(value)
  if (!isArray && Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null) return
  done.add(value)
  Object.freeze(value)
  if (isArray) for (const member of value) freeze(member, done)
  else for (const key in value) freeze((value as Record<string, unknown>)[key], done)
}

/** Up to this length a snapshot is one text, as `JSON.stringify` gives it; a longer one is stored in parts. UTF-16 units; part of the stored format. */
const WHOLE_CHARS = 8_192
/** Contexts of snapshots in parts. What comes after one of them is not turned into text as a whole first, only to find that it is too long. */
const large = new WeakSet<object>()

/**
 * @param before  the snapshot that this one came from: with it, a large one costs what has changed. The result does not depend on it.
 * @throws {Defect} `E_NOT_JSON` naming the place in the context or output that could not be stored.
 */
export function encode(live: LiveSnapshot, before?: LiveSnapshot | null): EncodedSnapshot {
  assertJson(live.context, 'context', (value) => isRef(value) || settled.has(value))
  freeze(live.context, settled)
  if (live.output !== undefined) assertJson(live.output, 'output', isRef)
  const content = {
    status: live.status,
    value: live.value,
    context: live.context,
    historyValue: historyOf(live),
    output: live.output,
    error: live.error === undefined ? undefined : errorData(live.error),
    atoms: atomsOf(live),
  }
  const isLarge = before !== undefined && before !== null && large.has(before.context as object) && exceeds(live.context, WHOLE_CHARS)
  const text = isLarge ? null : JSON.stringify(content)
  const { json, chunks } = text !== null && text.length <= WHOLE_CHARS ? { json: text } : inParts(content, before?.context)
  const tags = live.tags.size === 0 ? NO_TAGS : [...live.tags]
  return new Hot({ json, hash: hash('sha256', json, 'hex'), status: live.status, value: live.value as Json, tags, chunks }, live)
}
const NO_TAGS: readonly string[] = []

/** Context and output may be large. The rest is as small as the machine. */
function inParts(content: Readonly<Record<string, unknown>>, before: unknown): Pick<EncodedSnapshot, 'json' | 'chunks'> {
  const { context, output } = content
  if (output !== undefined) freeze(output, settled)
  const entries: Entry[] = []
  for (const [key, value] of Object.entries(content)) {
    if (value === undefined) continue
    const entry = key === 'context' ? partOf(context, before) : key === 'output' ? memberOf(partOf(output)) : whole(JSON.stringify(value))
    entries.push({ text: `${JSON.stringify(key)}:${entry.text}`, chunks: entry.chunks })
  }
  if (typeof context === 'object' && context !== null) large.add(context)
  const chunks = chunksOf(entries)
  return { json: `{${textOf(entries)}}`, ...(chunks.length === 0 ? {} : { chunks }) }
}

/** The live snapshot of a cell. @throws where the machine no longer has a state that the snapshot is in. */
export function decode(machine: AnyStateMachine, encoded: EncodedSnapshot, links: readonly ChildLink[]): LiveSnapshot {
  const hot = Hot.liveOf(encoded)
  if (hot !== null && hot.machine === machine) return hot
  const { context, ...stored } = liveContent(encoded)
  freeze(context, settled)
  const children: Record<string, Ref> = {}
  for (const link of links) children[link.id] = refOf(link)
  const live = restore(machine, stored, { context, children })
  decoded.set(encoded, live)
  return live
}

function liveContent(encoded: EncodedSnapshot): { status: string; value: unknown; context: unknown; output?: unknown } {
  const { json, chunks } = encoded
  if (chunks === undefined || chunks.length === 0) return parseWithRefs(json) as ReturnType<typeof liveContent>
  const stored: ReturnType<typeof liveContent> = JSON.parse(json)
  stored.context = opened(stored.context, chunks, true)
  if (stored.output !== undefined) stored.output = opened(stored.output, chunks, true)
  if (typeof stored.context === 'object' && stored.context !== null) large.add(stored.context)
  return stored
}

/**
 * Everything that a snapshot holds, as plain data; references to actors as they are stored. The one way to read {@link EncodedSnapshot.json}.
 * @throws {Defect} `E_SNAPSHOT_DAMAGED` where one of its chunks is missing.
 */
export function contentOf({ json, chunks }: EncodedSnapshot): {
  status: string
  value: Json
  context: Json
  historyValue?: { readonly [id: string]: readonly { readonly id: string }[] }
  output?: Json
  error?: Json
  atoms?: readonly string[]
} {
  const content = JSON.parse(json)
  if (chunks === undefined || chunks.length === 0) return content
  content.context = opened(content.context, chunks, false)
  if (content.output !== undefined) content.output = opened(content.output, chunks, false)
  return content
}

/**
 * The hash of a snapshot as one text, however it is stored: before parts existed, all were stored so. A step that is taken again agrees with what is stored
 * where either its hash or this one does.
 */
export const wholeHash = (encoded: EncodedSnapshot): string =>
  encoded.chunks === undefined || encoded.chunks.length === 0 ? encoded.hash : hash('sha256', JSON.stringify(contentOf(encoded)), 'hex')

export const refOf = (link: ChildLink): Ref => new Ref(link.address, link.incarnation, link.id, link.src, link.systemId)

/** What people see of a snapshot. */
export function plainSnapshot(encoded: EncodedSnapshot): { status: string; value: Json; context: Json; output?: Json; error?: Json } {
  const { historyValue: _, atoms: __, ...plain } = contentOf(encoded)
  return plain
}

/** Replaces the actors that XState built in this step by references, copying only what holds one. */
export function withRefs(value: unknown, refs: ReadonlyMap<unknown, Ref>, above: ReadonlySet<unknown> = new Set()): unknown {
  // What has been checked holds no actor that XState built in this step.
  if (typeof value !== 'object' || value === null || isRef(value) || settled.has(value)) return value
  const ref = refs.get(value as RawActor)
  if (ref !== undefined) return ref
  if (above.has(value) || !(Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype)) return value
  const inside = new Set(above).add(value)
  let copy: unknown
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key]
    const replaced = withRefs(member, refs, inside)
    if (replaced === member) continue
    copy ??= Array.isArray(value) ? [...value] : { ...value }
    ;(copy as Record<string, unknown>)[key] = replaced
  }
  return copy ?? value
}

function historyOf(live: LiveSnapshot): Record<string, { id: string }[]> | undefined {
  let history: Record<string, { id: string }[]> | undefined
  for (const id in live.historyValue) {
    history ??= {}
    history[id] = live.historyValue[id]!.map((node) => ({ id: node.id }))
  }
  return history
}
