/**
 * The cells of a live tree, loaded when they are first needed and let go when they have rested: an idle actor holds no object in memory.
 *
 *   get(address)   hot? -> that one | changed in this turn? -> as changed | else the store, which knows it as of the last commit
 *
 * Invariants:
 * - Within a turn memory is ahead of the store. What the turn has begun or ended is kept in `#born` and `#gone` until its commit has returned.
 * - Only clean cells are let go, and only between turns: what is read again is what was committed.
 */
import { CELLS_HOT_MAX } from '../../../limits.ts'
import type { Address, Incarnation } from '../../../protocol.ts'
import type { EncodedSnapshot } from '../../cell.ts'
import type { CellRow } from '../../store.ts'

export interface Cell {
  row: CellRow
  /** Undefined: stored, and not yet needed. */
  snapshot: EncodedSnapshot | null | undefined
}

/** Where cells are read that nobody has needed yet. */
export interface CellSource {
  cell(address: Address): CellRow | null
  children(address: Address): readonly Address[]
}

export class Cells {
  readonly #source: CellSource
  readonly #hot = new Map<Address, Cell>()
  /** Cells that were looked at since the last sweep: they stay. */
  readonly #used = new Set<Address>()
  /** By parent, what this turn has begun. */
  readonly #born = new Map<Address, Set<Address>>()
  /** What this turn has ended for good, with the last life of each. */
  readonly #gone = new Map<Address, Incarnation>()

  constructor(source: CellSource) {
    this.#source = source
  }

  /** How many are in memory. */
  get hot(): number {
    return this.#hot.size
  }

  /** Of how many it is noted that they were used: what they cost beside themselves. */
  get noted(): number {
    return this.#used.size
  }

  get(address: Address): Cell | undefined {
    const hot = this.#hot.get(address)
    if (hot !== undefined) {
      this.#used.add(address)
      return hot
    }
    if (this.#gone.has(address)) return undefined
    const row = this.#source.cell(address)
    if (row === null) return undefined
    const cell: Cell = { row, snapshot: row.status === 'starting' ? null : undefined }
    this.#hot.set(address, cell)
    this.#used.add(address)
    return cell
  }

  has(address: Address): boolean {
    return this.get(address) !== undefined
  }

  /** A new life, or the first one, of an address. */
  add(cell: Cell): void {
    const { address, parent } = cell.row
    this.#hot.set(address, cell)
    this.#used.add(address)
    this.#gone.delete(address)
    if (parent === null) return
    const siblings = this.#born.get(parent.address)
    if (siblings === undefined) this.#born.set(parent.address, new Set([address]))
    else siblings.add(address)
  }

  /** The address has ended for good. */
  remove(address: Address): void {
    const incarnation = this.#hot.get(address)?.row.incarnation ?? 0
    this.#hot.delete(address)
    this.#used.delete(address)
    this.#gone.set(address, incarnation)
  }

  /** The last life of an address that this turn has ended for good. */
  lastOf(address: Address): Incarnation | undefined {
    return this.#gone.get(address)
  }

  /** Addresses of the cells whose parent lives at this address, in order of address: the same whatever has been committed meanwhile. */
  below(address: Address): Address[] {
    const all = new Set([...this.#source.children(address), ...(this.#born.get(address) ?? [])])
    return [...all].filter((child) => !this.#gone.has(child)).sort()
  }

  /** What this turn has begun, which the store does not know yet. */
  begun(): Address[] {
    return [...this.#born.values()].flatMap((siblings) => [...siblings]).filter((address) => !this.#gone.has(address))
  }

  /** The turn is committed: the store knows all of it, and what has rested since the last sweep is let go where there are too many. */
  committed(): void {
    this.#born.clear()
    this.#gone.clear()
    if (this.#hot.size <= CELLS_HOT_MAX) return
    for (const address of this.#hot.keys()) if (!this.#used.has(address)) this.#hot.delete(address)
    // More in one turn than may stay: they are read again when they are needed.
    if (this.#hot.size > CELLS_HOT_MAX) this.#hot.clear()
    this.#used.clear()
  }
}
