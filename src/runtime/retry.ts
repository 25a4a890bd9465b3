/** When a failed attempt is tried again: one pure table for all effects (S2, S3). No wait follows the last attempt. */
import type { Failure, RetryPolicy } from '../effect.ts'

export type RetryDecision = { readonly retry: false } | { readonly retry: true; readonly delayMs: number }

/**
 * @param attempt  the attempt that failed, from 1.
 * @param random  in [0, 1): jitter takes up to 20 % off the delay, so that a herd spreads.
 * @param leftMs  until the total deadline of the effect. An attempt that could not begin before it is not waited for.
 */
export function decideRetry(
  policy: RetryPolicy,
  attempt: number,
  failure: Pick<Failure, 'retry' | 'retryAfterMs'>,
  random: number,
  leftMs = Number.POSITIVE_INFINITY,
): RetryDecision {
  if (failure.retry === 'never' || attempt >= policy.maxAttempts) return { retry: false }
  const delayMs = delayOf(policy, attempt, failure, random)
  return delayMs < leftMs ? { retry: true, delayMs } : { retry: false }
}

function delayOf(policy: RetryPolicy, attempt: number, failure: Pick<Failure, 'retry' | 'retryAfterMs'>, random: number): number {
  // A Retry-After that could not be read is no reason to give up, nor to wait for ever.
  if (failure.retry === 'after' && Number.isFinite(failure.retryAfterMs)) return Math.max(0, failure.retryAfterMs!)
  const delay = Math.min(policy.baseDelayMs * policy.exponentialBase ** (attempt - 1), policy.maxDelayMs)
  return Math.round(delay * (1 - 0.2 * random))
}
