/**
 * A dynamic supervisor with 100, 1,000 and 10,000 children: start them all, crash each tenth, wait until all are back, end the run.
 *
 *   start    `child.start` for each, acknowledged and answered
 *   crash    an event that throws in a tenth of them; settled when each is in its second life
 *   memory   heap and buffers after garbage collection, with all of them resting, less what there was before
 *
 * The question is whether a child costs more where there are more of them; the smallest size is the baseline, in the same run.
 */
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setup } from 'xstate'
import { createTroupe, type RunSession, sqliteStore } from '../../src/index.ts'
import { atMost, type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { meter, type Spent } from '../meter.ts'

const SIZES = [100, 1_000, 10_000]
/** Requests that wait at once. */
const AT_ONCE = 512

const worker = setup({
  types: { events: {} as { type: 'boom' } },
  actions: {
    fail: () => {
      throw new Error('boom')
    },
  },
  guards: {
    fails: (): boolean => {
      throw new Error('boom')
    },
  },
}).createMachine({ id: 'worker', on: { boom: { guard: 'fails', actions: 'fail' } } })

export const supervised: Measurement = {
  name: 'supervised',
  question: 'does a supervised child cost more where there are 10,000 of them: started, crashed, settled, remembered?',
  run: async (options) => {
    const seen: Seen[] = []
    const sizes = new Set(SIZES.map((size) => Math.max(20, Math.round(scaled(size, options)))))
    for (const size of sizes) seen.push(await measured(options, size))
    return seen.map((each) => caseOf(each, seen[0]!))
  },
}

interface Seen {
  readonly size: number
  readonly start: Spent
  readonly crash: Spent
  readonly bytes: number
  readonly end: Spent
}

async function measured(options: Options, size: number): Promise<Seen> {
  const troupe = createTroupe({ store: sqliteStore({ path: join(options.folder, `supervised-${size}.db`) }), machines: { worker } })
  const crashes = Math.max(1, Math.floor(size / 10))
  const before = memory()
  const run = await troupe.start({ id: 'pool', intensity: crashes, periodMs: 3_600_000, dynamic: { src: 'worker' } })
  const ids = Array.from({ length: size }, (_, index) => `w${index}`)
  const start = await meter(() => inBatches(ids, (id) => run.ask('/pool', { type: 'child.start', id }, { timeoutMs: 600_000 })))
  const crash = await meter(async () => {
    await inBatches(ids.slice(0, crashes), (id) => run.send(`/pool/${id}`, { type: 'boom' }))
    await allBack(run, size, crashes)
  })
  const bytes = memory() - before
  const end = await meter(async () => void (await run.stop({ status: 'canceled' })))
  troupe.close()
  return { size, start, crash, bytes, end }
}

async function inBatches(ids: readonly string[], go: (id: string) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < ids.length; at += AT_ONCE) await Promise.all(ids.slice(at, at + AT_ONCE).map(go))
}

/** A question is answered behind the exits before it, so one answer that all run means that all are back. */
async function allBack(run: RunSession, size: number, crashes: number): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    const { active } = await run.ask('/pool', { type: 'child.count' }, { timeoutMs: 600_000 })
    if (active === size && run.snapshot(`/pool/w${crashes - 1}`)?.incarnation === 2) return
  }
  throw new Error('the children do not come back')
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function memory(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function caseOf({ size, start, crash, bytes, end }: Seen, least: Seen): Case {
  const crashes = Math.max(1, Math.floor(size / 10))
  const leastCrashes = Math.max(1, Math.floor(least.size / 10))
  const goal = size === least.size ? [] : [atMost(1.5)]
  return {
    name: `${size} children, ${crashes} of them crash`,
    figures: [
      figure('start, processor a child', 'us', [start.cpuUs / size]),
      figure('to that of the fewest', 'x', [start.cpuUs / size / (least.start.cpuUs / least.size)], ...goal),
      figure('start, time in all', 'ms', [start.wallUs / 1_000]),
      figure('crash and settle, processor a crash', 'us', [crash.cpuUs / crashes]),
      figure('crash to that of the fewest', 'x', [crash.cpuUs / crashes / (least.crash.cpuUs / leastCrashes)], ...goal),
      figure('crash and settle, time in all', 'ms', [crash.wallUs / 1_000]),
      figure('memory a child', 'bytes', [bytes / size]),
      figure('end of the run, time', 'ms', [end.wallUs / 1_000]),
    ],
  }
}
