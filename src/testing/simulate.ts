/**
 * A whole run in memory, from one seed: what is sent when, who is next, which step crashes, where the process dies. No time passes but the simulated one.
 *
 *   event -> (time passes: turns, effects, timers; a death: another process resumes) -> event -> ... -> faults stop -> shutdown -> ended
 *                     whenever nothing is ready: the invariants
 *
 * Two calls with the same arguments give the same report, as long as machines and handlers use no other clock, randomness or I/O.
 */
import type { TroupeOptions } from '../actors/troupe.ts'
import type { Json } from '../json.ts'
import { type Budget, isRefusedFromOutside, SHUTDOWN_EVENT, type TreeSpec } from '../protocol.ts'
import type { EventData } from '../runtime/cell.ts'
import type { Clock } from '../runtime/clock.ts'
import type { CellView, RunSession } from '../runtime/engine.ts'
import type { Machines } from '../runtime/registry.ts'
import { sharedMemory } from '../runtime/stores/memory.ts'
import { Chance } from './chance.ts'
import { FaultPlan, type Faults } from './faults.ts'
import { Performances } from './invariants/effects.ts'
import { Leases } from './invariants/leases.ts'
import { Lives } from './invariants/lives.ts'
import { Mail } from './invariants/mail.ts'
import { TimerDeadlines } from './invariants/timers.ts'
import { RestartWindows } from './invariants/windows.ts'
import { type Planted, type ProcessParts, SimulatedProcess } from './process.ts'
import { Broken, type Fact, Recording } from './record.ts'
import { canonical, failureOf, type SimulationReport } from './report.ts'
import { Scheduler } from './scheduler.ts'

export interface SimulatedEvent {
  readonly to: string
  readonly event: EventData
  /** Milliseconds after the event before. */
  readonly afterMs: number
}

/** What your own invariants look at. */
export interface SimulatedWorld {
  readonly nowMs: number
  /** The journal so far. */
  readonly facts: readonly Fact[]
  tree(): CellView
  snapshot(address: string): ReturnType<RunSession['snapshot']>
}

export interface SimulateOptions<M extends Machines> {
  readonly seed: number
  readonly machines: M
  /** Handlers, or what makes them for a process with this clock: a handler that waits must wait on it. */
  readonly effects?: TroupeOptions<M>['effects'] | ((clock: Clock) => TroupeOptions<M>['effects'])
  /** How many events, drawn by the seed from what the machines of living actors take; or which. Default 100. */
  readonly events?: number | readonly SimulatedEvent[]
  readonly faults?: Faults
  /** Time that the run has to end in once faults have stopped, milliseconds. Default 600 000. */
  readonly boundMs?: number
  /** `shutdown`: the root is told to stop then; `itself`: the tree must end without it. Default `shutdown`. */
  readonly ends?: 'shutdown' | 'itself'
  readonly input?: Json
  /** What the whole tree may use. */
  readonly budget?: Budget
  readonly turnStepsMax?: number
  /** Called whenever nothing moves; what it throws is a failure of the simulation. Slow: it is called often. */
  readonly invariants?: (world: SimulatedWorld) => void
}

/** Longest pause between two drawn events, milliseconds. */
const GAP_MS_MAX = 1_000
const RUN = 'SIMULATED'

/**
 * Simulates one run of a tree. Never rejects for what it finds: see `failure` in the report.
 * @throws {Defect} `E_TREE_INVALID`. @throws {UserError} `E_MACHINE_INVALID`.
 */
export function simulate<const M extends Machines>(tree: TreeSpec, options: SimulateOptions<M>): Promise<SimulationReport> {
  return simulatePlanted(tree, options, {})
}

/** As {@link simulate}, with a bug planted: for tests of the simulation. */
export function simulatePlanted<const M extends Machines>(
  tree: TreeSpec,
  options: SimulateOptions<M>,
  planted: Planted,
): Promise<SimulationReport> {
  return new Simulation(tree, options as unknown as SimulateOptions<Machines>, planted).run()
}

