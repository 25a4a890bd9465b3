/**
 * The words of the provider gate: its events, and what they do to its context. The chart is in provider-gate.ts, the breaker's part of it in breaker.ts.
 *
 * Time and chance come with each event: `now` in milliseconds of a clock that never falls, `random` in [0, 1).
 */
import { enqueueActions, setup, stateIn } from 'xstate'
import { GATE_QUEUE_MAX, PATIENCE_MS } from '../limits.ts'
import { joined, waitingIn, without } from './fair-queue.ts'
import { admitNext, emptyGate, type GateContext, type GateSettings, paceOf, type Ticket, withPace } from './gate-rules.ts'
import { accepted, careful, isSlowed, limited } from './pacing.ts'

interface Instant {
  readonly now: number
  readonly random: number
}

/** What an attempt came to, in the words of a `Failure`. */
export interface GateFailure {
  readonly code: string
  readonly retry: 'never' | 'backoff' | 'after'
  readonly retryAfterMs?: number | undefined
}

export type GateEvent = Instant &
  (
    | { readonly type: 'request'; readonly ticket: Ticket }
    /** The attempt is over, or is not wanted any more. */
    | { readonly type: 'left'; readonly id: string }
    | { readonly type: 'succeeded'; readonly id: string }
    | ({ readonly type: 'failed'; readonly id: string } & GateFailure)
    /** Time has come for somebody. */
    | { readonly type: 'tick' }
    /** Raised by the gate itself: everything that an event changes is changed, now let in whoever may go. */
    | { readonly type: 'settle' }
    | { readonly type: 'probing'; readonly id: string }
  )

/** Why one is not let in who has another model to ask: the provider is down, or its quota group is paused for long. */
export type Refusal = 'down' | 'paused'

export type GateSaid =
  | { readonly type: 'admitted'; readonly id: string }
  /** Let in only to be told that the provider is not asked. */
  | { readonly type: 'refused'; readonly id: string; readonly why: Refusal }
  /** The queue is full: ask again when somebody has gone. */
  | { readonly type: 'turned_away'; readonly id: string }
  | {
      readonly type: 'paused'
      readonly reason: 'rate_limit' | 'breaker'
      readonly group: string | null
      readonly until: number
      readonly by: string
    }

export interface GateInput {
  readonly provider: string
  readonly settings: GateSettings
  readonly now: number
}

/** XState makes a context without an input, too, each time that it is asked for a transition. */
export const contextOf = (input: GateInput | undefined): GateContext =>
  input === undefined ? emptyGate('', NOBODY, 0) : emptyGate(input.provider, input.settings, input.now)
const NOBODY: GateSettings = {
  queueEnabled: true,
  concurrency: 1,
  requestsPerMinute: null,
  breaker: { failures: 1, openMs: 0 },
  vramGb: null,
}

/** The provider could not be reached: what a breaker counts. */
const UNREACHED: readonly string[] = ['E_PROVIDER_UNREACHABLE', 'E_PROVIDER_TIMEOUT', 'E_EFFECT_TIMEOUT']
/** It has answered, if only to refuse. */
const ANSWERED = /^E_(?:PROVIDER_(?:OVERLOADED|OUTPUT|REFUSED)|CREDENTIALS_REJECTED|MODEL_UNKNOWN|CONTEXT_TOO_LARGE)$/
const isUnreached = (event: GateEvent): boolean => event.type === 'failed' && UNREACHED.includes(event.code)
const isAnswer = (event: GateEvent): boolean => event.type === 'succeeded' || (event.type === 'failed' && ANSWERED.test(event.code))
const isLimit = (event: GateEvent): boolean =>
  event.type === 'failed' && (event.code === 'E_PROVIDER_OVERLOADED' || (event.retry === 'after' && !isUnreached(event)))

const isLongPaused = (context: GateContext, { group }: Ticket): boolean => paceOf(context, group).until - context.now > PATIENCE_MS
const afterRefusal = ({ queue, completed }: GateContext, refused: readonly Ticket[]): Pick<GateContext, 'queue' | 'completed'> => ({
  queue: without(queue, (ticket) => refused.includes(ticket)),
  completed: completed + refused.length,
})

const at = (context: GateContext, { now }: Instant): GateContext => ({ ...context, now: Math.max(context.now, now) })

