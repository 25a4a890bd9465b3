/** Conformance cases beyond OTP: backoff, a window that survives the process, late answers, and messages that kill. */
import { expect } from 'vitest'
import { child, children, ours, sup } from './case.ts'

const timesOf = (lines: readonly string[], what: RegExp): number[] =>
  lines.flatMap((line) => (what.test(line) ? [Number(line.split(' ')[0])] : []))
const gaps = (times: readonly number[]): number[] => times.slice(1).map((at, index) => at - times[index]!)

sup('SUP-78', async ({ set }) => {
  const backoff = { baseMs: 1_000, factor: 2, maxMs: 8_000 }
  const team = { intensity: 3, periodMs: 60_000, children: children('a') }
  for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'])
    for (const jitter of [0, 0.2]) {
      const stage = await set({ ...team, strategy, backoff: { ...backoff, jitter } }, { a: { start: 'crash' } })
      await stage.advance(60_000)
      const delays = gaps(timesOf(stage.timed(), / started a#/))
      expect(delays).toHaveLength(3)
      for (const [index, delayMs] of delays.entries()) {
        const middle = 1_000 * 2 ** index
        expect(Math.abs(delayMs - middle)).toBeLessThanOrEqual(middle * jitter)
      }
      if (jitter > 0) expect(delays).not.toEqual([1_000, 2_000, 4_000])
      expect(stage.lives().slice(-2)).toEqual(['gave_up team a', 'ended team#1 gave_up'])
      const stopped = await set({ ...team, strategy, backoff: { ...backoff, jitter } }, { a: { start: 'crash' } })
      await stopped.advance(500)
      await stopped.stop()
      expect(stopped.timed().at(-1)).toBe('500 ended team#1 ordered')
      await stopped.advance(60_000)
      expect(stopped.lives()).toEqual(['started team#1', 'started a#1', 'crashed a#1', 'ended team#1 ordered'])
    }
})

ours(
  'there is no wait before a restart unless the spec has a backoff, as in OTP; a period that is shorter than its waits is refused',
  async ({ set }) => {
    const stage = await set({ children: children('a') })
    await stage.boom('a')
    expect(stage.timed().slice(-2)).toEqual(['0 crashed a#1', '0 started a#2'])
    await expect(set({ intensity: 3, periodMs: 7_000, backoff: { baseMs: 1_000, jitter: 0.1 }, children: children('a') })).rejects.toThrow(
      'periodMs must be at least 7700, which its backoff may wait before 3 restarts',
    )
  },
)

sup('SUP-79', async ({ set }) => {
  for (const [downMs, survives] of [
    [0, false],
    [30_000, false],
    [60_001, true],
  ] as const) {
    const stage = await set({ intensity: 3, periodMs: 60_000, children: children('a') })
    await stage.boom('a')
    await stage.boom('a')
    await stage.die(downMs)
    await stage.boom('a')
    expect([downMs, stage.isUp()]).toEqual([downMs, true])
    await stage.boom('a')
    expect([downMs, stage.isUp()]).toEqual([downMs, survives])
  }
})

sup('SUP-80', async ({ mode, set }) => {
  const stage = await set({ children: [child('a', { input: 1 })] })
  await stage.send('a', { type: 'call' })
  await stage.boom('a')
  expect(stage.living()).toEqual(['a#2'])
  const called = stage.calls.length
  for (const call of stage.calls) call.answer('late')
  await stage.rest()
  expect([stage.living(), stage.heard('a')]).toEqual([['a#2'], []])
  expect(stage.factsOf('effect.cancelled')).toMatchObject([{ path: '/top/team/a', inc: 1, data: { was: 'started' } }])
  // An answer that comes after its process has died is heard by nobody. The effect is not begun again either: its life is over.
  expect(stage.calls).toHaveLength(called)
  const stale = stage.entries().filter(({ type, data }) => type === 'message.dropped' && data['reason'] === 'stale')
  if (mode === 'lives on')
    expect(stale).toMatchObject([{ path: '/top/team/a', data: { event: 'outcome of e1', why: 'the effect was cancelled' } }])
  await stage.send('a', { type: 'call' })
  stage.calls.at(-1)!.answer('in time')
  await stage.rest()
  expect(stage.heard('a')).toEqual(['in time'])
})

/** Here one delivery is enough: the letter is dead from its first crash, with its error, and costs one restart. */
sup('SUP-81', async ({ set }) => {
  for (const from of ['initial', 'checkpoint']) {
    const stage = await set({ intensity: 1, children: [child('a', { from })] })
    await stage.send('a', { type: 'note', n: 1 })
    await stage.boom('a')
    await stage.send('a', { type: 'note', n: 2 })
    await stage.advance(3_600_000)
    expect([from, stage.living(), stage.heard('a')]).toEqual([from, ['a#2'], from === 'checkpoint' ? [1, 2] : [2]])
    expect(stage.factsOf('actor.crashed')).toMatchObject([{ path: '/top/team/a', data: { message: 'boom', deadLetter: { type: 'boom' } } }])
    expect(stage.restartsOf('a')).toBe(1)
  }
})
