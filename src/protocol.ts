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
  /** Time that a start with a `readyTag` may take, in milliseconds; then it has failed with `E_START_TIMEOUT`. Default 30 000; `infinity`: no limit, as in OTP. */
  readonly startTimeoutMs?: number | 'infinity' | undefined
  /** How its health is judged. Default: {@link HealthSpec}'s defaults; `false`: it is never judged. */
  readonly health?: HealthSpec | false | undefined
  readonly limits?: ActorLimits | undefined
}

/** When silence becomes evidence. Silence alone never is: an actor is only judged while an effect of its is in flight and gives no sign of life. */
export interface HealthSpec {
  /** No token, no progress and no busy process for this long: `suspect`. Default 60 000. */
  readonly suspectMs?: number | undefined
  /** The same for this long: `wedged`, which ends this life with `E_WEDGED`, and the supervisor decides. Default 300 000. */
  readonly wedgedMs?: number | undefined
  /** Errors within five minutes from which on it is `degraded`. Default 3. */
  readonly degradedErrors?: number | undefined
}

/**
 * What calls may use together, each optional. The worst case of each call is reserved before it is made, so a budget is never exceeded as long as a worst case
 * is one.
 */
export interface Budget {
  /** Tokens of prompts and answers. */
  readonly tokensMax?: number | undefined
  /** Money, USD. A call whose price is unknown is refused. */
  readonly usdMax?: number | undefined
  /** Turns of agents: answers of a model. */
  readonly turnsMax?: number | undefined
}

/** What one actor, with all below it, may take. Absent: no limit but the runtime's own. */
export interface ActorLimits {
  /** Of one life, from its start on the run clock: then it ends as `shutdown timeout`, with what it has so far as `partial`. Survives a crash; a restart from the checkpoint keeps it. */
  readonly deadlineMs?: number | undefined
  /** Of all lives of its address together: a restart grants nothing. What does not fit fails with `E_LIMIT_TOKENS`, `E_LIMIT_COST`, `E_LIMIT_TURNS`. */
  readonly budget?: Budget | undefined
  /** Levels below it. */
  readonly depth?: number | undefined
  /** Living children. */
  readonly children?: number | undefined
  /** Living actors below it, on all levels. */
  readonly descendants?: number | undefined
  /** Starts of children within any 60 seconds. */
  readonly perMinute?: number | undefined
}

/** Waits before restarts: `min(baseMs * factor^(n-1), maxMs)` before the n-th within the period, give or take `jitter` of it. */
export interface Backoff {
  /** Milliseconds, above 0. */
  readonly baseMs: number
  /** Default: no bound but the period. */
  readonly maxMs?: number | undefined
  /** From 1. Default 2. */
  readonly factor?: number | undefined
  /** Part of the delay by which it may be longer or shorter, 0 to 1. Default 0.2. */
  readonly jitter?: number | undefined
}

export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one'

interface SupervisorFlags {
  readonly id: string
  /** Restarts that survive within the period; one more ends the supervisor. Default 1. */
  readonly intensity?: number | undefined
  /** Default 5000. */
  readonly periodMs?: number | undefined
  /** Waits before restarts. Default: none, as in OTP. */
  readonly backoff?: Backoff | undefined
  /** OTP's reading of exits: a transient child that `gave_up` has finished and is not restarted. Default false: its work is not done. */
  readonly otpExitReasons?: boolean | undefined
  /** As a child of another supervisor. */
  readonly restart?: Restart | undefined
  readonly significant?: boolean | undefined
  readonly shutdownMs?: number | 'brutal' | undefined
  /** Of this supervisor as a child, until all its own children have started. Default `infinity`. */
  readonly startTimeoutMs?: number | 'infinity' | undefined
  readonly limits?: ActorLimits | undefined
}

/** A supervisor and what it supervises, as a literal. The root of a tree is one; so may any child be. */
export interface StaticSupervisorSpec extends SupervisorFlags {
  /** Whom a restart takes along: nobody, all, or those that were started after it. Default `one_for_one`. */
  readonly strategy?: Strategy | undefined
  /** Default `never`. */
  readonly autoShutdown?: 'never' | 'any_significant' | 'all_significant' | undefined
  /** OTP's group restart: children that had finished or were stopped by hand are started again with the group. Default false: what is done stays done. */
  readonly reviveFinished?: boolean | undefined
  readonly children: readonly (ChildSpec | SupervisorSpec)[]
  readonly dynamic?: undefined
}

