/**
 * The contract between a step and whatever commits it. Everything here is plain data, so that any engine can store, send and commit it.
 *
 *   StepInput  --step()-->  StepResult  --engine-->  one commit
 *
 * A step is pure: given the same input it gives the same result, and if it throws nothing happened. docs/SEMANTICS.md fixes what each field means
 * across a crash; it is changed only by an ADR.
 */
import type { Deadlines, RepeatPolicy, Reserve, RetryPolicy } from '../effect.ts'
import type { Json } from '../json.ts'
import type { Address, AskParams, ExitReason, Incarnation } from '../protocol.ts'

export type CellStatus = 'active' | 'done' | 'error' | 'stopped'
export type EventData = { readonly type: string; readonly [key: string]: Json | undefined }

/**
 * A large part of a snapshot, stored once under its content's hash. Immutable; an object of it stands for the text, so whoever has written it once
 * can know that by identity.
 */
export interface Chunk {
  /** SHA-256 of `text`, hex. */
  readonly hash: string
  /** JSON text of the part, in which larger parts of its own are references again: see chunks.ts. */
  readonly text: string
  /** The chunks that `text` refers to directly. */
  readonly chunks: readonly Chunk[]
}

/** A machine's snapshot as it is stored. Children are kept beside it, as {@link ChildLink}s. */
export interface EncodedSnapshot {
  /**
   * `{status, value, context, historyValue, output, error}` as JSON text; actor references carry the key `@troupe.ref`, parts that are stored apart
   * are `{"@troupe.chunk": hash}`. Use `plainSnapshot` to read it.
   */
  readonly json: string
  /** The chunks that `json` refers to directly, with all below them. Absent: none. */
  readonly chunks?: readonly Chunk[] | undefined
  /** SHA-256 of `json`, hex. */
  readonly hash: string
  readonly status: CellStatus
  /** XState's state value, for views. */
  readonly value: Json
  readonly tags: readonly string[]
}

/** What stands behind an entry of XState's `children`. */
export interface ChildLink {
  readonly id: string
  readonly kind: 'cell' | 'effect'
  readonly address: Address
  /** For children of XState a number that is unique over the life of the parent's address; for supervised cells it counts from 1. */
  readonly incarnation: Incarnation
  readonly src: string
  readonly systemId?: string | undefined
  /** `onSnapshot`: the parent wants an event per snapshot. */
  readonly sync?: boolean | undefined
  /** Its parent has taken the news of its end. XState keeps it among `children` (mail to it is dropped), but its id and its system id are free again. */
  readonly ended?: true | undefined
}

export interface ActorRef {
  readonly address: Address
  readonly incarnation: Incarnation
}

/**
 * `mail`: from an actor or from outside, bound to the address. All others are bound to an incarnation, and stale when it is gone:
 * `start`, `stop` and `kill` (lifecycle), `timer`, `child` (done, error or snapshot of a child), `outcome` (of an effect), `system` (to supervisors and askers).
 */
export type EnvelopeKind = 'mail' | 'start' | 'stop' | 'kill' | 'timer' | 'child' | 'outcome' | 'system'

export interface Envelope {
  /** Unique and rising in its run. */
  readonly seq: number
  readonly kind: EnvelopeKind
  readonly to: Address
  /** The incarnation it is for, or null: whoever lives at the address. */
  readonly incarnation: Incarnation | null
  readonly from: Address | null
  readonly event: EventData
  /** Where it stands in the order of delivery, given when it is posted: see order.ts. */
  readonly order: string
  /** Addresses of the frames in `order`, outermost first: who is waiting for whom. */
  readonly frames: readonly Address[]
  /** Of a `timer`: its row, so that a cancel also removes the envelope. */
  readonly timer?: number | undefined
  /** Of a `timer`: XState's id of it, which a cancel names. */
  readonly timerId?: string | undefined
  /** Of `child` and `outcome`: the child that reports. Stale when the parent's child of this id is another one by now. */
  readonly child?: { readonly id: string; readonly incarnation: Incarnation } | undefined
  /** Journal position of the fact that sent it. */
  readonly cause: number | null
}

