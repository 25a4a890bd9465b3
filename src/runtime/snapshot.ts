/**
 * Snapshots to text and back. The text is `{"status","value","context","historyValue","output","error"}`; XState's own markers never appear in it.
 * A hot cell's decoded snapshot is kept beside its encoded one for as long as somebody holds that: restoring costs five times what a step does.
 * Contexts are frozen, so what is kept says what is stored.
 */
import { hash } from 'node:crypto'
import type { AnyStateMachine } from 'xstate'
import { errorData } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import type { ChildLink, EncodedSnapshot } from './cell.ts'
import { type LiveSnapshot, type RawActor, restore } from './host.ts'
import { isRef, parseWithRefs, Ref } from './ref.ts'

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

/** @throws {Defect} `E_NOT_JSON` naming the place in the context or output that could not be stored. */
export function encode(live: LiveSnapshot): EncodedSnapshot {
  assertJson(live.context, 'context', (value) => isRef(value) || settled.has(value))
  freeze(live.context, settled)
  if (live.output !== undefined) assertJson(live.output, 'output', isRef)
  const json = JSON.stringify({
    status: live.status,
    value: live.value,
    context: live.context,
    historyValue: historyOf(live),
    output: live.output,
    error: live.error === undefined ? undefined : errorData(live.error),
  })
  const tags = live.tags.size === 0 ? NO_TAGS : [...live.tags]
  const encoded: EncodedSnapshot = { json, hash: hash('sha256', json, 'hex'), status: live.status, value: live.value as Json, tags }
  decoded.set(encoded, live)
  return encoded
}
const NO_TAGS: readonly string[] = []

/** The live snapshot of a cell. @throws where the machine no longer has a state that the snapshot is in. */
export function decode(machine: AnyStateMachine, encoded: EncodedSnapshot, links: readonly ChildLink[]): LiveSnapshot {
  const hot = decoded.get(encoded)
  if (hot !== undefined && hot.machine === machine) return hot
  const { context, ...stored } = parseWithRefs(encoded.json) as { status: string; value: unknown; context: unknown }
  freeze(context, settled)
  const children: Record<string, Ref> = {}
  for (const link of links) children[link.id] = refOf(link)
  const live = restore(machine, stored, { context, children })
  decoded.set(encoded, live)
  return live
}

export const refOf = (link: ChildLink): Ref => new Ref(link.address, link.incarnation, link.id, link.src, link.systemId)

/** What people see of a snapshot. */
export function plainSnapshot(encoded: EncodedSnapshot): { status: string; value: Json; context: Json; output?: Json; error?: Json } {
  const { historyValue: _, ...plain } = JSON.parse(encoded.json)
  return plain
}

/** Replaces the actors that XState built in this step by references, copying only what holds one. */
export function withRefs(value: unknown, refs: ReadonlyMap<unknown, Ref>, above: ReadonlySet<unknown> = new Set()): unknown {
  if (typeof value !== 'object' || value === null || isRef(value)) return value
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
