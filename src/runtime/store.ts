/**
 * The store port of `engines/local`: runs, and per run the rows that a commit changes together.
 * Rows have a birth and, where they end, a death: journal positions. Nothing is deleted but by retention.
 * A commit is all or nothing; until it returns nothing of it has happened, once it returns it survives power loss.
 */
import type { RepeatPolicy, Reserve, RetryPolicy, Usage } from '../effect.ts'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { Address, Incarnation } from '../protocol.ts'
import type { ActorRef, ChildLink, EncodedSnapshot, Envelope, EventData } from './cell.ts'
import type { JournalEntry } from './journal.ts'
import type { EffectStatus } from './status.ts'

export type RunStatus = 'running' | 'suspended' | 'limited' | 'interrupted' | 'succeeded' | 'failed' | 'canceled' | 'quarantined'

export interface RunRow {
  readonly run: string
  readonly name: string | null
  /** The folder where the command was typed; `--last` looks here. */
  readonly project: string | null
  readonly status: RunStatus
  /** Why it stands where it stands: an error, or null. */
  readonly reason: ErrorData | null
  readonly tree: Json
  readonly input: Json
  /** Limits as given at the start: tokens, deadline on the run clock. */
  readonly limits: { readonly tokensMax: number | null; readonly deadlineAt: number | null }
  /** Anything the program wants back at resume, e.g. the task file. */
  readonly meta: Json
  readonly output: Json
  readonly createdAt: number
  readonly endedAt: number | null
  readonly epoch: number
  readonly owner: { readonly pid: number; readonly host: string; readonly startedAt: number } | null
  /** Highest journal position and its hash. */
  readonly position: number
  readonly hash: string
  /** Run clock and wall clock at the last commit, milliseconds. */
  readonly clock: { readonly runMs: number; readonly wallMs: number }
  readonly counters: { readonly seq: number; readonly effects: number; readonly timers: number }
}

/** A cell: one life of one address. */
export interface CellRow {
  readonly address: Address
  readonly incarnation: Incarnation
  readonly machine: string
  readonly version: string
  readonly parent: ActorRef | null
  /** Its id among its parent's or supervisor's children. */
  readonly id: string
  /** Started by a supervisor, not by XState. */
  readonly supervised: boolean
  /** `starting`: no snapshot yet. `ended`: this life is over, its supervisor decides. `gone`: the address has ended for good; not part of the image. */
  readonly status: 'starting' | 'active' | 'ended' | 'gone'
  /** The first incarnation whose timers, effects and children are this life's too: a restart from the checkpoint keeps it. */
  readonly since: Incarnation
  readonly sync: boolean
  readonly readyTag: string | null
  /** Has its supervisor been told that it is ready? */
  readonly ready: boolean
  readonly input: Json | undefined
  readonly children: readonly ChildLink[]
  readonly nextId: number
  /** System ids that this cell's children hold; the registry is their union. */
  readonly systemIds: Readonly<Record<string, ActorRef>>
  readonly exit: Json
}

export interface TimerRow {
  /** Unique in its run. */
  readonly timer: number
  readonly owner: Address
  readonly incarnation: Incarnation
  readonly id: string
  readonly to: Address
  /** The life that its event is for, where it is for one alone: an own child. */
  readonly life: Incarnation | null
  readonly event: EventData
  /** Run clock, milliseconds. */
  readonly dueAt: number
  /** What fires: an event, the end of an ask, the end of an ordered stop, an effect's next attempt. */
  readonly kind: 'event' | 'ask' | 'stop'
  readonly cause: number | null
}

export interface EffectRow {
  /** `e12`. */
  readonly id: string
  readonly owner: Address
  readonly incarnation: Incarnation
  /** Id of the invoke, and which invocation. */
  readonly invoke: string
  readonly invocation: Incarnation
  readonly src: string
  readonly kind: string
  readonly input: Json
  readonly policy: RepeatPolicy
  readonly timeoutMs: number | null
  readonly retry: RetryPolicy
  readonly reserve: Reserve | null
  readonly answer: boolean
  readonly status: EffectStatus
  /** 0 while owed. */
  readonly attempt: number
  /** Run clock at which the current attempt started. */
  readonly startedAt: number | null
  /** Run clock at which the next attempt starts: the current one ended in a failure that may be tried again. */
  readonly nextAt: number | null
  readonly output: Json | undefined
  readonly error: ErrorData | null
  readonly usage: Usage | null
  /** What a probe said, in words. */
  readonly evidence: string | null
  readonly cause: number | null
}

/** An actor or a caller outside that waits for an answer. */
export interface AskRow {
  /** Unique in its run. The answer is addressed to `/@ask/<ask>`. */
  readonly ask: number
  /** Null: the caller is outside, in the process that owned the run. */
  readonly asker: ActorRef | null
  readonly id: string
  readonly to: Address
  readonly timer: number | null
}

