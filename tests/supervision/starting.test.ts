/** Conformance cases about starts: order, failures, declining, and specs that are refused before anything starts. */
import { expect } from 'vitest'
import type { Json } from '../../src/json.ts'
import { parseSupervisor, SUPERVISOR_SHUTDOWN_MS } from '../../src/machines/childspec.ts'
import { child, children, fieldOf, ours, sup } from './case.ts'

const STRATEGIES = ['one_for_one', 'one_for_all', 'rest_for_one'] as const

sup('SUP-01', async ({ set }) => {
  for (const strategy of STRATEGIES) {
    const slow = child('b', { readyTag: 'up' })
    const stage = await set({ strategy, children: [child('a'), slow, child('c'), child('d')] }, { b: { start: 'hang' } })
    expect(stage.lives()).toEqual(['started team#1', 'started a#1', 'started b#1'])
    expect(await stage.standing()).toEqual({ a: 'running', b: 'starting', c: 'stopped', d: 'stopped' })
    await stage.send('b', { type: 'open' })
    expect(stage.lives().slice(3)).toEqual(['started c#1', 'started d#1'])
    expect(await stage.standing()).toEqual({ a: 'running', b: 'running', c: 'running', d: 'running' })
  }
})

sup('SUP-02', async ({ set }) => {
  const stage = await set({ children: [] })
  expect(await stage.ask({ type: 'child.count' })).toEqual({ type: 'child.count', specs: 0, active: 0, supervisors: 0, workers: 0 })
  await stage.stop()
  expect(stage.lives()).toEqual(['started team#1', 'ended team#1 ordered'])
})

sup('SUP-03', async ({ set }) => {
  const stage = await set({ intensity: 9, children: children('abxd') }, { x: { start: 'fail' } })
  expect(stage.lives()).toEqual([
    'started team#1',
    'started a#1',
    'started b#1',
    'failed x#1',
    'asked b#1',
    'ended b#1 ordered',
    'asked a#1',
    'ended a#1 ordered',
    'ended team#1 E_START_FAILED',
  ])
  expect(stage.reasonOf()).toMatchObject({ kind: 'error', error: { child: 'x', cause: { kind: 'error', error: { message: 'no start' } } } })
  expect(stage.factsOf('actor.restarted')).toEqual([])
})

sup('SUP-04', async ({ set }) => {
  for (const rubbish of [{ children: 7 }, { children: [null] }, { strategy: {}, children: children('a') }]) {
    expect(await fieldOf(set(rubbish))).toMatch(/^(?:children|strategy|spec)$/)
    const stage = await set(rubbish, {}, { isChecked: false })
    expect(stage.lives()).toEqual([])
    expect(stage.run()).toMatchObject({ status: 'failed', reason: { code: 'E_TREE_INVALID' } })
    expect(stage.store.cells('STAGE').filter(({ status }) => status !== 'ended')).toEqual([])
  }
})

sup('SUP-05', async ({ set }) => {
  const stage = await set({ children: children('ab') }, { a: { start: 'decline' }, b: [{}, { start: 'decline' }] })
  expect(stage.lives()).toEqual(['started team#1', 'declined a#1', 'started b#1'])
  expect(await stage.ask({ type: 'child.count' })).toMatchObject({ specs: 2, active: 1 })
  expect(await stage.standing()).toEqual({ a: 'stopped', b: 'running' })
  await stage.boom('b')
  await stage.advance(60_000)
  expect(stage.lives().slice(3)).toEqual(['crashed b#1', 'declined b#2'])
  expect(await stage.standing()).toEqual({ a: 'stopped', b: 'stopped' })
})

sup('SUP-06', async ({ set }) => {
  const stage = await set(
    { children: [child('t', { restart: 'temporary' }), child('b')] },
    { t: { start: 'decline' }, u: { start: 'decline' } },
  )
  expect(await stage.standing()).toEqual({ b: 'running' })
  const spec = child('u', { restart: 'temporary' })
  expect(await stage.ask({ type: 'child.start', spec })).toEqual({ type: 'child.started', id: 'u', incarnation: null })
  expect(await stage.standing()).toEqual({ b: 'running' })
})

sup('SUP-07', async ({ set }) => {
  const stage = await set({ dynamic: { src: 'worker', restart: 'permanent' } }, { '*': { start: 'decline' } })
  expect(await stage.ask({ type: 'child.start' })).toEqual({ type: 'child.started', id: 'worker-1', incarnation: null })
  expect(await stage.standing()).toEqual({})
  expect(stage.living()).toEqual([])
  await stage.stop()
  expect(stage.lives()).toEqual(['started team#1', 'declined worker-1#1', 'ended team#1 ordered'])
})

sup('SUP-08', async ({ set }) => {
  const stage = await set({ children: [child('a'), { id: 'sub', children: [] }] })
  const specOf = async (id: string) => (await stage.ask({ type: 'child.spec', id })) as { readonly spec: Json }
  expect((await specOf('a')).spec).toMatchObject({ restart: 'permanent', shutdownMs: 5000, significant: false })
  // A hundred years: `infinity` as a number that can be stored.
  expect((await specOf('sub')).spec).toMatchObject({ restart: 'permanent', shutdownMs: SUPERVISOR_SHUTDOWN_MS, significant: false })
  const { flags } = parseSupervisor({ id: 'team', children: [] })
  expect(flags).toMatchObject({ strategy: 'one_for_one', intensity: 1, periodMs: 5000, autoShutdown: 'never' })
})

