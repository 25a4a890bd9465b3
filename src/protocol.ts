/**
 * The vocabulary that machines and the engine share: addresses, exit reasons, child specs, reserved actions and events.
 * Both sides import it; neither imports the other. docs/SEMANTICS.md says what each of these means across a crash.
 */
import type { ErrorData } from './errors.ts'
import type { Json } from './json.ts'

/** `/team/coder-1`: stable over restarts and resumes. Children of an actor live below it, supervised or spawned alike. */
export type Address = string
/** Which life of an address, from 1. A restart is a new incarnation of the same address. */
export type Incarnation = number

/**
 * Why an actor ended. Plain data; sent to its supervisor or parent in the commit that ends it.
 * `failure`: it came to its end in good order and says that it did not reach its goal. No crash, so nothing restarts it; a run that ends so has failed.
 */
export type ExitReason =
  | { readonly kind: 'normal'; readonly output?: Json | undefined; readonly failure?: ErrorData | undefined }
  | {
      readonly kind: 'shutdown'
      readonly detail: ShutdownDetail
      readonly output?: Json | undefined
      readonly failure?: ErrorData | undefined
    }
  | { readonly kind: 'error'; readonly error: ErrorData }
  | { readonly kind: 'killed' }
/** `ordered`: asked to stop. `completed`: automatic shutdown after significant children. `gave_up`: restart intensity. `timeout`: a deadline. */
type ShutdownDetail = 'ordered' | 'completed' | 'gave_up' | 'timeout'

/** Exit reason of a machine that decides it itself, as a supervisor does: its output is `{ '@troupe.exit': ExitReason }`. */
export const EXIT_KEY = '@troupe.exit'

export type Restart = 'permanent' | 'transient' | 'temporary'

/** One supervised child, as data. Names and defaults follow OTP (https://www.erlang.org/doc/system/sup_princ.html#child-specification). */
export interface ChildSpec {
  /** `[A-Za-z0-9_-]+`, unique below its supervisor. The last part of the address. */
  readonly id: string
  /** Name of a machine in the registry. */
  readonly src: string
  readonly input?: Json | undefined
  /** Default `permanent`. */
  readonly restart?: Restart | undefined
  /** Time for an ordered stop, in milliseconds; `brutal`: no event, no exit actions. Default 5000. */
  readonly shutdownMs?: number | 'brutal' | undefined
  /** Its end can end the supervisor: see `autoShutdown`. Default false. */
  readonly significant?: boolean | undefined
  /** Where a restart begins: a fresh snapshot, or the last committed one without the poison event. Default `initial`. */
  readonly from?: 'initial' | 'checkpoint' | undefined
  /** Ready only when the snapshot carries this tag. Default: ready when the first step is committed. */
  readonly readyTag?: string | undefined
}

/** A supervisor and what it supervises, as a literal. The root of a tree is one; so may any child be. */
export interface SupervisorSpec {
  readonly id: string
  /** Default `one_for_one`. */
  readonly strategy?: 'one_for_one' | undefined
  /** Restarts that survive within the period; one more ends the supervisor. Default 1. */
  readonly intensity?: number | undefined
  /** Default 5000. */
  readonly periodMs?: number | undefined
  /** Default `never`. */
  readonly autoShutdown?: 'never' | 'any_significant' | 'all_significant' | undefined
  readonly children: readonly (ChildSpec | SupervisorSpec)[]
  /** As a child of another supervisor. */
  readonly restart?: Restart | undefined
  readonly significant?: boolean | undefined
  readonly shutdownMs?: number | 'brutal' | undefined
}

export type TreeSpec = SupervisorSpec

/** Name under which the supervisor machine is registered; no user machine may take it. */
export const SUPERVISOR_MACHINE = 'troupe.supervisor'

/**
 * Named actions that the engine performs itself, in the commit of the step that took them. Only a machine registered as a supervisor may use `cell.*`.
 * `ask` (a send with an id and a deadline) and `thread.append` are for everybody.
 */
export type ReservedAction =
  | { readonly type: 'cell.start'; readonly params: CellStart }
  | { readonly type: 'cell.stop'; readonly params: { readonly id: string; readonly shutdownMs: number } }
  | { readonly type: 'cell.kill'; readonly params: { readonly id: string } }
  | {
      readonly type: 'cell.restart'
      readonly params: CellStart & { readonly from: 'initial' | 'checkpoint'; readonly count: number; readonly reason: ExitReason }
    }
  | { readonly type: 'cell.delete'; readonly params: { readonly id: string } }
  | { readonly type: 'ask'; readonly params: AskParams }
  | { readonly type: 'thread.append'; readonly params: ThreadAppend }

export interface CellStart {
  readonly id: string
  readonly src: string
  readonly input?: Json | undefined
  readonly readyTag?: string | undefined
  readonly restart?: Restart | undefined
}

/** `ask` from inside a machine. The asker gets exactly one of `ask.answered`, `ask.down`, `ask.timed_out`, each with this `id`. */
export interface AskParams {
  readonly id: string
  readonly to: Address
  readonly event: { readonly type: string; readonly [key: string]: Json | undefined }
  readonly timeoutMs: number
}

/** Appends to an append-only list of this run. A context keeps only the thread's name and length: a step costs what it adds, not what was said before. */
export interface ThreadAppend {
  readonly thread: string
  readonly items: readonly Json[]
}

export const RESERVED_ACTIONS = ['cell.start', 'cell.stop', 'cell.kill', 'cell.restart', 'cell.delete', 'ask', 'thread.append'] as const

/** Events that the engine sends to a supervisor about its children. */
export type SupervisorEvent =
  | {
      readonly type: 'cell.started'
      readonly id: string
      readonly incarnation: Incarnation
      readonly now: number
      readonly declined: boolean
    }
  | {
      readonly type: 'cell.start_failed'
      readonly id: string
      readonly incarnation: Incarnation
      readonly now: number
      readonly reason: ExitReason
    }
  | {
      readonly type: 'cell.exited'
      readonly id: string
      readonly incarnation: Incarnation
      readonly now: number
      readonly reason: ExitReason
    }

/** Events that the engine sends to the actor that asked. */
export type AskEvent =
  | {
      readonly type: 'ask.answered'
      readonly id: string
      readonly answer: { readonly type: string; readonly [key: string]: Json | undefined }
    }
  | { readonly type: 'ask.down'; readonly id: string; readonly to: Address; readonly incarnation: Incarnation; readonly reason: ExitReason }
  | { readonly type: 'ask.timed_out'; readonly id: string; readonly to: Address }

/** An ordered stop sends this first, to machines that accept it. */
export const SHUTDOWN_EVENT = 'shutdown'

/** Is an event from outside allowed? `xstate.*` forges results, `cell.*` and `ask.*` are the engine's, `*` is taken by any handler. */
export function isRefusedFromOutside(type: string): boolean {
  return type === '*' || type === '' || type.startsWith('xstate.') || type.startsWith('cell.') || type.startsWith('ask.')
}

/** Events that a machine emits with XState's `emit` and that the journal keeps under their own type: the work's vocabulary. Others are `event.emitted`. */
export const DOMAIN_FACTS: ReadonlySet<string> = new Set([
  'supervisor.gave_up',
  'loop.detected',
  'problem.escalated',
  'work.accepted',
  'work.rejected',
  'work.assigned',
  'work.finished',
  'review.given',
  'change.staged',
  'write.refused',
  'gate.passed',
  'gate.failed',
  'change.promoted',
  'llm.answered',
  'context.compacted',
])
