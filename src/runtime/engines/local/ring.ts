/** The newest journal entries of a live run, in memory as long as somebody watches. What is read is turned into a frame once, for all. */
import { WATCH_LAG_ENTRIES_MAX } from '../../../limits.ts'
import type { Frame } from '../../engine.ts'
import { frameOf } from '../../frame.ts'
import type { JournalEntry } from '../../journal.ts'

/** At most {@link WATCH_LAG_ENTRIES_MAX} entries, without holes. */
export class Ring {
  readonly #slots: { readonly entry: JournalEntry; frame?: Frame }[] = []
  #dropped = 0

  /** Position of the oldest entry here. */
  get first(): number {
    return this.#slots[this.#dropped]?.entry.pos ?? Number.POSITIVE_INFINITY
  }

  get last(): number {
    return this.#slots.at(-1)?.entry.pos ?? 0
  }

  push(entries: readonly JournalEntry[]): void {
    for (const entry of entries) this.#slots.push({ entry })
    const length = this.#slots.length - this.#dropped
    if (length > WATCH_LAG_ENTRIES_MAX) this.#dropped += length - WATCH_LAG_ENTRIES_MAX
    // Dropped ones are cut off together: each at once would copy the ring for every entry.
    if (this.#dropped <= WATCH_LAG_ENTRIES_MAX) return
    this.#slots.splice(0, this.#dropped)
    this.#dropped = 0
  }

  /** One object for all who watch. */
  frame(run: string, pos: number): Frame | undefined {
    const slot = pos < this.first ? undefined : this.#slots[this.#dropped + pos - this.first]
    if (slot === undefined) return undefined
    slot.frame ??= Object.freeze(frameOf(run, slot.entry))
    return slot.frame
  }

  clear(): void {
    this.#slots.length = 0
    this.#dropped = 0
  }
}
