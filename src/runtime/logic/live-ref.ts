/**
 * References as logic outside of steps sees them: a promise, a callback or an observable may send, because it runs after its intent was committed.
 * What it sends is durable mail once the run has committed it, and acknowledged to nobody.
 */
import { Defect } from '../../errors.ts'
import type { Json } from '../../json.ts'
import type { ActorRef } from '../cell.ts'
import { idOf, isRef, Ref } from '../ref.ts'

/** Where a live reference sends. Must not throw. */
export type SendTo = (to: ActorRef, event: unknown) => void

export class LiveRef extends Ref {
  readonly #send: SendTo

  constructor(to: ActorRef & { readonly id?: string | undefined }, send: SendTo) {
    super(to.address, to.incarnation, to.id ?? idOf(to.address))
    this.#send = send
  }

  override send(event?: unknown): void {
    this.#send(this, event)
  }

  override subscribe(): never {
    throw watched(this, 'subscribe')
  }

  override on(): never {
    throw watched(this, 'on')
  }
}

function watched({ address }: Ref, method: string): Defect {
  return new Defect('E_IMPERATIVE_REF', `${address}: ${method}() was called on an actor reference`, {
    hint: 'let the other actor send an event instead',
  })
}

/** Data that was parsed with references, with all of them able to send. Copies; data without references comes back as it is. */
export function enliven(value: unknown, live: (ref: Ref) => LiveRef): unknown {
  if (isRef(value)) return live(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((member) => enliven(member, live))
  return Object.fromEntries(Object.entries(value as { [key: string]: Json }).map(([key, member]) => [key, enliven(member, live)]))
}
