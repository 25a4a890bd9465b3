/** How lives begin: the first step, readiness, and what a supervisor is told of it. A failed first step has been told as `cell.start_failed`. */
import type { Json } from '../../../json.ts'
import type { Envelope, StepResult } from '../../cell.ts'
import { bury, settle } from './lifecycle.ts'
import { type Cell, OP_LAST, type Tree } from './tree.ts'

/** After the step that made the first snapshot: mail that came before it is deliverable now. */
export function born(tree: Tree, cell: Cell, envelope: Envelope): void {
  const { row } = cell
  tree.fact('actor.started', row, envelope.cause, {
    machine: row.machine,
    version: row.version,
    parent: row.parent?.address ?? null,
    supervised: row.supervised,
  })
  tree.mail.release(row.address)
}

/** Tells the supervisor once, when the actor is ready: its first step is committed, or its ready tag is there. */
export function becomeReady(tree: Tree, cell: Cell, envelope: Envelope): void {
  const { row } = cell
  if (!row.supervised || row.ready || (row.readyTag !== null && !cell.snapshot?.tags.includes(row.readyTag))) return
  tree.change(cell, { ready: true })
  tellStarted(tree, cell, envelope, false)
}

/** A first step that ends with output `{ignore: true}` declines to start, as `ignore` does in OTP: no life, no exit, only the answer. */
export function decline(tree: Tree, cell: Cell, envelope: Envelope): void {
  tellStarted(tree, cell, envelope, true)
  settle(tree, cell, tree.draft.position, { kind: 'normal' })
  bury(tree, cell, tree.draft.position)
}

export function isDeclined(result: StepResult): boolean {
  const output: Json | undefined = result.exit?.kind === 'normal' ? result.exit.output : undefined
  return typeof output === 'object' && output !== null && 'ignore' in output && output['ignore'] === true
}

function tellStarted(tree: Tree, cell: Cell, envelope: Envelope, declined: boolean): void {
  const { row } = cell
  if (row.parent === null) return
  const event = { type: 'cell.started', id: row.id, incarnation: row.incarnation, now: tree.now, declined }
  tree.post(
    envelope,
    OP_LAST,
    { kind: 'system', to: row.parent.address, incarnation: row.parent.incarnation, from: row.address, event },
    tree.draft.position,
  )
}
