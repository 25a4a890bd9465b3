/**
 * What comes in from outside and waits to be taken into a turn: one queue per target, served in turns, so that an actor that is sent to without end
 * keeps nobody else waiting. Order per sender and receiver is kept: what is for one target stays in the order in which it came.
 */
import type { Tree } from './tree.ts'

/** Something from outside, applied inside a turn. What it throws is told to its sender alone: it must throw before it changes anything. */
export interface Intake {
  apply(tree: Tree): void
  /** Whom it is for. Absent: for the run. */
  readonly to?: string
  /** What came of an effect. Taken also while the run stops: what is known is recorded. */
  readonly isOutcome?: boolean
  committed?(): void
  failed?(error: unknown): void
}

interface Lane {
  readonly intakes: Intake[]
  /** How many of them are taken already: shifting a long array would copy it each time. */
  taken: number
}

export class IntakeQueue {
  /** In the order of whose turn it is. */
  readonly #lanes = new Map<string, Lane>()
  #size = 0

  get size(): number {
    return this.#size
  }

  push(intake: Intake): void {
    this.#size++
    const lane = this.#lanes.get(intake.to ?? '')
    if (lane === undefined) this.#lanes.set(intake.to ?? '', { intakes: [intake], taken: 0 })
    else lane.intakes.push(intake)
  }

  /** The next one, of the target whose turn it is. */
  shift(): Intake | undefined {
    for (const [to, lane] of this.#lanes) {
      const intake = lane.intakes[lane.taken++]!
      this.#size--
      this.#lanes.delete(to)
      if (lane.taken < lane.intakes.length) this.#lanes.set(to, lane)
      return intake
    }
    return undefined
  }

  /** Gives up everything that waits. */
  drain(): Intake[] {
    const all = [...this.#lanes.values()].flatMap(({ intakes, taken }) => intakes.slice(taken))
    this.#lanes.clear()
    this.#size = 0
    return all
  }
}
