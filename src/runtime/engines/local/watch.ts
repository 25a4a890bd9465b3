/** Watchers read the journal at their own pace and are woken after commits; what is live only is offered to them in a bounded buffer. They cost the run nothing. */
import { Defect } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { Frame } from '../../engine.ts'
import type { JournalEntry } from '../../journal.ts'
import type { Store } from '../../store.ts'

const PAGE_ENTRIES = 500
const LIVE_FRAMES_MAX = 1_000

export function frameOf(run: string, entry: JournalEntry): Frame {
  const { pos, type, path, inc, cause } = entry
  return { v: 1, pos, at: new Date(entry.at).toISOString(), run, type, path, inc, cause, data: JSON.parse(entry.data) as Frame['data'] }
}

interface Watcher {
  readonly live: Frame[]
  missed: number
  wake: (() => void) | null
}

export class Watchers {
  readonly #watchers = new Set<Watcher>()
  readonly #store: Store
  readonly #run: string
  #closed = false

  constructor(store: Store, run: string) {
    this.#store = store
    this.#run = run
  }

  committed(): void {
    for (const watcher of this.#watchers) this.#wake(watcher)
  }

  /** A frame that is never stored. A slow watcher misses it and is told how many. */
  live(type: string, path: string, at: string, data: { readonly [key: string]: Json }): void {
    if (this.#watchers.size === 0) return
    const frame: Frame = { v: 1, pos: null, at, run: this.#run, type, path, inc: null, cause: null, data }
    for (const watcher of this.#watchers) {
      if (watcher.live.length < LIVE_FRAMES_MAX) watcher.live.push(frame)
      else watcher.missed++
      this.#wake(watcher)
    }
  }

  close(): void {
    this.#closed = true
    this.committed()
  }

  async *watch(since: number): AsyncGenerator<Frame> {
    const watcher: Watcher = { live: [], missed: 0, wake: null }
    this.#watchers.add(watcher)
    let cursor = since
    try {
      for (;;) {
        const wasClosed = this.#closed
        const page = this.#page(cursor)
        if (page === null) return
        for (const entry of page) {
          cursor = entry.pos
          yield frameOf(this.#run, entry)
        }
        yield* watcher.live.splice(0)
        if (watcher.missed > 0) yield this.#gap(watcher)
        if (page.length === PAGE_ENTRIES) continue
        if (wasClosed) return
        if (!this.#closed && this.#page(cursor)?.length === 0) await new Promise<void>((resolve) => (watcher.wake = resolve))
      }
    } finally {
      this.#watchers.delete(watcher)
    }
  }

  /** Null when the store was closed under a watcher that reads on after the end of its run. */
  #page(cursor: number): readonly JournalEntry[] | null {
    try {
      return this.#store.journal(this.#run, cursor, PAGE_ENTRIES)
    } catch (error) {
      if (this.#closed && error instanceof Defect && error.code === 'E_STORE_CLOSED') return null
      throw error
    }
  }

  #gap(watcher: Watcher): Frame {
    const missed = watcher.missed
    watcher.missed = 0
    return {
      v: 1,
      pos: null,
      at: new Date(0).toISOString(),
      run: this.#run,
      type: 'live.gap',
      path: null,
      inc: null,
      cause: null,
      data: { missed },
    }
  }

  #wake(watcher: Watcher): void {
    const { wake } = watcher
    watcher.wake = null
    wake?.()
  }
}
