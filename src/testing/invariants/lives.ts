/**
 * Lives: at most one of an address at a time, each ends once, and nobody outlives the supervisor or parent above.
 * Numbers of lives rise until the address is gone; who lives there afterwards, below a supervisor that was restarted, may begin with 1 again.
 */
import { isSupervisor } from '../../protocol.ts'
import type { StepResult } from '../../runtime/cell.ts'
import type { CellRow } from '../../runtime/store.ts'
import { Broken, type Fact, type Invariant, type Quiet } from '../record.ts'

interface Life {
  readonly inc: number
  /** What ended it, once it has ended. */
  readonly end: string | null
}

export class Lives implements Invariant {
  readonly #newest = new Map<string, Life>()

  fact({ type, path, inc, pos, data }: Fact, taken: StepResult | undefined): void {
    if (path === null || inc === null) return
    const life = this.#newest.get(path)
    const name = `${path} #${inc}`
    if (data['kind'] === 'start' && (taken !== undefined || type === 'actor.crashed')) {
      if (life !== undefined && life.end === null)
        throw new Broken('an address has one life at a time', `${name} begins at ${pos}, and #${life.inc} has not ended`)
      this.#newest.set(path, { inc, end: taken === undefined ? type : isDeclined(taken) ? 'refusal to start' : null })
    } else if (type === 'actor.restarted' && data['from'] === 'checkpoint') {
      if (life?.end == null || inc <= life.inc)
        throw new Broken('an address has one life at a time', `${name} goes on at ${pos} where #${life?.inc} was, ended: ${life?.end}`)
      this.#newest.set(path, { inc, end: null })
    } else if (taken !== undefined) this.#acts(life, name, pos, inc)
    else if (type === 'actor.stopped' || type === 'actor.crashed') {
      if (life?.inc === inc && life.end !== null) throw new Broken('a life ends once', `${name}: ${life.end}, then ${type} at ${pos}`)
      this.#newest.set(path, { inc, end: type })
    }
  }

  #acts(life: Life | undefined, name: string, pos: number, inc: number): void {
    if (life?.inc !== inc) throw new Broken('an address has one life at a time', `${name} takes a step at ${pos}, and #${life?.inc} lives`)
    if (life.end !== null) throw new Broken('who has ended does nothing more', `${name} takes a step at ${pos}, after its ${life.end}`)
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

/** Of a first step: no life came of it, and no end. */
function isDeclined({ exit }: StepResult): boolean {
  const output = exit?.kind === 'normal' ? exit.output : undefined
  return typeof output === 'object' && output !== null && 'ignore' in output && output['ignore'] === true
}

const isOf = (row: CellRow, incarnation: number): boolean => row.since <= incarnation && incarnation <= row.incarnation
