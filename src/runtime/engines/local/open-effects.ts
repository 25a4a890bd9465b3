/** The open effects of a live tree, by id, by owner, and those that wait to be started. What a turn looks at costs what waits, not what is in flight. */
import type { Address } from '../../../protocol.ts'
import { upFrom } from '../../ledger.ts'
import { heldBy, isNothing, minus, NOTHING, plus, type Spending } from '../../spending.ts'
import { OPEN } from '../../status.ts'
import type { EffectRow } from '../../store.ts'

export class OpenEffects {
  readonly #all = new Map<string, EffectRow>()
  readonly #byOwner = new Map<Address, Map<string, EffectRow>>()
  /** Owed, or with the time of a next attempt. */
  readonly #waiting = new Map<string, EffectRow>()
  /** What they hold of budgets, by every address on their way up; '' is the run. */
  readonly #held = new Map<Address, Spending>()
  #heldBack = 0
  #inDoubt = 0

  constructor(rows: Iterable<EffectRow>) {
    for (const row of rows) this.keep(row)
  }

  get size(): number {
    return this.#all.size
  }
  /** How many are held back by a budget. */
  get heldBack(): number {
    return this.#heldBack
  }
  get inDoubt(): number {
    return this.#inDoubt
  }

  /** The worst case of all attempts that an actor and those below it have under way or ahead of them; '' is the run. */
  held(at: Address): Spending {
    return this.#held.get(at) ?? NOTHING
  }
  get(id: string): EffectRow | undefined {
    return this.#all.get(id)
  }
  values(): Iterable<EffectRow> {
    return this.#all.values()
  }
  /** Those that wait to be started, in the order in which they were owed. */
  waiting(): Iterable<EffectRow> {
    return this.#waiting.values()
  }
  /** A copy: what is done with them may end them. */
  of(owner: Address): readonly EffectRow[] {
    return [...(this.#byOwner.get(owner)?.values() ?? [])]
  }

  /** Takes the row as it is now: an open one is kept, another one is dropped. */
  keep(row: EffectRow): void {
    const before = this.#all.get(row.id)
    if (before !== undefined) this.#count(before, -1)
    if (!OPEN.includes(row.status)) {
      this.#drop(row)
      return
    }
    this.#count(row, 1)
    this.#all.set(row.id, row)
    const own = this.#byOwner.get(row.owner)
    if (own === undefined) this.#byOwner.set(row.owner, new Map([[row.id, row]]))
    else own.set(row.id, row)
    if (row.status === 'owed' || row.nextAt !== null) this.#waiting.set(row.id, row)
    else this.#waiting.delete(row.id)
  }

  #drop(row: EffectRow): void {
    this.#all.delete(row.id)
    this.#waiting.delete(row.id)
    const own = this.#byOwner.get(row.owner)
    own?.delete(row.id)
    if (own?.size === 0) this.#byOwner.delete(row.owner)
  }

  #count(row: EffectRow, by: 1 | -1): void {
    if (row.status === 'in_doubt') this.#inDoubt += by
    if (row.held === true) this.#heldBack += by
    const held = heldBy(row)
    if (isNothing(held)) return
    for (const at of [...upFrom(row.owner), '']) {
      const sum = by === 1 ? plus(this.held(at), held) : minus(this.held(at), held)
      if (isNothing(sum)) this.#held.delete(at)
      else this.#held.set(at, sum)
    }
  }
}