const BAD_FLAGS = [
  ['strategy', 'two_for_one'],
  ['intensity', -1],
  ['intensity', Number.POSITIVE_INFINITY],
  ['intensity', 1.5],
  ['periodMs', 0],
  ['periodMs', -1],
  ['periodMs', Number.POSITIVE_INFINITY],
  ['autoShutdown', 'sometimes'],
] as const

sup('SUP-09', async ({ set }) => {
  for (const [field, value] of BAD_FLAGS) expect(await fieldOf(set({ [field]: value, children: children('a') }))).toBe(field)
  const stage = await set({ periodMs: 0.5, children: children('a') }) // Part of a millisecond is a period.
  for (const [field, value] of BAD_FLAGS.filter(([, value]) => value !== Number.POSITIVE_INFINITY)) {
    const spec = { id: 'sub', [field]: value, children: [] }
    expect(await stage.ask({ type: 'child.start', spec })).toMatchObject({ type: 'child.refused', why: 'invalid', cause: { field } })
  }
  expect(stage.lives()).toEqual(['started team#1', 'started a#1'])
})

const BAD_SPECS: readonly (readonly [field: string, spec: Json])[] = [
  ['id', { src: 'worker' }],
  ['id', { id: 'no spaces', src: 'worker' }],
  ['src', { id: 'x' }],
  ['src', { id: 'x', src: 7 }],
  ['restart', { id: 'x', src: 'worker', restart: 'always' }],
  ['shutdownMs', { id: 'x', src: 'worker', shutdownMs: -1 }],
  ['significant', { id: 'x', src: 'worker', significant: 'yes' }],
]

sup('SUP-10', async ({ set }) => {
  for (const [field, spec] of BAD_SPECS) expect(await fieldOf(set({ children: [child('a'), spec] }))).toBe(field)
  const stage = await set({ children: children('a') })
  for (const [field, spec] of BAD_SPECS)
    expect(await stage.ask({ type: 'child.start', spec })).toMatchObject({ type: 'child.refused', why: 'invalid', cause: { field } })
  expect(stage.lives()).toEqual(['started team#1', 'started a#1'])
  expect(await stage.standing()).toEqual({ a: 'running' })
})

sup('SUP-11', async ({ set }) => {
  expect(await fieldOf(set({ children: children('aba') }))).toBe('id')
  const stage = await set({ children: children('aba') }, {}, { isChecked: false })
  expect(stage.lives()).toEqual([])
  expect(stage.run()).toMatchObject({ status: 'failed', reason: { code: 'E_TREE_INVALID' } })
})

/** The list asks for it: what is not known is refused, where OTP reads over it. */
sup('SUP-12', async ({ set }) => {
  expect(await fieldOf(set({ children: [child('a', { colour: 'red' })] }))).toBe('colour')
  expect(await fieldOf(set({ maxRestarts: 3, children: children('a') }))).toBe('maxRestarts')
  const stage = await set({ children: children('a') })
  const answer = await stage.ask({ type: 'child.start', spec: child('x', { colour: 'red' }) })
  expect(answer).toMatchObject({ type: 'child.refused', why: 'invalid', cause: { field: 'colour' } })
})

sup('SUP-71', async ({ set }) => {
  const team = { intensity: 2, children: [child('a'), child('b', { readyTag: 'up', startTimeoutMs: 1_000 }), child('c')] }
  const first = await set(team, { b: { start: 'hang' } })
  expect(await first.standing()).toEqual({ a: 'running', b: 'starting', c: 'stopped' })
  await first.advance(1_000)
  expect(first.timed().slice(3)).toEqual([
    '1000 ended b#1 E_START_TIMEOUT',
    '1000 asked a#1',
    '1000 ended a#1 ordered',
    '1000 ended team#1 E_START_FAILED',
  ])
  const again = await set(team, { b: [{}, { start: 'hang' }] })
  await again.boom('b')
  expect(await again.standing()).toEqual({ a: 'running', b: 'restarting', c: 'running' })
  await again.advance(999)
  expect(again.restartsOf('b')).toBe(1)
  await again.advance(1)
  expect(again.timed().slice(4)).toEqual(['0 crashed b#1', '0 started b#2', '1000 ended b#2 E_START_TIMEOUT', '1000 started b#3'])
  await again.advance(1_000)
  expect(again.lives().at(-1)).toBe('ended team#1 gave_up')
  const stopped = await set(team, { b: { start: 'hang' } })
  await stopped.advance(500)
  await stopped.stop()
  expect(
    stopped
      .timed()
      .slice(3)
      .filter((line) => line.includes('ended')),
  ).toEqual(['500 ended b#1 ordered', '500 ended a#1 ordered', '500 ended team#1 ordered'])
})

ours('a start has 30 seconds unless its spec says otherwise, and for ever with infinity, as in OTP', async ({ set }) => {
  const hang = { b: { start: 'hang' } } as const
  const stage = await set({ children: [child('b', { readyTag: 'up' })] }, hang)
  await stage.advance(30_000)
  expect(stage.timed().slice(2)).toEqual(['30000 ended b#1 E_START_TIMEOUT', '30000 ended team#1 E_START_FAILED'])
  const patient = await set({ children: [child('b', { readyTag: 'up', startTimeoutMs: 'infinity' })] }, hang)
  await patient.advance(100_000_000)
  expect(await patient.standing()).toEqual({ b: 'starting' })
  await patient.send('b', { type: 'open' })
  expect(await patient.standing()).toEqual({ b: 'running' })
})
