/**
 * Faults, between the engine and what it stands on. Each is decided by the seed and by what it happens to, never by the order of questions: a step that is taken
 * again crashes again, and an effect that is tried again may succeed.
 *
 *   engine -> faulty host -> your machines and handlers        an actor crashes, an effect fails, is slow, or is done and its answer lost
 *          -> faulty store -> memory                           the process dies before or after a commit, a commit fails
 */
import { type EffectCall, type EffectHandler, Failure, type Usage } from '../effect.ts'
import { Defect, UserError } from '../errors.ts'
import { isSupervisor } from '../protocol.ts'
import type { StepInput } from '../runtime/cell.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Host } from '../runtime/engine.ts'
import { step } from '../runtime/step.ts'
import type { EffectRow } from '../runtime/store.ts'
import { chanceOf } from './chance.ts'
import type { Performances } from './invariants/effects.ts'
import type { Leases } from './invariants/leases.ts'
import type { Recording } from './record.ts'

/** How often what goes wrong. Rates are from 0, never, to 1, always. Left out: never. */
export interface Faults {
  /** Steps of actors that throw `E_SIMULATED` instead. Supervisors are spared. */
  readonly crashActor?: number
  /** The same for supervisors below the root. */
  readonly crashSupervisor?: number
  /** Commits at which the process dies, one half before they reach the store and one half after. It is started again within a second. */
  readonly crashProcess?: number
  /** Attempts of effects that fail with `E_SIMULATED`, retry `backoff`: one half before they are performed, one half after. */
  readonly failEffect?: number
  /** Attempts of effects that take up to `maxMs` longer. */
  readonly delayEffect?: { readonly rate: number; readonly maxMs: number }
  /** Commits that fail with `E_STORE_IO`. */
  readonly failCommit?: number
  /** No fault from here on, milliseconds since the start. Default: when the last event has been sent. */
  readonly until?: number
}

/** What is thrown from a commit at which the process dies. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied'
}

/** Counted over a whole simulation. */
export interface FaultCounts {
  crashes: number
  failedCommits: number
  deaths: number
}

/** What a simulation decides about faults. */
export class FaultPlan {
  readonly counts: FaultCounts = { crashes: 0, failedCommits: 0, deaths: 0 }
  untilMs: number
  readonly #seed: number
  readonly #faults: Faults
  #commits = 0

  constructor(seed: number, faults: Faults) {
    this.#seed = seed
    this.#faults = faults
    this.untilMs = faults.until ?? Number.POSITIVE_INFINITY
  }

  crashes({ address, machine, envelope, now }: StepInput): boolean {
    const isRoot = address.lastIndexOf('/') === 0
    const rate = isSupervisor(machine) ? (isRoot ? 0 : this.#faults.crashSupervisor) : this.#faults.crashActor
    return this.#happens(rate, now, 'crash', address, envelope.seq)
  }

  /** What becomes of the next commit. */
  fate(nowMs: number): 'dies before' | 'dies after' | 'fails' | null {
    const commit = ++this.#commits
    if (this.#happens(this.#faults.crashProcess, nowMs, 'death', commit))
      return chanceOf(this.#seed, 'side', commit) < 0.5 ? 'dies before' : 'dies after'
    return this.#happens(this.#faults.failCommit, nowMs, 'commit', commit) ? 'fails' : null
  }

  failure(row: EffectRow, nowMs: number): 'before' | 'after' | null {
    if (!this.#happens(this.#faults.failEffect, nowMs, 'effect', row.id, row.attempt)) return null
    return chanceOf(this.#seed, 'effect side', row.id, row.attempt) < 0.5 ? 'before' : 'after'
  }

  /** Milliseconds that an attempt takes longer. */
  delayMs(row: EffectRow, nowMs: number): number {
    const { rate = 0, maxMs = 0 } = this.#faults.delayEffect ?? {}
    if (!this.#happens(rate, nowMs, 'slow', row.id, row.attempt)) return 0
    return Math.ceil(chanceOf(this.#seed, 'delay', row.id, row.attempt) * maxMs)
  }

  /** How long the process stays away after its nth death. */
  downMs(): number {
    return Math.floor(chanceOf(this.#seed, 'down', this.counts.deaths) * 1_000)
  }

  #happens(rate: number | undefined, nowMs: number, ...what: readonly (string | number)[]): boolean {
    return rate !== undefined && rate > 0 && nowMs < this.untilMs && chanceOf(this.#seed, ...what) < rate
  }
}

interface HostParts {
  readonly plan: FaultPlan
  readonly recording: Recording
  readonly performances: Performances
  readonly leases: Leases
  readonly clock: Clock
}

/** The program with faults in its steps and effects, and somebody who notes both. */
export function faultyHost(host: Host, { plan, recording, performances, leases, clock }: HostParts): Host {
  return {
    ...host,
    step: (input) => {
      const crashes = plan.crashes(input)
      if (crashes) plan.counts.crashes++
      const result = crashes ? step(simulatedCrash, input) : host.step(input)
      recording.stepped(input, result)
      return result
    },
    handler: (row) => {
      const { declaration, handler } = host.handler(row)
      return { declaration, handler: { ...handler, perform: performer(handler) } }
    },
  }

  function performer(handler: EffectHandler<never, unknown>) {
    return async (call: EffectCall<never>): Promise<unknown> => {
      recording.look(() => performances.performed(call))
      const row = { id: call.id, attempt: call.attempt } as EffectRow
      const fails = plan.failure(row, clock.monotonicMs())
      await pause(clock, plan.delayMs(row, clock.monotonicMs()), call.signal)
      if (fails === 'before') throw simulatedFailure(call.id)
      const spent = (usage: Usage): void => {
        recording.look(() => leases.spent(call, usage))
        call.spent(usage)
      }
      const output = await handler.perform({ ...call, spent })
      if (fails === 'after') throw simulatedFailure(call.id)
      return output
    }
  }
}

function simulatedCrash(): never {
  throw new Defect('E_SIMULATED', 'the simulation crashed this step')
}

const simulatedFailure = (id: string): Failure => new Failure('E_SIMULATED', `the simulation failed ${id}`, { retry: 'backoff' })

/** Ends early, and with its reason, when the effect is aborted. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs === 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(delayMs, resolve)
    signal.addEventListener('abort', () => {
      cancel()
      reject(signal.reason)
    })
  })
}

/** What a commit fails with: a disk that says no, in one form. */
export function failedCommit(): UserError {
  return new UserError('E_STORE_IO', 'the simulation failed this commit', { where: 'store', fix: 'none: it is simulated', exit: 10 })
}
