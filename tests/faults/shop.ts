/**
 * A small tree with everything that a fault could take: acknowledged events with a payload, asks, timers, a spawned child, effects that must not be
 * doubled, a thread, a restart from the checkpoint, and a context that grows past what is stored in one row.
 *
 *   /shop          supervisor
 *     /shop/till     takes orders; asks the kitchen for each, rings its bell, prints every second one later; ends when all of it has come back
 *       /bell        answers after a timer
 *     /shop/kitchen  cooks (an effect with proof), crashes once on a burnt order, answers
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AnyActorRef, assign, enqueueActions, sendTo, setup, spawnChild } from 'xstate'
import { z } from 'zod'
import { createTroupe, type Troupe } from '../../src/actors/troupe.ts'
import { effect } from '../../src/effect.ts'
import type { TreeSpec } from '../../src/protocol.ts'
import type { Store } from '../../src/runtime/store.ts'
import type { Ledger } from '../crash/ledger.ts'

/** How many orders are sent to the till. */
export const ORDERS = 6

const dish = z.object({ n: z.number() })
type Dish = z.infer<typeof dish>
const cook = effect({ kind: 'dish.cook', input: dish, output: dish, repeat: 'prove' })

const bell = setup({ types: { context: {} as { n: number }, events: {} as { type: 'ring'; n: number } } }).createMachine({
  id: 'bell',
  context: { n: 0 },
  initial: 'silent',
  states: {
    silent: { on: { ring: { target: 'ringing', actions: assign({ n: ({ event }) => event.n }) } } },
    ringing: {
      on: { ring: { actions: assign({ n: ({ event }) => event.n }) } },
      after: {
        2: {
          target: 'silent',
          actions: sendTo(
            ({ self }) => self._parent as AnyActorRef,
            ({ context }) => ({ type: 'rung', n: context.n }),
          ),
        },
      },
    },
  },
})

const kitchen = setup({
  types: {
    context: {} as { queue: { n: number; to: AnyActorRef }[] },
    events: {} as { type: 'cook'; n: number; replyTo: AnyActorRef } | { type: 'burn' },
  },
  actors: { cook },
}).createMachine({
  id: 'kitchen',
  context: { queue: [] },
  on: {
    cook: { actions: assign({ queue: ({ context, event }) => [...context.queue, { n: event.n, to: event.replyTo }] }) },
    burn: {
      actions: assign(() => {
        throw new Error('burnt')
      }),
    },
  },
  initial: 'idle',
  states: {
    idle: { always: { guard: ({ context }) => context.queue.length > 0, target: 'cooking' } },
    cooking: { invoke: { src: 'cook', input: ({ context }) => ({ n: context.queue[0]!.n }), onDone: 'serving' } },
    serving: {
      entry: [
        sendTo(
          ({ context }) => context.queue[0]!.to,
          ({ context }) => ({ type: 'served', n: context.queue[0]!.n }),
        ),
        assign({ queue: ({ context }) => context.queue.slice(1) }),
      ],
      always: 'idle',
    },
  },
})

interface TillContext {
  readonly orders: readonly { readonly n: number; readonly note: string }[]
  readonly served: readonly number[]
  readonly printed: readonly number[]
  readonly rung: number
}

const till = setup({
  types: {
    context: {} as TillContext,
    events: {} as
      | { type: 'order'; n: number; note: string }
      | { type: 'rung' | 'print'; n: number }
      | { type: 'orders'; replyTo: AnyActorRef }
      | { type: 'ask.answered'; id: string; answer: { n: number } },
  },
  actors: { bell },
  actions: {
    ask: (_, _params: { id: string; to: string; event: { type: string; n: number }; timeoutMs: number }) => {},
    'thread.append': (_, _params: { thread: string; items: readonly string[] }) => {},
  },
  guards: {
    complete: ({ context }) =>
      context.orders.length === ORDERS &&
      context.served.length === ORDERS &&
      context.printed.length === ORDERS / 2 &&
      context.rung === ORDERS,
  },
}).createMachine({
  id: 'till',
  context: { orders: [], served: [], printed: [], rung: 0 },
  entry: spawnChild('bell', { id: 'bell' }),
  initial: 'open',
  states: { open: { always: { guard: 'complete', target: 'closed' } }, closed: { type: 'final' } },
  on: {
    order: {
      actions: enqueueActions(({ enqueue, event: { n, note } }) => {
        enqueue.assign({ orders: ({ context }) => [...context.orders, { n, note }] })
        enqueue.sendTo('bell' as never, { type: 'ring', n } as never)
        enqueue({ type: 'thread.append', params: { thread: 'notes', items: [note] } })
        enqueue({ type: 'ask', params: { id: `cook-${n}`, to: '/shop/kitchen', event: { type: 'cook', n }, timeoutMs: 600_000 } })
        if (n % 2 === 0) enqueue.sendTo(({ self }) => self, { type: 'print', n }, { delay: 4, id: `print-${n}` })
      }),
    },
    rung: { actions: assign({ rung: ({ event }) => event.n }) },
    print: { actions: assign({ printed: ({ context, event }) => [...context.printed, event.n] }) },
    'ask.answered': { actions: assign({ served: ({ context, event }) => [...context.served, event.answer.n] }) },
    orders: {
      actions: sendTo(
        ({ event }) => event.replyTo,
        ({ context }) => ({ type: 'orders', orders: context.orders.map(({ n }) => n) }),
      ),
    },
  },
  output: ({ context }) => ({
    orders: context.orders,
    served: context.served.toSorted((a, b) => a - b),
    printed: context.printed.toSorted((a, b) => a - b),
  }),
})

/** Long enough that each is a row's payload of its own kind, and that all together do not fit into one. */
export const noteOf = (n: number): string => `order ${n}: ${`table ${n * 7}, `.repeat(200 * n)}`

const numbers = Array.from({ length: ORDERS }, (_, index) => index + 1)

/** What the run ends with, whatever happened to it. */
export const EXPECTED = {
  orders: numbers.map((n) => ({ n, note: noteOf(n) })),
  served: numbers,
  printed: numbers.filter((n) => n % 2 === 0),
}

export const tree: TreeSpec = {
  id: 'shop',
  intensity: 5,
  periodMs: 600_000,
  autoShutdown: 'any_significant',
  children: [
    { id: 'kitchen', src: 'kitchen', from: 'checkpoint' },
    { id: 'till', src: 'till', restart: 'transient', significant: true, from: 'checkpoint' },
  ],
}

/** The troupe of the shop. What is cooked lies in `world`, where no run can take it back. */
export function makeShop(options: { readonly store: Store; readonly world: string; readonly ledger: Ledger }): Troupe {
  const { store, world, ledger } = options
  const plate = (key: string): string => join(world, `${key.replace('/', '-')}.plate`)
  return createTroupe({
    store,
    machines: { till, kitchen },
    reap: async () => [],
    effects: {
      cook: ledger.witness<Dish, Dish>({
        perform: ({ input, key }) => {
          writeFileSync(plate(key), String(input.n), { flag: 'wx' }) // Fails where it was cooked already.
          return input
        },
        prove: ({ input, key }) => (existsSync(plate(key)) ? { verdict: 'applied', output: input } : { verdict: 'not_applied' }),
      }),
    },
  })
}
