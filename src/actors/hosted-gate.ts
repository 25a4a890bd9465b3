/**
 * One gate: the machine of machines/provider-gate.ts under XState's `createActor`, and the places of those who have asked.
 *
 *   enter --request--> machine --admitted--> in --left--> gone          machine --turned_away--> outside --room--> request
 *                              --refused---> let in only to be told
 *
 * It runs as an actor, and not step by step as the judge of health does: it belongs to no run, nothing of it is stored, and so an inspector sees it as it
 * is, through `inspect`. It has no timers of its own; the one timer here ticks when `tickAt` says so, and only while somebody waits.
 */
import { type Actor, createActor, type InspectionEvent, type Observer } from 'xstate'
import type { Admission, AdmissionRequest } from '../effect.ts'
import type { GenerateInput } from '../machines/effects.ts'
import { EMPTY_QUEUE, type FairQueue, joined, taken, without } from '../machines/fair-queue.ts'
import type { ModelRef } from '../machines/models.ts'
import {
  type GateEvent,
  type GateFailure,
  type GateSaid,
  type GateSettings,
  type GateSnapshot,
  providerGate,
  type Refusal,
  reasonOf,
  standingOf,
  type Ticket,
  tickAt,
} from '../machines/provider-gate.ts'
import { type Resident, vramKey, vramOf } from '../machines/vram.ts'
import type { Clock } from '../runtime/clock.ts'

/** A pause of a provider, as `provider.paused` tells of it. */
export interface GatePause {
  readonly provider: string
  readonly reason: 'rate_limit' | 'breaker'
  /** The quota group that is paused; null: all of the provider. */
  readonly group: string | null
  /** Wall clock, milliseconds. */
  readonly untilMs: number
  /** The attempt that has brought it about. */
  readonly ticket: string | null
}

/** Figures of one gate (A3, A15). `depth`: who waits. The last two counts only grow. */
export interface GateMetrics {
  readonly depth: number
  readonly inflight: number
  readonly submitted: number
  readonly completed: number
  readonly breakerOpen: boolean
}

/** Of one attempt. `outside`: the queue was full. */
export interface Place {
  readonly gate: Gate
  readonly ticket: string
  readonly entry: Ticket
  readonly opened: () => void
  state: 'outside' | 'queued' | 'in' | 'refused' | 'gone'
  /** Why it is refused, where it is. */
  refusal: Refusal | null
}

/** What it takes of the graphics card, where it is a model of one's own. */
function needsOf(model: ModelRef): Resident | null {
  const gb = vramOf(model)
  return gb === null ? null : { key: vramKey(model), gb }
}

type Told<Event = GateEvent> = Event extends unknown ? Omit<Event, 'now' | 'random'> : never

interface GateOptions {
  readonly provider: string
  readonly settings: GateSettings
  readonly clock: Clock
  readonly paused: (pause: GatePause) => void
  readonly inspect: Observer<InspectionEvent> | ((event: InspectionEvent) => void) | undefined
}

/** The gate of one provider. */
export class Gate {
  readonly #options: GateOptions
  readonly #actor: Actor<typeof providerGate>
  readonly #places = new Map<string, Place>()
  #outside: FairQueue<Place> = EMPTY_QUEUE
  #pause: GatePause | null = null
  #count = 0
  #cancelTick = (): void => {}

  constructor(options: GateOptions) {
    const { provider, settings, clock, inspect } = options
    this.#options = options
    const input = { provider, settings, now: clock.monotonicMs() }
    this.#actor = createActor(providerGate, { id: `provider-gate:${provider}`, input, ...(inspect === undefined ? {} : { inspect }) })
    this.#actor.on('*', (said) => this.#hear(said))
    this.#actor.start()
  }

