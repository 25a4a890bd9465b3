/** Lives: at most one of an address at a time, each ends once, and nobody outlives the supervisor or parent above. */
import { isSupervisor } from '../../protocol.ts'
import type { CellRow } from '../../runtime/store.ts'
import { Broken, type Fact, type Invariant, type Quiet } from '../record.ts'

export class Lives implements Invariant {
  readonly #newest = new Map<string, number>()
  readonly #ended = new Map<string, string>()

  fact({ type, path, inc, pos }: Fact): void {
    if (path === null || inc === null) return
    const life = `${path} #${inc}`
    if (type === 'step.committed') {
      const newest = this.#newest.get(path) ?? 0
      if (inc < newest) throw new Broken('an address has one life at a time', `${life} takes a step at ${pos}, and #${newest} lives`)
      const end = this.#ended.get(life)
      if (end !== undefined) throw new Broken('who has ended does nothing more', `${life} takes a step at ${pos}, after its ${end}`)
      this.#newest.set(path, inc)
    } else if (type === 'actor.stopped' || type === 'actor.crashed') {
      const end = this.#ended.get(life)
      if (end !== undefined) throw new Broken('a life ends once', `${life}: ${end}, then ${type} at ${pos}`)
      this.#ended.set(life, type)
    }
  }

  quiet({ cells }: Quiet): void {
    for (const row of cells.values()) {
      if (row.status === 'ended' || row.parent === null) continue
      const above = cells.get(row.parent.address)
      const name = `${row.address} #${row.incarnation}`
      if (above === undefined) throw new Broken('nobody outlives who is above', `${name} lives, and ${row.parent.address} is gone`)
      if (!isOf(above, row.parent.incarnation))
        throw new Broken(
          'nobody outlives who is above',
          `${name} is of #${row.parent.incarnation} of ${above.address}, where #${above.incarnation} lives`,
        )
      if (above.status === 'ended' && isSupervisor(above.machine))
        throw new Broken('children of a supervisor that has ended are gone', `${name} lives, and ${above.address} has ended`)
    }
  }
}

const isOf = (row: CellRow, incarnation: number): boolean => row.since <= incarnation && incarnation <= row.incarnation
