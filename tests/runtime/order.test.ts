/**
 * The order of delivery. Promised: first in, first out per sender and receiver. Beyond that, `engines/local` handles exactly what `createActor` handles,
 * in the same sequence; the oracle here is the real one.
 */
import { assert, asyncProperty } from 'fast-check'
import { expect, test } from 'vitest'
import { type AnyStateMachine, createActor } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { only, VirtualClock } from '../harness.ts'
import { machineOf, outside, plans } from './random-tree.ts'

type Events = readonly { readonly type: string; readonly fuel: number }[]
interface Seen {
  readonly trace: readonly string[]
  readonly status: string
  readonly value: unknown
}

const INPUT = { path: '/top/one', fuel: 3 }

function underCreateActor(make: (trace: string[]) => AnyStateMachine, events: Events): Seen {
  const trace: string[] = []
  const actor = createActor(make(trace), { input: INPUT, logger: () => {} })
  actor.subscribe({ error: (error) => trace.push(`error ${String(error)}`) })
  actor.start()
  for (const event of events) actor.send(event)
  const { status, value } = actor.getSnapshot() as { status: string; value: unknown }
  return { trace, status, value }
}

async function underTroupe(make: (trace: string[]) => AnyStateMachine, events: Events, turnStepsMax: number): Promise<Seen> {
  const trace: string[] = []
  const clock = new VirtualClock()
  const engine = localEngine({ store: sqliteStore({ path: ':memory:' }), clock, limits: { turnStepsMax } })
  const troupe = createTroupe({ engine, machines: { root: make(trace) }, reap: async () => [] })
  const session = await troupe.start(only('root', { input: INPUT }))
  await clock.settled()
  for (const event of events) {
    await session.send('/top/one', event).catch((error: { code: string }) => expect(error.code).toBe('E_RUN_STOPPED'))
    await clock.settled()
  }
  const { status, value } = session.snapshot('/top/one') ?? { status: 'done', value: 'done' }
  await session.stop()
  troupe.close()
  return { trace, status, value }
}

test.each([
  { turnStepsMax: 256, numRuns: 300 },
  { turnStepsMax: 1, numRuns: 200 },
])(
  'random trees of machines handle the same events in the same order as under createActor ($turnStepsMax steps a commit)',
  { timeout: 120_000 },
  async ({ turnStepsMax, numRuns }) => {
    let handled = 0
    await assert(
      asyncProperty(plans, outside, async (plan, events) => {
        const make = (trace: string[]): AnyStateMachine => machineOf(plan, trace)
        const oracle = underCreateActor(make, events)
        handled += oracle.trace.length
        expect(await underTroupe(make, events, turnStepsMax)).toEqual(oracle)
      }),
      { numRuns },
    )
    expect({ handledOnAverage: handled / numRuns > 8 }).toEqual({ handledOnAverage: true })
  },
)
