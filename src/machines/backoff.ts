/**
 * Waits before restarts: how long before the n-th restart within the period.
 *
 *   baseMs, baseMs * factor, baseMs * factor^2, ... , at most maxMs        each give or take `jitter` of itself
 *
 * OTP restarts at once. A wait must not hide a crash loop from the limit: childspec.ts refuses a period that is shorter than all waits together.
 */
import type { Backoff } from '../protocol.ts'

/** A {@link Backoff} with its defaults filled in. */
export interface BackoffPolicy {
  readonly baseMs: number
  readonly maxMs: number
  readonly factor: number
  readonly jitter: number
}

/** Defaults: doubled each time, at most a day, jitter 20 %. */
export function backoffOf({ baseMs, maxMs = 86_400_000, factor = 2, jitter = 0.2 }: Backoff): BackoffPolicy {
  return { baseMs, maxMs: Math.max(baseMs, maxMs), factor, jitter }
}

/** The waits before the first `count` restarts, without jitter, in milliseconds. */
export const delaysMs = (policy: BackoffPolicy, count: number): readonly number[] =>
  Array.from({ length: Math.min(count, 1_000) }, (_, index) => Math.min(policy.baseMs * policy.factor ** index, policy.maxMs))

/**
 * The wait before a restart, in whole milliseconds. 0 without a policy.
 * @param count  restarts within the period, this one included.
 * @param random  in [0, 1): 0.5 is the middle.
 */
export function backoffMs(policy: BackoffPolicy | null, count: number, random: number): number {
  if (policy === null) return 0
  const delay = Math.min(policy.baseMs * policy.factor ** (Math.max(1, count) - 1), policy.maxMs)
  return Math.round(delay * (1 + policy.jitter * (2 * random - 1)))
}
