/** Requests and specs that nobody in their right mind would send: one clear answer each, and the tree goes on. */
import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { createTroupe, memoryStore, type RunSession, type TreeSpec } from '../../src/index.ts'
import { waitUntil } from '../harness.ts'

const boom = (): boolean => {
  throw new Error('boom')
}
type Event = { type: 'boom' | 'ready' | 'spawn' }
const worker = setup({ types: { events: {} as Event, tags: {} as 'ready' }, guards: { boom } }).createMachine({
  id: 'worker',
  initial: 'idle',
  on: { boom: { guard: 'boom' } },
  states: { idle: { on: { ready: 'up' } }, up: { tags: 'ready' } },
})
const leaf = setup({}).createMachine({ id: 'leaf' })
const parent = setup({ types: { events: {} as Event, context: {} as { n: number } }, actors: { leaf } }).createMachine({
  id: 'parent',
  context: { n: 0 },
  on: {
    spawn: {
      actions: assign(({ context, spawn }) => {
        spawn('leaf', { id: `l${context.n}` })
        return { n: context.n + 1 }
      }),
    },
  },
})
const start = async (tree: TreeSpec): Promise<RunSession> => {
  const troupe = createTroupe({ store: memoryStore(), machines: { worker, parent } })
  return troupe.start(tree)
}
const w = (id: string, more: object = {}) => ({ id, src: 'worker', ...more })
const standing = async (run: RunSession, path: string): Promise<Record<string, string>> => {
  const { children } = (await run.ask(path, { type: 'child.list' })) as unknown as {
    children: { id: string; status: string; incarnation: number }[]
  }
  return Object.fromEntries(children.map(({ id, status, incarnation }) => [id, `${status}#${incarnation}`]))
}
const deep = (levels: number): unknown => Array.from({ length: levels }).reduce<unknown>((inner) => [inner], 1)

test.each<[string, object, object]>([
  ['an id that is no text', { type: 'child.stop', id: { toString: 1, valueOf: 1 } }, { why: 'not_found', id: null }],
  ['no id', { type: 'child.restart' }, { why: 'not_found', id: null }],
  ['no spec', { type: 'child.start' }, { why: 'invalid' }],
  ['a spec of nothing', { type: 'child.start', spec: null }, { why: 'invalid' }],
  ['an id of another world', { type: 'child.start', spec: w('__proto__', { src: '' }) }, { why: 'invalid' }],
  ['a request that there is none of', { type: 'child.bogus', id: 'a' }, { why: 'invalid', id: 'a' }],
])('a supervisor that is asked with %s refuses it, and its children are untouched', async (_, request, refusal) => {
  const run = await start({ id: 'team', children: [w('a')] })
  expect(await run.ask('/team', request as never)).toMatchObject({ type: 'child.refused', ...refusal })
  expect(await standing(run, '/team')).toEqual({ a: 'running#1' })
  await run.stop()
})

test.each(['/team', '/team/pool'])('an answer that cannot be sent to anybody is not sent, and %s goes on', async (path) => {
  const run = await start({ id: 'team', children: [w('a'), { id: 'pool', dynamic: { src: 'worker' } }] })
  for (const replyTo of ['x', 5, {}, null]) {
    for (const type of ['child.list', 'child.start', 'child.stop']) await run.send(path, { type, replyTo, id: 'nobody' } as never)
  }
  await waitUntil('they are all taken', () => run.tree().mailbox === 0)
  expect((await standing(run, '/team'))['pool']).toBe('running#1')
  await run.stop()
})

test('a task that is nested too deep to be named is refused; an input of null is an input, also of a template', async () => {
  const run = await start({ id: 'pool', dynamic: { src: 'worker', input: 7 } })
  expect(await run.ask('/pool', { type: 'child.start', task: deep(3_000) } as never)).toMatchObject({
    type: 'child.refused',
    why: 'invalid',
  })
  expect(await run.ask('/pool', { type: 'child.start', id: null } as never)).toMatchObject({ type: 'child.refused', why: 'invalid' })
  expect(await run.ask('/pool', { type: 'child.start', input: null })).toEqual({ type: 'child.started', id: 'worker-1', incarnation: 1 })
  await run.stop()
})

