/**
 * A run in this process: takes in what comes from outside, runs turns, commits them, and does afterwards what had to wait for the commit.
 *
 *   send, ask, outcome, due timer --> intake --> turn: steps until quiet or its budget --> one commit --> acknowledge, perform, wake watchers
 *
 * When a commit fails the run stops here: what is in memory is thrown away, callers are told, and a resume reads it again from the store.
 */
import { Defect, errorData, UserError } from '../../../errors.ts'
import { ABORT_GRACE_MS, HOST_TIMER_MS_MAX, INTAKE_MAX } from '../../../limits.ts'
import type { Address } from '../../../protocol.ts'
import type { EventData } from '../../cell.ts'
import { type Clock, RunClock } from '../../clock.ts'
import type { Accepted, CellView, Frame, Recovery, Result, RunSession, WatchOptions } from '../../engine.ts'
import { plainSnapshot } from '../../snapshot.ts'
import type { EffectRow, Owned, Store } from '../../store.ts'
import { snapshotView, treeView } from '../../views.ts'
import { Admissions, heldOf } from './admissions.ts'
import { askFromOutside } from './asks.ts'
import { letGo } from './budgets.ts'
import { nextDue, owesNow, startOwed } from './dispatch.ts'
import { checkTarget } from './door.ts'
import { type Ending, endingOf, resultOf, writeEnding } from './ending.ts'
import { Judges } from './health.ts'
import type { Intake } from './intake.ts'
import { settleOutcome } from './outcome.ts'
import { Performer } from './performer.ts'
import type { Tree } from './tree.ts'
import { type TurnLimits, Turns } from './turn.ts'
import { Volatiles } from './volatile.ts'
import { Watchers } from './watch.ts'

export interface SessionParts {
  readonly tree: Tree
  readonly store: Store
  readonly owned: Owned
  readonly clock: Clock
  readonly limits: TurnLimits
  readonly recovery: Recovery | null
  /** What the first turn does before anything else: what a resume found out. */
  readonly first?: ((tree: Tree) => void) | undefined
}

export class LocalSession implements RunSession {
  readonly id: string
  readonly recovery: Recovery | null
  readonly #tree: Tree
  readonly #store: Store
  readonly #owned: Owned
  readonly #clock: Clock
  readonly #runClock: RunClock
  readonly #admissions: Admissions
  readonly #performer: Performer
  readonly #watchers: Watchers
  readonly #judges: Judges
  readonly #turns: Turns
  readonly #done = Promise.withResolvers<Result>()
  #first: ((tree: Tree) => void) | null
  #scheduled = false
  #cancelWake = (): void => {}
  /** Told to stop: nothing is taken in any more but outcomes, no step is taken and no effect started. */
  #draining = false
  /** Set when the effects in flight have ended: the next turn is the last. */
  #stopping: Ending | null = null
  #over = false
  /** A commit has failed: memory may be ahead of the store, which alone is believed. */
  #failed = false

  constructor(parts: SessionParts) {
    this.id = parts.tree.run.run
    this.recovery = parts.recovery
    this.#tree = parts.tree
    this.#store = parts.store
    this.#owned = parts.owned
    this.#clock = parts.clock
    this.#turns = new Turns(parts.tree, parts.limits)
    this.#runClock = new RunClock(parts.clock, parts.tree.run.clock)
    this.#watchers = new Watchers({ store: parts.store, run: this.id, clock: parts.clock })
    const { health: judge, vitals } = parts.tree.host
    const committed = (address: Address) => this.#store.cell(this.id, address)
    this.#admissions = new Admissions({ run: this.id, host: parts.tree.host, opened: () => this.#schedule() })
    const held = (row: EffectRow) => heldOf(this.#admissions.waiting(row), this.#runClock.stand())
    const take = (intake: Intake) => this.#take(intake)
    this.#judges = new Judges({ run: this.id, judge, vitals, committed, held, take }, parts.tree.asks.values())
    this.#performer = new Performer({
      run: this.id,
      host: parts.tree.host,
      clock: parts.clock,
      now: () => this.#runClock.now(),
      thread: (name) => this.#store.thread(this.id, name),
      progress: (row, data) => {
        this.#judges.progress(row, data, this.#runClock.now())
        this.#watchers.live('live.progress', row.owner, new Date(this.#clock.wallMs()).toISOString(), { effect: row.id, data })
      },
      settled: (row, outcome) =>
        this.#take({ to: row.owner, apply: (tree) => settleOutcome(tree, row, outcome, this.#clock.random()), isOutcome: true }),
      room: () => this.#schedule(),
      volatiles: new Volatiles(parts.tree, (intake) => this.#take(intake)),
      admissions: this.#admissions,
    })
    this.#done.promise.catch(() => {}) // Somebody may never ask.
    this.#first = parts.first ?? null
    this.#schedule()
  }

