/**
 * The whole surface of XState that Troupe touches, checked against 5.33.3: everything else in the runtime sees plain data.
 *
 *   machine.transition(snapshot, event, scope)      scope = { self, system, actionExecutor, defer }
 *                        |
 *                        +-- actionExecutor  one entry per action, in source order, never executed here
 *                        +-- system          told of each child at its construction; its logic is swapped before it can start
 *
 * The scope only collects. A child's `getInitialSnapshot` never runs in its parent's step; `defer`red functions, which would start real actors, are dropped.
 */
import { type AnyStateMachine, StateMachine } from 'xstate'
import { Defect } from '../errors.ts'
import { orderAtoms } from './atoms.ts'
import type { ActorRef } from './cell.ts'
import { Ref } from './ref.ts'

/** An Actor that XState has built in this step. Never started; replaced by a {@link Ref} before anybody can keep it. */
export interface RawActor {
  readonly id: string
  readonly src: unknown
  logic: unknown
  readonly options: { readonly input?: unknown; readonly systemId?: string }
  readonly _syncSnapshot?: boolean
}

export interface Create {
  readonly kind: 'create'
  readonly op: number
  readonly raw: RawActor
  readonly logic: unknown
}
export interface Action {
  readonly kind: 'action'
  readonly op: number
  readonly type: string
  /** Read it after the step: XState fills in targets of `sendTo` late. */
  readonly params: unknown
  readonly info: { readonly context: unknown; readonly event: { readonly type: string } }
  readonly exec: ((info: unknown, params: unknown) => void) | undefined
}
export type Operation = Create | Action

/** XState's snapshot, as far as it is looked at. `children` and `context` are plain writable fields. */
export interface LiveSnapshot {
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly value: unknown
  context: unknown
  children: Record<string, unknown>
  readonly output?: unknown
  readonly error?: unknown
  readonly historyValue: Record<string, readonly { readonly id: string }[]>
  readonly tags: Set<string>
  readonly machine: AnyStateMachine
  can(event: { type: string }): boolean
}

const PLACEHOLDER = {
  getInitialSnapshot: () => ({ status: 'active' }),
  transition: (snapshot: unknown) => snapshot,
  getPersistedSnapshot: (snapshot: unknown) => snapshot,
}

export interface ScopeOptions {
  readonly self: Ref
  readonly systemIds: Readonly<Record<string, ActorRef>>
  readonly nextId: number
}

/** Collects the operations of one step. Make a new one per step; throw it away with everything in it when the step throws. */
export class Scope {
  readonly operations: Operation[] = []
  readonly systemIdsFreed: string[] = []
  /** Whether any transition was taken. */
  handled = false
  nextId: number
  readonly self: Ref
  readonly id: string
  readonly sessionId: string
  readonly system: object
  readonly logger = (): void => {}
  readonly defer = (): void => {}
  /** Of `fromTransition` alone: machines emit by an action. */
  emit: (event: unknown) => void = () => {}
  readonly stopChild = (): void => {}
  readonly #taken: Readonly<Record<string, ActorRef>>
  /** Who holds a system id after what this step has done to it: an actor that it built, or nobody. */
  readonly #held = new Map<string, RawActor | null>()
  #op = 0
  /** XState overwrites and restores this field in every microstep: it must stay writable and must not use `this`. */
  actionExecutor: (action: Omit<Action, 'kind' | 'op'>) => void

