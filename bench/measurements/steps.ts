/**
 * Durable steps a second: an event from outside, a transition, the snapshot, two facts, one acknowledgement. Beside raw better-sqlite3 that writes the same
 * rows in the same transactions, and beside plain createActor.
 *
 *   sample (recorded, not counted) -> same rows? -> log size -> engine raw engine raw ... -> medians
 *
 * One actor: one send after another, so one step a commit. Many actors: one send to each is always in flight, so the engine takes many into a commit.
 */
import { join } from 'node:path'
import { atLeast, atMost, type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { runPlain } from '../load/counters.ts'
import { runRaw } from '../load/raw-side.ts'
import { bytesOf } from '../load/rows.ts'
import { checkAndWeigh, record, runEngine } from '../load/sample.ts'
import type { Spent } from '../meter.ts'

/** Steps in one commit are cheap, so more of them are taken. */
const SHAPES = [
  { actors: 1, steps: 2_048 },
  { actors: 64, steps: 12_288 },
  { actors: 1_000, steps: 16_000 },
]

export const steps: Measurement = {
  name: 'steps',
  question: 'what does a durable step of 1 KB cost beside raw better-sqlite3 that writes the same rows?',
  run: async (options) => {
    const cases: Case[] = []
    for (const shape of SHAPES) {
      if (options.actors !== null && options.actors !== shape.actors) continue
      const actors = shape.actors === 1 ? 1 : scaled(shape.actors, options)
      cases.push(await measured(options, actors, scaled(shape.steps, options, actors)))
    }
    return cases
  },
}

async function measured({ folder, rounds }: Options, actors: number, count: number): Promise<Case> {
  let files = 0
  const next = (): string => join(folder, `${actors}-${count}-${++files}.db`)
  const shape = { actors, steps: count }
  const sample = await record({ path: next(), ...shape })
  const log = await checkAndWeigh({ path: next(), ...sample })
  const [engine, raw, plain]: [Spent[], Spent[], Spent[]] = [[], [], []]
  await runEngine({ path: next(), ...shape }) // Compiled code is what is measured: the first tens of thousands of steps cost about twice as much.
  for (let round = 0; round < (rounds ?? 11); round++) {
    engine.push(await runEngine({ path: next(), ...shape }))
    raw.push(await runRaw({ path: next(), ...sample }))
    plain.push(await runPlain(shape))
  }
  const { transactions } = sample.layout
  const writes = transactions.flat()
  const perSecond = (side: readonly Spent[]): number[] => side.map(({ wallUs }) => (count / wallUs) * 1e6)
  const cpu = (side: readonly Spent[]): number[] => side.map(({ cpuUs }) => cpuUs / count)
  const ratios = engine.map((spent, round) => raw[round]!.wallUs / spent.wallUs)
  const own = engine.map((spent, round) => (spent.cpuUs - raw[round]!.cpuUs) / count)
  const load = actors === 1 ? '1 actor, sends one after another' : `${actors} actors, ${actors} sends in flight`
  return {
    name: `${load}: ${count} steps in ${transactions.length} commits`,
    figures: [
      figure('engine', 'steps/s', perSecond(engine)),
      figure('raw', 'steps/s', perSecond(raw)),
      figure('engine to raw', 'x', ratios, atLeast(0.7)),
      figure("the engine's own processor time a step", 'us', own, atMost(25)),
      figure('processor a step, engine', 'us', cpu(engine)),
      figure('processor a step, raw', 'us', cpu(raw)),
      figure('createActor, nothing stored', 'steps/s', perSecond(plain)),
      figure('rows a step', '', writes.length / count),
      figure('bytes of values a step', 'bytes', writes.reduce((sum, write) => sum + bytesOf(write), 0) / count),
      figure('bytes of log a step', 'bytes', log / count),
      figure('facts a step', '', writes.filter(({ table }) => table === 'journal').length / count),
    ],
  }
}
