/** Timers: what a step sets is set; each fires at most once and never before it is due; none of a living actor is overdue while the tree is quiet. */
import type { StepResult } from '../../runtime/cell.ts'
import type { TimerRow } from '../../runtime/store.ts'
import { Broken, type CommitRows, type Fact, type Invariant, type Quiet } from '../record.ts'

interface Pending {
  readonly timer: number
  readonly path: string
  readonly inc: number
  readonly dueAt: number
}

export class TimerDeadlines implements Invariant {
  readonly #pending = new Map<number, Pending>()
  /** Due times of all timers, also those that no entry tells of: ends of asks and of stops. */
  readonly #due = new Map<number, number>()
  readonly #fired = new Set<number>()
  #unset = 0
  #setting = ''

  fact(fact: Fact, taken: StepResult | undefined): void {
    const timer = Number(fact.data['timer'])
    if (taken !== undefined) {
      this.#settled()
      if (fact.data['kind'] === 'start') this.#forget(fact.path)
      this.#unset = taken.timersSet.length
      this.#setting = `the step of ${fact.path} at ${fact.pos}`
    } else if (fact.type === 'timer.set') {
      this.#unset--
      const dueAt = Number(fact.data['dueAt'])
      this.#pending.set(timer, { timer, path: fact.path ?? '', inc: fact.inc ?? 0, dueAt })
      this.#due.set(timer, dueAt)
    } else if (fact.type === 'timer.fired') this.#fires(fact, timer)
    else if (fact.type === 'timer.cleared') this.#pending.delete(timer)
  }

  committed({ timersSet }: CommitRows): void {
    this.#settled()
    for (const { timer } of timersSet) this.#due.set(timer.timer, (timer as TimerRow).dueAt)
  }

  quiet({ runMs, cells }: Quiet): void {
    for (const timer of this.#pending.values()) {
      if (timer.dueAt >= runMs) continue
      const owner = cells.get(timer.path)
      const isBound = owner?.status === 'active' && owner.since <= timer.inc && timer.inc <= owner.incarnation
      if (isBound)
        throw new Broken(
          'a timer fires when it is due',
          `timer ${timer.timer} of ${timer.path} was due at ${timer.dueAt}, now it is ${runMs}`,
        )
      this.#pending.delete(timer.timer) // Its life is over: it was cleared with it.
    }
  }

  #fires(fact: Fact, timer: number): void {
    if (this.#fired.has(timer)) throw new Broken('a timer fires once', `timer ${timer} of ${fact.path} fires again at ${fact.pos}`)
    this.#fired.add(timer)
    this.#pending.delete(timer)
    const dueAt = this.#due.get(timer)
    if (dueAt !== undefined && fact.runMs < dueAt)
      throw new Broken('a timer never fires before it is due', `timer ${timer} of ${fact.path}: due at ${dueAt}, fired at ${fact.runMs}`)
  }

  /** Somebody new lives there: the timers of who lived there before were cleared with it. */
  #forget(path: string | null): void {
    for (const timer of this.#pending.values()) if (timer.path === path) this.#pending.delete(timer.timer)
  }

  #settled(): void {
    const missing = this.#unset
    this.#unset = 0
    if (missing > 0) throw new Broken('a timer that a step sets is set', `${this.#setting}: ${missing} timers are not in the journal`)
  }
}
