/** Plays a provider gate by hand: its pure transitions, with time and chance of the test. */
import { initialTransition, transition } from 'xstate'
import {
  type GateEvent,
  type GateFailure,
  type GateSaid,
  type GateSettings,
  type GateSnapshot,
  gateSettings,
  providerGate,
  type Ticket,
  tickAt,
} from '../../src/machines/provider-gate.ts'

type Told<Event = GateEvent> = Event extends unknown ? Omit<Event, 'now' | 'random'> : never

export class GatePlay {
  now = 0
  random = 0.5
  readonly said: GateSaid[] = []
  snapshot: GateSnapshot
  #count = 0

  constructor(settings: Partial<GateSettings> = {}, provider = 'p') {
    const input = { provider, settings: gateSettings(provider, settings), now: 0 }
    this.snapshot = initialTransition(providerGate, input)[0]
  }

  /** Takes one event and returns what the gate says to it. */
  tell(event: Told): GateSaid[] {
    const [next, actions] = transition(providerGate, this.snapshot, { ...event, now: this.now, random: this.random } as GateEvent)
    this.snapshot = next
    const said = actions.flatMap(({ type, params }) => ((type as string) === 'xstate.emit' ? [(params as { event: GateSaid }).event] : []))
    this.said.push(...said)
    return said
  }

  /** Somebody asks; returns the ids that are let in by it. */
  ask(path: string, about: Partial<Ticket> = {}): string {
    const id = about.id ?? `t${++this.#count}`
    this.tell({ type: 'request', ticket: { id, path, group: 'p', needs: null, failFast: false, ...about } })
    return id
  }

  leave(id: string): void {
    this.tell({ type: 'left', id })
  }
  succeed(id: string): void {
    this.tell({ type: 'succeeded', id })
    this.leave(id)
  }
  fail(id: string, code = 'E_PROVIDER_UNREACHABLE', failure: Partial<GateFailure> = {}): void {
    this.tell({ type: 'failed', id, code, retry: 'backoff', ...failure })
    this.leave(id)
  }
  limit(id: string, retryAfterMs: number): void {
    this.fail(id, 'E_PROVIDER_OVERLOADED', { retry: 'after', retryAfterMs })
  }

  /** Time goes on, and the gate is told whenever it has asked to be. */
  goTo(now: number): void {
    for (let at = tickAt(this.snapshot); at !== null && at <= now; at = tickAt(this.snapshot)) {
      if (at < this.now) throw new Error(`it asked for a tick at ${at}, it is ${this.now}`)
      this.now = at
      this.tell({ type: 'tick' })
    }
    this.now = now
  }

  get inFlight(): string[] {
    return Object.keys(this.snapshot.context.flights)
  }
  /** Ids in the order in which they were let in. */
  get admitted(): string[] {
    return this.said.flatMap((said) => (said.type === 'admitted' ? [said.id] : []))
  }
  get standing(): unknown {
    return this.snapshot.value
  }
}
