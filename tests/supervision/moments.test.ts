/** What comes at an awkward moment: a stop in the middle of a group restart, an answer that is owed when the supervisor ends, a pool in the middle of things. */
import { expect } from 'vitest'
import { child, children, ours } from './case.ts'

const LONG = 3_600_000
const LOOP = { intensity: 100, periodMs: LONG, backoff: { baseMs: 1_000, factor: 1, jitter: 0 } }

ours('a stop of the supervisor works in each moment of a group restart, and nobody is left', async ({ set }) => {
  const team = { strategy: 'one_for_all', children: [child('a'), child('b', { readyTag: 'up' }), child('c')] }
  const clearing = await set(team, { c: { cleanUpMs: 100 } })
  await clearing.boom('a')
  await clearing.advance(50)
  await clearing.stop()
  await clearing.advance(LONG)
  expect(clearing.timed().slice(4)).toEqual([
    '0 crashed a#1',
    '0 asked c#1',
    '100 cleaned c#1',
    '100 ended c#1 ordered',
    '100 asked b#1',
    '100 ended b#1 ordered',
    '100 ended team#1 ordered',
  ])
  const restoring = await set(team, { b: [{}, { start: 'hang' }] })
  await restoring.boom('a')
  const mark = restoring.mark()
  await restoring.stop()
  expect(restoring.lives(mark)).toEqual(['asked b#2', 'ended b#2 ordered', 'asked a#2', 'ended a#2 ordered', 'ended team#1 ordered'])
  const pausing = await set({ ...team, ...LOOP })
  await pausing.boom('a')
  await pausing.stop()
  await pausing.advance(LONG)
  expect(pausing.timed().at(-1)).toBe('0 ended team#1 ordered')
})

ours('who waits for a stop by hand is told when the supervisor itself is stopped, and what had to wait is refused', async ({ set }) => {
  const stage = await set({ strategy: 'one_for_all', children: children('ab') }, { b: { cleanUpMs: 100 } })
  expect(await stage.ask({ type: 'child.stop', id: 'b' })).toBeNull()
  const owed = stage.asked
  await stage.boom('a')
  expect(await stage.ask({ type: 'child.start', spec: child('x') })).toBeNull()
  await stage.stop()
  expect(stage.reply(owed + 1)).toMatchObject({ type: 'child.refused', why: 'stopping' })
  expect(await stage.ask({ type: 'child.restart', id: 'b' })).toMatchObject({ type: 'child.refused', why: 'stopping' })
  await stage.advance(100)
  expect(stage.reply(owed)).toEqual({ type: 'child.stopped', id: 'b' })
  expect(stage.lives().at(-1)).toBe('ended team#1 ordered')
})

ours('a significant child that ends while a group is restarted ends the supervisor when the group is back', async ({ set }) => {
  const specs = [child('s', { restart: 'transient', significant: true }), child('a'), child('b')]
  const stage = await set({ strategy: 'rest_for_one', autoShutdown: 'any_significant', children: specs }, { b: { cleanUpMs: 100 } })
  await stage.boom('a')
  await stage.finish('s')
  expect(stage.isUp()).toBe(true)
  await stage.advance(200)
  expect(stage.timed().slice(4)).toEqual([
    '0 crashed a#1',
    '0 asked b#1',
    '0 finished s#1',
    '100 cleaned b#1',
    '100 ended b#1 ordered',
    '100 started a#2',
    '100 started b#2',
    '100 asked b#2',
    '200 cleaned b#2',
    '200 ended b#2 ordered',
    '200 asked a#2',
    '200 ended a#2 ordered',
    '200 ended team#1 completed',
  ])
})

