/** What a parked actor holds in memory: growth from one number of actors to a larger one, after garbage collection, so what a process needs anyway is out. */
import { join } from 'node:path'
import { atMost, type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { inFreshProcess } from '../fresh.ts'
import type { Held, IdleInput } from '../load/idle.child.ts'

const FEW = 20_000
const MANY = 100_000
/** Who is started before the first weighing: what the first few bring with them is not theirs, but code, statements, caches. */
const WARM = 500
const CHILD = new URL('../load/idle.child.ts', import.meta.url)

export const idle: Measurement = {
  name: 'idle',
  question: 'how many bytes of memory does an idle parked actor hold?',
  run: async (options) => {
    const many = options.actors ?? scaled(MANY, options)
    const few = Math.ceil((many * FEW) / MANY)
    const stages: Stages = [Math.min(WARM, few >> 1), few, many]
    return [await underTroupe(options, stages), await underXState(options, stages)]
  },
}

type Stages = readonly [warm: number, few: number, many: number]

async function underTroupe(options: Options, [warm, few, many]: Stages): Promise<Case> {
  const rounds: Held[] = []
  for (let round = 0; round < (options.rounds ?? 1); round++) {
    const input: IdleInput = { path: join(options.folder, `idle-${round}.db`), stages: [warm, few, many] }
    rounds.push(await inFreshProcess<Held>(CHILD, input, ['--expose-gc']))
  }
  const growth = (what: keyof Held, from: number, to: number, actors: number): number[] =>
    rounds.map((held) => (held[what][to]! - held[what][from]!) / actors)
  return {
    name: `actors of one pool, started and woken in one process: ${few}, then ${many}`,
    figures: [
      figure(`an actor, ${warm} to ${few}`, 'bytes', growth('heap', 0, 1, few - warm), atMost(300)),
      figure(`an actor, ${few} to ${many}`, 'bytes', growth('heap', 1, 2, many - few), atMost(300)),
      figure(`an actor, ${warm} to ${many}, each woken once`, 'bytes', growth('heap', 0, 3, many - warm), atMost(300)),
      figure(`an actor, ${warm} to ${many}, of all that is resident`, 'bytes', growth('resident', 0, 3, many - warm)),
      figure(
        'all that is resident',
        'bytes',
        rounds.map((held) => held.resident.at(-1)!),
      ),
    ],
  }
}

async function underXState(options: Options, [warm, few]: Stages): Promise<Case> {
  const samples: number[] = []
  for (let round = 0; round < (options.rounds ?? 1); round++) {
    const held = await inFreshProcess<Held>(CHILD, { path: null, stages: [warm, few] } satisfies IdleInput, ['--expose-gc'])
    samples.push((held.heap[1]! - held.heap[0]!) / (few - warm))
  }
  return { name: `baseline: ${few} actors under createActor, nothing stored`, figures: [figure('an actor', 'bytes', samples)] }
}
