import { expect, test } from 'vitest'
import { admit, type RestartWindow } from '../../src/machines/intensity.ts'

/** Feeds the times one after another, keeping the window; what was allowed of them. */
function admitted(times: readonly number[], limit: { intensity: number; periodMs: number }): boolean[] {
  let window: RestartWindow = []
  return times.map((now) => {
    const admission = admit(window, { now, ...limit })
    window = admission.window
    return admission.allowed
  })
}

test.each([
  [0, [false]],
  [1, [true, false]],
  [3, [true, true, true, false]],
] as const)('SUP-43 SUP-44 SUP-45: intensity %i allows exactly that many restarts in one period', (intensity, expected) => {
  const times = expected.map((_, index) => index)
  expect(admitted(times, { intensity, periodMs: 60_000 })).toEqual(expected)
})

test.each([
  ['one millisecond less than the period', 4_999, false],
  ['exactly the period', 5_000, false],
  ['one millisecond more than the period', 5_001, true],
] as const)('SUP-46: a restart at an age of %s later decides as OTP does', (_age, gapMs, expected) => {
  expect(admitted([100, 100 + gapMs], { intensity: 1, periodMs: 5_000 })).toEqual([true, expected])
})

test('SUP-47: restarts that are older than the period leave the window', () => {
  expect(admitted([0, 2_100, 4_200, 6_300], { intensity: 1, periodMs: 1_000 })).toEqual([true, true, true, true])
})

test('the count tells how many restarts the period holds, this one included, and the window is what holds them', () => {
  expect(admit([0, 500, 1_000], { now: 1_001, intensity: 3, periodMs: 1_000 })).toEqual({
    window: [500, 1_000, 1_001],
    allowed: true,
    count: 3,
  })
  expect(admit([0, 500, 1_000], { now: 1_000, intensity: 3, periodMs: 1_000 })).toEqual({
    window: [0, 500, 1_000, 1_000],
    allowed: false,
    count: 4,
  })
})

test('periods may be fractions of a millisecond', () => {
  expect(admitted([0, 0.5, 1.1], { intensity: 1, periodMs: 0.5 })).toEqual([true, false, true])
})

test('the window that was given is left as it was', () => {
  const window = Object.freeze([1, 2, 3])
  admit(window, { now: 10, intensity: 1, periodMs: 1 })
  expect(window).toEqual([1, 2, 3])
})