  send(to: Address, event: EventData): Promise<Accepted> {
    const { promise, resolve, reject } = Promise.withResolvers<Accepted>()
    let position = 0
    this.#take({
      to,
      apply: (tree) => {
        const checked = checkTarget(tree, to, event)
        position = tree.fact('message.accepted', null, null, { to, event: checked.type })
        tree.post(null, 0, { kind: 'mail', to, incarnation: null, from: null, event: checked }, position)
      },
      committed: () => resolve({ position }),
      failed: reject,
    })
    return promise
  }

  ask(to: Address, event: EventData, options: { timeoutMs?: number } = {}): Promise<EventData> {
    const caller = Promise.withResolvers<EventData>()
    const timeoutMs = options.timeoutMs ?? 30_000
    if (!Number.isFinite(timeoutMs) || timeoutMs < 0) {
      const what = `timeoutMs: expected milliseconds from 0, got ${timeoutMs}`
      return Promise.reject(new UserError('E_USAGE', what, { where: to, fix: 'leave it out for 30 seconds', exit: 2 }))
    }
    this.#take({
      to,
      apply: (tree) => {
        const checked = checkTarget(tree, to, event)
        const position = tree.fact('message.accepted', null, null, { to, event: checked.type, ask: true })
        askFromOutside(tree, to, checked, timeoutMs, position, caller)
      },
      failed: caller.reject,
    })
    return caller.promise
  }

  snapshot(address: Address): ReturnType<RunSession['snapshot']> {
    const hot = this.#failed ? undefined : this.#tree.cells.get(address)
    if (hot?.snapshot === undefined || hot.snapshot === null) return snapshotView(this.#store, this.id, address)
    return { ...plainSnapshot(hot.snapshot), incarnation: hot.row.incarnation }
  }

  tree(): CellView {
    const runMs = this.#runClock.now()
    const health = (address: Address) => (this.#failed ? undefined : this.#judges.of(address, runMs))
    return treeView(this.#store, this.id, undefined, { health, runMs })
  }

  watch(options: WatchOptions = {}): AsyncIterable<Frame> {
    return this.#watchers.watch(options)
  }

  done(): Promise<Result> {
    return this.#done.promise
  }

  async stop(options: Parameters<RunSession['stop']>[0] = {}): Promise<Result> {
    if (this.#over || this.#draining) return this.#done.promise
    this.#draining = true
    this.#cancelWake()
    await this.#performer.stop(options.graceMs ?? 2 * ABORT_GRACE_MS)
    this.#stopping = { status: options.status ?? 'interrupted', reason: options.reason ?? null, output: null }
    this.#schedule()
    return this.#done.promise
  }

  #take(intake: Intake): void {
    if (this.#over || (this.#draining && intake.isOutcome !== true)) {
      intake.failed?.(new Defect('E_RUN_STOPPED', `run ${this.id} is not running in this process any more`))
      return
    }
    if (intake.isOutcome !== true && this.#turns.waiting >= INTAKE_MAX) {
      const fix = 'wait for the sends before to resolve, then send again'
      intake.failed?.(
        new UserError('E_MAILBOX_FULL', `${INTAKE_MAX} events wait to be accepted`, {
          where: `run ${this.id}`,
          fix,
          exit: 1,
          retryable: true,
        }),
      )
      return
    }
    this.#turns.push(intake)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#over) return
    this.#scheduled = true
    this.#clock.defer(() => {
      this.#scheduled = false
      if (!this.#over) this.#turn()
    })
  }

  /** One turn: one commit. */
  #turn(): void {
    const taken: Intake[] = []
    let ending: Ending | null = null
    try {
      this.#tree.begin(this.#runClock.now(), this.#clock.wallMs())
      // Before the mail: a step could settle an effect otherwise that is judged here.
      this.#first?.(this.#tree)
      this.#first = null
      if (this.#draining || this.#tree.ended !== null) this.#turns.outcomes(taken)
      else this.#turns.run(taken)
      if (!this.#draining) letGo(this.#tree)
      ending = this.#draining ? this.#stopping : endingOf(this.#tree, this.#performer.inFlight + this.#turns.waiting)
      if (ending !== null) writeEnding(this.#tree, ending)
      else if (!this.#draining) startOwed(this.#tree, this.#performer, this.#admissions)
      if (ending === null) this.#judges.turn(this.#tree)
      this.#commit()
    } catch (error) {
      this.#fail(error, taken)
      return
    }
    this.#after(taken, ending)
  }

  #commit(): void {
    const tree = this.#tree
    const clock = { runMs: tree.now, wallMs: tree.wall }
    const commit = tree.commit(clock, tree.counters)
    if (commit === null) return
    this.#owned.commit(commit)
    tree.run = tree.draft.after(tree.run, clock, commit.counters)
    tree.cells.committed()
  }

  #after(taken: readonly Intake[], ending: Ending | null): void {
    const { perform, abort, run, volatile } = this.#tree.afterwards
    this.#admissions.committed(this.#tree.draft.effects.values())
    for (const intake of taken) intake.committed?.()
    for (const id of abort) this.#performer.abort(id)
    for (const action of run) this.#runInline(action)
    this.#watchers.committed(this.#tree.draft.journal)
    if (ending !== null) {
      this.#performer.obey(volatile.filter((order) => order.do !== 'start'))
      void this.#finish()
      return
    }
    if (perform.length > 0 || volatile.length > 0) {
      try {
        this.#owned.check()
      } catch (error) {
        this.#fail(error, [])
        return
      }
      this.#performer.obey(volatile)
      for (const row of perform) this.#performer.start(row)
    }
    this.#judges.look(this.#tree.now)
    if (this.#tree.mail.size > 0 || this.#turns.waiting > 0 || owesNow(this.#tree, this.#performer, this.#admissions)) this.#schedule()
    else this.#wakeLater()
  }

  #runInline(action: () => unknown): void {
    const failed = (error: unknown): void => {
      const { code, message } = errorData(error)
      this.#take({ apply: (tree) => void tree.fact('action.failed', null, null, { code, message }) })
    }
    try {
      Promise.resolve(action()).catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  /** One host timer, for whatever is due first. */
  #wakeLater(): void {
    this.#cancelWake()
    const dueAt = nextDue(this.#tree, this.#performer, this.#admissions, this.#judges.dueAt)
    if (dueAt === Number.POSITIVE_INFINITY) return
    const delayMs = Math.min(Math.max(0, dueAt - this.#runClock.now()), HOST_TIMER_MS_MAX)
    this.#cancelWake = this.#clock.setTimer(delayMs, () => this.#schedule())
  }

  async #finish(): Promise<void> {
    this.#over = true
    this.#cancelWake()
    await this.#performer.stop(2 * ABORT_GRACE_MS)
    const { status } = this.#tree.run
    try {
      this.#done.resolve(resultOf(this.#tree.run, this.#store))
    } catch (error) {
      this.#done.reject(error)
    }
    this.#close(new Defect('E_RUN_STOPPED', `run ${this.id} has ended: ${status}`), this.#turns.drop())
  }

  /** Whatever happens on the way, the run is given free. */
  #close(reason: unknown, intakes: readonly Intake[]): void {
    this.#reject(reason, intakes)
    try {
      this.#owned.release()
    } finally {
      this.#watchers.close()
    }
  }

  /** The store or the lease is lost, or the engine is wrong: nothing in memory is believed any more. */
  #fail(error: unknown, taken: readonly Intake[]): void {
    this.#over = true
    this.#failed = true
    this.#cancelWake()
    this.#reject(error, [...taken, ...this.#turns.drop()])
    void this.#performer
      .stop(2 * ABORT_GRACE_MS)
      .then(() => this.#close(error, []))
      .finally(() => this.#done.reject(error))
      .catch(() => {})
  }

  #reject(error: unknown, intakes: readonly Intake[]): void {
    for (const intake of intakes) intake.failed?.(error)
    for (const caller of this.#tree.callers.values()) caller.reject(error)
    this.#tree.callers.clear()
  }
}
