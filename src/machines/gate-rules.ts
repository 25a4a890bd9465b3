/**
 * Who is let in next, and until when the others wait: the rules of the provider gate over its context.
 *
 *   a permit is free (concurrency)  and  the bucket is ready (requests a minute)
 *     and for the next in turn:  its quota group is not paused, its pace allows it, the group has a permit   (else it is passed over)
 *                                its model fits in memory beside those in flight                             (else the line stands)
 *
 * Who waits for memory holds the line: else a large model would never get in between small ones. Plain data, pure.
 */
import type { Held } from '../health.ts'
import { EMPTY_QUEUE, type FairQueue, taken, waitingIn } from './fair-queue.ts'
import { type Bucket, drawn, fullBucket, fullSpeed, isReady, type Pace, readyAt, refilled, started } from './pacing.ts'
import { fits, type Resident } from './vram.ts'

/** One attempt that asks. */
export interface Ticket {
  readonly id: string
  /** Who asks: fairness is between paths. */
  readonly path: string
  readonly group: string
  /** The local model that it needs in memory; null: it runs elsewhere. */
  readonly needs: Resident | null
  /** Somebody else may have the answer: rather refused at once than waiting for a provider that is down. */
  readonly failFast: boolean
  /** The same for one of another quota group: a long pause is not waited for. */
  readonly impatient?: boolean | undefined
}

/** Of one provider; `[providers.NAME]` of the configuration. */
export interface GateSettings {
  /** False: everybody is let in. Default true. */
  readonly queueEnabled: boolean
  /** Calls in flight. Default 4; of `ollama` 1. */
  readonly concurrency: number
  /** Null: as the provider's answers say. */
  readonly requestsPerMinute: number | null
  /** So many failures in a row close the way for `openMs`; then one call tries it. Default 5 and 30 s. */
  readonly breaker: { readonly failures: number; readonly openMs: number }
  /** Memory that is free for local models, GB; null: no bound. */
  readonly vramGb: number | null
}

/** What is not said of a provider. */
export const gateSettings = (provider: string, given: Partial<GateSettings> = {}): GateSettings => ({
  queueEnabled: true,
  concurrency: provider === 'ollama' ? 1 : 4,
  requestsPerMinute: null,
  breaker: { failures: 5, openMs: 30_000 },
  vramGb: null,
  ...given,
})

export interface GateContext {
  readonly provider: string
  readonly settings: GateSettings
  /** Time of the last event. */
  readonly now: number
  readonly queue: FairQueue<Ticket>
  readonly flights: { readonly [id: string]: Ticket & { readonly startedAt: number } }
  readonly paces: { readonly [group: string]: Pace }
  readonly bucket: Bucket
  /** Failures in a row; until when nobody is let in; the one call that tries it. */
  readonly failures: number
  readonly openUntil: number
  readonly probe: string | null
  readonly submitted: number
  readonly completed: number
}

/** Of a gate at which nobody has asked yet. */
export const emptyGate = (provider: string, settings: GateSettings, now: number): GateContext => ({
  provider,
  settings,
  now,
  queue: EMPTY_QUEUE,
  flights: {},
  paces: {},
  bucket: fullBucket(settings.requestsPerMinute ?? 0, now),
  failures: 0,
  openUntil: 0,
  probe: null,
  submitted: 0,
  completed: 0,
})

/** How a quota group is let in. */
export const paceOf = ({ paces, settings }: GateContext, group: string): Pace =>
  (Object.hasOwn(paces, group) ? paces[group] : undefined) ?? fullSpeed(settings.concurrency)

/** The same gate with another pace of one group. */
export const withPace = (context: GateContext, group: string, pace: Pace): GateContext => ({
  ...context,
  paces: { ...context.paces, [group]: pace },
})

/** Lets in whoever may go now, at most `most`, each in its turn. */
export function admitNext(context: GateContext, random: number, most = Number.POSITIVE_INFINITY) {
  const admitted: Ticket[] = []
  let next = refill(context)
  while (admitted.length < most && hasPermit(next) && hasToken(next)) {
    const found = taken(next.queue, (ticket) => isGroupFree(next, ticket.group))
    if (found === null || !hasMemory(next, found.item)) break
    next = { ...begun(next, found.item, random), queue: found.queue }
    admitted.push(found.item)
  }
  return { context: next, admitted }
}

