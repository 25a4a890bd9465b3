/**
 * Starting one more child where there are 10,000, beside one more where there are 100: in a pool whose children live in the table of cells alone.
 *
 *   big:    filled to 9,968, then 64 more a round        small: filled to 68, then 64 more, a fresh run each round
 *
 * Both sides take turns in one process, each on a file of its own, so neither has the warmer code. The baseline is XState's own way to hold children.
 */
import { join } from 'node:path'
import { createActor, setup, spawnChild } from 'xstate'
import type { RunSession } from '../../src/runtime/engine.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { atMost, type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { worker } from '../load/machines.ts'
import { type PoolEngine, poolEngine, startChildren } from '../load/pool-run.ts'
import { meter, type Spent } from '../meter.ts'

const BIG = 10_000
const SMALL = 100
const BATCH = 64
/** Under createActor each start copies all children: 10,000 would take half a minute. */
const BIG_XSTATE = 2_000
/** Starts that wait for each other, a round. */
const ALONE = 16

export const pool: Measurement = {
  name: 'pool',
  question: 'does the 10,000th child of a pool cost more to start than the 100th?',
  run: async (options) => [...(await underTroupe(options)), underXState(options)],
}

interface Side {
  readonly together: Spent[]
  readonly alone: Spent[]
}

async function underTroupe(options: Options): Promise<Case[]> {
  const [big, small, batch] = [scaled(BIG, options), scaled(SMALL, options), scaled(BATCH, options)]
  const engines = { big: poolEngine(open(options, 'big')), small: poolEngine(open(options, 'small')) }
  const sides: Record<'big' | 'small', Side> = { big: { together: [], alone: [] }, small: { together: [], alone: [] } }
  const large = await filled(engines.big, Math.max(0, big - batch / 2))
  let next = Math.max(0, Math.round(big - batch / 2))
  for (let round = 0; round < (options.rounds ?? 15); round++) {
    const fresh = await filled(engines.small, Math.max(0, small - batch / 2))
    await turn(sides.small, fresh, Math.max(0, Math.round(small - batch / 2)), batch)
    next = await turn(sides.big, large, next, batch)
    await fresh.stop()
  }
  await large.stop()
  for (const engine of Object.values(engines)) engine.close()
  return [
    caseOf(`${batch} starts at once, after ${small} and after ${big} children`, sides.small.together, sides.big.together, batch),
    caseOf(`starts one after another, after ${small} and after ${big} children`, sides.small.alone, sides.big.alone, ALONE),
  ]
}

const open = ({ folder }: Options, name: string) => sqliteStore({ path: join(folder, `${name}.db`) })

async function filled(engine: PoolEngine, children: number): Promise<RunSession> {
  const session = await engine.start('worker')
  await startChildren(session, 0, Math.round(children))
  return session
}

async function turn({ together, alone }: Side, session: RunSession, from: number, batch: number): Promise<number> {
  together.push(await meter(() => startChildren(session, from, from + batch)))
  alone.push(
    await meter(async () => {
      for (let index = 0; index < ALONE; index++) await startChildren(session, from + batch + index, from + batch + index + 1)
    }),
  )
  return from + batch + ALONE
}

function caseOf(name: string, small: readonly Spent[], big: readonly Spent[], starts: number): Case {
  const ratios = (what: keyof Spent): number[] => big.map((spent, round) => spent[what] / small[round]![what])
  const each = (side: readonly Spent[], what: keyof Spent): number[] => side.map((spent) => spent[what] / starts)
  return {
    name,
    figures: [
      figure('a start among few', 'us', each(small, 'wallUs')),
      figure('a start among many', 'us', each(big, 'wallUs')),
      figure('many to few, time', 'x', ratios('wallUs'), atMost(1.5)),
      figure('processor, among few', 'us', each(small, 'cpuUs')),
      figure('processor, among many', 'us', each(big, 'cpuUs')),
      figure('many to few, processor', 'x', ratios('cpuUs'), atMost(1.5)),
    ],
  }
}

const family = setup({ types: { events: {} as { type: 'start'; id: string } }, actors: { worker } }).createMachine({
  on: { start: { actions: spawnChild('worker', { id: ({ event }) => event.id }) } },
})

/** The same number of children in the snapshot of one actor. */
function underXState(options: Options): Case {
  const parent = createActor(family).start()
  const [big, small] = [scaled(BIG_XSTATE, options), scaled(SMALL, options)]
  const [few, many]: [number[], number[]] = [[], []]
  for (let index = 0; index < big + SMALL; index++) {
    const start = process.hrtime.bigint()
    parent.send({ type: 'start', id: `c${index}` })
    const us = Number(process.hrtime.bigint() - start) / 1_000
    if (index >= small / 2 && index < small * 1.5) few.push(us)
    if (index >= big) many.push(us)
  }
  parent.stop()
  return {
    name: `baseline: createActor and spawnChild, nothing stored, after ${small} and after ${big} children`,
    figures: [figure('a start among few', 'us', few), figure('a start among many', 'us', many)],
  }
}
