/** STO-50 to STO-53: effects through the engine, killed at every commit, on every store. The world outside is a list that no store can change. */

import { expect } from 'vitest'
import { assign, setup } from 'xstate'
import { z } from 'zod'
import { effect, Failure, type RepeatPolicy } from '../../../../src/effect.ts'
import type { RunSession } from '../../../../src/runtime/engine.ts'
import type { Commit } from '../../../../src/runtime/store.ts'
import { only, waitUntil } from '../../../harness.ts'
import { type Call, hang, worker } from '../../worker.ts'
import { conform } from './conform.ts'
import { type Death, live } from './life.ts'

const CALLS = 5
const USAGE = { inputTokens: 10, outputTokens: 5, costUsd: 0.25 }

/** Buys five times, one after the other, and ends with the sum of what it got. */
function buyer() {
  const buy = effect({ kind: 'thing.buy', input: z.object({ n: z.number() }), output: z.number(), repeat: 'repeat' })
  return setup({ types: { context: {} as { n: number; sum: number } }, actors: { buy } }).createMachine({
    id: 'buyer',
    context: { n: 1, sum: 0 },
    initial: 'buying',
    states: {
      buying: {
        invoke: {
          src: 'buy',
          input: ({ context }) => ({ n: context.n }),
          onDone: {
            target: 'counting',
            actions: assign(({ context, event }) => ({ n: context.n + 1, sum: context.sum + event.output })),
          },
        },
      },
      counting: { always: [{ guard: ({ context }) => context.n > CALLS, target: 'bought' }, 'buying'] },
      // Not the end yet, so that no outcome is in the last commit.
      bought: { after: { 1: 'over' } },
      over: { type: 'final' },
    },
    output: ({ context }) => context.sum,
  })
}

/** The end of a session, however it ends; null where its store died. */
const endOf = (session: RunSession) => session.done().catch(() => null)

conform('STO-50', 'whatever commit its process dies at, what happened in the world was intended on record before', async (place) => {
  const STATUSES = ['owed', 'started', 'succeeded', 'failed', 'in_doubt']
  const seen = new Set<string>()
  let deaths = 0
  for (const when of ['before', 'after'] as const) {
    for (let number = 1; ; number++) {
      const begun: string[] = []
      const effects = { buy: { perform: ({ key, input }: { key: string; input: { n: number } }) => begun.push(key) && input.n } }
      const first = live(place, { machines: { buyer: buyer() }, effects, death: { when, at: (_, n) => n === number } })
      const session = await first.troupe.start(only('buyer'))
      const end = await endOf(session)
      const reader = place.open()
      const rows = reader.effects(session.id)
      // What began has a row that says so, whoever died when.
      for (const key of begun) expect(rows.filter((row) => `${session.id}/${row.id}` === key && row.status !== 'owed')).toHaveLength(1)
      for (const { status } of rows) seen.add(status)
      if (end !== null) break
      deaths++
      if (reader.run(session.id)!.status === 'running') {
        const again = await live(place, { machines: { buyer: buyer() }, effects }).troupe.resume(session.id)
        await again.done()
      }
      expect(reader.run(session.id)).toMatchObject({ status: 'succeeded', output: 15 })
      expect([...new Set(begun)]).toHaveLength(CALLS)
    }
  }
  expect([...seen].filter((status) => !STATUSES.includes(status))).toEqual([])
  expect([deaths > 2 * CALLS, seen.has('started'), seen.has('succeeded')]).toEqual([true, true, true])
})

const settles = (status: string) => (commit: Commit) => commit.effects.some(({ effect: row }) => row.status === status)

conform('STO-51', 'an outcome on record is delivered after a crash, an error too, and nothing is done again', async (place) => {
  const refuse = (): never => {
    throw new Failure('E_REFUSED', 'the world said no')
  }
  for (const [status, outcome, perform] of [
    ['succeeded', 7, () => 7],
    ['failed', 'E_REFUSED', refuse],
  ] as const) {
    for (const turnStepsMax of [1, 256]) {
      let performed = 0
      const effects = { work: { perform: () => (performed++ === 0 ? perform() : ('done again' as never)) } }
      const machines = { worker: worker() }
      const first = live(place, { machines, effects, turnStepsMax, death: { when: 'after', at: settles(status) } })
      const session = await first.troupe.start(only('worker'))
      await session.send('/top/one', { type: 'go' })
      expect(await endOf(session)).toBeNull()
      expect(place.open().effects(session.id)).toMatchObject([{ status }])
      const again = await live(place, { machines, effects }).troupe.resume(session.id)
      await waitUntil('the outcome has arrived', () => again.snapshot('/top/one')?.value === 'idle')
      expect([again.snapshot('/top/one')?.context, performed]).toEqual([{ result: outcome }, 1])
      await again.stop()
    }
  }
})

