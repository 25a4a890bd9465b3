/** One process of a simulation: a store handle on the memory that outlives it, an engine, and the run in it. It dies at a commit, or is left by a commit that failed. */
import { createTroupe, type Troupe, type TroupeOptions } from '../actors/troupe.ts'
import { isSupervisor } from '../protocol.ts'
import type { Envelope } from '../runtime/cell.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Engine, Host, Result, RunSession } from '../runtime/engine.ts'
import { localEngine } from '../runtime/engines/local.ts'
import type { Machines } from '../runtime/registry.ts'
import type { Commit, Owned, Store } from '../runtime/store.ts'
import { memoryStore, type SharedMemory } from '../runtime/stores/memory.ts'
import { type FaultPlan, failedCommit, faultyHost, ProcessDied } from './faults.ts'
import type { Performances } from './invariants/effects.ts'
import type { Leases } from './invariants/leases.ts'
import type { Recording } from './record.ts'
import type { Scheduler } from './scheduler.ts'

/** Bugs that tests plant between the engine and what it stands on, to see them found. */
export interface Planted {
  readonly host?: (host: Host) => Host
  readonly store?: (store: Store) => Store
}

export interface ProcessParts {
  readonly scheduler: Scheduler
  readonly memory: SharedMemory
  readonly plan: FaultPlan
  readonly recording: Recording
  readonly performances: Performances
  readonly leases: Leases
  readonly planted: Planted
  readonly turnStepsMax: number
  readonly machines: Machines
  readonly effects: (clock: Clock) => TroupeOptions<Machines>['effects']
}

export class SimulatedProcess {
  readonly store: Store
  readonly troupe: Troupe
  session: RunSession | null = null
  /** The run has ended, or rests. */
  result: Result | null = null
  /** Why the run was left without an end. */
  lost: unknown = null
  isDead = false
  readonly #parts: ProcessParts
  readonly #end: () => void

  constructor(parts: ProcessParts) {
    const { clock, end } = parts.scheduler.process()
    this.#parts = parts
    this.#end = end
    this.store = memoryStore(parts.memory)
    const store = (parts.planted.store ?? same)(this.#faultyStore())
    const local = localEngine({ store, clock, limits: { turnStepsMax: parts.turnStepsMax } })
    const faulty = (host: Host): Host => (parts.planted.host ?? same)(faultyHost(host, { ...parts, clock }))
    const engine: Engine = {
      ...local,
      start: (tree, host, options) => local.start(tree, faulty(host), options),
      resume: (run, host, options) => local.resume(run, faulty(host), options),
    }
    const effects = parts.effects(clock)
    this.troupe = createTroupe({ engine, machines: parts.machines, ...(effects === undefined ? {} : { effects }), reap: async () => [] })
  }

  /** Whether the run is not in here any more, for whatever reason. */
  get isOver(): boolean {
    return this.isDead || this.result !== null || this.lost !== null
  }

  /** From now on the run is in here. */
  host(session: RunSession): void {
    this.session = session
    this.result = null
    this.lost = null
    session.done().then(
      (result) => {
        this.result = result
      },
      (error: unknown) => {
        this.lost = error ?? new Error('lost')
      },
    )
  }

  /** Living actors that are no supervisors. */
  actors(): { readonly address: string; readonly machine: string }[] {
    const rows = [...this.#parts.recording.cells.values()]
    return rows.filter((row) => row.status === 'active' && row.supervised && !isSupervisor(row.machine))
  }

  waiting(run: string): readonly Envelope[] {
    return this.store.image(run).envelopes
  }

  #die(): never {
    this.isDead = true
    this.#parts.plan.counts.deaths++
    this.#end()
    this.store.close()
    throw new ProcessDied('the process has died')
  }

  #faultyStore(): Store {
    const inner = this.store
    const { recording } = this.#parts
    return {
      ...inner,
      createRun: (row, first) => {
        inner.createRun(row, first)
        recording.committed(first)
      },
      own: (run, owner, options) => this.#faultyOwned(inner.own(run, owner, options)),
    }
  }

  #faultyOwned(owned: Owned): Owned {
    const { plan, recording, scheduler } = this.#parts
    const commit = (rows: Commit): void => {
      if (this.isDead) throw new ProcessDied('the process is dead')
      const fate = plan.fate(scheduler.nowMs)
      if (fate === 'dies before') this.#die()
      if (fate === 'fails') {
        plan.counts.failedCommits++
        throw failedCommit()
      }
      owned.commit(rows)
      recording.committed(rows)
      if (fate === 'dies after') this.#die()
    }
    return { run: owned.run, epoch: owned.epoch, commit, check: () => owned.check(), release: () => owned.release() }
  }
}

const same = <T>(it: T): T => it
