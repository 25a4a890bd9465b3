/**
 * What happens inside one turn: events from outside and due timers are taken in, one at a time, and each is followed by steps until the tree is quiet
 * or the turn's budget is used. What is left over is the next turn's.
 */
import { Defect } from '../../../errors.ts'
import { CASCADE_STEPS_MAX, TURN_EXTERNALS_MAX } from '../../../limits.ts'
import type { Envelope } from '../../cell.ts'
import { isRoot } from '../../order.ts'
import { stateName } from '../../step.ts'
import { deliver } from './deliver.ts'
import { fireTimer } from './fire.ts'
import { type Intake, IntakeQueue } from './intake.ts'
import { crashCell } from './lifecycle.ts'
import type { Tree } from './tree.ts'

/** How many steps one commit may hold. 1 makes every step a commit of its own: slower, and no different otherwise. */
export interface TurnLimits {
  readonly turnStepsMax: number
}

export class Turns {
  readonly #tree: Tree
  readonly #limits: TurnLimits
  readonly #waiting = new IntakeQueue()
  #isTimersTurn = false
  #cascadeSteps = 0

  constructor(tree: Tree, limits: TurnLimits) {
    this.#tree = tree
    this.#limits = limits
  }

  /** Events from outside that wait to be taken in. */
  get waiting(): number {
    return this.#waiting.size
  }

  push(intake: Intake): void {
    this.#waiting.push(intake)
  }

  /** Gives up everything that waits. */
  drop(): Intake[] {
    return this.#waiting.drain()
  }

  /** Runs steps until quiet or the budget is used. @param taken  gets what was taken in, also when a turn breaks off: it is acknowledged, or told. */
  run(taken: Intake[]): void {
    let steps = 0
    let externals = 0
    while (steps < this.#limits.turnStepsMax && this.#tree.ended === null) {
      const envelope = this.#tree.next()
      if (envelope === undefined) {
        if (externals >= TURN_EXTERNALS_MAX || !this.#takeIn(taken)) return
        externals++
      } else if (isRoot(envelope.order) || this.#cascadeSteps < CASCADE_STEPS_MAX) {
        if (isRoot(envelope.order)) this.#cascadeSteps = 0
        if (deliver(this.#tree, envelope)) this.#cascadeSteps++
        steps++
      } else {
        this.#cut(envelope)
      }
    }
  }

  /** For a run that ends: no step is taken any more, and what is known of effects is still recorded. */
  outcomes(taken: Intake[]): void {
    for (const intake of this.drop()) {
      if (intake.isOutcome !== true) {
        intake.failed?.(new Defect('E_RUN_STOPPED', `run ${this.#tree.run.run} is ending`))
        continue
      }
      intake.apply(this.#tree)
      taken.push(intake)
    }
  }

  /** Due timers and events from outside take turns: neither can keep the other waiting. */
  #takeIn(taken: Intake[]): boolean {
    const due = this.#tree.timers.first()
    const isDue = due !== undefined && due.dueAt <= this.#tree.now
    this.#isTimersTurn = !this.#isTimersTurn
    if (isDue && (this.#isTimersTurn || this.#waiting.size === 0)) {
      fireTimer(this.#tree, due)
      return true
    }
    const intake = this.#waiting.shift()
    if (intake === undefined) return false
    try {
      intake.apply(this.#tree)
      taken.push(intake)
    } catch (error) {
      if (intake.failed === undefined) throw error
      intake.failed(error)
    }
    return true
  }

  /** A cascade that does not end: the actor that is next is crashed, with the event named; the others go on. */
  #cut(envelope: Envelope): void {
    this.#cascadeSteps = 0
    const cell = this.#tree.cells.get(envelope.to)
    const message = `one event has led to ${CASCADE_STEPS_MAX} steps; ${envelope.event.type} to ${envelope.to} is not delivered`
    const canCrash = cell?.row.status === 'active' || (cell?.row.status === 'starting' && envelope.kind === 'start')
    if (cell === undefined || !canCrash) deliver(this.#tree, envelope)
    else
      crashCell(this.#tree, cell, envelope, {
        code: 'E_CASCADE',
        message,
        path: envelope.to,
        state: stateName(this.#tree.snapshotOf(cell)?.value ?? null),
        event: envelope.event.type,
        hint: 'a machine answers its own events without end: look at what it sends in this state',
      })
  }
}
