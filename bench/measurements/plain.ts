/**
 * What durability costs beside none: the same machines and events under XState's createActor, under the engine with a store in memory, and with one on
 * disk. The distance between the last two is SQLite and the disk; between the first two it is everything that makes a step plain data.
 */
import { join } from 'node:path'
import type { Store } from '../../src/runtime/store.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { checkCounted, drive, runPlain, startCounters } from '../load/counters.ts'
import { meter, type Spent } from '../meter.ts'

const SHAPES = [
  { actors: 1, steps: 2_048 },
  { actors: 64, steps: 12_288 },
  { actors: 1_000, steps: 16_000 },
]

export const plain: Measurement = {
  name: 'plain',
  question: 'what does a step cost under createActor, in a store in memory, and in one on disk?',
  run: async (options) => {
    const cases: Case[] = []
    for (const shape of SHAPES) {
      const actors = shape.actors === 1 ? 1 : scaled(shape.actors, options)
      cases.push(await measured(options, { actors, steps: scaled(shape.steps, options, actors) }))
    }
    return cases
  },
}

interface Shape {
  readonly actors: number
  readonly steps: number
}

async function measured({ folder, rounds }: Options, shape: Shape): Promise<Case> {
  let files = 0
  const disk = (): Store => sqliteStore({ path: join(folder, `${shape.actors}-${shape.steps}-${++files}.db`) })
  const [none, memory, durable]: [Spent[], Spent[], Spent[]] = [[], [], []]
  await runOn(disk(), shape) // Compiled code is what is measured.
  for (let round = 0; round < (rounds ?? 9); round++) {
    none.push(await runPlain(shape))
    memory.push(await runOn(memoryStore(), shape))
    durable.push(await runOn(disk(), shape))
  }
  const perSecond = (side: readonly Spent[]): number[] => side.map(({ wallUs }) => (shape.steps / wallUs) * 1e6)
  const cpu = (side: readonly Spent[]): number[] => side.map(({ cpuUs }) => cpuUs / shape.steps)
  const ratios = durable.map((spent, round) => none[round]!.wallUs / spent.wallUs)
  return {
    name: `${shape.actors} actor${shape.actors === 1 ? '' : 's'}, ${shape.steps} steps`,
    figures: [
      figure('createActor', 'steps/s', perSecond(none)),
      figure('engine, store in memory', 'steps/s', perSecond(memory)),
      figure('engine, store on disk', 'steps/s', perSecond(durable)),
      figure('on disk to createActor', 'x', ratios),
      figure('processor a step, createActor', 'us', cpu(none)),
      figure('processor a step, store in memory', 'us', cpu(memory)),
      figure('processor a step, store on disk', 'us', cpu(durable)),
    ],
  }
}

async function runOn(store: Store, { actors, steps }: Shape): Promise<Spent> {
  const counters = await startCounters(store, actors)
  const spent = await meter(() => drive(counters, steps / actors))
  checkCounted(counters, steps / actors + 1)
  await counters.stop()
  return spent
}
