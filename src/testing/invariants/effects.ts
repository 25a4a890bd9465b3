/** Effects: none is performed before its start is committed, twice in one attempt, or again once its outcome is on record; what a step owes is owed. */
import type { EffectCall } from '../../effect.ts'
import type { StepResult } from '../../runtime/cell.ts'
import { Broken, type Fact, type Invariant } from '../record.ts'

const OUTCOMES = ['effect.succeeded', 'effect.failed', 'effect.cancelled']
const RULE = 'an effect with an outcome is not performed again'

export class Performances implements Invariant {
  /** Attempts whose start is committed and which have not been performed: `e3 1`. */
  readonly #started = new Set<string>()
  readonly #performed = new Set<string>()
  readonly #outcomes = new Map<string, string>()
  /** How many effects the newest step owes that are not in the journal yet. */
  #owed = 0
  #owing = ''

  /** A handler was called. */
  performed({ id, attempt, path }: Pick<EffectCall<never>, 'id' | 'attempt' | 'path'>): void {
    const key = `${id} ${attempt}`
    const outcome = this.#outcomes.get(id)
    if (outcome !== undefined) throw new Broken(RULE, `${id} of ${path} is performed, and ${outcome} is on record`)
    if (this.#performed.has(key)) throw new Broken('an attempt is performed once', `${id} of ${path}, attempt ${attempt}`)
    if (!this.#started.has(key))
      throw new Broken('an effect is performed after the commit of its start', `${id} of ${path}, attempt ${attempt}`)
    this.#performed.add(key)
  }

  fact(fact: Fact, taken: StepResult | undefined): void {
    const { type, data, path } = fact
    const id = String(data['id'])
    if (taken !== undefined) {
      this.#settled()
      this.#owed = taken.effectsOwed.length
      this.#owing = `the step of ${path} at ${fact.pos}`
    } else if (type === 'effect.owed') {
      this.#owed--
      if (this.#owed < 0) throw new Broken('an effect is owed once', `${id} of ${path} at ${fact.pos} was asked for by no step`)
    } else if (type === 'effect.started') {
      const outcome = this.#outcomes.get(id)
      if (outcome !== undefined) throw new Broken(RULE, `${id} of ${path} is started again, and ${outcome} is on record`)
      this.#started.add(`${id} ${data['attempt']}`)
    } else if (OUTCOMES.includes(type)) {
      const outcome = this.#outcomes.get(id)
      if (outcome !== undefined) throw new Broken('an effect has one outcome', `${id} of ${path}: ${outcome}, then ${type}`)
      this.#outcomes.set(id, type)
    }
  }

  committed(): void {
    this.#settled()
  }

  #settled(): void {
    const missing = this.#owed
    this.#owed = 0
    if (missing > 0) throw new Broken('what a step asks for is owed', `${this.#owing}: ${missing} effects are not in the journal`)
  }
}