class Simulation {
  readonly #tree: TreeSpec
  readonly #options: SimulateOptions<Machines>
  readonly #scheduler: Scheduler
  readonly #plan: FaultPlan
  readonly #recording: Recording
  readonly #parts: ProcessParts
  readonly #events: Chance
  #process: SimulatedProcess
  #sent = 0
  #accepted = 0

  constructor(tree: TreeSpec, options: SimulateOptions<Machines>, planted: Planted) {
    const { seed, machines, effects } = options
    this.#tree = tree
    this.#options = options
    this.#scheduler = new Scheduler(seed)
    this.#plan = new FaultPlan(seed, options.faults ?? {})
    this.#events = new Chance(seed, 'events')
    const performances = new Performances()
    const leases = new Leases(options.budget)
    this.#recording = new Recording([new Mail(), new TimerDeadlines(), performances, leases, new Lives(), new RestartWindows(tree)])
    this.#parts = {
      scheduler: this.#scheduler,
      memory: sharedMemory(),
      plan: this.#plan,
      recording: this.#recording,
      performances,
      leases,
      planted,
      turnStepsMax: options.turnStepsMax ?? 256,
      machines,
      effects: typeof effects === 'function' ? effects : () => effects,
    }
    this.#process = new SimulatedProcess(this.#parts)
  }

  async run(): Promise<SimulationReport> {
    const { troupe } = this.#process
    const { input, budget } = this.#options
    // It is the simulation that kills the process, and not the run.
    const options = {
      id: RUN,
      quarantine: false as const,
      ...(input === undefined ? {} : { input }),
      ...(budget === undefined ? {} : { budget }),
    }
    this.#process.host(await this.#scheduler.drive(troupe.start(this.#tree, options)))
    try {
      await this.#play()
      await this.#finish()
      this.#check()
    } catch (error) {
      const other = new Broken('the run goes on whatever happens', String((error as Error)?.stack ?? error))
      this.#recording.broken ??= error instanceof Broken ? error : other
    }
    return this.#report()
  }

  async #play(): Promise<void> {
    const { events = 100 } = this.#options
    const count = typeof events === 'number' ? events : events.length
    for (let n = 0; n < count && !this.#isEnded(); n++) {
      const given = typeof events === 'number' ? undefined : events[n]
      await this.#pass(given?.afterMs ?? this.#events.below(GAP_MS_MAX))
      const next = given ?? this.#drawn()
      if (next === undefined || this.#isEnded()) continue
      await this.#send(next.to, next.event)
      this.#sent++
    }
  }

  /** Faults stop, the root is told to end, and then it has its time. */
  async #finish(): Promise<void> {
    const { until = this.#scheduler.nowMs } = this.#options.faults ?? {}
    await this.#pass(until - this.#scheduler.nowMs)
    this.#plan.untilMs = Math.min(this.#plan.untilMs, this.#scheduler.nowMs)
    await this.#pass(0)
    if (this.#options.ends !== 'itself' && !this.#isEnded()) await this.#send(`/${this.#tree.id}`, { type: SHUTDOWN_EVENT })
    const { boundMs = 600_000 } = this.#options
    await this.#pass(boundMs)
    if (!this.#isEnded())
      throw new Broken('the run ends once faults have stopped', `after ${boundMs} ms it still runs: ${this.#standing()}`)
  }

  /** Time passes, whoever dies in it. */
  async #pass(ms: number): Promise<void> {
    const untilMs = this.#scheduler.nowMs + Math.max(0, ms)
    for (;;) {
      if (!this.#isEnded() && this.#process.result === null)
        await this.#scheduler.runUntil(
          untilMs,
          () => this.#isInterrupted(),
          () => this.#quiet(),
        )
      else await this.#scheduler.runUntil(this.#isEnded() ? 0 : untilMs)
      this.#stopIfBroken()
      if (!this.#process.isDead && this.#process.lost === null) return
      await this.#revive()
    }
  }

  #isInterrupted(): boolean {
    return this.#process.isOver || this.#recording.broken !== null
  }

  /** The process has died, or a commit has failed, or the run rests: another life of it. */
  async #revive(): Promise<void> {
    const { isDead, lost } = this.#process
    if (isDead) {
      await this.#scheduler.runUntil(this.#scheduler.nowMs + this.#plan.downMs())
      this.#process = new SimulatedProcess(this.#parts)
    } else if (lost !== null && (lost as { code?: string }).code !== 'E_STORE_IO') throw lost
    const process = this.#process
    process.host(await this.#scheduler.drive(process.troupe.resume(RUN)))
  }

  async #send(to: string, event: EventData): Promise<void> {
    if (this.#process.isOver) await this.#revive()
    const accepted = ({ position }: { position: number }): void => {
      this.#accepted++
      this.#recording.acknowledged(position)
    }
    // Refused, or not acknowledged by a process that died: both are answers.
    this.#process.session?.send(to, event).then(accepted, () => {})
  }

  #drawn(): Pick<SimulatedEvent, 'to' | 'event'> | undefined {
    const actor = this.#events.of(this.#process.actors())
    if (actor === undefined) return undefined
    const types = (this.#options.machines[actor.machine]?.events ?? []) as readonly string[]
    const type = this.#events.of(types.filter((name) => !isRefusedFromOutside(name) && !name.includes('*')))
    return type === undefined ? undefined : { to: actor.address, event: { type } }
  }

  /** Whether nothing can follow. A run that is suspended can go on. */
  #isEnded(): boolean {
    const { result } = this.#process
    return result !== null && result.status !== 'suspended' && result.status !== 'interrupted'
  }

  #quiet(): void {
    const { session, isOver } = this.#process
    if (isOver || session === null) return
    const process = this.#process
    this.#recording.quiet({ runMs: this.#scheduler.nowMs, cells: this.#recording.cells, waiting: () => process.waiting(RUN) })
    this.#stopIfBroken()
    const { invariants } = this.#options
    if (invariants === undefined) return
    const world = {
      nowMs: this.#scheduler.nowMs,
      facts: this.#recording.facts,
      tree: () => session.tree(),
      snapshot: (address: string) => session.snapshot(address),
    }
    this.#recording.look(() => own(() => invariants(world)))
    this.#stopIfBroken()
  }

  #stopIfBroken(): void {
    if (this.#recording.broken !== null) throw this.#recording.broken
  }

  /** What the store itself finds, after everything. */
  #check(): void {
    this.#recording.quiet({ runMs: this.#scheduler.nowMs, cells: this.#recording.cells, waiting: () => this.#process.waiting(RUN) })
    this.#stopIfBroken()
    const [finding] = this.#process.store.check({ deep: true }).findings
    if (finding !== undefined) throw new Broken('the store is whole', `${finding.code} at ${finding.position}: ${finding.what}`)
  }

  #standing(): string {
    return [...this.#recording.cells.values()].map((row) => `${row.address} ${row.status}`).join(', ')
  }

  #report(): SimulationReport {
    const { facts, broken, steps } = this.#recording
    const { seed } = this.#options
    const at = this.#scheduler.nowMs
    return {
      seed,
      events: this.#sent,
      accepted: this.#accepted,
      steps,
      restarts: facts.filter(({ type }) => type === 'actor.restarted').length,
      ...this.#plan.counts,
      simulatedMs: at,
      ended: this.#isEnded() ? this.#process.result : null,
      journal: canonical(facts),
      failure: broken === null ? null : failureOf(broken, seed, at, facts),
    }
  }
}

function own(check: () => void): void {
  try {
    check()
  } catch (error) {
    throw new Broken('an invariant of yours', error instanceof Error ? error.message : String(error))
  }
}
