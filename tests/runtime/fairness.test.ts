/** Nobody keeps others waiting: what is sent to one actor without end, or what one actor does without end, is bounded in steps. */
import { expect, test } from 'vitest'
import { sendTo, setup } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import { CASCADE_STEPS_MAX, TURN_EXTERNALS_MAX } from '../../src/limits.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { factsOf } from '../harness.ts'
import { counter } from './counter.ts'

const others = Array.from({ length: 62 }, (_, index) => `c${index}`)
const tree = {
  id: 'top',
  children: [
    { id: 'busy', src: 'counter' },
    { id: 'flood', src: 'flood', restart: 'temporary' as const },
    ...others.map((id) => ({ id, src: 'counter' })),
  ],
}
const flood = setup({ types: { events: {} as { type: 'go' } } }).createMachine({
  id: 'flood',
  on: { go: { actions: sendTo(({ self }) => self, { type: 'go' }) } },
})
const machines = { counter, flood }

test('while one actor has 5,000 sends queued, a send to any other is taken within a turn or two', async () => {
  const store = memoryStore()
  const session = await createTroupe({ store, machines }).start(tree)
  await session.send('/top/busy', { type: 'add', n: 1 })
  const queued = Array.from({ length: 5_000 }, () => session.send('/top/busy', { type: 'add', n: 1 }))
  const late = await Promise.all(others.map((id) => session.send(`/top/${id}`, { type: 'add', n: 1 })))
  const first = factsOf(store, session.id, 'message.accepted').findIndex(({ data }) => data['to'] !== '/top/busy')
  const accepted = factsOf(store, session.id, 'message.accepted').filter(
    ({ pos }) => pos <= Math.max(...late.map(({ position }) => position)),
  )
  expect({ first: first <= 2, within: accepted.length <= 2 * TURN_EXTERNALS_MAX + 2 }).toEqual({ first: true, within: true })
  const positions = (await Promise.all(queued)).map(({ position }) => position)
  expect(positions).toEqual([...positions].sort((a, b) => a - b))
  await session.stop()
})

test('an actor that floods itself is cut after its cascade, and the others have waited for no more steps than that', async () => {
  const store = memoryStore()
  const session = await createTroupe({ store, machines }).start(tree)
  await session.send('/top/c0', { type: 'add', n: 1 })
  const sent = [session.send('/top/flood', { type: 'go' }), ...others.map((id) => session.send(`/top/${id}`, { type: 'add', n: 1 }))]
  await Promise.all(sent)
  const [crash] = factsOf(store, session.id, 'actor.crashed')
  expect(crash).toMatchObject({ path: '/top/flood', data: { code: 'E_CASCADE', event: 'go', path: '/top/flood' } })
  const steps = factsOf(store, session.id, 'step.committed').filter(({ path }) => path === '/top/flood')
  expect(steps.length).toBeLessThanOrEqual(CASCADE_STEPS_MAX + 1)
  expect(await session.ask('/top/c61', { type: 'get' })).toEqual({ type: 'got', n: 1 })
  await session.stop()
})
