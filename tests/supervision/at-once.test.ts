/** Requests by hand that meet each other, a group that comes back, or a limit: each asker gets one true answer, and what was stopped stays stopped. */
import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { type AskEvent, type AskParams, createTroupe, memoryStore, type RunSession, type TreeSpec } from '../../src/index.ts'
import { waitUntil } from '../harness.ts'

const boom = (): boolean => {
  throw new Error('boom')
}
type Event = { type: 'boom' | 'ready' | 'again' }
const worker = setup({ types: { events: {} as Event, tags: {} as 'ready' }, guards: { boom } }).createMachine({
  id: 'worker',
  initial: 'idle',
  on: { boom: { guard: 'boom' } },
  states: { idle: { on: { ready: 'up' } }, up: { tags: 'ready' } },
})
const unable = setup({ guards: { boom } }).createMachine({
  id: 'unable',
  initial: 'on',
  states: { on: { always: { guard: 'boom', target: 'never' } }, never: {} },
})
const leaf = setup({}).createMachine({ id: 'leaf' })
const reentrant = setup({ types: { events: {} as Event }, actors: { leaf } }).createMachine({
  id: 'reentrant',
  initial: 'on',
  states: { on: { invoke: { src: 'leaf', id: 'leaf' }, on: { again: { target: 'on', reenter: true } } } },
})

/** Asks for a start and a stop of `x` in one step. */
const boss = setup({
  types: { events: {} as Event | AskEvent, context: {} as { answers: [string, string, unknown][] } },
  actions: { ask: (_, _params: AskParams) => {} },
}).createMachine({
  id: 'boss',
  context: { answers: [] },
  on: {
    again: {
      actions: [
        { type: 'ask', params: { id: 'started', to: '/top/pool', event: { type: 'child.start', id: 'x' }, timeoutMs: 10_000 } },
        { type: 'ask', params: { id: 'stopped', to: '/top/pool', event: { type: 'child.stop', id: 'x' }, timeoutMs: 10_000 } },
      ],
    },
    'ask.answered': {
      actions: assign({ answers: ({ context, event }) => [...context.answers, [event.id, event.answer.type, event.answer['id']]] }),
    },
  },
})

const start = (tree: TreeSpec): Promise<RunSession> =>
  createTroupe({ store: memoryStore(), machines: { worker, unable, reentrant, boss } }).start(tree)
const w = (id: string, more: object = {}) => ({ id, src: 'worker', ...more })
const standing = async (run: RunSession, path: string): Promise<Record<string, string>> => {
  const { children } = (await run.ask(path, { type: 'child.list' })) as unknown as {
    children: { id: string; status: string; incarnation: number }[]
  }
  return Object.fromEntries(children.map(({ id, status, incarnation }) => [id, `${status}#${incarnation}`]))
}
const isSteady = (run: RunSession, path: string): boolean => JSON.stringify(run.snapshot(path)?.value) === '{"running":"steady"}'

/** A team of `a` and `s` whose group is coming back: it waits until `s` says that it is ready. */
async function comingBack(limits: object): Promise<RunSession> {
  const team = { id: 'team', strategy: 'one_for_all', intensity: 9, periodMs: 60_000, limits } as const
  const run = await start({ id: 'top', children: [{ ...team, children: [w('a'), w('s', { readyTag: 'ready' })] }] })
  await run.send('/top/team/s', { type: 'ready' })
  await waitUntil('the team is up', () => isSteady(run, '/top/team'))
  if ('perMinute' in limits) {
    await run.ask('/top/team', { type: 'child.start', spec: w('b0', { restart: 'temporary' }) })
    await run.ask('/top/team', { type: 'child.stop', id: 'b0' })
  }
  await run.send('/top/team/a', { type: 'boom' })
  await waitUntil('s is starting again', () => run.snapshot('/top/team/s')?.incarnation === 2)
  return run
}

test('a start and a stop of the same child, asked while a group comes back, are answered each by its own outcome, also where the start is refused', async () => {
  const run = await comingBack({ perMinute: 1 })
  const started = run.ask('/top/team', { type: 'child.start', spec: w('b') })
  const stopped = run.ask('/top/team', { type: 'child.stop', id: 'b' })
  await run.send('/top/team/s', { type: 'ready' })
  const answers = await Promise.all([started, stopped])
  expect(answers.map(({ type, id, why }) => [type, id, why])).toEqual([
    ['child.refused', 'b', 'limit'],
    ['child.refused', 'b', 'not_found'],
  ])
  await waitUntil('the team is at rest', () => isSteady(run, '/top/team'))
  expect(await standing(run, '/top/team')).toMatchObject({ a: 'running#2', s: 'running#2' })
  expect(Object.values(await standing(run, '/top/team')).some((word) => word.startsWith('starting'))).toBe(false)
  await run.stop()
})

test('a stop by hand is not undone by a start of the same child that is refused: a permanent child stays away', async () => {
  const run = await start({
    id: 'top',
    children: [
      { id: 'pool', dynamic: { src: 'worker', restart: 'permanent' } },
      { id: 'boss', src: 'boss' },
    ],
  })
  await run.ask('/top/pool', { type: 'child.start', id: 'x' })
  await run.send('/top/boss', { type: 'again' })
  const answers = () => (run.snapshot('/top/boss')?.context as { answers: unknown[] } | undefined)?.answers ?? []
  await waitUntil('both are answered', () => answers().length === 2)
  expect(answers()).toEqual([
    ['started', 'child.refused', 'x'],
    ['stopped', 'child.stopped', 'x'],
  ])
  expect(await standing(run, '/top/pool')).toEqual({})
  expect(await run.ask('/top/pool', { type: 'child.count' })).toMatchObject({ active: 0 })
  expect(await run.ask('/top/pool', { type: 'child.start', id: 'x' })).toMatchObject({ type: 'child.started', id: 'x' })
  await run.stop()
})

test('a start by hand that fails while a group comes back is an answer and no restart: the window counts the group alone', async () => {
  const run = await comingBack({})
  const answer = run.ask('/top/team', { type: 'child.start', spec: { id: 'u', src: 'unable' } })
  await run.send('/top/team/s', { type: 'ready' })
  expect(await answer).toMatchObject({ type: 'child.refused', id: 'u', why: 'start_failed' })
  await waitUntil('the team is at rest', () => isSteady(run, '/top/team'))
  expect(await standing(run, '/top/team')).toEqual({ a: 'running#2', s: 'running#2' })
  expect(run.snapshot('/top/team')).toMatchObject({ context: { window: [expect.any(Number)] } })
  await run.stop()
})

test('an actor that ends a child and begins another in one step has begun one: the rate counts what begins, not what is more', async () => {
  const run = await start({
    id: 'top',
    children: [{ id: 'p', src: 'reentrant', restart: 'temporary', limits: { perMinute: 3, children: 1 } }],
  })
  await run.send('/top/p', { type: 'again' })
  await run.send('/top/p', { type: 'again' })
  expect(run.snapshot('/top/p')).not.toBeNull()
  await run.send('/top/p', { type: 'again' })
  await waitUntil('it is gone', () => run.snapshot('/top/p') === null)
  await run.stop()
})
