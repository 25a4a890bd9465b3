/**
 * One actor that is watched, and how its standing goes on record: an entry in the journal where it is one of those that do, and its row where there is
 * more to remember. Both are part of the commit of the turn that has brought it about.
 */
import type { Health } from '../../../health.ts'
import type { Json } from '../../../json.ts'
import type { Address } from '../../../protocol.ts'
import { isOnRecord, type Judged } from '../../health.ts'
import type { EffectRow } from '../../store.ts'
import type { Tree } from './tree.ts'

interface Sign {
  readonly at: number
  readonly loading: boolean
  readonly words: 'token' | 'progress'
}

/** What is known of it, and its judge's verdict. */
export interface Watch {
  readonly address: Address
  incarnation: number
  judged: Judged
  /** The standing that was last looked at for the record. */
  shown: Health
  /** Open effects, as the judge knows them. */
  readonly flights: Map<string, EffectRow>
  readonly asks: Set<number>
  /** What effects have reported since the judge was last told. */
  readonly signs: Map<string, Sign>
  /** Effects whose last report was that they load. */
  readonly loading: Set<string>
  /** Its processes are being looked at. */
  looking: boolean
}

/** Writes down what has come of a change. */
export function putOnRecord(tree: Tree, watch: Watch): void {
  const from = watch.shown
  const { health: to, memory } = watch.judged
  watch.shown = to
  const cell = tree.cells.get(watch.address)
  if (cell === undefined) return
  const isNews = (from.state !== to.state || from.on !== to.on) && (isOnRecord(from.state) || isOnRecord(to.state))
  const { state, on, evidence, proof, errors } = to
  if (isNews)
    tree.fact('health.changed', cell.row, null, { from: from.state, to: state, on, evidence, proof, errors: errors as unknown as Json })
  const kept = memory as unknown as Json
  if (kept !== (cell.row.judged ?? null) && (isNews || memory !== null)) tree.change(cell, { judged: kept ?? undefined })
}
