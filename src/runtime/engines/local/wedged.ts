/** The end of a life that gives no sign any more: as a crash, so that its supervisor decides. What hangs is aborted with it. */
import type { ErrorData } from '../../../errors.ts'
import type { Health } from '../../../health.ts'
import type { Json } from '../../../json.ts'
import type { Address } from '../../../protocol.ts'
import { stateName } from '../../step.ts'
import { cancelEffect } from './effects.ts'
import { crashCell } from './lifecycle.ts'
import type { Tree } from './tree.ts'

/** Ends a wedged actor with `E_WEDGED`. No event of its own has done it, so there is no dead letter but the engine's, and no checkpoint to go on from. */
export function endWedged(tree: Tree, address: Address, health: Health): void {
  const cell = tree.cells.get(address)
  if (cell?.row.status !== 'active') return
  const { incarnation } = cell.row
  const told = tree.draft.position
  const event = { type: 'troupe.wedged', evidence: health.evidence }
  const envelope = tree.post(null, 0, { kind: 'system', to: address, incarnation, from: null, event }, told)
  tree.mail.remove(address, (waiting) => waiting === envelope)
  const error: ErrorData = {
    code: 'E_WEDGED',
    message: health.evidence,
    path: address,
    state: stateName(tree.snapshotOf(cell)?.value ?? null),
    proof: health.proof as Json,
    hint: 'give the effect a timeoutMs, let its handler report progress, or raise health.wedgedMs of the child spec',
  }
  crashCell(tree, cell, envelope, error)
  abortAll(tree, address, told)
}

/** Its effects, and those of the children that XState made it. */
function abortAll(tree: Tree, address: Address, cause: number): void {
  for (const effect of tree.effects.of(address)) if (effect.answer) cancelEffect(tree, effect, cause)
  for (const link of tree.cells.get(address)?.row.children ?? []) abortAll(tree, link.address, cause)
}
