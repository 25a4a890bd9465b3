/** Conformance cases about one_for_all and rest_for_one: who is taken along, in which order, and what a group restart counts. */
import { expect } from 'vitest'
import { NORMAL, shutdown } from './actors.ts'
import { child, children, ours, sup } from './case.ts'

const LONG = 3_600_000
const stopping = (...ids: string[]) => ids.flatMap((id) => [`asked ${id}#1`, `ended ${id}#1 ordered`])

sup('SUP-29', async ({ set }) => {
  const stage = await set({ strategy: 'one_for_all', children: children('abcd') })
  await stage.boom('b')
  expect(stage.lives().slice(5)).toEqual([
    'crashed b#1',
    ...stopping('d', 'c', 'a'),
    'started a#2',
    'started b#2',
    'started c#2',
    'started d#2',
  ])
})

sup('SUP-30', async ({ set }) => {
  const stage = await set({ strategy: 'rest_for_one', children: children('abcd') })
  await stage.boom('b')
  expect(stage.lives().slice(5)).toEqual(['crashed b#1', ...stopping('d', 'c'), 'started b#2', 'started c#2', 'started d#2'])
  expect(stage.living()).toEqual(['a#1', 'b#2', 'c#2', 'd#2'])
})

sup('SUP-31', async ({ set }) => {
  const stage = await set({ strategy: 'rest_for_one', children: children('abc') })
  await stage.boom('c')
  expect(stage.lives().slice(4)).toEqual(['crashed c#1', 'started c#2'])
})

sup('SUP-32', async ({ set }) => {
  const traces = []
  for (const strategy of ['rest_for_one', 'one_for_all']) {
    const stage = await set({ strategy, children: children('abc') })
    await stage.boom('a')
    traces.push(stage.lives())
  }
  expect(traces[0]!.slice(4)).toEqual(['crashed a#1', ...stopping('c', 'b'), 'started a#2', 'started b#2', 'started c#2'])
  expect(traces[0]).toEqual(traces[1])
})

sup('SUP-33', async ({ set }) => {
  const stage = await set({ strategy: 'one_for_all', intensity: 1, periodMs: LONG, children: children('abcd') })
  await stage.boom('c')
  expect(stage.living()).toEqual(['a#2', 'b#2', 'c#2', 'd#2'])
  await stage.boom('a')
  expect(stage.factsOf('supervisor.gave_up')).toMatchObject([{ data: { count: 2, max: 1 } }])
})

/** Both die while `z` is still starting; the deaths are seen in the order in which they came. */
sup('SUP-35', async ({ set }) => {
  const play = async (strategy: string, deaths: string) => {
    const team = { strategy, intensity: 1, children: [...children('ab'), child('z', { readyTag: 'up' })] }
    const stage = await set(team, { z: [{ start: 'hang' }, {}] })
    for (const id of deaths) await stage.boom(id)
    await stage.send('z', { type: 'open' })
    return stage
  }
  for (const [strategy, deaths] of [
    ['one_for_all', 'ab'],
    ['one_for_all', 'ba'],
    ['rest_for_one', 'ab'],
  ] as const) {
    const stage = await play(strategy, deaths)
    expect(stage.lives().slice(6)).toEqual(['asked z#1', 'ended z#1 ordered', 'started a#2', 'started b#2', 'started z#2'])
    expect(stage.restartsOf('a') + stage.restartsOf('b')).toBe(1)
    await stage.boom('a') // One is counted: the next is one too many.
    expect(stage.isUp()).toBe(false)
  }
  const twice = await play('rest_for_one', 'ba')
  expect(twice.isUp()).toBe(false)
  expect(twice.factsOf('supervisor.gave_up')).toMatchObject([{ data: { count: 2, max: 1, child: 'a' } }])
})

ours('a member that dies while its group is being stopped is part of that restart, and counts no second one', async ({ set }) => {
  const stage = await set({ strategy: 'one_for_all', intensity: 1, children: children('abc') }, { c: { cleanUpMs: 100 } })
  await stage.boom('a')
  await stage.boom('b')
  await stage.advance(100)
  expect(stage.timed().slice(4)).toEqual([
    '0 crashed a#1',
    '0 asked c#1',
    '0 crashed b#1',
    '100 cleaned c#1',
    '100 ended c#1 ordered',
    '100 started a#2',
    '100 started b#2',
    '100 started c#2',
  ])
})

ours('a member that dies while its group comes back is part of the next try, should another one fail', async ({ set }) => {
  const team = { strategy: 'one_for_all', intensity: 2, children: [child('a'), child('b', { readyTag: 'up' })] }
  const stage = await set(team, { b: [{}, { start: 'hang' }, {}] })
  await stage.boom('a')
  await stage.boom('a')
  expect(stage.lives().slice(3)).toEqual(['crashed a#1', 'asked b#1', 'ended b#1 ordered', 'started a#2', 'started b#2', 'crashed a#2'])
  await stage.boom('b')
  expect(stage.lives().slice(9)).toEqual(['crashed b#2', 'started a#3', 'started b#3'])
  expect(stage.restartsOf('a') + stage.restartsOf('b')).toBe(2)
  expect(await stage.standing()).toEqual({ a: 'running', b: 'running' })
})

const finishedOnes = { strategy: 'one_for_all', children: [child('a'), child('b'), child('t', { restart: 'transient' })] }

