/**
 * The store port of `engines/local`: runs, and per run the rows that a commit changes together.
 * Rows have a birth and, where they end, a death: journal positions. Nothing is deleted but by retention.
 * A commit is all or nothing; until it returns nothing of it has happened, once it returns it survives power loss.
 */
import type { Deadlines, RepeatPolicy, Reserve, RetryPolicy, Usage } from '../effect.ts'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { ActorLimits, Address, HealthSpec, Incarnation, Restart } from '../protocol.ts'
import type { ActorRef, ChildLink, EncodedSnapshot, Envelope, EventData } from './cell.ts'
import type { JournalEntry } from './journal.ts'
import type { CrashWindow } from './quarantine.ts'
import type { Spending } from './spending.ts'
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
  /** Limits as given at the start, or raised since: budget, deadline on the run clock; and the crashes of its process, once there is one or where the start says how many. */
  readonly limits: RunLimits
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

/** Limits of a run as they are now. Absent: there is none. */
export interface RunLimits {
  readonly tokensMax: number | null
  /** USD. */
  readonly usdMax?: number | undefined
  readonly turnsMax?: number | undefined
  /** What becomes of a call that does not fit the run's budget. Default: it fails. */
  readonly whenReached?: 'hold' | undefined
  /** What the run has been charged with, once there is a budget to compare it with. */
  readonly spent?: Spending | undefined
  readonly deadlineAt: number | null
  readonly crashes?: CrashWindow
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
  /** It has finished and its supervisor keeps its spec: nobody is there until it is started again. */
  readonly retired?: true | undefined
  readonly restart?: Restart | undefined
  readonly health?: HealthSpec | false | undefined
  readonly limits?: ActorLimits | undefined
  /** Where `limits` has a budget: what it and all below it have been charged with, in all lives of its address. */
  readonly spent?: Spending | undefined
  /** What a judge of its health remembers over a crash: see health.ts. */
  readonly judged?: Json | undefined
  /** Where `limits` bound the rate: when the children of the last minute were started, on the run clock. */
  readonly starts?: readonly number[] | undefined
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
  /** What fires: an event, the end of an ask, the end of an ordered stop, the deadline of its owner's life. */
  readonly kind: 'event' | 'ask' | 'stop' | 'deadline'
  /** Of an `after` whose state says what happens to it while nobody runs: see downtime.ts. Absent: its deadline is absolute. */
  readonly policy?: 'remaining' | 'restart' | undefined
  /** How long it was set for; of one with a `policy`. */
  readonly delayMs?: number | undefined
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
  readonly deadlines?: Deadlines | undefined
  /** Run clock at which its total deadline passes. */
  readonly totalAt?: number | undefined
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
  /** What budgets are charged with for it, where it is not just what `usage` says: see spending.ts. */
  readonly charged?: Spending | undefined
  /** Attempts of which nobody knows what they have used; each is charged with its worst case. */
  readonly lost?: number | undefined
  /** The attempt that was cut off by a stop and whose usage is on record all the same. */
  readonly heard?: number | undefined
  /** It waits for its budget to be raised, and holds nothing of it. */
  readonly held?: true | undefined
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

/** A machine as a run knew it: what a resume compares the registered one with. */
export interface MachineRow {
  readonly name: string
  readonly version: string
  /** What of it a stored snapshot rests on: states, delays, invokes. See versions.ts. */
  readonly definition: Json
}

/** What one commit writes. Upserts carry whole rows; the store keeps births and deaths by `position`. */
export interface Commit {
  readonly run: string
  readonly epoch: number
  /** Position before this commit; another value in the store is a lost race. */
  readonly expectedPosition: number
  readonly journal: readonly JournalEntry[]
  /** Versions of cells in the order in which they came to be. `born`: the position at which the row became so; absent: the commit's last. */
  readonly cells: readonly (CellRow & { readonly born?: number })[]
  /** One for each step that changed one. `born` is the position of an entry of this commit, and no two have the same. */
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
  /** Machines that this commit uses first, or in another version than before. */
  readonly machines?: readonly MachineRow[]
  readonly clock: RunRow['clock']
  readonly counters: RunRow['counters']
  /** Changes of the run's own row, when there are any. */
  readonly run_: Partial<Pick<RunRow, 'status' | 'reason' | 'output' | 'endedAt' | 'limits' | 'owner'>> | null
}
/** `buried`: the address ended, or the event crashed its actor (a dead letter). `stale`: it was for a life that is over. */
export type EnvelopeOutcome = 'consumed' | 'buried' | 'stale' | 'cleared'

/** Everything that a live tree is rebuilt from at once. Cells and their snapshots are loaded when an actor is first needed: an idle one costs nothing. */
export interface Image {
  readonly run: RunRow
  /** Who holds which system id. */
  readonly systemIds: Readonly<Record<string, ActorRef>>
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

/** One stored snapshot of an actor, without its content. */
export interface SnapshotVersion {
  readonly position: number
  readonly incarnation: Incarnation
  /** Wall clock of its step, milliseconds. */
  readonly at: number
  readonly hash: string
}

/** What a check of a store, or of one run in it, found. */
export interface CheckReport {
  readonly path: string
  /** Whether every row and page was looked at, and not only what a resume looks at. */
  readonly deep: boolean
  readonly runs: number
  readonly entries: number
  readonly blobs: number
  /** In words, with the run and the first position or address concerned. Empty: whole. */
  readonly findings: readonly {
    readonly run: string | null
    readonly code: string
    readonly what: string
    readonly position: number | null
  }[]
}

/**
 * Reads take an optional `at`: then they answer as they did when the journal ended at that position. Positions after the end are the end; the cost
 * depends on what there was by then, not on what came later.
 */
export interface Store {
  /** `~/.troupe/troupe.db`, or `:memory:`. */
  readonly path: string
  /**
   * @throws {UserError} `E_RUN_EXISTS`. @throws {Defect} `E_RUN_ID`; `E_NOT_JSON` for a name or project that is neither text nor null, and for what JSON
   * cannot hold. Then there is no run.
   */
  createRun(row: RunRow, first: Omit<Commit, 'run' | 'epoch' | 'expectedPosition'>): void
  /**
   * Takes ownership: holds the run's lock file until {@link Owned.release}, verifies what a resume rests on, and raises the epoch.
   * @throws {UserError} `E_RUN_OWNED` when a live process holds it; `E_RUN_NOT_FOUND`; `E_STORE_DAMAGED` and `E_STORE_TAIL_LOST` when what is stored is
   * not what was committed. Then nothing is changed.
   */
  own(run: string, owner: NonNullable<RunRow['owner']>, options?: { takeOver?: boolean }): Owned
  /** Is the owner of this run alive? True also for the process that asks. */
  isOwned(run: string): boolean
  /** @throws {UserError} `E_STORE_DAMAGED` where its row is not what was written. */
  run(run: string): RunRow | null
  /** Newest first. @throws {UserError} `E_STORE_DAMAGED` where one of them is damaged: left out, it would seem never to have been. The others can still be had by their ids. */
  runs(filter?: RunFilter): readonly RunRow[]
  /** Entries with `since < pos`, in order, at most `limit` (default 1000). Entries before the anchor of a pruned run are gone. */
  journal(run: string, since: number, limit?: number): readonly JournalEntry[]
  /** Last position of the commit that wrote this one. Positions inside a commit were never a resting state. */
  commitEnd(run: string, position: number): number
  /** What is open in a run. @throws {UserError} `E_RUN_NOT_FOUND`; `E_POSITION_PRUNED` for an `at` before the anchor. */
  image(run: string, at?: number): Image
  /** All live cells, by address. */
  cells(run: string, at?: number): readonly CellRow[]
  /** The newest life of an address, or null where it is gone or never was. */
  cell(run: string, address: Address, at?: number): CellRow | null
  /** Addresses of the live cells whose parent lives at this address, in order of address. */
  children(run: string, address: Address): readonly Address[]
  /** @throws {Defect} `E_SNAPSHOT_DAMAGED` with `position` where the stored one is not what was committed. */
  snapshot(run: string, address: Address, incarnation: Incarnation, at?: number): EncodedSnapshot | null
  /** Stored snapshots of an address, newest first: those before position `before` (default: all), at most `limit` (default 100). */
  snapshots(run: string, address: Address, options?: { before?: number; limit?: number }): readonly SnapshotVersion[]
  effects(run: string, at?: number): readonly EffectRow[]
  thread(run: string, thread: string, from?: number, at?: number): readonly Json[]
  /** The newest row of each machine that the run has used, and how many of its live cells use it in which version. */
  machines(run: string): readonly (MachineRow & { readonly cells: number })[]
  /** Adds a request for the owner; durable when it returns. */
  request(run: string, kind: RequestRow['kind'], data: Json): number
  requests(run: string): readonly RequestRow[]
  /**
   * Forgets the history of a run up to a position: its entries, and the rows that were dead by then. What is open is kept, numbering goes on, and the
   * hash before the first kept entry stays as an anchor. @throws {UserError} `E_RUN_OWNED`.
   */
  prune(run: string, before: number): void
  /** Deletes a run with everything that only it used. Unknown runs are no error. @throws {UserError} `E_RUN_OWNED`. */
  remove(run: string): void
  /** Writes a consistent copy while runs go on. @throws {UserError} `E_FILE_EXISTS`, `E_STORE_FULL`. */
  backup(file: string): Promise<void>
  /** @param options.deep  reads everything. Default: what a resume of each run would look at. */
  check(options?: { deep?: boolean; run?: string }): CheckReport
  /** Idempotent. Releases what was owned. */
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
