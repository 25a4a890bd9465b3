/** Which machines a run uses, written when it first uses one: what a later resume compares the registered ones with. */
import type { Host } from '../../engine.ts'
import type { MachineRow } from '../../store.ts'

export class UsedMachines {
  readonly #host: Pick<Host, 'machine'>
  readonly #stored: () => readonly MachineRow[]
  /** Definitions as text, by name and version. Read when the first machine is used. */
  #known: Map<string, string> | null = null
  /** Those that were looked at in this process. */
  readonly #used = new Set<string>()

  constructor(host: Pick<Host, 'machine'>, stored: () => readonly MachineRow[]) {
    this.#host = host
    this.#stored = stored
  }

  /** The row to be written, or null: the run knows it as it is, or there is no such machine. */
  use(name: string): MachineRow | null {
    if (this.#used.has(name)) return null
    this.#used.add(name)
    const row = this.#host.machine(name)
    if (row === null) return null
    this.#known ??= new Map(this.#stored().map((known) => [keyOf(known), JSON.stringify(known.definition)]))
    return this.#known.get(keyOf(row)) === JSON.stringify(row.definition) ? null : row
  }
}

const keyOf = ({ name, version }: MachineRow): string => `${name}\0${version}`