  constructor(options: ScopeOptions) {
    this.self = options.self
    this.id = options.self.id
    this.sessionId = options.self.sessionId
    this.nextId = options.nextId
    this.#taken = options.systemIds
    this.actionExecutor = (action) => this.#collect(action)
    this.system = {
      _bookId: () => `x:${this.nextId++}`,
      _set: (systemId: string, raw: RawActor) => this.#register(systemId, raw),
      _sendInspectionEvent: (event: { type: string; actorRef: RawActor; _transitions?: readonly unknown[] }) => this.#inspect(event),
      _logger: () => {},
      _clock: undefined,
      get: (systemId: string) => this.#lookUp(systemId),
      getAll: () => Object.fromEntries([...Object.keys(this.#taken), ...this.#held.keys()].map((id) => [id, this.#lookUp(id)])),
    }
    options.self.system = this.system
  }

  get systemIdsSet(): readonly { readonly systemId: string; readonly raw: RawActor }[] {
    return [...this.#held].flatMap(([systemId, raw]) => (raw === null ? [] : [{ systemId, raw }]))
  }

  /**
   * Frees the system ids that a child holds when it is over, at once: a sibling may take them in the same step. Those that it has lost stay with others.
   * What actors below it hold is not found any more, and freed with their end.
   */
  free(child: unknown): void {
    for (const [systemId, raw] of this.#held) if (raw === child) this.#held.set(systemId, null)
    const { address, incarnation } = child as Partial<ActorRef>
    for (const systemId of Object.keys(this.#taken)) {
      const holder = this.#taken[systemId]
      if (holder === undefined || this.#held.has(systemId)) continue
      const isOwn = holder.address === address && holder.incarnation === incarnation
      if (!isOwn && !holder.address.startsWith(`${address}/`)) continue
      this.#held.set(systemId, null)
      if (isOwn) this.systemIdsFreed.push(systemId)
    }
  }

  #collect(action: Omit<Action, 'kind' | 'op'>): void {
    if (action.type === 'xstate.stopChild' && action.params !== undefined) this.free(action.params)
    this.operations.push({ kind: 'action', op: this.#op++, type: action.type, params: action.params, info: action.info, exec: action.exec })
  }

  #inspect(event: { type: string; actorRef: RawActor; _transitions?: readonly unknown[] }): void {
    if (event.type === '@xstate.actor') {
      const raw = event.actorRef
      this.operations.push({ kind: 'create', op: this.#op++, raw, logic: raw.logic })
      raw.logic = PLACEHOLDER
    } else if (event.type === '@xstate.microstep' && event._transitions !== undefined && event._transitions.length > 0) {
      this.handled = true
    }
  }

  #register(systemId: string, raw: RawActor): void {
    const isTaken = this.#held.has(systemId) ? this.#held.get(systemId) !== null : Object.hasOwn(this.#taken, systemId)
    if (isTaken) {
      throw new Defect('E_SYSTEM_ID_TAKEN', `an actor with the system id '${systemId}' exists already`, {
        hint: 'stop it first, or choose another systemId',
      })
    }
    this.#held.set(systemId, raw)
  }

  #lookUp(systemId: string): unknown {
    const here = this.#held.get(systemId)
    if (here !== undefined) return here ?? undefined
    const taken = Object.hasOwn(this.#taken, systemId) ? this.#taken[systemId] : undefined
    return taken === undefined ? undefined : new Ref(taken.address, taken.incarnation, systemId)
  }
}

/** Runs one macrostep. Everything thrown by user code comes out; then nothing has happened. */
export function macrostep(machine: AnyStateMachine, snapshot: LiveSnapshot, event: { type: string }, scope: Scope): LiveSnapshot {
  return machine.transition(snapshot as never, event as never, scope as never) as unknown as LiveSnapshot
}

/** The first macrostep. XState swallows what is thrown here and returns `status: 'error'`; this throws it. */
export function firstMacrostep(machine: AnyStateMachine, input: unknown, scope: Scope): LiveSnapshot {
  const snapshot = machine.getInitialSnapshot(scope as never, input as never) as unknown as LiveSnapshot
  if (snapshot.status === 'error') throw snapshot.error
  return snapshot
}

/** Builds a live snapshot from stored parts. Empty children and context keep XState from building actors and from changing our row. */
export function restore(
  machine: AnyStateMachine,
  stored: { status: string; value: unknown; output?: unknown; error?: unknown; historyValue?: unknown; atoms?: readonly string[] },
  parts: { context: unknown; children: Record<string, unknown> },
): LiveSnapshot {
  const row = { ...stored, historyValue: stored.historyValue ?? {}, context: {}, children: {} }
  if (!isMachine(machine)) return { ...row, ...parts, machine } as unknown as LiveSnapshot // A reducer's snapshot is what it looks like.
  const live = machine.restoreSnapshot(row as never, undefined as never) as unknown as LiveSnapshot
  orderAtoms(live, stored.atoms)
  live.context = parts.context
  live.children = parts.children
  return live
}

/** Is it a machine of this copy of xstate? */
export const isMachine = (logic: unknown): logic is AnyStateMachine => logic instanceof StateMachine

interface CheckedTransition {
  readonly eventType: string
  readonly actions: readonly unknown[]
}

/** A state of a machine, as far as checks and comparisons look at it. */
export interface StateNode {
  readonly id: string
  /** Its keys from the root, which has none. */
  readonly path: readonly string[]
  readonly type: string
  readonly history: string | false
  readonly meta?: unknown
  readonly config: { readonly initial?: unknown; readonly after?: object; readonly on?: object }
  readonly invoke: readonly { readonly id: string; readonly src: string }[]
  readonly entry: readonly unknown[]
  readonly exit: readonly unknown[]
  readonly transitions: ReadonlyMap<string, readonly CheckedTransition[]>
  readonly always?: readonly CheckedTransition[]
  readonly initial?: { readonly actions?: readonly unknown[] }
}

/** The states of a machine, outer ones first. */
export const nodesOf = (machine: AnyStateMachine): readonly StateNode[] => [
  ...(machine as unknown as { idMap: Map<string, StateNode> }).idMap.values(),
]

const probed = new WeakSet<object>()

/**
 * Checks the contract above against the very class that a machine was made with, once: xstate is a peer dependency, so the machine comes from the user's copy.
 * @throws {Defect} `E_XSTATE_UNSUPPORTED` when that copy behaves differently.
 */
export function probe(machine: AnyStateMachine): void {
  const Machine = machine.constructor as new (config: object, implementations: object) => AnyStateMachine
  if (probed.has(Machine)) return
  const sent = (_: unknown): void => {}
  const child = new Machine({ id: 'child' }, {})
  const tried = new Machine(
    {
      id: 'probe',
      initial: 'a',
      states: { a: { after: { 10: 'b' }, on: { go: { target: 'b', actions: 'sent' } } }, b: { invoke: { src: 'child', id: 'kid' } } },
    },
    { actors: { child }, actions: { sent } },
  )
  const scope = () => new Scope({ self: new Ref('/probe', 1, 'probe'), systemIds: {}, nextId: 0 })
  const first = scope()
  const a = firstMacrostep(tried, undefined, first)
  const second = scope()
  macrostep(tried, a, { type: 'go' }, second)
  const seen = [...first.operations, ...second.operations]
    .map((operation) => (operation.kind === 'create' ? 'create' : operation.type))
    .join(' ')
  if (seen !== 'xstate.raise xstate.cancel sent create xstate.spawnChild' || !second.handled) {
    throw new Defect('E_XSTATE_UNSUPPORTED', `this copy of xstate does not behave as 5.33.3 does (saw: ${seen})`, {
      hint: 'npm install xstate@5.33.3',
    })
  }
  probed.add(Machine)
}