/** A supervisor of any number of children that are made from one template while it runs (OTP's `simple_one_for_one`). */
export interface DynamicSupervisorSpec extends SupervisorFlags {
  readonly dynamic: DynamicTemplate
  readonly children?: undefined
}

/** What all children of a dynamic supervisor have in common. `input` is that of children that are started without one. */
interface DynamicTemplate extends Omit<ChildSpec, 'id' | 'significant'> {
  /** Living children at once. Default: no limit. */
  readonly childrenMax?: number | undefined
}

export type SupervisorSpec = StaticSupervisorSpec | DynamicSupervisorSpec

export type TreeSpec = SupervisorSpec

/** Name under which the supervisor machine is registered; no user machine may take it. */
export const SUPERVISOR_MACHINE = 'troupe.supervisor'
/** Likewise of the machine of dynamic supervisors. */
export const DYNAMIC_MACHINE = 'troupe.dynamic'
/** Is it a supervisor, which alone may use `cell.*` actions? */
export const isSupervisor = (machine: string): boolean => machine === SUPERVISOR_MACHINE || machine === DYNAMIC_MACHINE

/**
 * Named actions that the engine performs itself, in the commit of the step that took them. Only a machine registered as a supervisor may use `cell.*`.
 * `ask` (a send with an id and a deadline) and `thread.append` are for everybody.
 */
export type ReservedAction =
  | { readonly type: 'cell.start'; readonly params: CellStart }
  /** `onRequest`: that nobody lives there is answered by `cell.refused`. */
  | {
      readonly type: 'cell.stop'
      readonly params: { readonly id: string; readonly shutdownMs: number; readonly onRequest?: true | undefined }
    }
  /** Brutal. `error`: what its exit reason says instead of `killed`. */
  | {
      readonly type: 'cell.kill'
      readonly params: { readonly id: string; readonly error?: ErrorData | undefined; readonly onRequest?: true | undefined }
    }
  | { readonly type: 'cell.restart'; readonly params: CellRestart }
  /** The address has ended for good. */
  | { readonly type: 'cell.delete'; readonly params: { readonly id: string } }
  /** The child has finished, its spec stays: its mail is buried and who waits for it is told, until it is started again. */
  | { readonly type: 'cell.retire'; readonly params: { readonly id: string } }
  /** Its restart is decided, from `initial`, and will come later: what was bound to the life before ends now. */
  | { readonly type: 'cell.settle'; readonly params: { readonly id: string } }
  /** Ordered stops of all living children of a dynamic supervisor, together. */
  | { readonly type: 'cell.stop_all'; readonly params: { readonly shutdownMs: number | 'brutal' } }
  /** Answers `child.list` or `child.count` of a dynamic supervisor from the table of cells. */
  | { readonly type: 'cell.report'; readonly params: { readonly what: 'list' | 'count'; readonly replyTo: Json } }
  | { readonly type: 'ask'; readonly params: AskParams }
  | { readonly type: 'thread.append'; readonly params: ThreadAppend }

export interface CellStart {
  readonly id: string
  readonly src: string
  readonly input?: Json | undefined
  readonly readyTag?: string | undefined
  readonly restart?: Restart | undefined
  /** Incarnations up to this one have been: the new one is a later one. */
  readonly after?: Incarnation | undefined
  readonly health?: HealthSpec | false | undefined
  readonly limits?: ActorLimits | undefined
  /** Started by hand: an id that is taken (or, with `once`, has ever been) or a limit that is reached is answered by `cell.refused`, and is no defect. */
  readonly onRequest?: { readonly once: boolean } | undefined
}

