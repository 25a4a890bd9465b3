/**
 * Watchers: history then live, at their own pace, at no cost to the run.
 *
 *   commit --> ring of the newest entries --> each watcher, from its own cursor        what is read is parsed once for all
 *   store  --> pages                      --> who asks for history, or fills its gaps
 *
 * What it may cost is a budget of frames over all watchers, filled by the clock: while a run is busy, watchers are served late or in part. A watcher
 * that lags behind by more than the ring is told so (`live.gap`, with positions) and goes on near the end; one that wants all of it
 * (`gaps: 'fill'`) reads the store instead, as slowly as it must. Nothing ever waits for a watcher.
 */
import { Defect } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import { WATCH_BURST_FRAMES_MAX, WATCH_FRAMES_PER_SECOND_MAX } from '../../../limits.ts'
import type { Clock } from '../../clock.ts'
import type { Frame, WatchOptions } from '../../engine.ts'
import { frameOf } from '../../frame.ts'
import type { JournalEntry } from '../../journal.ts'
import type { Store } from '../../store.ts'
import { Ring } from './ring.ts'

const PAGE_ENTRIES = 500
const LIVE_FRAMES_MAX = 1_000
/** Where a watcher goes on after a gap: so far before the end. */
const AFTER_GAP_ENTRIES = 1_000
/** A frame from the store costs about as much as this many from memory. */
const STORED_FRAME_COST = 4
/** How long watchers wait for more to read when the budget is low. */
const REFILL_MS = 10

interface Watcher {
  readonly live: Frame[]
  missed: number
  wake: (() => void) | null
  /** Nobody reads it any more. */
  hasLeft: boolean
}

export class Watchers {
  readonly #watchers = new Set<Watcher>()
  readonly #store: Store
  readonly #run: string
  readonly #clock: Clock
  readonly #ring = new Ring()
  #closed = false
  #budget = WATCH_BURST_FRAMES_MAX
  #filledAt: number
  #cancelWake: (() => void) | null = null

  constructor(options: { readonly store: Store; readonly run: string; readonly clock: Clock }) {
    this.#store = options.store
    this.#run = options.run
    this.#clock = options.clock
    this.#filledAt = options.clock.monotonicMs()
  }

