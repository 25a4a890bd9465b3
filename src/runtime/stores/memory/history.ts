/**
 * Rows with a birth and a death, in plain maps: the two shapes of history that a run is made of.
 *
 *   Versions   one key, one row at a time      v1 [3, 7)   v2 [7, 12)   v3 [12, ...        at 9: v2
 *   Lives      many ids, each born once        1 [3, 5)    2 [4, ...    3 [9, ...          at 4: 1, 2
 *
 * Alive at position p: born <= p, and died is null or > p. Births never fall within a key, so the newest is the last.
 */

export interface Version<T> {
  readonly born: number
  died: number | null
  readonly row: T
}

/** The versions of one key. */
export class Versions<T> {
  #versions: Version<T>[] = []

  /** The version that lives at the position; without one, the newest, if it lives. */
  at(position?: number): Version<T> | undefined {
    const found = position === undefined ? this.#versions.at(-1) : this.#versions[this.#after(position) - 1]
    return found !== undefined && isAlive(found, position) ? found : undefined
  }
  /** Ends the version before. One of the same position is replaced: it was never a resting state. */
  add(born: number, row: T): void {
    this.end(born)
    this.#versions.push({ born, died: null, row })
  }
  end(died: number): void {
    const last = this.#versions.at(-1)
    if (last === undefined || last.died !== null) return
    if (last.born === died) this.#versions.pop()
    else last.died = died
  }
  /** Drops what was dead by then. True when nothing is left. */
  forget(position: number): boolean {
    this.#versions = this.#versions.filter(({ died }) => died === null || died > position)
    return this.#versions.length === 0
  }
  all(): readonly Version<T>[] {
    return this.#versions
  }

  /** How many versions were born by then. */
  #after(position: number): number {
    let [low, high] = [0, this.#versions.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#versions[middle]!.born <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Rows that are born once and die once, by number. */
export class Lives {
  readonly #rows = new Map<number, Version<string>>()
  readonly #open = new Set<number>()

  has(id: number): boolean {
    return this.#rows.has(id)
  }
  add(id: number, born: number, text: string): void {
    this.#rows.set(id, { born, died: null, row: text })
    this.#open.add(id)
  }
  /** Nobody of that number, or one who is dead already: nothing happens. */
  end(id: number, died: number): void {
    if (this.#open.delete(id)) this.#rows.get(id)!.died = died
  }
  /** Texts of those alive, by number. */
  at(position?: number): string[] {
    const ids = position === undefined ? [...this.#open] : [...this.#rows.keys()].filter((id) => isAlive(this.#rows.get(id)!, position))
    return ids.sort((a, b) => a - b).map((id) => this.#rows.get(id)!.row)
  }
  forget(position: number): void {
    for (const [id, { died }] of this.#rows) if (died !== null && died <= position) this.#rows.delete(id)
  }
}

function isAlive({ born, died }: Version<unknown>, position: number | undefined): boolean {
  return position === undefined ? died === null : born <= position && (died === null || died > position)
}