/** A request from another process (`troupe send`, `approve`, `cancel`), taken up by the owner. */
export interface RequestRow {
  readonly request: number
  readonly kind: 'send' | 'cancel' | 'settle'
  readonly data: Json
}

/** What one commit writes. Upserts carry whole rows; the store keeps births and deaths by `position`. */
export interface Commit {
  readonly run: string
  readonly epoch: number
  /** Position before this commit; another value in the store is a lost race. */
  readonly expectedPosition: number
  readonly journal: readonly JournalEntry[]
  readonly cells: readonly CellRow[]
  readonly snapshots: readonly {
    readonly address: Address
    readonly incarnation: Incarnation
    readonly snapshot: EncodedSnapshot
    readonly born: number
  }[]
  readonly envelopesAdded: readonly { readonly envelope: Envelope; readonly born: number }[]
  readonly envelopesDone: readonly { readonly seq: number; readonly died: number; readonly outcome: EnvelopeOutcome }[]
  readonly timersSet: readonly { readonly timer: TimerRow; readonly born: number }[]
  readonly timersDone: readonly { readonly timer: number; readonly died: number }[]
  readonly effects: readonly { readonly effect: EffectRow; readonly changed: number }[]
  readonly asksAdded: readonly { readonly ask: AskRow; readonly born: number }[]
  readonly asksDone: readonly { readonly ask: number; readonly died: number }[]
  readonly threadAppends: readonly { readonly thread: string; readonly items: readonly string[]; readonly born: number }[]
  readonly requestsDone: readonly number[]
  readonly clock: RunRow['clock']
  readonly counters: RunRow['counters']
  /** Changes of the run's own row, when there are any. */
  readonly run_: Partial<Pick<RunRow, 'status' | 'reason' | 'output' | 'endedAt' | 'limits' | 'owner'>> | null
}
/** `buried`: the address ended, or the event crashed its actor (a dead letter). `stale`: it was for a life that is over. */
export type EnvelopeOutcome = 'consumed' | 'buried' | 'stale' | 'cleared'

/** Everything that a live tree is rebuilt from; snapshots are loaded when an actor is first needed. */
export interface Image {
  readonly run: RunRow
  /** The newest life of every address that is not `gone`. */
  readonly cells: readonly CellRow[]
  readonly envelopes: readonly Envelope[]
  readonly timers: readonly TimerRow[]
  /** All effects that are open. */
  readonly effects: readonly EffectRow[]
  readonly asks: readonly AskRow[]
}

export interface RunFilter {
  readonly project?: string | undefined
  readonly status?: readonly RunStatus[] | undefined
  readonly limit?: number | undefined
}

export interface Store {
  /** `~/.troupe/troupe.db`, or `:memory:`. */
  readonly path: string
  createRun(row: RunRow, first: Omit<Commit, 'run' | 'epoch' | 'expectedPosition'>): void
  /**
   * Takes ownership: holds the run's lock file until {@link Owned.release}, and raises the epoch.
   * @throws {UserError} `E_RUN_OWNED` when a live process holds it; `E_RUN_NOT_FOUND`.
   */
  own(run: string, owner: NonNullable<RunRow['owner']>, options?: { takeOver?: boolean }): Owned
  /** Is the owner of this run alive? True also for the process that asks. */
  isOwned(run: string): boolean
  run(run: string): RunRow | null
  /** Newest first. */
  runs(filter?: RunFilter): readonly RunRow[]
  /** Entries with `since < pos`, in order, at most `limit` (default 1000). */
  journal(run: string, since: number, limit?: number): readonly JournalEntry[]
  image(run: string): Image
  snapshot(run: string, address: Address, incarnation: Incarnation): EncodedSnapshot | null
  effects(run: string): readonly EffectRow[]
  thread(run: string, thread: string, from?: number): readonly Json[]
  /** Adds a request for the owner; durable when it returns. */
  request(run: string, kind: RequestRow['kind'], data: Json): number
  requests(run: string): readonly RequestRow[]
  close(): void
}

/** The right to commit to a run, while the lock is held and nobody has raised the epoch. */
export interface Owned {
  readonly run: string
  readonly epoch: number
  /** @throws {Defect} `E_LEASE_LOST` when another owner holds a later epoch; nothing is written. @throws {UserError} `E_STORE_FULL`, `E_STORE_BUSY`, `E_STORE_IO`. */
  commit(commit: Commit): void
  /** Throws `E_LEASE_LOST` like a commit would, and writes nothing: asked before an effect starts. */
  check(): void
  release(): void
}
