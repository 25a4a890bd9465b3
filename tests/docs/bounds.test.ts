/** Section 10 of docs/SEMANTICS.md, row by row: who does too much is stopped, with its state and event named, and the others go on. */
import { expect, test } from 'vitest'
import { assign, enqueueActions, fromPromise, sendTo, setup, spawnChild } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { Json } from '../../src/json.ts'
import {
  ACTOR_DEPTH_MAX,
  CASCADE_STEPS_MAX,
  MAILBOX_DEPTH_MAX,
  MICROSTEPS_MAX,
  PAYLOAD_BYTES_MAX,
  XSTATE_CHILDREN_MAX,
} from '../../src/limits.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { waitUntil } from '../harness.ts'

interface Counted {
  readonly n: number
  readonly got: Json
}
const contextOf = (run: RunSession, address: string): Counted => run.snapshot(address)!.context as unknown as Counted

const tooLong = 'x'.repeat(PAYLOAD_BYTES_MAX)
const leaf = setup({}).createMachine({ id: 'leaf' })

/** Does too much of one thing at one event. */
const greedy = setup({
  types: { context: {} as Counted },
  actors: { leaf, answer: fromPromise(async () => tooLong) },
}).createMachine({
  id: 'greedy',
  context: { n: 0, got: null },
  initial: 'idle',
  states: {
    idle: {
      on: {
        loop: 'there',
        cascade: { actions: sendTo(({ self }) => self, { type: 'cascade' }) },
        flood: {
          actions: enqueueActions(({ enqueue, self }) => {
            for (let n = 0; n <= MAILBOX_DEPTH_MAX; n++) enqueue.sendTo(self, { type: 'add' })
          }),
        },
        shout: { actions: sendTo(({ self }) => self, { type: 'add', tooLong }) },
        breed: {
          actions: enqueueActions(({ enqueue }) => {
            for (let n = 0; n <= XSTATE_CHILDREN_MAX; n++) enqueue.spawnChild('leaf', { id: `leaf${n}` })
          }),
        },
        call: 'calling',
        add: { actions: assign({ n: ({ context }) => context.n + 1 }) },
      },
    },
    there: { always: 'back' },
    back: { always: 'there' },
    calling: {
      invoke: {
        src: 'answer',
        onDone: 'idle',
        onError: { target: 'idle', actions: assign({ got: ({ event }) => (event.error as { code: string }).code }) },
      },
    },
  },
})

const tree = {
  id: 'top',
  intensity: 3,
  children: [
    { id: 'greedy', src: 'greedy' },
    { id: 'other', src: 'greedy' },
  ],
}

test.each([
  { event: 'loop', code: 'E_DEFECT', words: `more than ${MICROSTEPS_MAX} microsteps` },
  { event: 'cascade', code: 'E_CASCADE', words: `one event has led to ${CASCADE_STEPS_MAX} steps` },
  { event: 'flood', code: 'E_MAILBOX_FULL', words: `${MAILBOX_DEPTH_MAX} events wait for /top/greedy` },
  { event: 'shout', code: 'E_PAYLOAD_TOO_LARGE', words: `${PAYLOAD_BYTES_MAX} are allowed` },
  { event: 'breed', code: 'E_LIMIT_SPAWN', words: `${XSTATE_CHILDREN_MAX} are allowed` },
])(
  '$event: the actor is stopped with $code, its state and its event; it begins again, and the others go on',
  async ({ event, code, words }) => {
    const troupe = createTroupe({ store: memoryStore(), machines: { greedy } })
    const run = await troupe.start(tree)
    await Promise.all([run.send('/top/greedy', { type: event }), run.send('/top/other', { type: 'add' })])
    const facts = () => troupe.read(run.id)!.frames(0, 50_000)
    await waitUntil('it begins again', () => facts().some(({ type }) => type === 'actor.restarted'))
    await waitUntil('the other has counted', () => contextOf(run, '/top/other').n === 1)
    const crashes = facts().filter(({ type }) => type === 'actor.crashed')
    expect(crashes).toMatchObject([
      { path: '/top/greedy', data: { code, path: '/top/greedy', state: 'idle', event, deadLetter: { type: event } } },
    ])
    expect(crashes[0]!.data['message']).toContain(words)
    expect(run.snapshot('/top/greedy')).toMatchObject({ context: { n: 0 }, incarnation: 2 })
    await run.stop()
  },
)

test('an output that is too large is a failure of its effect, and its actor hears of it', async () => {
  const run = await createTroupe({ store: memoryStore(), machines: { greedy } }).start(tree)
  await run.send('/top/greedy', { type: 'call' })
  await waitUntil('it has failed', () => contextOf(run, '/top/greedy').got !== null)
  expect(run.snapshot('/top/greedy')).toMatchObject({ value: 'idle', context: { got: 'E_PAYLOAD_TOO_LARGE' }, incarnation: 1 })
  await run.stop()
})

test('actors nest as deep as is allowed, and the one that asks for more is stopped', async () => {
  const nest = Array.from({ length: ACTOR_DEPTH_MAX }).reduce<typeof leaf>(
    (below) => setup({ actors: { below } }).createMachine({ id: 'nest', entry: spawnChild('below', { id: 'b' }) }) as never,
    leaf,
  )
  const troupe = createTroupe({ store: memoryStore(), machines: { nest } })
  const run = await troupe.start({ id: 'top', intensity: 0, children: [{ id: 'nest', src: 'nest', restart: 'temporary' }] })
  const deepest = () =>
    troupe
      .read(run.id)!
      .frames(0, 50_000)
      .find(({ type }) => type === 'actor.crashed')
  await waitUntil('one is stopped', () => deepest() !== undefined)
  expect(deepest()).toMatchObject({ data: { code: 'E_LIMIT_SPAWN', message: expect.stringContaining('nested too deep') } })
  expect(deepest()?.path?.split('/').length).toBe(ACTOR_DEPTH_MAX + 1)
  await run.stop()
})