/** A restart of a child, or its start as a member of a group that is restarted (`group`: the child that failed). `count` within `periodMs`, `max` are allowed. */
export type CellRestart = CellStart & {
  readonly from: 'initial' | 'checkpoint'
  readonly count: number
  readonly max: number
  readonly periodMs: number
  readonly reason: ExitReason
  readonly backoffMs: number
  readonly group?: string | undefined
  /** The input of the life before, which only the table of cells knows. */
  readonly keepInput?: true | undefined
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

export const RESERVED_ACTIONS = [
  'cell.start',
  'cell.stop',
  'cell.kill',
  'cell.restart',
  'cell.delete',
  'cell.retire',
  'cell.settle',
  'cell.stop_all',
  'cell.report',
  'ask',
  'thread.append',
] as const

/**
 * Events that the engine sends to a supervisor about its children. `random` is in [0, 1), made from run, address and incarnation: a step that is taken again
 * gets the same.
 */
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
      readonly random?: number | undefined
      readonly reason: ExitReason
    }
  | {
      readonly type: 'cell.exited'
      readonly id: string
      readonly incarnation: Incarnation
      readonly now: number
      readonly random?: number | undefined
      readonly reason: ExitReason
    }
  /** A dynamic child was not started: its id is taken (`already_started`), has been before (`duplicate`), or a limit is reached. Also the answer to a stop of nobody (`not_found`, `finished`). */
  | {
      readonly type: 'cell.refused'
      readonly id: string
      readonly why: 'already_started' | 'duplicate' | 'limit' | 'not_found' | 'finished'
      readonly message: string
      readonly now: number
    }

/** Events that the engine sends to the actor that asked. */
export type AskEvent =
  | {
      readonly type: 'ask.answered'
      readonly id: string
      readonly answer: { readonly type: string; readonly [key: string]: Json | undefined }
    }
  | { readonly type: 'ask.down'; readonly id: string; readonly to: Address; readonly incarnation: Incarnation; readonly reason: ExitReason }
  /** `partial`: `context.partial` of who was asked, as it is now, or null. `partialChars`: it was larger than an event may be, and this large. */
  | {
      readonly type: 'ask.timed_out'
      readonly id: string
      readonly to: Address
      readonly status: 'timed_out'
      readonly partial: Json
      readonly partialChars?: number
    }

/**
 * What a supervisor is asked to do by hand, by `ask` from outside or from an actor. It answers with one {@link ChildReply}.
 * Static: `spec` is a whole child spec. Dynamic: `child.start {id?, input?, task?}` makes a child of the template; a `task` that was given before is refused.
 */
export type ChildRequest =
  | { readonly type: 'child.start'; readonly spec?: Json; readonly id?: string; readonly input?: Json; readonly task?: Json }
  | { readonly type: 'child.stop' | 'child.restart' | 'child.delete' | 'child.spec'; readonly id: string }
  | { readonly type: 'child.list' | 'child.count' }

/** Why a supervisor refuses: OTP's error terms. */
export type ChildRefusal =
  | 'already_started'
  | 'already_present'
  | 'running'
  | 'restarting'
  | 'not_found'
  | 'invalid'
  | 'start_failed'
  | 'duplicate'
  | 'limit'
  | 'dynamic'
  | 'stopping'

export type ChildReply =
  /** `incarnation: null`: it declined to start. */
  | { readonly type: 'child.started'; readonly id: string; readonly incarnation: Incarnation | null }
  | { readonly type: 'child.stopped' | 'child.deleted'; readonly id: string }
  | { readonly type: 'child.spec'; readonly id: string; readonly spec: Json }
  | { readonly type: 'child.list'; readonly children: readonly ChildStanding[] }
  | {
      readonly type: 'child.count'
      readonly specs: number
      readonly active: number
      readonly supervisors: number
      readonly workers: number
    }
  | {
      readonly type: 'child.refused'
      readonly id: string | null
      readonly why: ChildRefusal
      readonly message: string
      readonly cause?: Json
    }

/** One child as its supervisor sees it. */
export type ChildStanding = {
  readonly id: string
  readonly status: 'running' | 'starting' | 'restarting' | 'stopping' | 'stopped'
  readonly incarnation: Incarnation
  readonly src: string
  readonly kind: 'worker' | 'supervisor'
  readonly restart: Restart
}

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
  'model.switched',
  'context.compacted',
])