sup('SUP-36', async ({ set }) => {
  const stage = await set({ ...finishedOnes, reviveFinished: true })
  await stage.ask({ type: 'child.stop', id: 'b' })
  await stage.finish('t')
  const mark = stage.mark()
  await stage.boom('a')
  expect(stage.lives(mark)).toEqual(['crashed a#1', 'started a#2', 'started b#2', 'started t#2'])
})

ours(
  'what has finished or was stopped by hand stays so in a group restart, unless reviveFinished asks for the way of OTP',
  async ({ set }) => {
    const stage = await set(finishedOnes)
    await stage.ask({ type: 'child.stop', id: 'b' })
    await stage.finish('t')
    const mark = stage.mark()
    await stage.boom('a')
    expect(stage.lives(mark)).toEqual(['crashed a#1', 'started a#2'])
    expect(await stage.standing()).toEqual({ a: 'running', b: 'stopped', t: 'stopped' })
  },
)

sup('SUP-37', async ({ set }) => {
  const specs = [child('t0', { restart: 'transient' }), child('a'), child('b')]
  const stage = await set({ strategy: 'rest_for_one', reviveFinished: true, children: specs })
  await stage.finish('t0')
  await stage.ask({ type: 'child.stop', id: 'b' })
  const mark = stage.mark()
  await stage.boom('a')
  expect(stage.lives(mark)).toEqual(['crashed a#1', 'started a#2', 'started b#2'])
  expect(await stage.standing()).toEqual({ t0: 'stopped', a: 'running', b: 'running' })
})

sup('SUP-38', async ({ set }) => {
  for (const strategy of ['one_for_all', 'rest_for_one']) {
    const stage = await set({ strategy, children: [child('a'), child('t', { restart: 'temporary' }), child('b')] })
    await stage.boom('a')
    expect(stage.lives().slice(4)).toEqual(['crashed a#1', ...stopping('b', 't'), 'started a#2', 'started b#2'])
    expect(await stage.standing()).toEqual({ a: 'running', b: 'running' })
  }
})

sup('SUP-39', async ({ set }) => {
  const stage = await set({
    strategy: 'one_for_all',
    intensity: 0,
    children: [child('a'), child('t', { restart: 'temporary' }), child('b')],
  })
  await stage.boom('t')
  expect(stage.lives().slice(4)).toEqual(['crashed t#1'])
  expect(await stage.standing()).toEqual({ a: 'running', b: 'running' })
})

sup('SUP-40', async ({ set }) => {
  for (const reason of [NORMAL, shutdown('ordered')]) {
    const stage = await set({
      strategy: 'one_for_all',
      intensity: 0,
      children: [child('a'), child('t', { restart: 'transient' }), child('b')],
    })
    await stage.exit('t', reason)
    expect(stage.living()).toEqual(['a#1', 'b#1'])
    expect(await stage.standing()).toEqual({ a: 'running', t: 'stopped', b: 'running' })
  }
})

sup('SUP-41', async ({ set }) => {
  const play = async (intensity: number) => {
    const stage = await set({ strategy: 'one_for_all', intensity, children: children('abc') }, { b: [{}, { start: 'fail' }, {}] })
    await stage.boom('a')
    return stage
  }
  const stage = await play(2)
  expect(stage.lives().slice(4)).toEqual([
    'crashed a#1',
    ...stopping('c', 'b'),
    'started a#2',
    'failed b#2',
    'asked a#2',
    'ended a#2 ordered',
    'started a#3',
    'started b#3',
    'started c#2',
  ])
  const tooMany = await play(1)
  expect(tooMany.factsOf('supervisor.gave_up')).toMatchObject([{ data: { child: 'b', count: 2, max: 1 } }])
  expect(tooMany.lives().slice(-4)).toEqual(['gave_up team b', 'asked a#2', 'ended a#2 ordered', 'ended team#1 gave_up'])
})

sup('SUP-42', async ({ set }) => {
  const stage = await set({ strategy: 'rest_for_one', intensity: 2, children: children('abc') }, { b: [{}, { start: 'fail' }, {}] })
  await stage.boom('a')
  expect(stage.lives().slice(4)).toEqual(['crashed a#1', ...stopping('c', 'b'), 'started a#2', 'failed b#2', 'started b#3', 'started c#2'])
})

/** With a wait between the tries, so that somebody can look; OTP tries again at once, between two requests. */
sup('SUP-70', async ({ set }) => {
  const team = { strategy: 'rest_for_one', intensity: 5, periodMs: LONG, backoff: { baseMs: 1_000, factor: 1, jitter: 0 } }
  const play = async (b: 'fails twice' | 'fails') => {
    const failing = { start: 'fail' } as const
    const stage = await set({ ...team, children: children('abc') }, { b: b === 'fails' ? [{}, failing] : [{}, failing, failing, {}] })
    await stage.boom('b')
    await stage.advance(1_000)
    expect(await stage.standing()).toEqual({ a: 'running', b: 'restarting', c: 'stopped' })
    return stage
  }
  const stage = await play('fails twice')
  await stage.advance(1_999)
  expect(await stage.standing()).toEqual({ a: 'running', b: 'restarting', c: 'stopped' })
  await stage.advance(1)
  expect(await stage.standing()).toEqual({ a: 'running', b: 'running', c: 'running' })
  expect(stage.living()).toEqual(['a#1', 'b#4', 'c#2'])
  const given = await play('fails')
  expect(await given.ask({ type: 'child.stop', id: 'b' })).toEqual({ type: 'child.stopped', id: 'b' })
  await given.advance(10_000)
  expect(await given.standing()).toEqual({ a: 'running', b: 'stopped', c: 'stopped' })
  expect(given.living()).toEqual(['a#1'])
})