export const gate = setup({
  types: { context: {} as GateContext, events: {} as GateEvent, emitted: {} as GateSaid, input: {} as GateInput },
  guards: {
    someWait: ({ context }) => context.queue.size > 0,
    isFull: ({ context }) => context.queue.size >= GATE_QUEUE_MAX,
    isClosed: stateIn({ breaker: 'closed' }),
    mayProbe: stateIn({ breaker: { half_open: 'waiting' } }),
    isLimit: ({ event }) => isLimit(event),
    somePause: ({ context }) => Object.values(context.paces).some(({ until }) => until > context.now),
    someSlow: ({ context }) => Object.values(context.paces).some((pace) => isSlowed(pace, context.settings.concurrency)),
    isUnreached: ({ event }) => isUnreached(event),
    isLastStraw: ({ context, event }) => isUnreached(event) && context.failures + 1 >= context.settings.breaker.failures,
    isAnswer: ({ event }) => isAnswer(event),
    isOver: ({ context, event }) => event.now >= context.openUntil,
    isProbe: ({ context, event }) => 'id' in event && event.id === context.probe,
    isProbeUnreached: ({ context, event }) => 'id' in event && event.id === context.probe && isUnreached(event),
    isProbeAnswer: ({ context, event }) => 'id' in event && event.id === context.probe && isAnswer(event),
  },
  actions: {
    settle: enqueueActions(({ enqueue, event: { now, random } }) => enqueue.raise({ type: 'settle', now, random })),
    look: enqueueActions(({ context, event, enqueue }) => enqueue.assign(at(context, event))),
    enter: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'request') return
      const queue = joined(context.queue, event.ticket.path, event.ticket)
      enqueue.assign({ ...at(context, event), queue, submitted: context.submitted + 1 })
    }),
    turnAway: enqueueActions(({ event, enqueue }) => {
      if (event.type === 'request') enqueue.emit({ type: 'turned_away', id: event.ticket.id })
    }),
    leave: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'left') return
      const { [event.id]: flight, ...flights } = context.flights
      const queue = flight === undefined ? without(context.queue, ({ id }) => id === event.id) : context.queue
      enqueue.assign({ ...at(context, event), flights, queue, completed: context.completed + (flight === undefined ? 0 : 1) })
    }),
    admit: enqueueActions(({ context, event, enqueue }) => {
      const { context: next, admitted } = admitNext(context, event.random)
      enqueue.assign(next)
      for (const { id } of admitted) enqueue.emit({ type: 'admitted', id })
    }),
    /** One is let in, whoever is next. */
    probe: enqueueActions(({ context, event: { now, random }, enqueue }) => {
      const { context: next, admitted } = admitNext(context, random, 1)
      const [probe] = admitted
      if (probe === undefined) return
      enqueue.assign({ ...next, probe: probe.id })
      enqueue.emit({ type: 'admitted', id: probe.id })
      enqueue.raise({ type: 'probing', id: probe.id, now, random })
      enqueue.raise({ type: 'settle', now, random })
    }),
    /** Who has somebody else to ask does not wait for a provider that is down. */
    refuse: enqueueActions(({ context, enqueue }) => {
      const refused = waitingIn(context.queue).filter(({ failFast }) => failFast)
      if (refused.length === 0) return
      enqueue.assign(afterRefusal(context, refused))
      for (const { id } of refused) enqueue.emit({ type: 'refused', id, why: 'down' })
    }),
    /** Nor for a pause that its own time would be lost in. */
    refusePaused: enqueueActions(({ context, enqueue }) => {
      const refused = waitingIn(context.queue).filter((ticket) => ticket.impatient === true && isLongPaused(context, ticket))
      if (refused.length === 0) return
      enqueue.assign(afterRefusal(context, refused))
      for (const { id } of refused) enqueue.emit({ type: 'refused', id, why: 'paused' })
    }),
    slowDown: enqueueActions(({ context, event, enqueue }) => {
      const flight = event.type === 'failed' ? context.flights[event.id] : undefined
      if (event.type !== 'failed' || flight === undefined) return
      const { now, random } = event
      const retryAfterMs = event.retryAfterMs !== undefined && Number.isFinite(event.retryAfterMs) ? Math.max(0, event.retryAfterMs) : null
      const pace = limited(paceOf(context, flight.group), { now, random, retryAfterMs, startedAt: flight.startedAt })
      enqueue.assign(withPace(context, flight.group, pace))
      enqueue.emit({ type: 'paused', reason: 'rate_limit', group: flight.group, until: pace.until, by: event.id })
    }),
    speedUp: enqueueActions(({ context, event, enqueue }) => {
      const flight = event.type === 'succeeded' ? context.flights[event.id] : undefined
      if (flight === undefined) return
      enqueue.assign(withPace(context, flight.group, accepted(paceOf(context, flight.group), context.settings.concurrency)))
    }),
    count: enqueueActions(({ context, enqueue }) => enqueue.assign({ failures: context.failures + 1 })),
    forget: enqueueActions(({ enqueue }) => enqueue.assign({ failures: 0 })),
    /** At most a tenth longer than it is set: processes that have lost the same provider do not come back together. */
    open: enqueueActions(({ context, event, enqueue }) => {
      const until = event.now + context.settings.breaker.openMs * (1 + event.random / 10)
      enqueue.assign({ failures: context.failures + 1, openUntil: until, probe: null })
      enqueue.emit({ type: 'paused', reason: 'breaker', group: null, until, by: 'id' in event ? event.id : '' })
    }),
    /** It is back: everybody begins with one call. */
    comeBack: enqueueActions(({ context, enqueue }) => {
      const groups = new Set([...Object.keys(context.paces), ...waitingIn(context.queue).map(({ group }) => group)])
      const paces = Object.fromEntries([...groups].map((group) => [group, careful(paceOf(context, group))]))
      enqueue.assign({ failures: 0, probe: null, paces })
    }),
    giveUpProbe: enqueueActions(({ enqueue }) => enqueue.assign({ probe: null })),
  },
})