export interface StepInput {
  readonly address: Address
  readonly incarnation: Incarnation
  /** Name of the machine in the registry. */
  readonly machine: string
  readonly version: string
  /** Null only for `start`: then the event's `input` makes the first snapshot. */
  readonly snapshot: EncodedSnapshot | null
  readonly children: readonly ChildLink[]
  readonly parent: ActorRef | null
  readonly systemIds: Readonly<Record<string, ActorRef>>
  readonly nextId: number
  /** How much this step may create or send. */
  readonly allowance: { readonly children: number; readonly depth: number }
  readonly envelope: Envelope
  /** Run clock, milliseconds. */
  readonly now: number
  readonly seed: string
}

/** `op` is the place among all operations of the step, in source order: deliveries keep it. */
export interface Send {
  readonly op: number
  readonly to: Address
  /** Null: mail to whoever lives there. Set for events that are for one life only. */
  readonly incarnation: Incarnation | null
  readonly kind: 'mail' | 'child'
  readonly event: EventData
  readonly child?: { readonly id: string; readonly incarnation: Incarnation } | undefined
  /** Present when the sender waits for an answer. */
  readonly ask?: AskParams | undefined
}

export interface TimerSet {
  readonly op: number
  /** XState's id of the delayed event; what `cancel` names. */
  readonly id: string
  readonly to: Address
  /** As of a {@link Send}: set for an own child of XState's kind, which alone may get it. */
  readonly incarnation: Incarnation | null
  readonly event: EventData
  readonly delayMs: number
}

export interface EffectOwed {
  readonly op: number
  /** Id of the invoke: the outcome is `xstate.done.actor.<id>`. */
  readonly id: string
  readonly incarnation: Incarnation
  readonly src: string
  readonly kind: string
  readonly input: Json
  readonly policy: RepeatPolicy
  readonly timeoutMs: number | null
  readonly deadlines?: Deadlines | undefined
  readonly retry: RetryPolicy
  readonly reserve: Reserve | null
  /** `action`: a named action of the machine, a row without an answer. */
  readonly answer: boolean
}

export interface CellStarted {
  readonly op: number
  readonly link: ChildLink
  readonly machine: string
  readonly input: Json | undefined
}

/** A named action that the engine or the handler outside performs. Reserved ones (`cell.*`, `ask`) are the engine's. */
export interface ActionTaken {
  readonly op: number
  readonly type: string
  readonly params: Json | undefined
  /** Inline or volatile: runs once after the commit, may be lost in a crash. Never stored. */
  readonly run?: (() => unknown) | undefined
}

export interface StepResult {
  readonly snapshot: EncodedSnapshot | 'unchanged'
  /** XState's children after the step. */
  readonly children: readonly ChildLink[]
  /** Set when the cell ended in this step. */
  readonly exit: ExitReason | null
  /** Sequence number of the envelope; null where a step was cut before it took one. */
  readonly consumed: number | null
  /** False when no transition took the event. */
  readonly handled: boolean
  readonly sends: readonly Send[]
  readonly timersSet: readonly TimerSet[]
  readonly timersCleared: readonly { readonly op: number; readonly id: string }[]
  readonly effectsOwed: readonly EffectOwed[]
  readonly effectsCancelled: readonly { readonly op: number; readonly id: string; readonly incarnation: Incarnation }[]
  readonly actions: readonly ActionTaken[]
  readonly emits: readonly EventData[]
  readonly logs: readonly { readonly label: string | null; readonly value: Json }[]
  readonly cellsStarted: readonly CellStarted[]
  readonly cellsStopped: readonly { readonly op: number; readonly link: ChildLink }[]
  readonly systemIdsSet: readonly { readonly systemId: string; readonly ref: ActorRef }[]
  readonly systemIdsFreed: readonly string[]
  /** Entries for append-only threads, e.g. a conversation. The context holds only the thread's id and length. */
  readonly threadAppends: readonly { readonly thread: string; readonly items: readonly Json[] }[]
  readonly nextId: number
  /** Suspicious facts worth a journal entry, such as a send to nobody. */
  readonly journal: readonly { readonly type: string; readonly data: Json }[]
}
