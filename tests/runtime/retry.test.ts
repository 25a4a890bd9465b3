/** When a failed attempt is tried again, as a table and as bounds that hold for every policy. */
import { assert, double, integer, property, record } from 'fast-check'
import { expect, test } from 'vitest'
import { decideRetry } from '../../src/runtime/retry.ts'

const policy = { maxAttempts: 4, baseDelayMs: 100, maxDelayMs: 300, exponentialBase: 2 }
const backoff = { retry: 'backoff', retryAfterMs: undefined } as const
const after = (retryAfterMs: number | undefined) => ({ retry: 'after', retryAfterMs }) as const

test.each([
  ['what says never', 1, { retry: 'never', retryAfterMs: undefined }, 0, { retry: false }],
  ['what says never, though it names a time', 1, { retry: 'never', retryAfterMs: 5 }, 0, { retry: false }],
  ['the first failure', 1, backoff, 0, { retry: true, delayMs: 100 }],
  ['the second failure', 2, backoff, 0, { retry: true, delayMs: 200 }],
  ['the third failure, at the cap', 3, backoff, 0, { retry: true, delayMs: 300 }],
  ['the last attempt', 4, backoff, 0, { retry: false }],
  ['an attempt past the last', 5, backoff, 0, { retry: false }],
  ['a failure with jitter', 1, backoff, 0.5, { retry: true, delayMs: 90 }],
  ['a failure that names a time', 1, after(1_234), 0.9, { retry: true, delayMs: 1_234 }],
  ['a failure that names a time past the cap', 1, after(60_000), 0, { retry: true, delayMs: 60_000 }],
  ['a failure that names the time zero', 1, after(0), 0, { retry: true, delayMs: 0 }],
  ['a failure that would name a time and does not', 2, after(undefined), 0, { retry: true, delayMs: 200 }],
  ['the last attempt, though it names a time', 4, after(5), 0, { retry: false }],
] as const)('%s (attempt %i) is decided by the table', (_, attempt, failure, random, expected) => {
  expect(decideRetry(policy, attempt, failure, random)).toEqual(expected)
})

test('jitter takes at most a fifth off, and no wait exceeds the cap', () => {
  const policies = record({
    maxAttempts: integer({ min: 2, max: 12 }),
    baseDelayMs: integer({ min: 0, max: 10_000 }),
    maxDelayMs: integer({ min: 0, max: 60_000 }),
    exponentialBase: integer({ min: 1, max: 4 }),
  })
  assert(
    property(
      policies,
      integer({ min: 1, max: 12 }),
      double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (each, attempt, random) => {
        const decided = decideRetry(each, attempt, backoff, random)
        if (attempt >= each.maxAttempts) {
          expect(decided).toEqual({ retry: false })
          return
        }
        const full = Math.min(each.baseDelayMs * each.exponentialBase ** (attempt - 1), each.maxDelayMs)
        expect(decided).toEqual({ retry: true, delayMs: expect.any(Number) })
        const { delayMs } = decided as { delayMs: number }
        expect({ delayMs, full, within: delayMs <= full && delayMs >= Math.floor(full * 0.8) }).toEqual({ delayMs, full, within: true })
      },
    ),
  )
})
