/**
 * A clock that decides who is next. Nothing runs but what is taken here: what was deferred, in an order that the seed gives; and when nothing is left, the timer
 * that is due first, among those of one instant again by the seed. Time moves from one timer to the next.
 *
 *   ready: [turn, turn]  --one by the seed-->  callback, then all promises that follow from it  --> ready ...
 *   nothing ready        --> quiet(), then the next timer
 *
 * Each process that is simulated has its own clock on it ({@link Scheduler.process}): when it dies, what it had deferred and its timers die with it.
 */
import type { Clock } from '../runtime/clock.ts'
import { Chance } from './chance.ts'
import { NEW_YEAR_MS } from './virtual-clock.ts'

interface Task {
  readonly at: number
  readonly callback: () => void
  readonly process: Process
}

interface Process {
  isDead: boolean
}

/** Callbacks at one instant, at most: more than that is a loop that time does not end. */
const INSTANT_MAX = 100_000

export class Scheduler {
  readonly #chance: Chance
  readonly #jitter: Chance
  readonly #ready: Task[] = []
  readonly #timers = new Set<Task>()
  #now = 0

  constructor(seed: number) {
    this.#chance = new Chance(seed, 'schedule')
    this.#jitter = new Chance(seed, 'jitter')
  }

  /** Milliseconds since the simulation began. */
  get nowMs(): number {
    return this.#now
  }

  /** The clock of one process. @returns `end`: nothing of it is called back any more. */
  process(): { readonly clock: Clock; readonly end: () => void } {
    const process: Process = { isDead: false }
    const clock: Clock = {
      wallMs: () => NEW_YEAR_MS + this.#now,
      monotonicMs: () => this.#now,
      random: () => this.#jitter.next(),
      defer: (callback) => void this.#ready.push({ at: this.#now, callback, process }),
      setTimer: (delayMs, callback) => {
        const task = { at: this.#now + Math.max(0, Math.ceil(delayMs)), callback, process }
        this.#timers.add(task)
        return () => void this.#timers.delete(task)
      },
    }
    const end = (): void => {
      process.isDead = true
      for (const task of this.#timers) if (task.process === process) this.#timers.delete(task)
    }
    return { clock, end }
  }

  /** Runs everything that is ready, and what that makes ready. @throws where it does not end at this instant. */
  async settle(): Promise<void> {
    await promises()
    for (let count = 0; this.#ready.length > 0; count++) {
      if (count > INSTANT_MAX) throw new Error(`more than ${INSTANT_MAX} callbacks at ${this.#now} ms`)
      const [task] = this.#ready.splice(this.#chance.below(this.#ready.length), 1)
      if (task === undefined || task.process.isDead) continue
      task.callback()
      await promises()
    }
  }

  /**
   * Goes on until this time, or until it is told to stop, which it looks at whenever nothing is ready.
   * @param quiet  called when nothing is due either, before time moves.
   */
  async runUntil(untilMs: number, isStopped: () => boolean = () => false, quiet: () => void = () => {}): Promise<void> {
    for (;;) {
      await this.settle()
      if (isStopped()) return
      if (!this.#isDue()) quiet()
      if (!this.#fire(untilMs)) break
    }
    this.#now = Math.max(this.#now, untilMs)
  }

  /** Waits for a promise, and moves time on where it does not come without that. @throws where nothing is left that could settle it. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const done = (): void => {
      isSettled = true
    }
    promise.then(done, done)
    for (;;) {
      await this.settle()
      if (isSettled) return promise
      if (!this.#fire(Number.POSITIVE_INFINITY)) throw new Error('it waits for something that nobody will do')
    }
  }

  #isDue(): boolean {
    for (const task of this.#timers) if (task.at <= this.#now) return true
    return false
  }

  #fire(untilMs: number): boolean {
    let first: Task[] = []
    for (const task of this.#timers) {
      if (task.at > untilMs || task.at > (first[0]?.at ?? untilMs)) continue
      if (task.at < (first[0]?.at ?? Number.POSITIVE_INFINITY)) first = []
      first.push(task)
    }
    const next = this.#chance.of(first)
    if (next === undefined) return false
    this.#timers.delete(next)
    this.#now = Math.max(this.#now, next.at)
    next.callback()
    return true
  }
}

/** All promises that are settled have told whoever waits for them. */
function promises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
