/** How lives begin: the first step, readiness, and what a supervisor is told of it. A failed first step has been told as `cell.start_failed`. */
import type { Json } from '../../../json.ts'
import type { Envelope, StepResult } from '../../cell.ts'
import type { CellRow } from '../../store.ts'
import { bury, endQuietly, settle } from './lifecycle.ts'
import { type Cell, isBound, OP_LAST, type Tree } from './tree.ts'

/** The cell of a new child, before its first step. @param position  of the entry that tells of it. Default: the newest. */
export function settleIn(tree: Tree, row: CellRow, position?: number): void {
  const cell: Cell = { row, snapshot: null }
  tree.adopt(cell)
  tree.useMachine(row.machine)
  tree.change(cell, {}, position)
}

/**
 * A child whose address was taken when its parent made it moves in. What is left of the one before it is ended: a child of another life must not go on.
 * @returns false where the parent has ended or has stopped it in the meantime.
 */
export function moveIn(tree: Tree, envelope: Envelope, row: CellRow): boolean {
  const parent = row.parent === null ? undefined : tree.cells.get(row.parent.address)
  const isWanted =
    parent !== undefined &&
    isBound(parent.row, row.parent!.incarnation) &&
    parent.row.children.some((link) => link.id === row.id && link.incarnation === row.incarnation)
  if (!isWanted) return false
  const before = tree.cells.get(row.address)
  if (before !== undefined) endQuietly(tree, before, envelope.cause ?? tree.draft.position)
  settleIn(tree, row, tree.draft.position + 1) // With its first step, which is the next entry.
  return true
}

/** After the step that made the first snapshot: mail that came before it is deliverable now. */
export function born(tree: Tree, cell: Cell, envelope: Envelope): void {
  const { row } = cell
  tree.fact('actor.started', row, envelope.cause, {
    machine: row.machine,
    version: row.version,
    parent: row.parent?.address ?? null,
    supervised: row.supervised,
  })
  tree.admit(envelope)
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
