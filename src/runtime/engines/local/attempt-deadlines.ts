/**
 * The deadlines of one attempt: what passes first ends it. One timer of the clock at a time, at the instant of what is due first; nothing is polled.
 *
 *   begin ─startMs─> started ─firstMs─> first progress ─idleMs─> sign of life ─idleMs─> ...     without startMs: begin ─firstMs─> first progress
 *   begin ─timeoutMs───────────────────────────────────────────────────────────────> the attempt
 *   the effect is owed ─totalMs, over all attempts and waits──────────────────────────────────────> the effect
 *
 * A sign of life only writes down when it was: the timer finds out that it moved.
 */
import { Failure } from '../../../effect.ts'
import type { Clock } from '../../clock.ts'
import type { EffectRow } from '../../store.ts'

/** Which deadline has passed. */
export type Which = 'start' | 'first' | 'idle' | 'attempt' | 'total'

type Sign = 'started' | 'progress' | 'alive'

const NO_MORE = Number.POSITIVE_INFINITY

const WORDS: Readonly<Record<Which, string>> = {
  start: 'did not begin within',
  first: 'gave nothing within',
  idle: 'gave no sign of life for',
  attempt: 'ran past',
  total: 'was not done, over all attempts and waits, within',
}

/** What has passed, as the failure of an attempt. A total that has passed is never tried again. */
export function lateness(row: EffectRow, which: Which, limitMs: number, lastSeen: string): Failure {
  return new Failure('E_EFFECT_TIMEOUT', `${row.kind} ${WORDS[which]} ${limitMs} ms; last seen: ${lastSeen}`, {
    retry: which === 'total' ? 'never' : 'backoff',
    details: { which, limitMs, lastSeen },
  })
}

export class AttemptDeadlines {
  readonly #clock: Clock
  readonly #row: EffectRow
  readonly #expire: (late: Failure) => void
  readonly #beganAt: number
  readonly #totalAt: number
  #hasBegun = false
  #startedAt: number
  #hasProgress = false
  #lastSign: Sign | null = null
  #lastAt: number
  #cancel = (): void => {}
  #over = false

  /**
   * @param leftMs  until the total deadline; infinite where there is none.
   * @param expire  called once, at the instant at which the first deadline passes.
   */
  constructor(clock: Clock, row: EffectRow, leftMs: number, expire: (late: Failure) => void) {
    this.#clock = clock
    this.#row = row
    this.#expire = expire
    this.#beganAt = clock.monotonicMs()
    this.#lastAt = this.#beganAt
    this.#startedAt = row.deadlines?.startMs === undefined ? this.#beganAt : NO_MORE
    this.#totalAt = this.#beganAt + leftMs
    this.#wait()
  }

  started(): void {
    this.#sign('started')
    if (this.#hasBegun) return
    this.#hasBegun = true
    if (this.#startedAt === NO_MORE) this.#startedAt = this.#lastAt
    this.#wait()
  }

  progress(): void {
    this.#sign('progress')
    if (this.#hasProgress) return
    this.#hasBegun = true
    this.#hasProgress = true
    this.#wait()
  }

  alive(): void {
    this.#sign('alive')
  }

  /** The attempt has ended: nothing passes any more. */
  end(): void {
    this.#over = true
    this.#cancel()
  }

  #sign(sign: Sign): void {
    this.#lastSign = sign
    this.#lastAt = this.#clock.monotonicMs()
  }

  /** What passes first. Of two at one instant the wider one: a total is not tried again. */
  #next(): { readonly which: Which; readonly at: number; readonly limitMs: number } {
    const { startMs = NO_MORE, firstMs = NO_MORE, idleMs = NO_MORE, totalMs = NO_MORE } = this.#row.deadlines ?? {}
    const attemptMs = this.#row.timeoutMs ?? NO_MORE
    const isIdling = (this.#hasBegun || startMs === NO_MORE) && (this.#hasProgress || firstMs === NO_MORE)
    const all = [
      { which: 'total', at: this.#totalAt, limitMs: totalMs },
      { which: 'attempt', at: this.#beganAt + attemptMs, limitMs: attemptMs },
      { which: 'start', at: this.#hasBegun ? NO_MORE : this.#beganAt + startMs, limitMs: startMs },
      { which: 'first', at: this.#hasProgress ? NO_MORE : this.#startedAt + firstMs, limitMs: firstMs },
      { which: 'idle', at: isIdling ? this.#lastAt + idleMs : NO_MORE, limitMs: idleMs },
    ] as const
    return all.reduce((first, other) => (other.at < first.at ? other : first))
  }

  #wait(): void {
    this.#cancel()
    if (this.#over) return
    const { at } = this.#next()
    if (at === NO_MORE) return
    this.#cancel = this.#clock.setTimer(Math.max(0, Math.ceil(at - this.#clock.monotonicMs())), () => this.#look())
  }

  #look(): void {
    const { which, at, limitMs } = this.#next()
    if (this.#over || at > this.#clock.monotonicMs()) {
      this.#wait() // A sign of life came in the meantime.
      return
    }
    this.end()
    this.#expire(lateness(this.#row, which, limitMs, this.#lastSeen()))
  }

  #lastSeen(): string {
    if (this.#lastSign === null) return 'nothing'
    return `${this.#lastSign}, ${Math.floor(this.#lastAt - this.#beganAt)} ms after attempt ${this.#row.attempt} began`
  }
}
