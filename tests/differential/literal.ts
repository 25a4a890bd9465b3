/**
 * A machine as a literal: what the differential test draws, shrinks and prints, and what {@link ./build.ts} makes a real machine of.
 *
 *   { root: State, kids: { a, b: spawned; i, j: invoked }, ... }      kids are machines of their own, three levels at most
 *
 * A kid's id is also the name of its logic, so every actor has one address: `/top/one/i/a`. Targets of transitions are paths in the own machine: `p.q`.
 */

export const EVENTS = ['x', 'y', 'z'] as const
export type EventName = (typeof EVENTS)[number]
type SpawnedId = 'a' | 'b'
export type InvokedId = 'i' | 'j'
export type KidId = SpawnedId | InvokedId
export type Key = 'n' | 'm'

/** `context[key] % mod === is`, or the machine is in a state, or the opposite. */
export type Condition =
  | { readonly key: Key; readonly mod: number; readonly is: number }
  | { readonly in: string }
  | { readonly not: Condition }
  | { readonly both: readonly [Condition, Condition] }

/** Milliseconds; the name of a delay; or a function: of the context, or one that throws. */
export type Delay = number | 'quick' | 'slow' | { readonly plus: Key; readonly ms: number } | { readonly throws: Condition }

/** `ref`: kept in the context since its spawn; `peer`: a reference to a sibling that came with the input; `boss`: one to the parent;
 * `system`: who is registered, by its address below the root's: `/a/i`. */
export type To = KidId | 'parent' | 'self' | 'peer' | 'boss' | { readonly ref: SpawnedId } | { readonly system: string }

export type Op =
  | { readonly do: 'add'; readonly key: Key; readonly by: number }
  | { readonly do: 'raise'; readonly event: EventName; readonly delay?: Delay; readonly id?: string }
  | { readonly do: 'send'; readonly to: To; readonly event: EventName; readonly delay?: Delay; readonly id?: string }
  | { readonly do: 'forward'; readonly to: KidId }
  | { readonly do: 'cancel'; readonly id: string }
  | { readonly do: 'spawn'; readonly kid: SpawnedId; readonly how: 'spawnChild' | 'assign' }
  | { readonly do: 'stop'; readonly kid: KidId; readonly by: 'id' | 'ref' }
  | { readonly do: 'throw'; readonly when: Condition; readonly where: 'assign' | 'enqueue' | 'event' }
  | { readonly do: 'emit' }
  | { readonly do: 'log' }

export interface Transition {
  readonly when?: Condition
  /** The guard throws instead. */
  readonly guardThrows?: boolean
  readonly target?: string
  readonly reenter?: boolean
  readonly ops: readonly Op[]
}

interface Invoke {
  readonly id: InvokedId
  readonly onDone?: Transition
  readonly onError?: Transition
  readonly onSnapshot?: Transition
  /** The input mapper throws. */
  readonly inputThrows?: Condition
}

export interface State {
  readonly type?: 'parallel' | 'final' | 'history'
  readonly history?: 'shallow' | 'deep'
  readonly initial?: string
  readonly states?: Readonly<Record<string, State>>
  readonly entry?: readonly Op[]
  readonly exit?: readonly Op[]
  readonly on?: Readonly<Partial<Record<EventName, readonly Transition[]>>>
  readonly always?: readonly Transition[]
  /** By milliseconds, or by a delay's name. */
  readonly after?: Readonly<Record<string, Transition>>
  readonly onDone?: Transition
  readonly invoke?: readonly Invoke[]
}

export interface Kid {
  readonly machine: Machine
  /** Registered under its address as `systemId`. */
  readonly system: boolean
  /** The parent hears of each of its snapshots. Of spawned ones; an invoked one has `onSnapshot`. */
  readonly sync: boolean
}

export interface Machine {
  readonly root: State
  readonly kids: Readonly<Partial<Record<KidId, Kid>>>
  /** Spawned by the context factory. */
  readonly first?: SpawnedId
  /** A child's error that no state handles is noted; else it is the end of this machine. */
  readonly catches: boolean
  /** The output mapper throws. */
  readonly outputThrows?: Condition
}

/** An event from outside to the n-th actor that lives then (modulo; 0 is the root), or time that passes. */
export type Play = { readonly send: EventName; readonly to: number } | { readonly waitMs: number }

/** The logic `below` a machine, by address relative to its own: `a`, `a/i`. */
export function* kidsOf(machine: Machine, below = ''): Generator<readonly [string, Kid]> {
  for (const [id, kid] of Object.entries(machine.kids)) {
    yield [`${below}/${id}`, kid]
    yield* kidsOf(kid.machine, `${below}/${id}`)
  }
}

/** All states of a machine with their paths; the root's is empty. */
export function* statesOf(state: State, path = ''): Generator<readonly [string, State]> {
  yield [path, state]
  for (const [key, below] of Object.entries(state.states ?? {})) yield* statesOf(below, path === '' ? key : `${path}.${key}`)
}
