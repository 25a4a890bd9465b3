/** Children that are replaced in one step take the room of those before them. What a step throws may defend itself against being looked at. */
import { expect, test } from 'vitest'
import { type AnyActorRef, assign, enqueueActions, sendTo, setup } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { factsOf, only, waitUntil } from '../harness.ts'

const kid = setup({}).createMachine({ id: 'kid' })
const SIZE = 400
const pool = setup({ types: { events: {} as { type: 'fill' | 'renew' } }, actors: { kid } }).createMachine({
  id: 'pool',
  on: {
    fill: {
      actions: enqueueActions(({ enqueue }) => {
        for (let n = 0; n < SIZE; n++) enqueue.spawnChild('kid', { id: `k${n}` })
      }),
    },
    renew: {
      actions: enqueueActions(({ enqueue }) => {
        for (let n = 0; n < SIZE; n++) enqueue.stopChild(`k${n}`)
        for (let n = 0; n < SIZE; n++) enqueue.spawnChild('kid', { id: `k${n}` })
      }),
    },
  },
})

test('400 children are replaced by 400 others under the same ids in one step', async () => {
  const store = memoryStore()
  const session = await createTroupe({ store, machines: { pool } }).start(only('pool'))
  await session.send('/top/one', { type: 'fill' })
  await session.send('/top/one', { type: 'renew' })
  expect(factsOf(store, session.id, 'actor.crashed')).toEqual([])
  const lives = () => store.cells(session.id).filter(({ parent, incarnation }) => parent?.address === '/top/one' && incarnation >= SIZE)
  await waitUntil(
    'all new ones live',
    () => lives().length === SIZE,
    () => lives().length,
  )
  await session.stop()
})

const guarded = {
  getter: () =>
    Object.defineProperty(new Error('x'), 'message', {
      get: () => {
        throw new Error('in getter')
      },
    }),
  proxy: () =>
    new Proxy(new Error('x'), {
      get: () => {
        throw new Error('in proxy')
      },
      getPrototypeOf: () => {
        throw new Error('in proxy')
      },
    }),
}

test.each(Object.keys(guarded) as (keyof typeof guarded)[])(
  'a thrown %s that defends itself costs its actor, not the run',
  async (what) => {
    const machine = setup({ types: { events: {} as { type: 'go' | 'get'; replyTo?: AnyActorRef } } }).createMachine({
      id: 'm',
      on: {
        go: {
          actions: assign(() => {
            throw guarded[what]()
          }),
        },
        get: { actions: sendTo(({ event }) => event.replyTo!, { type: 'got' }) },
      },
    })
    const session = await createTroupe({ store: memoryStore(), machines: { machine } }).start(only('machine'))
    await session.send('/top/one', { type: 'go' })
    await waitUntil('it is restarted', () => session.snapshot('/top/one')?.incarnation === 2)
    expect(await session.ask('/top/one', { type: 'get' })).toEqual({ type: 'got' })
    await session.stop()
  },
)
