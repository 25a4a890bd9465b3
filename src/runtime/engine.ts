/**
 * The engine port: who queues, orders and commits. Its currency is the {@link StepResult}; it gets machines and effect handlers as a {@link Host}
 * and knows nothing of agents, models or doors. `engines/local` runs a tree in this process over a {@link Store}.
 */
import type { EffectCall, EffectDeclaration, EffectHandler, Usage } from '../effect.ts'
import type { ErrorData } from '../errors.ts'
import type { Health } from '../health.ts'
import type { Json } from '../json.ts'
import type { Address, Budget, Incarnation, TreeSpec } from '../protocol.ts'
import type { UsageTotal } from '../usage.ts'
import type { ChildLink, EncodedSnapshot, EventData, StepInput, StepResult } from './cell.ts'
import type { DeadlinePolicy } from './deadline-policy.ts'
import type { HealthJudge, Vitals } from './health.ts'
import type { PlainLogic } from './logic/kinds.ts'
import type { Migrated } from './migrations.ts'
import type { WaitingMail } from './past.ts'
import type { Quarantine } from './quarantine.ts'
import type { EffectRow, MachineRow, RunRow, RunStatus, SnapshotVersion } from './store.ts'

/** What an engine needs of the program: pure steps, and handlers for effects and named actions. */
export interface Host {
  /** Version of a registered machine; throws `E_MACHINE_UNKNOWN` with what is registered. */
  machineVersion(machine: string): string
  /** The registered machine of this name, with what stored snapshots rest on; null where there is none. */
  machine(machine: string): MachineRow | null
  /** What takes a stored actor over from another version of its machine to the registered one; null where no migration leads from there. It throws what a migration throws, and `E_MIGRATION_INVALID`. */
  migration(machine: string, from: string): ((actor: StoredActor) => Migrated) | null
  /** Does the machine's current state take this event? Used by an ordered stop. */
  accepts(machine: string, snapshot: EncodedSnapshot, children: readonly ChildLink[], event: EventData): boolean
  /** What becomes of this timer of the machine while nobody runs, as its state says in `meta.deadline`. */
  deadlinePolicy(machine: string, timerId: string): DeadlinePolicy
  step(input: StepInput): StepResult
  /** The handler that performs an effect row. */
  handler(row: Pick<EffectRow, 'kind' | 'src'>): { declaration: EffectDeclaration; handler: EffectHandler<never, unknown> }
  /** The promise, callback or observable that a machine knows by this name. @throws {Defect} `E_ACTOR_MISSING` where it has none. */
  logic(machine: string, src: string): PlainLogic
  /** Performs a named action of a machine again, from its stored row. */
  action(machine: string, name: string, call: EffectCall<Json>): Promise<void> | void
  /** Ends what effects of a dead process left behind (processes with the run's tag), before any probe or repeat. Returns what was ended. */
  reap(run: string): Promise<readonly { readonly pid: number; readonly command: string }[]>
  /** Judges how supervised actors stand. Without one nothing is judged. */
  readonly health?: HealthJudge | undefined
  /** What the processes of an effect are doing, asked before its silence counts. Default: nothing is known of any. */
  readonly vitals?: Vitals | undefined
}

/** An actor as an older version of its machine has left it. */
interface StoredActor {
  readonly address: Address
  readonly snapshot: EncodedSnapshot
  readonly children: readonly ChildLink[]
}

/** One fact, live or afterwards: the same in the journal, `logs --jsonl`, `run --jsonl` and the inspector's feed. */
export interface Frame {
  readonly v: 1
  /** Null for frames of a live stream that are never stored (`live.*`). */
  readonly pos: number | null
  readonly at: string
  readonly run: string
  readonly type: string
  readonly path: Address | null
  readonly inc: Incarnation | null
  readonly cause: number | null
  readonly data: { readonly [key: string]: Json | undefined }
}

