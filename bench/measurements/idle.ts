/** What a parked actor holds in memory: growth from one number of actors to a larger one, after garbage collection, so what a process needs anyway is out. */
import { join } from 'node:path'
import { atMost, type Case, figure, type Measurement, type Options } from '../figure.ts'
import { inFreshProcess } from '../fresh.ts'
import type { Held, IdleInput } from '../load/idle.child.ts'

const FEW = 20_000
const MANY = 100_000
/** Who is started before the first weighing, for warmth. */
const WARM = 500
const CHILD = new URL('../load/idle.child.ts', import.meta.url)

export const idle: Measurement = {
  name: 'idle',
  question: 'how many bytes of memory does an idle parked actor hold?',
  run: async (options) => {
    const many = options.actors ?? Math.max(2_000, Math.round(MANY * options.scale))
    const few = Math.max(1_000, Math.round((many * FEW) / MANY))
    return [await underTroupe(options, few, many), await underXState(options, few)]
  },
}

async function underTroupe(options: Options, few: number, many: number): Promise<Case> {
  const rounds: Held[] = []
  for (let round = 0; round < (options.rounds ?? 1); round++) {
    const input: IdleInput = { path: join(options.folder, `idle-${round}.db`), stages: [few, many] }
    rounds.push(await inFreshProcess<Held>(CHILD, input, ['--expose-gc']))
  }
  const growth = (what: keyof Held, from: number, to: number, actors: number): number[] =>
    rounds.map((held) => (held[what][to]! - held[what][from]!) / actors)
  return {
    name: `actors of one pool, started and woken in one process: ${few}, then ${many}`,
    figures: [
      figure(`an actor, ${WARM} to ${few}`, 'bytes', growth('heap', 0, 1, few - WARM), atMost(300)),
      figure(`an actor, ${few} to ${many}`, 'bytes', growth('heap', 1, 2, many - few), atMost(300)),
      figure(`an actor, ${WARM} to ${many}, each woken once`, 'bytes', growth('heap', 0, 3, many - WARM), atMost(300)),
      figure(`an actor, ${WARM} to ${many}, of all that is resident`, 'bytes', growth('resident', 0, 3, many - WARM)),
      figure('all that is resident', 'bytes', rounds.map((held) => held.resident.at(-1)!)),
    ],
  }
}

async function underXState(options: Options, few: number): Promise<Case> {
  const samples: number[] = []
  for (let round = 0; round < (options.rounds ?? 1); round++) {
    const held = await inFreshProcess<Held>(CHILD, { path: null, stages: [few] } satisfies IdleInput, ['--expose-gc'])
    samples.push((held.heap[1]! - held.heap[0]!) / (few - WARM))
  }
  return { name: `baseline: ${few} actors under createActor, nothing stored`, figures: [figure('an actor', 'bytes', samples)] }
}