  committed(entries: readonly JournalEntry[]): void {
    if (this.#watchers.size === 0) return
    this.#ring.push(entries)
    this.#fill()
    if (this.#budget >= WATCH_BURST_FRAMES_MAX / 2) this.#wakeAll()
    else this.#wakeLater()
  }

  /** A frame that is never stored. A slow watcher misses it and is told how many. */
  live(type: string, path: string, at: string, data: { readonly [key: string]: Json }): void {
    if (this.#watchers.size === 0) return
    const frame: Frame = { v: 1, pos: null, at, run: this.#run, type, path, inc: null, cause: null, data }
    for (const watcher of this.#watchers) {
      if (watcher.live.length < LIVE_FRAMES_MAX) watcher.live.push(frame)
      else watcher.missed++
      wake(watcher)
    }
  }

  /** The run is over here: who watches reads to the end, without regard to a budget. */
  close(): void {
    this.#closed = true
    this.#cancelWake?.()
    this.#wakeAll()
  }

  watch(options: WatchOptions = {}): AsyncIterableIterator<Frame> {
    const watcher: Watcher = { live: [], missed: 0, wake: null, hasLeft: false }
    const frames = this.#frames(watcher, options)
    return {
      next: () => frames.next(),
      // A generator that waits would hear of it only with the next event, which may never come.
      return: () => {
        watcher.hasLeft = true
        wake(watcher)
        return frames.return(undefined)
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  async *#frames(watcher: Watcher, { since = 0, gaps = 'tell' }: WatchOptions): AsyncGenerator<Frame, undefined> {
    this.#watchers.add(watcher) // First: what is committed from here on is in the ring, so the history that is read next has no hole to it.
    try {
      let cursor = yield* this.#history(watcher, since)
      for (;;) {
        const wasClosed = this.#closed
        if (cursor + 1 < this.#ring.first && this.#ring.first !== Number.POSITIVE_INFINITY) {
          cursor = gaps === 'fill' ? yield* this.#history(watcher, cursor) : yield* this.#skip(cursor)
        }
        for (let frame = this.#next(cursor); frame !== undefined; frame = this.#next(cursor)) {
          cursor++
          this.#budget -= 1
          if (this.#budget < 0) await this.#rest(watcher)
          yield frame
        }
        if (cursor + 1 < this.#ring.first && this.#ring.first !== Number.POSITIVE_INFINITY) continue
        yield* watcher.live.splice(0)
        if (watcher.missed > 0) yield this.#gap({ missed: watcher.missed })
        watcher.missed = 0
        if (this.#next(cursor) !== undefined || watcher.live.length > 0) continue
        if (wasClosed || watcher.hasLeft) return
        if (!this.#closed) await new Promise<void>((resolve) => (watcher.wake = resolve))
      }
    } finally {
      this.#watchers.delete(watcher)
      if (this.#watchers.size === 0) this.#ring.clear()
    }
  }

  /** Pages of the store up to its end; gives the position it came to. */
  async *#history(watcher: Watcher, since: number): AsyncGenerator<Frame, number> {
    let cursor = since
    for (;;) {
      const page = this.#page(cursor)
      for (const entry of page) {
        cursor = entry.pos
        this.#budget -= STORED_FRAME_COST
        if (this.#budget < 0) await this.#rest(watcher)
        yield frameOf(this.#run, entry)
      }
      if (page.length < PAGE_ENTRIES) return cursor
    }
  }

  /** Tells what is left out, and goes on near the end. */
  *#skip(cursor: number): Generator<Frame, number> {
    const to = Math.max(this.#ring.first, this.#ring.last - AFTER_GAP_ENTRIES) - 1
    yield this.#gap({ from: cursor + 1, to, missed: to - cursor })
    return to
  }

  #next(cursor: number): Frame | undefined {
    return this.#ring.frame(this.#run, cursor + 1)
  }

  /** Empty when the store was closed under a watcher that reads on after the end of its run. */
  #page(cursor: number): readonly JournalEntry[] {
    try {
      return this.#store.journal(this.#run, cursor, PAGE_ENTRIES)
    } catch (error) {
      if (this.#closed && error instanceof Defect && error.code === 'E_STORE_CLOSED') return []
      throw error
    }
  }

  /** The budget of all watchers is used up: waits until the clock has filled it. */
  async #rest(watcher: Watcher): Promise<void> {
    while (this.#budget < 0 && !this.#closed && !watcher.hasLeft) {
      this.#wakeLater()
      await new Promise<void>((resolve) => (watcher.wake = resolve))
    }
  }

  #fill(): void {
    const now = this.#clock.monotonicMs()
    const more = ((now - this.#filledAt) / 1_000) * WATCH_FRAMES_PER_SECOND_MAX
    this.#budget = Math.min(WATCH_BURST_FRAMES_MAX, this.#budget + more)
    this.#filledAt = now
  }

  #wakeAll(): void {
    for (const watcher of this.#watchers) wake(watcher)
  }

  #wakeLater(): void {
    this.#cancelWake ??= this.#clock.setTimer(REFILL_MS, () => {
      this.#cancelWake = null
      this.#fill()
      this.#wakeAll()
    })
  }

  #gap(data: { readonly [key: string]: Json }): Frame {
    const at = new Date(this.#clock.wallMs()).toISOString()
    return { v: 1, pos: null, at, run: this.#run, type: 'live.gap', path: null, inc: null, cause: null, data }
  }
}

function wake(watcher: Watcher): void {
  const resolve = watcher.wake
  watcher.wake = null
  resolve?.()
}