export interface StartOptions {
  /** Run id, a ULID. Default: a new one. Starting an id that exists is refused. */
  readonly id?: string
  readonly name?: string | null
  /** Input of the tree; children whose spec has no input of their own get it. */
  readonly input?: Json
  readonly project?: string | null
  /**
   * What the whole tree may use. `whenReached`: a call that does not fit fails (default), or is held back: the run stands still as `limited` once nothing else
   * moves, and goes on exactly there when a resume raises the budget.
   */
  readonly budget?: Budget & { readonly whenReached?: 'fail' | 'hold' | undefined }
  /** Wall time of the whole run from now, milliseconds; an absolute deadline on the run clock once started. */
  readonly deadlineMs?: number
  /** So many crashes of the run's process within the period put it into quarantine. Default: 3 within 10 minutes; `false`: none do. */
  readonly quarantine?: Quarantine
  readonly meta?: Json
}

export interface ResumeOptions {
  /** Raises the epoch although the owner's lock is held. */
  readonly takeOver?: boolean
  /** A new budget of the run; what was spent stays spent. What is left out stays as it is. */
  readonly budget?: Budget
  /** A new deadline for the whole run, from now, milliseconds. */
  readonly deadlineMs?: number
  /** Go on with a run although its process has crashed too often; its crashes are forgotten. */
  readonly unquarantine?: boolean
}

export interface CellView {
  readonly address: Address
  readonly id: string
  readonly incarnation: Incarnation
  readonly machine: string
  readonly version: string
  readonly status: 'starting' | 'active' | 'done' | 'error' | 'stopped'
  /** XState's state value; null while starting. */
  readonly state: Json
  readonly tags: readonly string[]
  readonly supervised: boolean
  /** Waiting events. */
  readonly mailbox: number
  /** Restarts of this address so far. */
  readonly restarts: number
  /** Open effects. */
  readonly effects: readonly { readonly id: string; readonly kind: string; readonly status: string; readonly attempt: number }[]
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly costUsd: number | null }
  /** How it stands, with the proof. Absent for actors that are over. */
  readonly health?: Health | undefined
  readonly children: readonly CellView[]
}

/** How a run stands when nothing moves any more, or when it was told to stop. */
export interface Result {
  readonly run: string
  readonly name: string | null
  readonly status: Exclude<RunStatus, 'running'>
  readonly reason: ErrorData | null
  /** Of the significant child that ended the run, or of the root. */
  readonly output: Json
  readonly startedAt: number
  readonly endedAt: number
  readonly position: number
  readonly usage: Usage &
    Partial<Pick<UsageTotal, 'costBasis'>> & {
      readonly actors: number
      readonly restarts: number
      readonly effects: number
      readonly inDoubt: number
    }
  /** Effects whose outcome nobody knows. */
  readonly inDoubt: readonly { readonly id: string; readonly kind: string; readonly path: Address; readonly what: Json }[]
  /** Effects that were performed again after a crash, by policy. */
  readonly repeated: number
  /** Plain promises and named actions: performed at least once without an idempotency key. */
  readonly promises: number
}

export interface Accepted {
  /** Journal position: the event survives a crash from here on. */
  readonly position: number
}

export interface WatchOptions {
  /** Frames after this journal position. Default 0: all. */
  readonly since?: number
  /**
   * For a watcher that is too slow for a live run. `tell` (default): it gets a `live.gap {from, to, missed}` and goes on near the end; `journal` has the
   * rest. `fill`: it gets every entry, however late. Frames of streams (`live.*`) are never stored: what is missed of them is `live.gap {missed}`.
   */
  readonly gaps?: 'tell' | 'fill'
}