ours('a sub-supervisor that is not ready in its time is ended with all below it, and counts as a failed start', async ({ set }) => {
  const sub = { id: 'sub', startTimeoutMs: 1_000, children: [child('v'), child('w', { readyTag: 'up', startTimeoutMs: 'infinity' })] }
  const stage = await set({ intensity: 1, children: [child('a'), sub] }, { w: [{}, { start: 'hang' }] })
  stage.workers['w'] = { start: 'hang' }
  await stage.exit('sub/v', { kind: 'normal' })
  await stage.exit('sub/v', { kind: 'normal' }) // One too many: the supervisor below gives up, and hangs when it starts again.
  await stage.advance(1_000)
  expect(stage.timed().filter((line) => line.includes('sub#2'))).toEqual(['0 started sub#2', '1000 ended sub#2 E_START_TIMEOUT'])
  expect(stage.lives().slice(-1)).toEqual(['ended team#1 gave_up'])
  expect(stage.living()).toEqual([])
})

ours('a pool gives up as any supervisor does, and its children stop together', async ({ set }) => {
  const stage = await set({ intensity: 1, dynamic: { src: 'worker' } }, { '*': { cleanUpMs: 100 } })
  for (let n = 0; n < 3; n++) await stage.ask({ type: 'child.start' })
  await stage.boom('worker-2')
  expect(stage.living()).toEqual(['worker-1#1', 'worker-2#2', 'worker-3#1'])
  const mark = stage.mark()
  await stage.boom('worker-3')
  await stage.advance(100)
  const [crashed, gaveUp, ...rest] = stage.timed(mark)
  expect([crashed, gaveUp, rest.at(-1)]).toEqual(['0 crashed worker-3#1', '0 gave_up team worker-3', '100 ended team#1 gave_up'])
  expect(rest.filter((line) => line.includes('ended worker')).sort()).toEqual([
    '100 ended worker-1#1 ordered',
    '100 ended worker-2#2 ordered',
  ])
})

ours('a pool waits before restarts, tells who waits, and stops at once in between', async ({ set }) => {
  const play = async () => {
    const stage = await set({ ...LOOP, dynamic: { src: 'worker', input: 7 } }, { 'worker-1': [{}, { start: 'fail' }] })
    await stage.ask({ type: 'child.start', input: 1 })
    await stage.ask({ type: 'child.start' })
    await stage.boom('worker-1')
    await stage.advance(2_500)
    expect(await stage.standing()).toEqual({ 'worker-1': 'restarting', 'worker-2': 'running' })
    return stage
  }
  const stopped = await play()
  await stopped.stop()
  expect(stopped.timed().at(-1)).toBe('2500 ended team#1 ordered')
  const given = await play()
  expect(await given.ask({ type: 'child.start', id: 'worker-1' })).toMatchObject({ type: 'child.refused', why: 'already_started' })
  expect(await given.ask({ type: 'child.stop', id: 'worker-1' })).toEqual({ type: 'child.stopped', id: 'worker-1' })
  await given.advance(LONG)
  expect([await given.standing(), given.living()]).toEqual([{ 'worker-2': 'running' }, ['worker-2#1']])
  const kept = await play()
  kept.workers['worker-1'] = {}
  await kept.advance(500)
  expect(kept.contextOf('worker-1')).toMatchObject({ given: 1 }) // Its own input, which only the table of cells knows.
})

ours('a pool whose children are ended by force asks none of them, and a start that hangs is cut off', async ({ set }) => {
  const brutal = await set({ dynamic: { src: 'worker', shutdownMs: 'brutal' } }, { '*': { cleanUpMs: 'forever' } })
  for (let n = 0; n < 2; n++) await brutal.ask({ type: 'child.start' })
  const mark = brutal.mark()
  await brutal.stop()
  expect(brutal.lives(mark).sort()).toEqual(['ended team#1 ordered', 'killed worker-1#1', 'killed worker-2#1'])
  const slow = await set({ dynamic: { src: 'worker', readyTag: 'up', startTimeoutMs: 1_000 } }, { '*': { start: 'hang' } })
  expect(await slow.ask({ type: 'child.start' })).toBeNull()
  expect(await slow.standing()).toEqual({ 'worker-1': 'starting' })
  await slow.advance(1_000)
  expect(slow.reply(1)).toMatchObject({ type: 'child.refused', why: 'start_failed', cause: { error: { code: 'E_START_TIMEOUT' } } })
  expect([await slow.standing(), slow.restartsOf('worker-1')]).toEqual([{}, 0])
})
