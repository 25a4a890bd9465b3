/** Conformance cases about restarts of one child: which ends are followed by one, what counts, and when a supervisor gives up. */
import { expect } from 'vitest'
import type { ExitReason } from '../../src/protocol.ts'
import { CRASH, KILLED, NORMAL, shutdown } from './actors.ts'
import { child, children, type Play, sup } from './case.ts'

const LONG = 3_600_000
/** OTP's `shutdown`, and its `{shutdown, info}`: here with a detail. */
const CLEAN = [NORMAL, shutdown('ordered'), shutdown('timeout')]
const ABNORMAL = [CRASH, KILLED]
const alone = (restart: string, intensity: number) => ({ intensity, periodMs: LONG, children: [child('a', { restart })] })
const wordOf = (reason: ExitReason): string => (reason.kind === 'shutdown' ? reason.detail : reason.kind)

sup('SUP-24', async ({ set }) => {
  for (const reason of [...CLEAN, ...ABNORMAL]) {
    const stage = await set(alone('permanent', 1))
    await stage.exit('a', reason)
    expect([wordOf(reason), stage.living()]).toEqual([wordOf(reason), ['a#2']])
    await stage.exit('a', reason)
    expect([wordOf(reason), stage.lives().slice(-2)]).toEqual([wordOf(reason), ['gave_up team a', 'ended team#1 gave_up']])
  }
})

sup('SUP-25', async ({ set }) => {
  for (const reason of ABNORMAL) {
    const stage = await set(alone('transient', 1))
    await stage.exit('a', reason)
    expect(stage.living()).toEqual(['a#2'])
    await stage.exit('a', reason)
    expect(stage.lives().slice(-2)).toEqual(['gave_up team a', 'ended team#1 gave_up'])
  }
})

sup('SUP-26', async ({ set }) => {
  for (const reason of CLEAN) {
    const stage = await set(alone('transient', 0))
    await stage.exit('a', reason)
    await stage.advance(LONG)
    expect(await stage.standing()).toEqual({ a: 'stopped' })
    expect(await stage.ask({ type: 'child.restart', id: 'a' })).toEqual({ type: 'child.started', id: 'a', incarnation: 2 })
    expect(stage.living()).toEqual(['a#2'])
  }
})

sup('SUP-27', async ({ set }) => {
  for (const reason of [...CLEAN, ...ABNORMAL]) {
    const stage = await set(alone('temporary', 0))
    await stage.exit('a', reason)
    await stage.advance(LONG)
    expect([wordOf(reason), await stage.standing(), stage.living()]).toEqual([wordOf(reason), {}, []])
    expect(stage.isUp()).toBe(true)
  }
})

sup('SUP-28', async ({ set }) => {
  const stage = await set({ children: children('abc') })
  await stage.boom('b')
  expect(stage.lives().slice(4)).toEqual(['crashed b#1', 'started b#2'])
  expect(stage.living()).toEqual(['a#1', 'b#2', 'c#1'])
})

/** Both die while a third is still starting: the supervisor decides when it has. */
sup('SUP-34', async ({ set }) => {
  const stage = await set({ intensity: 1, children: [...children('ab'), child('z', { readyTag: 'up' })] }, { z: { start: 'hang' } })
  await stage.boom('a')
  await stage.boom('b')
  expect(stage.lives().slice(4)).toEqual(['crashed a#1', 'crashed b#1'])
  await stage.send('z', { type: 'open' })
  expect(stage.lives()).toContain('gave_up team b')
  expect(stage.lives().at(-1)).toBe('ended team#1 gave_up')
  expect(stage.restartsOf('a')).toBe(1)
})

/** As many restarts as the intensity says, and one crash more. */
async function upToTheLimit({ set }: Play, intensity: number): Promise<void> {
  const stage = await set({ intensity, periodMs: LONG, children: children('ab') })
  for (let crash = 1; crash <= intensity; crash++) await stage.boom('a')
  const last = `a#${intensity + 1}`
  expect(stage.living()).toEqual([last, 'b#1'])
  const mark = stage.mark()
  await stage.boom('a')
  expect(stage.lives(mark)).toEqual([`crashed ${last}`, 'gave_up team a', 'asked b#1', 'ended b#1 ordered', 'ended team#1 gave_up'])
  expect(stage.restartsOf('a')).toBe(intensity)
}
sup('SUP-43', (play) => upToTheLimit(play, 0))
sup('SUP-44', (play) => upToTheLimit(play, 1))
sup('SUP-45', (play) => upToTheLimit(play, 3))