/** A live run in this process. Every method that acknowledges does so after the commit. */
export interface RunSession {
  readonly id: string
  /** What was found at resume; null for a new run. */
  readonly recovery: Recovery | null
  /**
   * @throws {UserError} `E_EVENT_REFUSED` for reserved types, `E_TARGET_NOT_FOUND`, `E_MAILBOX_FULL`, `E_PAYLOAD_TOO_LARGE`. Then nothing was accepted.
   */
  send(to: Address, event: EventData): Promise<Accepted>
  /** Sends `event` with `replyTo`, a reference that the actor answers to: `sendTo(({ event }) => event.replyTo, ...)`. Rejects with E_ASK_DOWN or E_ASK_TIMED_OUT. */
  ask(to: Address, event: EventData, options?: { timeoutMs?: number }): Promise<EventData>
  /** The actor's snapshot as last committed: `{status, value, context, tags}`; null where nobody lives. */
  snapshot(address: Address): {
    readonly status: string
    readonly value: Json
    readonly context: Json
    readonly output?: Json
    readonly error?: Json
    readonly incarnation: Incarnation
  } | null
  tree(): CellView
  /** History from the position on, then live. Ends with the run. Frames are shared between watchers: do not change them. */
  watch(options?: WatchOptions): AsyncIterable<Frame>
  /** Resolves when the run has ended, is suspended, or was stopped. Never rejects for a failed run; rejects when the store or the lease is lost. */
  done(): Promise<Result>
  /** Stops intake, aborts open effects, commits, releases the run. It can be resumed. Idempotent. */
  stop(options?: { status?: 'interrupted' | 'canceled'; reason?: ErrorData; graceMs?: number }): Promise<Result>
}

/** What a resume found and did. */
export interface Recovery {
  readonly position: number
  readonly epoch: number
  readonly stoppedAt: number
  readonly owner: { readonly pid: number; readonly host: string } | null
  /** Crashes within the period, this one included, where it was one: `max` of them are too many, null: none are. */
  readonly crashes: { readonly count: number; readonly max: number | null; readonly periodMs: number } | null
  readonly effects: readonly RecoveredEffect[]
  readonly timersOverdue: number
  readonly timersPending: number
  readonly mail: number
  readonly strays: readonly { readonly pid: number; readonly command: string }[]
  /** Machines that are not the ones that the run has used before. */
  readonly machines: readonly RecoveredMachine[]
}

export interface RecoveredMachine {
  readonly machine: string
  /** Versions: of the run, and of the one that is registered now. */
  readonly from: string
  readonly to: string
  /** `compatible`: its actors go on as they stand. `migrated`: each was taken over. */
  readonly verdict: 'compatible' | 'migrated'
  /** Live actors that use it. */
  readonly actors: number
  /** In words. */
  readonly differences: readonly string[]
}

export interface RecoveredEffect {
  readonly id: string
  readonly kind: string
  readonly path: Address
  readonly policy: string
  readonly verdict: 'not_started' | 'applied' | 'not_applied' | 'repeat' | 'in_doubt'
  readonly evidence: string | null
  readonly what: string
}

/**
 * A run to look at: now or at any position of its journal, while it runs or afterwards. Reading changes nothing and asks nobody.
 * Every `at` is a journal position; left out, it is now. Positions after the end are the end.
 */
export interface RunReader {
  /** The run itself, as of now. */
  readonly run: RunRow
  /** The whole tree: states, mailboxes, open effects, usage. @throws {UserError} `E_POSITION_PRUNED`. */
  tree(at?: number): CellView
  /** One actor's snapshot; null where nobody lived. */
  actor(address: Address, at?: number): ReturnType<RunSession['snapshot']>
  /** What waits for an actor, oldest first. */
  mailbox(address: Address, at?: number): readonly WaitingMail[]
  /** An actor's stored snapshots, newest first: where it can be looked at, and what changed when. */
  history(address: Address, options?: { before?: number; limit?: number }): readonly SnapshotVersion[]
  /** Frames after `since`, at most `limit` (default 1000). */
  frames(since?: number, limit?: number): readonly Frame[]
}

export interface Engine {
  start(tree: TreeSpec, host: Host, options: StartOptions): Promise<RunSession>
  resume(run: string, host: Host, options: ResumeOptions): Promise<RunSession>
  /** Null where there is no such run. */
  read(run: string): RunReader | null
  close(): void
}
