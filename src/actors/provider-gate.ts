/**
 * The provider gates of this process: one for each provider, shared by all its runs.
 *
 *   engine --admit--> Gates --request--> machine --admitted, refused--> opened()      handler --succeeded, failed--> machine --paused--> listeners
 *
 * In memory only: after a crash every effect is still owed, and asks again. The machine is hosted in hosted-gate.ts.
 */
import type { InspectionEvent, Observer } from 'xstate'
import type { Admission, AdmissionRequest } from '../effect.ts'
import type { GenerateInput } from '../machines/effects.ts'
import { type GateFailure, type GateSettings, type GateSnapshot, gateSettings } from '../machines/provider-gate.ts'
import type { Clock } from '../runtime/clock.ts'
import { Gate, type GateMetrics, type GatePause, type Place } from './hosted-gate.ts'

export interface GatesOptions {
  readonly clock: Clock
  /** What is configured of a provider; the rest is as {@link gateSettings} says. Asked once for each. */
  readonly settings?: (provider: string) => Partial<GateSettings>
  /** Name of the gate for calls that name no model. Default `default`. */
  readonly unnamed?: string
  /** XState's inspector of each gate. */
  readonly inspect?: Observer<InspectionEvent> | ((event: InspectionEvent) => void)
}

export interface Gates {
  /** For {@link EffectHandler.admit} of `llm.generate`. */
  admit(request: AdmissionRequest<GenerateInput>): Admission
  /** Why an attempt was let in only to fail at once: its provider is down, or paused for long, and it has another model to ask. Null: it may call. */
  refusal(ticket: string): ReturnType<Gate['refusalOf']> | null
  /** The attempt was answered. Unknown tickets are no harm, here and below. */
  succeeded(ticket: string): void
  /** The attempt has failed. Returns the pause that follows from it, if any. */
  failed(ticket: string, failure: GateFailure): GatePause | null
  /** As it stands; null where nobody has asked for this provider yet, or its queue is not enabled. */
  snapshot(provider: string): GateSnapshot | null
  metrics(provider: string): GateMetrics | null
  /** Providers that were asked for. */
  providers(): readonly string[]
  /** Is told of every pause. Returns the end of that. */
  subscribe(listener: (pause: GatePause) => void): () => void
}

/** Gates for all runs of this process. */
export function providerGates({ clock, settings = () => ({}), unnamed = 'default', inspect }: GatesOptions): Gates {
  const gates = new Map<string, Gate | null>()
  const byTicket = new Map<string, Place>()
  const listeners = new Set<(pause: GatePause) => void>()
  const paused = (pause: GatePause): void => {
    for (const listener of listeners) listener(pause)
  }
  const gateOf = (provider: string): Gate | null => {
    const known = gates.get(provider)
    if (known !== undefined) return known
    const all = gateSettings(provider, settings(provider))
    const gate = all.queueEnabled ? new Gate({ provider, settings: all, clock, paused, inspect }) : null
    gates.set(provider, gate)
    return gate
  }
  return {
    admit: (request) => {
      const gate = gateOf(request.input.model?.provider ?? unnamed)
      if (gate === null) return OPEN
      const place = gate.enter(request)
      byTicket.set(request.ticket, place)
      const close = (): void => {
        gate.leave(place)
        // A run that was taken over within this process may have asked again under the same ticket.
        if (byTicket.get(request.ticket) === place) byTicket.delete(request.ticket)
      }
      return { isOpen: () => place.state === 'in' || place.state === 'refused', waiting: () => gate.waiting(place), close }
    },
    refusal: (ticket) => {
      const place = byTicket.get(ticket)
      return place?.state === 'refused' ? place.gate.refusalOf(place) : null
    },
    succeeded: (ticket) => {
      const place = byTicket.get(ticket)
      if (place?.state === 'in') place.gate.tell({ type: 'succeeded', id: place.entry.id })
    },
    failed: (ticket, failure) => {
      const place = byTicket.get(ticket)
      return place?.state === 'in' ? place.gate.failed(place, failure) : null
    },
    snapshot: (provider) => gates.get(provider)?.snapshot() ?? null,
    metrics: (provider) => gates.get(provider)?.metrics() ?? null,
    providers: () => [...gates.keys()],
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

const OPEN: Admission = { isOpen: () => true, waiting: () => null, close: () => {} }
