/**
 * Envelopes that wait, in memory: those whose actor can take them, in order of delivery, and those parked until their actor is up again.
 * A view of the rows in the store; rebuilt from them.
 */
import type { Address } from '../../../protocol.ts'
import type { Envelope } from '../../cell.ts'
import { indexIn } from '../../order.ts'

export class Mailroom {
  /** Sorted by order, the next one last, so that depth-first insertions are near the end. */
  readonly #ready: Envelope[] = []
  readonly #parked = new Map<Address, Envelope[]>()
  readonly #depth = new Map<Address, number>()

  /** Envelopes that can be delivered now. */
  get size(): number {
    return this.#ready.length
  }

  add(envelope: Envelope): void {
    this.#count(envelope.to, 1)
    this.#insert(envelope)
  }

  next(): Envelope | undefined {
    const envelope = this.#ready.pop()
    if (envelope !== undefined) this.#count(envelope.to, -1)
    return envelope
  }

  /** Keeps an envelope that was taken by {@link next} until its actor is released. */
  park(envelope: Envelope): void {
    this.#count(envelope.to, 1)
    const waiting = this.#parked.get(envelope.to)
    if (waiting === undefined) this.#parked.set(envelope.to, [envelope])
    else waiting.push(envelope)
  }

  /** The actor is up: its mail is deliverable, in its old order. */
  release(address: Address): void {
    const waiting = this.#parked.get(address)
    if (waiting === undefined) return
    this.#parked.delete(address)
    for (const envelope of waiting) this.#insert(envelope)
  }

  /** Takes out what was parked for an actor, in the order in which it came. */
  unpark(address: Address): readonly Envelope[] {
    const waiting = this.#parked.get(address) ?? []
    this.#parked.delete(address)
    this.#count(address, -waiting.length)
    return waiting
  }

  /** Removes and returns what waits for an address and fits the test. */
  remove(address: Address, fits: (envelope: Envelope) => boolean): Envelope[] {
    if (this.depth(address) === 0) return []
    const removed: Envelope[] = []
    const keep = (envelope: Envelope): boolean => {
      if (envelope.to !== address || !fits(envelope)) return true
      removed.push(envelope)
      return false
    }
    // In place: spreading a long list into a call would overflow the stack.
    let kept = 0
    for (const envelope of this.#ready) if (keep(envelope)) this.#ready[kept++] = envelope
    this.#ready.length = kept
    const parked = (this.#parked.get(address) ?? []).filter(keep)
    if (parked.length > 0) this.#parked.set(address, parked)
    else this.#parked.delete(address)
    this.#count(address, -removed.length)
    return removed
  }

  waiting(address: Address): readonly Envelope[] {
    if (this.depth(address) === 0) return []
    return [...this.#ready.filter((envelope) => envelope.to === address), ...(this.#parked.get(address) ?? [])]
  }

  depth(address: Address): number {
    return this.#depth.get(address) ?? 0
  }

  total(): number {
    let total = 0
    for (const depth of this.#depth.values()) total += depth
    return total
  }

  /** Highest index among the envelopes that wait directly in a frame. */
  maxIndex(frame: string): number {
    let highest = -1
    for (const envelope of this.#ready) highest = Math.max(highest, indexIn(frame, envelope.order))
    return highest
  }

  #insert(envelope: Envelope): void {
    let low = 0
    let high = this.#ready.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ready[middle]!.order > envelope.order) low = middle + 1
      else high = middle
    }
    this.#ready.splice(low, 0, envelope)
  }

  #count(address: Address, by: number): void {
    const depth = (this.#depth.get(address) ?? 0) + by
    if (depth === 0) this.#depth.delete(address)
    else this.#depth.set(address, depth)
  }
}