conform(
  'STO-52',
  'what nobody knows is repeated with the same key, asked about, or parked and shown, as its policy says',
  async (place) => {
    const lives: Readonly<Record<RepeatPolicy, unknown>> = {
      repeat: { keys: ['e1', 'e1'], status: 'succeeded', asked: 0, shown: [] },
      prove: { keys: ['e1'], status: 'succeeded', asked: 1, shown: [] },
      ask: { keys: ['e1'], status: 'in_doubt', asked: 0, shown: ['e1'] },
    }
    for (const policy of ['repeat', 'prove', 'ask'] as const) {
      const keys: string[] = []
      let asked = 0
      const machines = { worker: worker({ repeat: policy }) }
      const first = live(place, { machines, effects: { work: { perform: ({ id }: Call) => hang(keys.push(id)) } } })
      const session = await first.troupe.start(only('worker'))
      await session.send('/top/one', { type: 'go' })
      await waitUntil('it has begun', () => keys.length === 1)
      first.die()
      const prove = () => {
        asked++
        return { verdict: 'applied' as const, output: 9 }
      }
      const effects = { work: { perform: ({ id }: Call) => keys.push(id), prove } }
      const shown: string[] = []
      for (let resumed = 0; resumed < 3; resumed++) {
        const again = await live(place, { machines, effects }).troupe.resume(session.id)
        if (policy === 'ask') shown.splice(0, shown.length, ...(await again.done()).inDoubt.map(({ id }) => id))
        else {
          await waitUntil('it is settled', () => again.snapshot('/top/one')?.value === 'idle')
          await again.stop()
        }
      }
      const [row] = place.open().effects(session.id)
      expect({ policy, keys, status: row?.status, asked, shown }).toEqual({ policy, ...(lives[policy] as object) })
    }
  },
)

conform('STO-53', 'each call is charged once over five crashes; one in doubt keeps its whole reservation and is marked', async (place) => {
  const machines = { buyer: buyer() }
  const effects = {
    buy: {
      perform: ({ input, spent }: { input: { n: number }; spent: (usage: typeof USAGE) => void }) => {
        spent(USAGE)
        return input.n
      },
    },
  }
  let run: string | undefined
  for (let life = 1; ; life++) {
    // Each life dies at the first outcome that it commits.
    const death: Death = { when: 'after', at: settles('succeeded') }
    const { troupe } = live(place, life > CALLS ? { machines, effects } : { machines, effects, death })
    const session = run === undefined ? await troupe.start(only('buyer'), { quarantine: false }) : await troupe.resume(run)
    run = session.id
    const end = await endOf(session)
    if (end === null) continue
    const once = { inputTokens: CALLS * 10, outputTokens: CALLS * 5, costUsd: CALLS * 0.25 }
    expect([life, end]).toMatchObject([CALLS + 1, { status: 'succeeded', output: 15, usage: once }])
    expect(
      place
        .open()
        .effects(run)
        .map(({ usage }) => usage),
    ).toEqual(Array.from({ length: CALLS }, () => USAGE))
    break
  }
  const asks = { worker: worker({ repeat: 'ask', tokens: 60 }) }
  let begun = 0
  const first = live(place, { machines: asks, effects: { work: { perform: () => hang(begun++) } } })
  const session = await first.troupe.start(only('worker'), { budget: { tokensMax: 100 } })
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has begun', () => begun === 1)
  first.die()
  const again = await live(place, { machines: asks, effects: { work: { perform: () => begun++ } } }).troupe.resume(session.id)
  expect(await again.done()).toMatchObject({ status: 'suspended', usage: { inDoubt: 1 }, inDoubt: [{ id: 'e1' }] })
  expect([
    place
      .open()
      .image(session.id)
      .effects.map(({ status, reserve }) => [status, reserve]),
    begun,
  ]).toEqual([[['in_doubt', { tokens: 60 }]], 1])
})
