/**
 * How long do 63 actors wait for their events while one is flooded, or floods itself? In steps of others that came between, and in milliseconds.
 *
 *   quiet:     nobody floods                                    (the baseline)
 *   outside:   1,000 sends to one actor are always in flight
 *   cascade:   one actor sends itself event after event: 200 a go, always at it
 */
import { join } from 'node:path'
import { assign, sendTo, setup } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'

const OTHERS = 63
/** Events that each of the others gets, one after another. */
const EVENTS = 40
const FLOOD_IN_FLIGHT = 1_000
const CASCADE = 200

export const fairness: Measurement = {
  name: 'fairness',
  question: 'how long do the events of 63 actors wait while one floods?',
  run: async (options) => {
    const cases: Case[] = []
    for (const flood of ['quiet', 'outside', 'cascade'] as const) cases.push(await measured(options, flood))
    return cases
  },
}

const actor = setup({
  types: {
    context: {} as { count: number },
    events: {} as { type: 'event'; n: number } | { type: 'flood' } | { type: 'cascade'; left: number },
  },
}).createMachine({
  context: { count: 0 },
  on: {
    event: { actions: assign({ count: ({ context }) => context.count + 1 }) },
    flood: { actions: assign({ count: ({ context }) => context.count + 1 }) },
    cascade: [
      {
        guard: ({ event }) => event.left > 0,
        actions: [
          assign({ count: ({ context }) => context.count + 1 }),
          sendTo(
            ({ self }) => self,
            ({ event }) => ({ type: 'cascade', left: event.left - 1 }),
          ),
        ],
      },
      { actions: assign({ count: ({ context }) => context.count + 1 }) },
    ],
  },
})

interface Wait {
  /** Last position that anybody was told of when it was sent. */
  readonly since: number
  readonly ms: number
}

async function measured(options: Options, flood: 'quiet' | 'outside' | 'cascade'): Promise<Case> {
  const store = sqliteStore({ path: join(options.folder, `${flood}.db`) })
  const troupe = createTroupe({ store, machines: { actor } })
  const children = Array.from({ length: OTHERS + 1 }, (_, index) => ({ id: `a${index}`, src: 'actor' }))
  const session = await troupe.start({ id: 'bench', children })
  await Promise.all(children.map(({ id }) => session.send(`/bench/${id}`, { type: 'flood' })))
  const each = scaled(EVENTS, options)
  const told = { position: 0 }
  const over = new AbortController()
  const flooding = floodWith(session, flood, over.signal, told)
  const waits = await others(session, each, told)
  over.abort()
  await flooding
  const steps = stepsWaited(store, session.id, waits)
  await session.stop()
  troupe.close()
  const ms = [...waits.values()].map((wait) => wait.ms)
  return {
    name: `${flood}: ${OTHERS} actors, ${each} events each, one after another`,
    figures: [...distribution('steps of others in between', '', steps), ...distribution('waited', 'ms', ms)],
  }
}

async function floodWith(
  session: RunSession,
  flood: 'quiet' | 'outside' | 'cascade',
  over: AbortSignal,
  told: { position: number },
): Promise<void> {
  if (flood === 'quiet') return
  const event = flood === 'outside' ? { type: 'flood' } : { type: 'cascade', left: CASCADE }
  await Promise.all(
    Array.from({ length: flood === 'outside' ? FLOOD_IN_FLIGHT : 1 }, async () => {
      while (!over.aborted) told.position = Math.max(told.position, (await session.send('/bench/a0', event)).position)
    }),
  )
}

/** Each of the others gets its events, one after another. Returns what each event waited until it was acknowledged, by its number. */
async function others(session: RunSession, each: number, told: { position: number }): Promise<Map<number, Wait>> {
  const waits = new Map<number, Wait>()
  let n = 0
  await Promise.all(
    Array.from({ length: OTHERS }, async (_, index) => {
      for (let sent = 0; sent < each; sent++) {
        const number = n++
        const since = told.position
        const start = performance.now()
        const { position } = await session.send(`/bench/a${index + 1}`, { type: 'event', n: number })
        waits.set(number, { since, ms: performance.now() - start })
        told.position = Math.max(told.position, position)
      }
    }),
  )
  return waits
}

/** Steps that the journal has between what was known when an event was sent and the step that took it. */
function stepsWaited(store: Store, run: string, waits: ReadonlyMap<number, Wait>): number[] {
  const entries = store.journal(run, 0, Number.POSITIVE_INFINITY).filter(({ type }) => type === 'step.committed')
  const positions = entries.map(({ pos }) => pos)
  const waited: number[] = []
  for (const [place, { data }] of entries.entries()) {
    const { event } = JSON.parse(data) as { event: { type: string; n?: number } }
    const wait = event.type === 'event' ? waits.get(event.n ?? -1) : undefined
    if (wait !== undefined) waited.push(place - firstAfter(positions, wait.since))
  }
  return waited
}

/** Index of the first that is larger; they rise. */
function firstAfter(positions: readonly number[], since: number): number {
  let [low, high] = [0, positions.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (positions[middle]! > since) high = middle
    else low = middle + 1
  }
  return low
}

function distribution(name: string, unit: '' | 'ms', values: readonly number[]) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
  return [
    figure(`${name}, half of them`, unit, at(0.5)),
    figure(`${name}, 99 of 100`, unit, at(0.99)),
    figure(`${name}, the longest`, unit, at(1)),
  ]
}
