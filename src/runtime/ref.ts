/**
 * References to actors as user code sees them: an address and an incarnation with the shape of XState's `ActorRef`.
 * Reading is allowed, acting is not: a step is pure, so an imperative `send` would happen before its commit. In stored data a reference is
 * `{"@troupe.ref": address, "incarnation": n, "id": id}`.
 */
import { Defect } from '../errors.ts'
import { type Json, REF_KEY } from '../json.ts'
import type { Address, Incarnation } from '../protocol.ts'

export class Ref {
  readonly address: Address
  readonly incarnation: Incarnation
  readonly id: string
  readonly src: string
  readonly systemId: string | undefined
  /** XState reads these two of a `self`. */
  system: unknown
  _parent: Ref | undefined

  constructor(address: Address, incarnation: Incarnation, id: string, src = '', systemId?: string) {
    this.address = address
    this.incarnation = incarnation
    this.id = id
    this.src = src
    this.systemId = systemId
  }

  get sessionId(): string {
    return `${this.address}#${this.incarnation}`
  }

  get ref(): Ref {
    return this
  }

  getSnapshot(): { status: 'active' } {
    return { status: 'active' }
  }

  send(_event?: unknown): void {
    throw this.#imperative('send', 'use the sendTo action')
  }

  subscribe(): never {
    throw this.#imperative('subscribe', 'use onSnapshot, or watch the run from outside')
  }

  on(): never {
    throw this.#imperative('on', 'watch the run from outside')
  }

  toJSON(): Json {
    return { [REF_KEY]: this.address, incarnation: this.incarnation, id: this.id }
  }

  #imperative(method: string, instead: string): Defect {
    return new Defect('E_IMPERATIVE_REF', `${this.address}: ${method}() was called on an actor reference inside a step`, { hint: instead })
  }
}

export const isRef = (value: unknown): value is Ref => value instanceof Ref

/** Turns stored references back into {@link Ref}s, in place. Call it only on data that was parsed for this purpose. */
function revive(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const stored = value as Record<string, unknown>
  if (typeof stored[REF_KEY] === 'string') return new Ref(stored[REF_KEY], stored['incarnation'] as number, String(stored['id']))
  for (const key in stored) {
    const member = stored[key]
    if (typeof member === 'object' && member !== null) stored[key] = revive(member)
  }
  return value
}

/** Parses JSON text that may hold references. */
export function parseWithRefs(text: string): unknown {
  const parsed: unknown = JSON.parse(text)
  return text.includes(REF_KEY) ? revive(parsed) : parsed
}

/** Last part of an address: the id that an actor goes by among its parent's children. */
export function idOf(address: string): string {
  const last = address.slice(address.lastIndexOf('/') + 1)
  return last.includes('%') ? decodeURIComponent(last) : last
}