function begun(context: GateContext, ticket: Ticket, random: number): GateContext {
  const { now, flights, bucket, settings } = context
  return {
    ...withPace(context, ticket.group, started(paceOf(context, ticket.group), now, random)),
    flights: { ...flights, [ticket.id]: { ...ticket, startedAt: now } },
    bucket: settings.requestsPerMinute === null ? bucket : drawn(bucket),
  }
}

function refill(context: GateContext): GateContext {
  const { requestsPerMinute } = context.settings
  return requestsPerMinute === null ? context : { ...context, bucket: refilled(context.bucket, requestsPerMinute, context.now) }
}

const hasPermit = ({ flights, settings }: GateContext): boolean => Object.keys(flights).length < settings.concurrency
const hasToken = ({ bucket, settings }: GateContext): boolean => settings.requestsPerMinute === null || isReady(bucket)

const isGroupFull = (context: GateContext, group: string): boolean =>
  Object.values(context.flights).filter((flight) => flight.group === group).length >= Math.floor(paceOf(context, group).concurrency)

const isGroupFree = (context: GateContext, group: string): boolean => groupAt(context, group) <= context.now && !isGroupFull(context, group)

const groupAt = (context: GateContext, group: string): number => {
  const { until, nextAt } = paceOf(context, group)
  return Math.max(until, nextAt)
}

/** Which idle models the server throws out for it is its own business: none of them is in use. */
function hasMemory({ flights, settings: { vramGb } }: GateContext, { needs }: Ticket): boolean {
  if (vramGb === null || needs === null) return true
  const inUse = Object.values(flights).flatMap((flight) => (flight.needs === null ? [] : [flight.needs]))
  return fits([], inUse, needs, vramGb).fits
}

/** How the breaker stands. */
export type Standing = 'closed' | 'open' | 'half_open'

/** When somebody could be let in by time alone; null where nobody waits, or for something else than time. */
export function dueAt(context: GateContext, breaker: Standing): number | null {
  const groups = new Set(waitingIn(context.queue).map(({ group }) => group))
  if (groups.size === 0 || (breaker === 'half_open' && context.probe !== null)) return null
  if (breaker === 'open') return context.openUntil
  if (!hasPermit(context)) return null
  const free = [...groups].filter((group) => !isGroupFull(context, group)).map((group) => groupAt(context, group))
  const bucketAt = hasToken(context) ? 0 : readyAt(context.bucket, context.settings.requestsPerMinute ?? 0)
  const at = Math.max(bucketAt, Math.min(...free))
  return at > context.now && Number.isFinite(at) ? at : null
}

/** What one that waits is waiting for. Times are those of the gate's events. */
export function heldBy(context: GateContext, breaker: Standing, { group }: Pick<Ticket, 'group'>): Held {
  const { provider, settings, now, flights, failures, openUntil, queue } = context
  const { until, nextAt, intervalMs } = paceOf(context, group)
  const of = group === provider ? provider : `${provider}, quota group ${group},`
  if (breaker === 'open') return { on: 'provider', until: openUntil, why: `${provider} is not asked after ${failures} failures in a row` }
  if (breaker === 'half_open') return { on: 'provider', until: null, why: `one call tries whether ${provider} is back` }
  if (until > now) return { on: 'rate_limit', until, why: `${of} asks to wait` }
  if (nextAt > now)
    return { on: 'rate_limit', until: null, why: `${of} is asked every ${(intervalMs / 1_000).toFixed(1)} s after a rate limit` }
  if (hasPermit(context) && !hasToken(context))
    return { on: 'rate_limit', until: null, why: `${provider} takes ${settings.requestsPerMinute} requests a minute` }
  const inFlight = Object.keys(flights).length
  return { on: 'provider', until: null, why: `${inFlight} calls to ${provider} are in flight, ${queue.size} wait` }
}
