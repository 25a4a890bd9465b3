/** Pending timers by due time: a binary heap beside a map, removed lazily. Deadlines are absolute, on the run clock. */
import type { Address } from '../../../protocol.ts'
import type { TimerRow } from '../../store.ts'

export class Timers {
  readonly #rows = new Map<number, TimerRow>()
  readonly #heap: TimerRow[] = []
  readonly #byOwner = new Map<Address, Map<number, TimerRow>>()

  get size(): number {
    return this.#rows.size
  }

  set(row: TimerRow): void {
    this.#rows.set(row.timer, row)
    const own = this.#byOwner.get(row.owner)
    if (own === undefined) this.#byOwner.set(row.owner, new Map([[row.timer, row]]))
    else own.set(row.timer, row)
    this.#heap.push(row)
    let at = this.#heap.length - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!before(this.#heap[at]!, this.#heap[above]!)) break
      swap(this.#heap, at, above)
      at = above
    }
  }

  delete(timer: number): void {
    const row = this.#rows.get(timer)
    if (row === undefined) return
    this.#rows.delete(timer)
    const own = this.#byOwner.get(row.owner)
    own?.delete(timer)
    if (own?.size === 0) this.#byOwner.delete(row.owner)
  }

  /** The timers that an address owns, in the order they were set. */
  of(owner: Address): readonly TimerRow[] {
    return [...(this.#byOwner.get(owner)?.values() ?? [])]
  }

  values(): Iterable<TimerRow> {
    return this.#rows.values()
  }

  /** The earliest, or undefined. */
  first(): TimerRow | undefined {
    while (this.#heap.length > 0 && this.#rows.get(this.#heap[0]!.timer) !== this.#heap[0]) this.#drop()
    return this.#heap[0]
  }

  #drop(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      let least = at
      if (left < this.#heap.length && before(this.#heap[left]!, this.#heap[least]!)) least = left
      if (left + 1 < this.#heap.length && before(this.#heap[left + 1]!, this.#heap[least]!)) least = left + 1
      if (least === at) return
      swap(this.#heap, at, least)
      at = least
    }
  }
}

/** Timers of one instant fire in the order they were set. */
const before = (a: TimerRow, b: TimerRow): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.timer < b.timer)

function swap(heap: TimerRow[], a: number, b: number): void {
  const kept = heap[a]!
  heap[a] = heap[b]!
  heap[b] = kept
}