  enter({ input, ticket, path, opened }: AdmissionRequest<GenerateInput>): Place {
    const { provider } = this.#options
    const { model, failFast = false, impatient = false } = input
    const about = { group: model?.quotaGroup ?? provider, needs: model === undefined ? null : needsOf(model) }
    const entry: Ticket = {
      id: String(++this.#count),
      path: `${ticket.slice(0, ticket.indexOf('/'))}${path}`,
      failFast,
      impatient,
      ...about,
    }
    const place: Place = { gate: this, ticket, entry, opened, state: 'queued', refusal: null }
    this.#places.set(entry.id, place)
    this.tell({ type: 'request', ticket: entry })
    return place
  }

  leave(place: Place): void {
    const before = place.state
    if (before === 'gone') return
    place.state = 'gone'
    this.#places.delete(place.entry.id)
    if (before === 'outside') this.#outside = without(this.#outside, (one) => one === place)
    if (before === 'queued' || before === 'in') this.tell({ type: 'left', id: place.entry.id })
  }

  failed({ entry: { id } }: Place, failure: GateFailure): GatePause | null {
    this.#pause = null
    this.tell({ ...failure, type: 'failed', id })
    return this.#pause
  }

  /** What the machine hears; whoever waits outside for a place in the queue comes after it. */
  tell(event: Told): void {
    const { clock } = this.#options
    this.#actor.send({ ...event, now: clock.monotonicMs(), random: clock.random() } as GateEvent)
    this.#letQueue()
    this.#wait()
  }

  waiting({ state, entry }: Place): ReturnType<Admission['waiting']> {
    if (state !== 'queued' && state !== 'outside') return null
    const { on, why, until } = reasonOf(this.snapshot(), entry)
    return { on, why: state === 'outside' ? `${why}; the queue is full` : why, untilMs: until === null ? null : this.#wall(until) }
  }

  /** What a place that is refused fails with, in the words of a call that was made. */
  refusalOf({ refusal }: Place): { readonly code: 'E_PROVIDER_UNREACHABLE' | 'E_PROVIDER_OVERLOADED'; readonly message: string } {
    const { provider } = this.#options
    const { failures } = this.snapshot().context
    return refusal === 'paused'
      ? { code: 'E_PROVIDER_OVERLOADED', message: `${provider} is not asked: it asks to wait for longer than another model takes` }
      : { code: 'E_PROVIDER_UNREACHABLE', message: `${provider} is not asked: ${failures} calls in a row have failed` }
  }

  snapshot(): GateSnapshot {
    return this.#actor.getSnapshot()
  }

  metrics(): GateMetrics {
    const snapshot = this.snapshot()
    const { queue, flights, submitted, completed } = snapshot.context
    const depth = queue.size + this.#outside.size
    const inflight = Object.keys(flights).length
    return { depth, inflight, submitted: submitted + this.#outside.size, completed, breakerOpen: standingOf(snapshot) !== 'closed' }
  }

  #hear(said: GateSaid): void {
    if (said.type === 'paused') this.#hearPause(said)
    const place = 'id' in said ? this.#places.get(said.id) : undefined
    if (place === undefined) return
    if (said.type === 'turned_away') {
      place.state = 'outside'
      this.#outside = joined(this.#outside, place.entry.path, place)
      return
    }
    place.state = said.type === 'refused' ? 'refused' : 'in'
    place.refusal = said.type === 'refused' ? said.why : null
    place.opened()
  }

  #hearPause({ reason, group, until, by }: Extract<GateSaid, { type: 'paused' }>): void {
    const ticket = this.#places.get(by)?.ticket ?? null
    this.#pause = { provider: this.#options.provider, reason, group, untilMs: this.#wall(until), ticket }
    this.#options.paused(this.#pause)
  }

  #letQueue(): void {
    while (this.#outside.size > 0 && !this.snapshot().matches({ admitting: 'full' })) {
      const { item, queue } = taken(this.#outside, () => true)!
      this.#outside = queue
      item.state = 'queued'
      const { clock } = this.#options
      this.#actor.send({ type: 'request', ticket: item.entry, now: clock.monotonicMs(), random: clock.random() })
    }
  }

  #wait(): void {
    this.#cancelTick()
    const at = tickAt(this.snapshot())
    if (at === null) return
    const { clock } = this.#options
    this.#cancelTick = clock.setTimer(Math.max(0, Math.ceil(at - clock.monotonicMs())), () => this.tell({ type: 'tick' }))
  }

  #wall(until: number): number {
    const { clock } = this.#options
    return Math.ceil(clock.wallMs() + until - clock.monotonicMs())
  }
}
