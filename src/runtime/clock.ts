/**
 * Time by injection, and the run clock. The run clock counts milliseconds of one run and never falls: inside a process it follows the monotonic clock;
 * at resume it goes on from the last commit by max(0, wall now - wall at that commit). Timers, deadlines and restart windows are on it.
 */

export interface Clock {
  /** Milliseconds since 1970. May jump. */
  wallMs(): number
  /** Milliseconds since some start. Never falls. */
  monotonicMs(): number
  /** Calls back once, not before `delayMs`. Returns the cancel. Must not keep the process alive by itself unless something else waits. */
  setTimer(delayMs: number, callback: () => void): () => void
  /** Calls back soon, after what is being done now. */
  defer(callback: () => void): void
  /** In [0, 1), for jitter only. */
  random(): number
}

/** Where a run's clock stood at a commit. */
export interface ClockStand {
  readonly runMs: number
  readonly wallMs: number
}

export class RunClock {
  readonly #clock: Clock
  readonly #base: number
  readonly #start: number

  /** @param last the stand at the last commit, or null for a new run, which starts at 0. */
  constructor(clock: Clock, last: ClockStand | null) {
    this.#clock = clock
    this.#start = clock.monotonicMs()
    this.#base = last === null ? 0 : last.runMs + Math.max(0, clock.wallMs() - last.wallMs)
  }

  now(): number {
    return this.#base + Math.floor(this.#clock.monotonicMs() - this.#start)
  }

  stand(): ClockStand {
    return { runMs: this.now(), wallMs: this.#clock.wallMs() }
  }
}
