/**
 * A house with one of everything that a crash could take:
 *
 *   /house             supervisor
 *     /house/kitchen   an effect that is running
 *     /house/hall      two `after` timers, one of them overdue when the house comes back; an event that waits in the mailbox
 *       /ann, /bob     spawned children, each with a delayed send to the hall
 */
import { type AnyActorRef, assign, enqueueActions, sendTo, setup } from 'xstate'
import { z } from 'zod'
import { createTroupe, effect, sqliteStore, type TreeSpec } from '../../src/index.ts'

const bake = effect({ kind: 'bread.bake', input: z.object({ loaves: z.number() }), output: z.number(), repeat: 'repeat' })
const kitchen = setup({ types: { context: {} as { loaves: number } }, actors: { bake } }).createMachine({
  id: 'kitchen',
  context: { loaves: 0 },
  invoke: { src: 'bake', input: { loaves: 3 }, onDone: { actions: assign({ loaves: ({ event }) => event.output }) } },
})

const guest = setup({}).createMachine({
  id: 'guest',
  entry: sendTo(({ self }) => self._parent as AnyActorRef, { type: 'goodbye' }, { delay: 90_000, id: 'goodbye' }),
})

const hall = setup({
  types: {
    context: {} as { rang: number; heard: readonly string[] },
    events: {} as { type: 'arrive'; name: string } | { type: 'announce'; text: string } | { type: 'storm' | 'goodbye' },
  },
  actors: { guest },
  delays: { soon: 300, later: 60_000 },
}).createMachine({
  id: 'hall',
  context: { rang: 0, heard: [] },
  on: {
    arrive: { actions: enqueueActions(({ event, enqueue }) => enqueue.spawnChild('guest', { id: event.name })) },
    announce: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.text] }) },
    // The lightning strikes when this step is committed and the announcement that it sends waits: an inline action runs once, after the commit.
    storm: { actions: [sendTo(({ self }) => self, { type: 'announce', text: 'dinner is ready' }), () => lightning.strike()] },
  },
  after: { later: '.dark' },
  initial: 'silent',
  states: { silent: { after: { soon: 'rung' } }, rung: { entry: assign({ rang: ({ context }) => context.rang + 1 }) }, dark: {} },
})

/** What the storm does. The process that is to die sets it. */
export const lightning = { strike: (): void => {} }

export const tree: TreeSpec = { id: 'house', children: ['kitchen', 'hall'].map((id) => ({ id, src: id })) }

/** Opens the store with the code that belongs to it. Every step is a commit of its own, so that the storm can strike between two. */
export function openHouse(path: string, perform: () => Promise<number>) {
  const store = sqliteStore({ path })
  const troupe = createTroupe({ store, machines: { kitchen, hall }, effects: { bake: { perform } }, limits: { turnStepsMax: 1 } })
  return { store, troupe }
}
