/**
 * One envelope, from the mail to its actor: is anybody there, is it for this life, and then a step.
 *
 *   next() -> ask? -> nobody: drop | another life: stale | not up: park | up: step -> apply
 */
import { isVolatile } from '../../../effect.ts'
import { ACTOR_DEPTH_MAX, XSTATE_CHILDREN_MAX } from '../../../limits.ts'
import type { ChildLink, Envelope, StepInput } from '../../cell.ts'
import { idOf } from '../../ref.ts'
import type { CellRow, EffectRow } from '../../store.ts'
import { apply } from './apply.ts'
import { answer, isAskAddress } from './asks.ts'
import { moveIn } from './birth.ts'
import { stopCell } from './lifecycle.ts'
import { type Cell, isBound, type Tree } from './tree.ts'

/** Delivers one envelope. Returns whether a step was taken. */
export function deliver(tree: Tree, envelope: Envelope): boolean {
  if (isAskAddress(envelope.to)) {
    answer(tree, envelope)
    return false
  }
  const moving = envelope.kind === 'start' ? (envelope.event['cell'] as unknown as CellRow | undefined) : undefined
  if (moving !== undefined && !moveIn(tree, envelope, moving)) return drop(tree, envelope, 'its parent has no use for it any more')
  const cell = tree.cells.get(envelope.to)
  if (envelope.incarnation !== null && (cell === undefined || !isBound(cell.row, envelope.incarnation)) && isExpected(tree, envelope)) {
    tree.mail.park(envelope) // Sent by an entry action to a child that the same state invokes: it moves in a moment later.
    return false
  }
  if (cell === undefined) return tell(tree, envelope) ? false : drop(tree, envelope, 'nobody lives there')
  if (envelope.incarnation !== null && !isBound(cell.row, envelope.incarnation)) return drop(tree, envelope, 'it was for another life')
  if (envelope.kind === 'kill' || envelope.kind === 'stop') return stop(tree, cell, envelope)
  if (cell.row.retired === true && envelope.kind === 'mail') return drop(tree, envelope, 'it has finished')
  if (cell.row.status === 'ended' || (cell.row.status === 'starting' && envelope.kind !== 'start')) {
    tree.mail.park(envelope)
    return false
  }
  if (envelope.child !== undefined && !reports(cell, envelope.child)) return drop(tree, envelope, 'the child that sent it is gone')
  apply(tree, cell, envelope, tree.host.step(inputOf(tree, cell, envelope)))
  return true
}

/**
 * Mail for a callback or an observable: it hears of it once this is committed. One that is stopped in this very turn still hears what was sent before
 * its stop, by the same step.
 */
function tell(tree: Tree, envelope: Envelope): boolean {
  const owner = envelope.to.slice(0, envelope.to.lastIndexOf('/'))
  const isFor = (row: EffectRow): boolean =>
    isVolatile(row) &&
    row.owner === owner &&
    row.invoke === idOf(envelope.to) &&
    (envelope.incarnation === null || envelope.incarnation === row.invocation)
  const orders = tree.afterwards.volatile
  const stop = orders.findIndex((order) => order.do === 'stop' && isFor(order.row))
  const row = tree.effects.of(owner).find(isFor) ?? (envelope.from === owner ? orders[stop]?.row : undefined)
  if (row === undefined) return false
  const { event, from: sender, seq } = envelope
  const facts = { id: row.id, to: envelope.to, event, sender, seq }
  tree.fact('effect.told', { address: row.owner, incarnation: row.incarnation }, envelope.cause, facts)
  tree.done(envelope, 'consumed')
  const order = { do: 'tell', row, event: envelope.event } as const
  if (orders[stop]?.row.id === row.id) orders.splice(stop, 0, order)
  else orders.push(order)
  return true
}

function inputOf(tree: Tree, cell: Cell, envelope: Envelope): StepInput {
  const { row } = cell
  return {
    address: row.address,
    incarnation: row.incarnation,
    machine: row.machine,
    version: row.version,
    snapshot: tree.snapshotOf(cell),
    children: row.children,
    parent: row.parent,
    systemIds: tree.systemIds,
    nextId: row.nextId,
    allowance: { children: XSTATE_CHILDREN_MAX - living(row.children), depth: ACTOR_DEPTH_MAX - (row.address.split('/').length - 1) },
    envelope,
    now: tree.now,
    seed: `${tree.run.run}:${envelope.seq}`,
  }
}

/** Children that have ended stay among XState's `children`; they take no room. */
const living = (links: readonly ChildLink[]): number => links.reduce((count, link) => (link.ended === true ? count : count + 1), 0)

/** Is the child that an event tells of still the parent's child? A late `done` of an earlier one must not be taken for the new one's. */
function reports(cell: Cell, child: { readonly id: string; readonly incarnation: number }): boolean {
  return cell.row.children.some((link) => link.id === child.id && link.incarnation === child.incarnation)
}

/** Is the life that an envelope is for still to move in? */
function isExpected(tree: Tree, { to, incarnation, kind }: Envelope): boolean {
  return kind === 'mail' && tree.mail.waiting(to).some((other) => other.kind === 'start' && other.incarnation === incarnation)
}

function stop(tree: Tree, cell: Cell, envelope: Envelope): boolean {
  const isOver = cell.row.status === 'ended'
  stopCell(tree, cell, envelope, envelope.kind === 'kill')
  if (isOver) drop(tree, envelope, 'it has ended already')
  else tree.done(envelope, 'consumed')
  return true
}

/** It is taken by nobody: said in the journal, with all of it. */
function drop(tree: Tree, envelope: Envelope, why: string): false {
  const reason = envelope.incarnation === null ? 'stopped' : 'stale'
  tree.fact('message.dropped', null, envelope.cause, {
    to: envelope.to,
    from: envelope.from,
    event: envelope.event.type,
    reason,
    why,
    kind: envelope.kind,
    letter: envelope.event,
  })
  tree.done(envelope, envelope.incarnation === null ? 'buried' : 'stale')
  return false
}