test.each<[string, object, object]>([
  ['children', { children: 1 }, { why: 'limit' }],
  ['descendants', { descendants: 1 }, { why: 'limit' }],
])('limits of the root hold: %s', async (_, limits, refusal) => {
  const run = await start({ id: 'pool', limits, dynamic: { src: 'worker' } })
  expect(await run.ask('/pool', { type: 'child.start' })).toMatchObject({ type: 'child.started' })
  expect(await run.ask('/pool', { type: 'child.start' })).toMatchObject({ type: 'child.refused', ...refusal })
  await run.stop()
})

test('a run whose root is given a deadline ends with it', async () => {
  const run = await start({ id: 'team', limits: { deadlineMs: 30 }, children: [w('a')] })
  expect((await run.done()).status).toBe('failed')
})

test('a start that is refused while a group comes back is an answer, and the group and the supervisor come to rest', async () => {
  for (const intensity of [5, 1]) {
    const team = {
      id: 'team',
      restart: 'temporary',
      strategy: 'one_for_all',
      intensity,
      periodMs: 60_000,
      limits: { perMinute: 1 },
    } as const
    const run = await start({ id: 'top', children: [{ ...team, children: [w('a'), w('s', { readyTag: 'ready' })] }] })
    await run.send('/top/team/s', { type: 'ready' })
    await waitUntil('the team is up', () => run.snapshot('/top/team')?.value !== 'starting')
    expect(await run.ask('/top/team', { type: 'child.start', spec: w('b0') })).toMatchObject({ type: 'child.started' })
    expect(await run.ask('/top/team', { type: 'child.stop', id: 'b0' })).toMatchObject({ type: 'child.stopped' })
    await run.send('/top/team/a', { type: 'boom' })
    await waitUntil('s is starting again', () => run.snapshot('/top/team/s')?.incarnation === 2)
    const answer = run.ask('/top/team', { type: 'child.start', spec: w('b') })
    await run.send('/top/team/a', { type: 'boom' })
    await run.send('/top/team/s', { type: 'ready' })
    expect(await answer).toMatchObject({ type: 'child.refused', id: 'b' })
    if (intensity === 5) {
      await waitUntil('s is starting a third time', () => run.snapshot('/top/team/s')?.incarnation === 3)
      await run.send('/top/team/s', { type: 'ready' })
      await waitUntil('the team is at rest', () => JSON.stringify(run.snapshot('/top/team')?.value) === '{"running":"steady"}')
      expect(await standing(run, '/top/team')).toEqual({ a: 'running#3', s: 'running#3', b0: 'stopped#1' })
    } else await waitUntil('the team has given up', () => run.snapshot('/top/team') === null)
    await run.stop()
  }
})

test('an actor that begins more children in a minute than it may is ended', async () => {
  const run = await start({ id: 'top', children: [{ id: 'p', src: 'parent', restart: 'temporary', limits: { perMinute: 3 } }] })
  for (let n = 0; n < 3; n++) await run.send('/top/p', { type: 'spawn' })
  expect(run.tree().children[0]?.children).toHaveLength(3)
  await run.send('/top/p', { type: 'spawn' })
  await waitUntil('it is gone', () => run.snapshot('/top/p') === null)
  await run.stop()
})

test('a name with control characters is refused before anything is stored', async () => {
  const troupe = createTroupe({ store: memoryStore(), machines: { worker } })
  await expect(troupe.start({ id: 'team', children: [w('a')] }, { name: 'a\u001b[31m\nb' })).rejects.toMatchObject({ code: 'E_USAGE' })
})
