/** Conformance cases about stops: reverse order, each child by its own rule, and nobody is restarted or left behind. */
import { expect } from 'vitest'
import { NORMAL, shutdown } from './actors.ts'
import { child, children, sup } from './case.ts'

const DAY = 86_400_000

sup('SUP-13', async ({ set }) => {
  const stage = await set({ children: children('abc') }, { '*': { cleanUpMs: 100 } })
  await stage.stop()
  await stage.advance(1_000)
  expect(stage.timed().slice(4)).toEqual([
    '0 asked c#1',
    '100 cleaned c#1',
    '100 ended c#1 ordered',
    '100 asked b#1',
    '200 cleaned b#1',
    '200 ended b#1 ordered',
    '200 asked a#1',
    '300 cleaned a#1',
    '300 ended a#1 ordered',
    '300 ended team#1 ordered',
  ])
})

sup('SUP-14', async ({ set }) => {
  const stage = await set({ dynamic: { src: 'worker' } }, { '*': { cleanUpMs: 100 } })
  for (let n = 0; n < 5; n++) await stage.ask({ type: 'child.start' })
  expect(stage.living()).toEqual(['worker-1#1', 'worker-2#1', 'worker-3#1', 'worker-4#1', 'worker-5#1'])
  const mark = stage.mark()
  await stage.stop()
  await stage.advance(1_000)
  const ends = stage.timed(mark).filter((line) => line.includes('ended'))
  expect(ends.slice(0, 5).sort()).toEqual([1, 2, 3, 4, 5].map((n) => `100 ended worker-${n}#1 ordered`))
  expect(ends.slice(5)).toEqual(['100 ended team#1 ordered'])
})

sup('SUP-15', async ({ set }) => {
  const stage = await set({ children: [child('a', { shutdownMs: 300 })] }, { a: { cleanUpMs: 'forever' } })
  await stage.stop()
  await stage.advance(299)
  expect(stage.living()).toEqual(['a#1'])
  await stage.advance(1)
  expect(stage.timed().slice(2)).toEqual(['0 asked a#1', '300 killed a#1', '300 ended team#1 ordered'])
})

sup('SUP-16', async ({ set }) => {
  const workers = { '*': { cleanUpMs: 500 }, 'worker-2': { cleanUpMs: 5_000 } }
  const stage = await set({ dynamic: { src: 'worker', shutdownMs: 1_000 } }, workers)
  for (let n = 0; n < 3; n++) await stage.ask({ type: 'child.start' })
  await stage.stop()
  await stage.advance(10_000)
  const ends = stage.timed().filter((line) => /ended|killed/.test(line))
  expect(ends).toEqual([
    '500 ended worker-1#1 ordered',
    '500 ended worker-3#1 ordered',
    '1000 killed worker-2#1',
    '1000 ended team#1 ordered',
  ])
})

sup('SUP-17', async ({ set }) => {
  const stage = await set({ children: [child('a', { shutdownMs: 'brutal' })] }, { a: { cleanUpMs: 100 } })
  await stage.stop()
  await stage.advance(1_000)
  expect(stage.timed().slice(2)).toEqual(['0 killed a#1', '0 ended team#1 ordered'])
})

sup('SUP-18', async ({ set }) => {
  const sub = { id: 'sub', children: [child('w', { shutdownMs: 100 * 365 * DAY })] }
  const stage = await set({ children: [sub] }, { w: { cleanUpMs: 40 * DAY } })
  await stage.stop()
  await stage.advance(40 * DAY - 1)
  expect(stage.living()).toEqual(['sub#1', 'sub/w#1'])
  await stage.advance(1)
  expect(stage.lives().slice(3)).toEqual([
    'asked sub/w#1',
    'cleaned sub/w#1',
    'ended sub/w#1 ordered',
    'ended sub#1 ordered',
    'ended team#1 ordered',
  ])
})

sup('SUP-19', async ({ set }) => {
  const stage = await set({ children: [child('a', { shutdownMs: 0 })] }, { a: { cleanUpMs: 100 } })
  await stage.stop()
  await stage.advance(1_000)
  expect(stage.timed().slice(2)).toEqual(['0 asked a#1', '0 killed a#1', '0 ended team#1 ordered'])
})

sup('SUP-20', async ({ set }) => {
  const stage = await set({ children: children('ab') }, { b: { onStop: 'crash' } })
  await stage.stop()
  expect(stage.lives().slice(3)).toEqual(['crashed b#1', 'asked a#1', 'ended a#1 ordered', 'ended team#1 ordered'])
  expect(stage.factsOf('actor.crashed')).toMatchObject([{ path: '/top/team/b', data: { message: 'weird', event: 'shutdown' } }])
})

sup('SUP-21', async ({ set }) => {
  const stage = await set({ children: children('abcz') }, { z: { cleanUpMs: 500 } })
  await stage.stop()
  await stage.exit('a', NORMAL)
  await stage.exit('b', shutdown('ordered'))
  await stage.boom('c')
  await stage.advance(500)
  expect(stage.timed().slice(5)).toEqual([
    '0 asked z#1',
    '0 finished a#1',
    '0 ended b#1 ordered',
    '0 crashed c#1',
    '500 cleaned z#1',
    '500 ended z#1 ordered',
    '500 ended team#1 ordered',
  ])
})

/** A child that never reports its end blocks nobody: its supervisor serves others, and ends it when its time is up. */
sup('SUP-22', async ({ set }) => {
  const stage = await set({ children: [child('a', { shutdownMs: 200 }), child('b')] }, { a: { cleanUpMs: 'forever' } })
  expect(await stage.ask({ type: 'child.stop', id: 'a' })).toBeNull()
  const waiting = stage.asked
  expect(await stage.standing()).toEqual({ a: 'stopping', b: 'running' })
  expect(await stage.ask({ type: 'child.stop', id: 'b' })).toEqual({ type: 'child.stopped', id: 'b' })
  await stage.advance(200)
  expect(stage.reply(waiting)).toEqual({ type: 'child.stopped', id: 'a' })
  expect(await stage.standing()).toEqual({ a: 'stopped', b: 'stopped' })
  expect(stage.timed().slice(3)).toEqual(['0 asked a#1', '0 asked b#1', '0 ended b#1 ordered', '200 killed a#1'])
})

sup('SUP-23', async ({ set }) => {
  const sub = { id: 'sub', children: [child('w')] }
  const stage = await set({ shutdownMs: 'brutal', children: [child('a'), sub] }, { '*': { cleanUpMs: 'forever' } })
  await stage.stopTop()
  expect(stage.living()).toEqual([])
  expect(stage.lives().slice(4).sort()).toEqual(['killed a#1', 'killed sub#1', 'killed sub/w#1', 'killed team#1'])
  expect(stage.run()).toMatchObject({ status: 'canceled' })
})
