/**
 * Migrations: functions that take the stored state of an actor over from an older version of its machine.
 *
 *   { coder: (old) => ({ value, context }) }                    from any older version to this one
 *   { coder: { '1': (old) => ..., '2': (old) => ... } }         from 1 to the next, from 2 to the next: applied one after the other
 *
 * Versions are ordered part by part, as numbers where they are numbers: 2 before 10, 1.9 before 1.10.
 */
import type { AnyStateMachine } from 'xstate'
import { Defect } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import { isRefusedFromOutside } from '../protocol.ts'
import type { ChildLink, EncodedSnapshot, EventData } from './cell.ts'
import { type LiveSnapshot, nodesOf, restore } from './host.ts'
import { isRef, parseWithRefs } from './ref.ts'
import { contentOf, encode, refOf } from './snapshot.ts'
import { pathOf, standsIn } from './versions.ts'

/** An actor as it was stored: plain data of its own, references to actors alive. */
export interface OldSnapshot {
  readonly version: string
  readonly address: string
  /** XState's state value. */
  readonly value: Json
  // biome-ignore lint/suspicious/noExplicitAny: what an older version of the program has stored.
  readonly context: any
  /** By the id of the history state, the ids of the states that it goes back to. */
  readonly historyValue: HistoryValue
}
type HistoryValue = { readonly [id: string]: readonly { readonly id: string }[] }

export interface NewSnapshot {
  /** Where it stands now. Default: where it stood. States are not entered: their entry actions, delays and invokes do not run. */
  readonly value?: Json
  /** Default: as it was. */
  readonly context?: unknown
  /** Default: as it was, without what names states that are gone. */
  readonly historyValue?: HistoryValue
  /** An event that it gets when it goes on, behind the mail that waits: for what only a step can do, such as to enter a state and start what belongs to it. */
  readonly event?: EventData
}

/** Pure: called once for each actor, before anything runs; called again where the process dies before its result is committed. */
export type Migration = (old: OldSnapshot) => NewSnapshot
export type MigrationSpec = Migration | Readonly<Record<string, Migration>>

/** What became of one actor. */
export interface Migrated {
  readonly snapshot: EncodedSnapshot
  readonly event: EventData | null
  /** Ids of the delays and invokes of the states that it stands in now. */
  readonly holds: { readonly timers: readonly string[]; readonly invokes: readonly string[] }
}

/** The functions that lead from one version to another, in order; null where none does. */
export function migrationPath(spec: MigrationSpec | undefined, from: string, to: string): MigrationPath | null {
  if (spec === undefined) return null
  if (typeof spec === 'function') return [{ version: from, migration: spec }]
  if (!Object.hasOwn(spec, from)) return null
  const versions = Object.keys(spec).filter((version) => byVersion(version, from) >= 0 && byVersion(version, to) < 0)
  return versions.length === 0 ? null : versions.sort(byVersion).map((version) => ({ version, migration: spec[version]! }))
}
export type MigrationPath = readonly { readonly version: string; readonly migration: Migration }[]

function byVersion(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')]
  for (let part = 0; part < Math.max(left.length, right.length); part++) {
    const order = byPart(left[part] ?? '', right[part] ?? '')
    if (order !== 0) return order
  }
  return 0
}

function byPart(a: string, b: string): number {
  const [left, right] = [Number(a), Number(b)]
  if (Number.isFinite(left) && Number.isFinite(right) && left !== right) return left - right
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * Takes one actor over. The result is checked against the machine: its states exist, its context can be stored.
 * @throws what a migration throws; {@link Defect} `E_MIGRATION_INVALID`, `E_NOT_JSON`.
 */
export function migrate(
  machine: AnyStateMachine,
  path: MigrationPath,
  from: { readonly address: string; readonly snapshot: EncodedSnapshot; readonly children: readonly ChildLink[] },
): Migrated {
  const old = parseWithRefs(JSON.stringify(contentOf(from.snapshot))) as { value: Json; context: unknown; historyValue?: HistoryValue }
  let now: Required<Omit<NewSnapshot, 'event'>> = { value: old.value, context: old.context, historyValue: old.historyValue ?? {} }
  let event: EventData | null = null
  for (const { version, migration } of path) {
    const given: unknown = migration({ version, address: from.address, ...now })
    if (typeof given !== 'object' || given === null) throw invalid('it gave no object with `value` and `context`')
    const { event: first, ...rest } = given as NewSnapshot
    now = { ...now, ...rest }
    if (first !== undefined) event = checkedEvent(first)
  }
  const live = stands(machine, now, from.children)
  return { snapshot: encode(live), event, holds: heldBy(machine, live.value as Json) }
}

function checkedEvent(event: unknown): EventData {
  assertJson(event, 'event', isRef)
  const { type } = (event ?? {}) as { type?: unknown }
  if (typeof type !== 'string' || isRefusedFromOutside(type)) throw invalid(`its event has no type that may be sent: ${String(type)}`)
  return JSON.parse(JSON.stringify(event))
}

/** The snapshot, in states that the machine has. Parts of the value that are not given are their initial states. */
function stands(machine: AnyStateMachine, now: Required<Omit<NewSnapshot, 'event'>>, links: readonly ChildLink[]): LiveSnapshot {
  assertJson(now.value, 'value')
  const known = new Set(nodesOf(machine).map((node) => pathOf(node.path)))
  const missing = standsIn(now.value).find((path) => !known.has(path))
  if (missing !== undefined) throw invalid(`it stands in \`${missing}\`, and the machine has no such state`)
  const value = resolved(machine, now.value)
  const children = Object.fromEntries(links.map((link) => [link.id, refOf(link)]))
  return restore(machine, { status: 'active', value, historyValue: history(machine, now.historyValue) }, { context: now.context, children })
}

/** Partial state values are completed by XState: the initial states of what is not named. */
function resolved(machine: AnyStateMachine, value: Json): unknown {
  const { value: full, status } = machine.resolveState({ value: value as never, context: {} } as never)
  if (status === 'done') throw invalid('it stands in a final state: an actor ends by a step, give an `event` that leads there')
  return full
}

function history(machine: AnyStateMachine, value: HistoryValue): HistoryValue {
  assertJson(value, 'historyValue')
  const ids = new Set(nodesOf(machine).map((node) => node.id))
  const kept = Object.entries(value).map(([id, targets]) => [id, targets.filter((target) => ids.has(target.id))] as const)
  return Object.fromEntries(kept.filter(([id, targets]) => ids.has(id) && targets.length > 0))
}

function heldBy(machine: AnyStateMachine, value: Json): Migrated['holds'] {
  const active = new Set(['', ...standsIn(value)])
  const standing = nodesOf(machine).filter((node) => active.has(pathOf(node.path)))
  return {
    timers: standing.flatMap(({ id, config }) => Object.keys(config.after ?? {}).map((delay) => `xstate.after.${delayId(delay)}.${id}`)),
    invokes: standing.flatMap(({ invoke }) => invoke.map(({ id }) => id)),
  }
}

/** As XState writes it: `1e3` is 1000. */
const delayId = (delay: string): string => (Number.isNaN(+delay) ? delay : String(+delay))

const invalid = (what: string): Defect => new Defect('E_MIGRATION_INVALID', what)
