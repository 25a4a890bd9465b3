/** One random simulation: a tree, what is sent to it, how often what goes wrong, and how many steps a commit holds. All of it from one seed. */
import { type Arbitrary, constant, constantFrom, integer, oneof, option, record, sample } from 'fast-check'
import { parseSupervisor } from '../../src/machines/childspec.ts'
import type { Strategy, SupervisorSpec } from '../../src/protocol.ts'
import { eventsFor, type Places, trees } from '../../src/testing/arbitraries.ts'
import type { Faults } from '../../src/testing/faults.ts'
import type { Planted } from '../../src/testing/process.ts'
import type { SimulationReport } from '../../src/testing/report.ts'
import { type SimulatedEvent, simulatePlanted } from '../../src/testing/simulate.ts'
import { type Command, handlers, worker } from './worker.ts'

export interface Scenario {
  readonly tree: SupervisorSpec
  readonly events: readonly SimulatedEvent[]
  readonly faults: Faults
  readonly turnStepsMax: number
}

function accepts(spec: object): boolean {
  try {
    parseSupervisor(spec)
    return true
  } catch {
    return false
  }
}

const child = { id: 'a', src: 'worker' }
/** What child specs can say by now. */
const ACCEPTED = {
  strategies: (['one_for_one', 'one_for_all', 'rest_for_one'] as const).filter((strategy: Strategy) =>
    accepts({ id: 's', strategy, children: [child] }),
  ),
  dynamic: accepts({ id: 's', children: [{ id: 'p', dynamic: { src: 'worker' } }] }),
  backoff: accepts({ id: 's', backoff: { baseMs: 10 }, children: [child] }),
}

const commands = ({ workers }: Places): Arbitrary<Command> =>
  oneof(
    { weight: 10, arbitrary: constantFrom<Command>({ type: 'count' }, { type: 'work' }, { type: 'write' }, { type: 'rest' }) },
    { weight: 4, arbitrary: constantFrom<Command>({ type: 'spawn' }, { type: 'poke' }, { type: 'break' }, { type: 'cancel' }) },
    { weight: 2, arbitrary: integer({ min: 0, max: 5_000 }).map((ms): Command => ({ type: 'later', ms })) },
    { weight: 2, arbitrary: constantFrom(...(workers.length === 0 ? ['/root'] : workers)).map((to): Command => ({ type: 'ask', to })) },
    { weight: 2, arbitrary: constantFrom<Command>({ type: 'crash' }, { type: 'hang' }) },
    { weight: 1, arbitrary: constantFrom<Command>({ type: 'finish' }, { type: 'count' }) },
  )

const rate = (most: number): Arbitrary<number> =>
  oneof(
    constant(0),
    integer({ min: 1, max: 1000 }).map((n) => (n * most) / 1000),
  )

const faults: Arbitrary<Faults> = record({
  crashActor: rate(0.02),
  crashSupervisor: rate(0.005),
  crashProcess: rate(0.03),
  failEffect: rate(0.2),
  delayEffect: record({ rate: rate(0.5), maxMs: integer({ min: 1, max: 8_000 }) }),
  failCommit: rate(0.01),
})

export interface Size {
  readonly min: number
  readonly max: number
  /** Longest pause between two events, milliseconds. */
  readonly gapMs: number
}

/** @param size  how many events, and how far apart. */
export function scenarios(size: Size): Arbitrary<Scenario> {
  const input = option(constantFrom({ manner: 'plain' }, { manner: 'slow' }, { manner: 'deaf' }), { nil: undefined })
  return trees({ workers: ['worker'], input, ...ACCEPTED }).chain((tree) =>
    record({
      tree: constant(tree),
      events: eventsFor(tree, { event: commands, ...size }),
      faults,
      turnStepsMax: constantFrom(256, 256, 3, 1),
    }),
  )
}

/** The scenario of a seed. */
export function scenarioOf(seed: number, size: Size): Scenario {
  const [scenario] = sample(scenarios(size), { seed, numRuns: 1 })
  return scenario!
}

/** Plays it, with a bug planted where one is given. */
export function play({ tree, ...scenario }: Scenario, seed: number, planted: Planted = {}): Promise<SimulationReport> {
  return simulatePlanted(tree, { seed, machines: { worker }, effects: handlers(), boundMs: 120_000, ...scenario }, planted)
}
