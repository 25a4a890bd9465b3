/**
 * A small house, three levels deep, with one of everything that a crash could take:
 *
 *   /house                supervisor
 *     /house/hall         a timer of 1.5 s and one of 60 s, an event that waits behind a busy door, a child for each guest
 *       /guest-1 ...      a delayed send to the hall, 90 s from now
 *     /house/kitchen      an effect that runs when the process dies
 */
import { type AnyActorRef, assign, enqueueActions, setup } from 'xstate'
import { z } from 'zod'
import { createTroupe, effect, sqliteStore, type TreeSpec, type Troupe } from '../../src/index.ts'

const bake = effect({ kind: 'bread.bake', input: z.object({ loaves: z.number() }), output: z.number(), repeat: 'repeat' })

const guest = setup({ types: { input: {} as { name: string }, context: {} as { name: string } } }).createMachine({
  id: 'guest',
  context: ({ input }) => input,
  entry: enqueueActions(({ enqueue, self }) => {
    const host = self._parent as AnyActorRef
    enqueue.sendTo(host, ({ context }: { context: { name: string } }) => ({ type: 'goodbye', name: context.name }), {
      delay: 90_000,
      id: 'goodbye',
    })
  }),
})

const hall = setup({
  types: {
    context: {} as { guests: number; rang: number; gone: readonly string[] },
    events: {} as { type: 'arrive'; name: string } | { type: 'goodbye'; name: string },
  },
  actors: { guest },
}).createMachine({
  id: 'hall',
  context: { guests: 0, rang: 0, gone: [] },
  on: {
    arrive: {
      actions: enqueueActions(({ context, event, enqueue }) => {
        enqueue.spawnChild('guest', { id: `guest-${context.guests + 1}`, input: { name: event.name } })
        enqueue.assign({ guests: context.guests + 1 })
      }),
    },
    goodbye: { actions: assign({ gone: ({ context, event }) => [...context.gone, event.name] }) },
  },
  type: 'parallel',
  states: {
    bell: {
      initial: 'silent',
      states: { silent: { after: { 1500: 'rung' } }, rung: { entry: assign({ rang: ({ context }) => context.rang + 1 }) } },
    },
    light: { initial: 'on', states: { on: { after: { 60000: 'off' } }, off: {} } },
  },
})

const kitchen = setup({ actors: { bake } }).createMachine({
  id: 'kitchen',
  initial: 'baking',
  states: { baking: { invoke: { src: 'bake', input: { loaves: 3 }, onDone: 'served' } }, served: {} },
})

export const tree: TreeSpec = {
  id: 'house',
  children: [
    { id: 'kitchen', src: 'kitchen' },
    { id: 'hall', src: 'hall' },
  ],
}

/** @param oven  how the bread is baked: the first life never sees it done. */
export function openHouse(path: string, oven: (loaves: number) => Promise<number>): Troupe {
  return createTroupe({
    store: sqliteStore({ path }),
    machines: { hall, kitchen },
    effects: { bake: { perform: ({ input }) => oven(input.loaves) } },
  })
}