sup('SUP-46', async ({ set }) => {
  for (const [age, survives] of [
    [999, false],
    [1_000, false],
    [1_001, true],
  ] as const) {
    const stage = await set({ intensity: 1, periodMs: 1_000, children: children('a') })
    await stage.boom('a')
    await stage.advance(age)
    await stage.boom('a')
    expect([age, stage.isUp()]).toEqual([age, survives])
  }
})

sup('SUP-47', async ({ set }) => {
  const stage = await set({ intensity: 1, periodMs: 1_000, children: children('a') })
  for (let crash = 0; crash < 4; crash++) {
    await stage.boom('a')
    await stage.advance(2_100)
  }
  expect(stage.living()).toEqual(['a#5'])
})

sup('SUP-48', async ({ set }) => {
  const stage = await set({ intensity: 2, children: children('abc') })
  await stage.boom('a')
  await stage.boom('b')
  expect(stage.isUp()).toBe(true)
  await stage.boom('c')
  expect(stage.reasonOf()).toEqual({
    kind: 'shutdown',
    detail: 'gave_up',
    output: { count: 3, max: 2, periodMs: 5_000, child: 'c', last: expect.objectContaining({ kind: 'error' }) },
  })
})

sup('SUP-49', async ({ set }) => {
  const stage = await set({ intensity: 3, children: children('a') }, { a: [{}, { start: 'fail' }] })
  await stage.boom('a')
  expect(stage.lives().slice(2)).toEqual([
    'crashed a#1',
    'failed a#2',
    'failed a#3',
    'failed a#4',
    'gave_up team a',
    'ended team#1 gave_up',
  ])
})

sup('SUP-50', async ({ set }) => {
  const stage = await set({ intensity: 0, children: children('ab') })
  for (let life = 2; life < 7; life++) {
    expect(await stage.ask({ type: 'child.stop', id: 'a' })).toEqual({ type: 'child.stopped', id: 'a' })
    expect(await stage.ask({ type: 'child.restart', id: 'a' })).toEqual({ type: 'child.started', id: 'a', incarnation: life })
  }
  await stage.ask({ type: 'child.stop', id: 'a' })
  stage.workers['a'] = { start: 'fail' }
  for (let n = 0; n < 3; n++)
    expect(await stage.ask({ type: 'child.restart', id: 'a' })).toMatchObject({ type: 'child.refused', id: 'a', why: 'start_failed' })
  expect(await stage.standing()).toEqual({ a: 'stopped', b: 'running' })
  expect(stage.factsOf('actor.restarted')).toEqual([])
})

sup('SUP-51', async ({ set }) => {
  for (const jumpMs of [-3_600_000, 3_600_000]) {
    for (const [ageMs, survives] of [
      [5_000, false],
      [5_001, true],
    ] as const) {
      const stage = await set({ intensity: 1, periodMs: 5_000, children: children('a') })
      await stage.boom('a')
      stage.clock.jumpWall(jumpMs)
      await stage.advance(ageMs)
      await stage.boom('a')
      expect([jumpMs, ageMs, stage.isUp()]).toEqual([jumpMs, ageMs, survives])
    }
  }
})

sup('SUP-52', async ({ set }) => {
  const specs = [child('a', { shutdownMs: 'brutal' }), child('b'), child('c'), child('d', { shutdownMs: 50 })]
  const stage = await set({ intensity: 0, children: specs }, { a: { cleanUpMs: 100 }, c: { cleanUpMs: 100 }, d: { cleanUpMs: 'forever' } })
  await stage.boom('b')
  await stage.advance(1_000)
  expect(stage.timed().slice(5)).toEqual([
    '0 crashed b#1',
    '0 gave_up team b',
    '0 asked d#1',
    '50 killed d#1',
    '50 asked c#1',
    '150 cleaned c#1',
    '150 ended c#1 ordered',
    '150 killed a#1',
    '150 ended team#1 gave_up',
  ])
  expect(stage.factsOf('supervisor.gave_up')).toMatchObject([{ path: '/top/team', data: { child: 'b', count: 1, max: 0 } }])
})
