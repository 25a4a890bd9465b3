/**
 * How fast a provider is asked: a pace for each quota group, learned from its rate limits, and a bucket for a known number of requests a minute.
 *
 *   full speed --limited--> pause as long as it asks --> one after the other, as far apart as the provider has just shown --accepted--> a little closer
 *
 * What a rate limit shows: `accepted` answers in the time since the pause before, this pause included. That is its rate, so after the first pause limits are
 * rare. Requests that had waited for the pause are not released at once: the first comes a random part of an interval after it, the others each an interval,
 * give or take a quarter (P21). Calls in flight are halved by a limit and grow by one in each round that is accepted, as in TCP (RFC 5681).
 *
 * Pure: time and chance are given. Milliseconds.
 */
import { GATE_PACE_MS_MAX, RETRY_AFTER_MS_MAX } from '../limits.ts'

/** How the members of one quota group are let in. */
export interface Pace {
  /** It is not asked before that: the end of the pause. */
  readonly until: number
  /** Nor before that: the next start. */
  readonly nextAt: number
  /** From start to start; 0: as fast as there are permits. */
  readonly intervalMs: number
  /** Calls in flight that it takes; grows by parts. */
  readonly concurrency: number
  /** Answers since `since`, the first start after the last pause. */
  readonly accepted: number
  readonly since: number | null
  /** When it was slowed down last. Who had started by then brings no news. */
  readonly slowedAt: number | null
  /** Rate limits in a row. */
  readonly strikes: number
}

/** First wait where a provider does not say how long, doubled with each limit in a row. */
const PAUSE_MS = 1_000
/** Safety over the rate that was seen. */
const MARGIN = 1.1
/** How much closer the starts come with each answer. */
const CLOSER = 0.99
/** Starts that are closer than this are not paced any more. */
const INTERVAL_MS_MIN = 20

/** Of a group that has never been limited. */
export const fullSpeed = (concurrency: number): Pace => ({
  until: 0,
  nextAt: 0,
  intervalMs: 0,
  concurrency,
  accepted: 0,
  since: null,
  slowedAt: null,
  strikes: 0,
})

/** Has it been slowed down, and is not yet at full speed again? */
export const isSlowed = ({ intervalMs, concurrency }: Pace, most: number): boolean => intervalMs > 0 || Math.floor(concurrency) < most

/** A call has started. @param random  in [0, 1). */
export const started = (pace: Pace, now: number, random: number): Pace => ({
  ...pace,
  nextAt: Math.max(pace.nextAt, now + pace.intervalMs * (0.75 + random / 2)),
  since: pace.since ?? now,
})

/** An answer has come. @param most  the concurrency of a group that is not limited. */
export function accepted(pace: Pace, most: number): Pace {
  const closer = pace.intervalMs * CLOSER
  return {
    ...pace,
    accepted: pace.accepted + 1,
    strikes: 0,
    intervalMs: closer < INTERVAL_MS_MIN ? 0 : closer,
    concurrency: Math.min(most, pace.concurrency + 1 / pace.concurrency),
  }
}

/** The provider has said that it was too much. */
export interface RateLimit {
  readonly now: number
  /** When the call had started that was refused. */
  readonly startedAt: number
  /** How long it asks to wait; null: it does not say. */
  readonly retryAfterMs: number | null
  /** In [0, 1). */
  readonly random: number
}

/** The pace after a rate limit. Those that were in flight together slow it down once, however many are refused. */
export function limited(pace: Pace, { now, startedAt, retryAfterMs, random }: RateLimit): Pace {
  const pauseMs = Math.min(retryAfterMs ?? PAUSE_MS * 2 ** Math.min(pace.strikes, 6), RETRY_AFTER_MS_MAX)
  const until = Math.max(pace.until, now + pauseMs)
  if (pace.slowedAt !== null && startedAt <= pace.slowedAt)
    return { ...pace, until, nextAt: Math.max(pace.nextAt, until + pace.intervalMs * random) }
  const seenMs = (now - (pace.since ?? now) + pauseMs) / Math.max(1, pace.accepted)
  // With next to nothing accepted there is no rate to be seen: then it is at least twice as slow as before.
  const intervalMs = Math.min(MARGIN * Math.max(seenMs, pace.accepted < 2 ? 2 * pace.intervalMs : 0), GATE_PACE_MS_MAX)
  return {
    until,
    nextAt: until + intervalMs * random,
    intervalMs,
    concurrency: Math.max(1, Math.floor(pace.concurrency / 2)),
    accepted: 0,
    since: null,
    slowedAt: now,
    strikes: pace.strikes + 1,
  }
}

/** After an outage the provider is not met by everybody at once: one call, then two, and so on. */
export const careful = (pace: Pace): Pace => ({ ...pace, concurrency: 1 })

/** Requests that may start now, for a provider with a known number of requests a minute. */
export interface Bucket {
  readonly tokens: number
  readonly at: number
}

/** A tenth of a minute's requests may start at once; the rest follows evenly. Together never more than `perMinute` in any minute. */
const burstOf = (perMinute: number): number => Math.ceil(perMinute / 10)
const rateOf = (perMinute: number): number => (perMinute - burstOf(perMinute) + 1) / 60_000

/** A full one. */
export const fullBucket = (perMinute: number, now: number): Bucket => ({ tokens: burstOf(perMinute), at: now })

/** What has been refilled by now. */
export const refilled = ({ tokens, at }: Bucket, perMinute: number, now: number): Bucket => ({
  tokens: Math.min(burstOf(perMinute), tokens + Math.max(0, now - at) * rateOf(perMinute)),
  at: Math.max(at, now),
})

/** One request starts. */
export const drawn = (bucket: Bucket): Bucket => ({ ...bucket, tokens: bucket.tokens - 1 })

/** When the next request may start. */
export const readyAt = ({ tokens, at }: Bucket, perMinute: number): number =>
  isReady({ tokens, at }) ? at : at + Math.ceil((1 - tokens) / rateOf(perMinute))

/** May one start? Parts of a millisecond do not count. */
export const isReady = ({ tokens }: Bucket): boolean => tokens >= 1 - 1e-9
