/** The open effects of a live tree, by id, by owner, and those that wait to be started. What a turn looks at costs what waits, not what is in flight. */
import type { Address } from '../../../protocol.ts'
import { OPEN } from '../../status.ts'
import type { EffectRow } from '../../store.ts'

export class OpenEffects {
  readonly #all = new Map<string, EffectRow>()
  readonly #byOwner = new Map<Address, Map<string, EffectRow>>()
  /** Owed, or with the time of a next attempt. */
  readonly #waiting = new Map<string, EffectRow>()
  #reservedTokens = 0
  #inDoubt = 0

  constructor(rows: Iterable<EffectRow>) {
    for (const row of rows) this.keep(row)
  }

  get size(): number {
    return this.#all.size
  }
  /** The worst case of all that are open. */
  get reservedTokens(): number {
    return this.#reservedTokens
  }
  get inDoubt(): number {
    return this.#inDoubt
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
    this.#reservedTokens += by * (row.reserve?.tokens ?? 0)
    if (row.status === 'in_doubt') this.#inDoubt += by
  }
}
