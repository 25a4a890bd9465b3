/**
 * How lives end. In the commit that ends a cell its supervisor or parent is told, and everything bound to that life is settled:
 *
 *   ended normally, stopped, killed:  timers cleared, effects cancelled, asks closed, the subtree ended; mail stays for a supervised address
 *   crashed under a supervisor:       all of that waits until the supervisor restarts the address or gives it up
 *   crashed elsewhere:                as if ended; no orphan goes on (xstate#5153)
 */
import type { ErrorData } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { ExitReason } from '../../../protocol.ts'
import type { Envelope } from '../../cell.ts'
import { chanceOf } from '../../chance.ts'
import { askOf, closeAsks } from './asks.ts'
import { cancelEffect } from './effects.ts'
import { type Cell, OP_LAST, type Tree } from './tree.ts'

/** User code threw: nothing of the step happened. Its event is kept as a dead letter, never tried again blindly. */
export function crashCell(tree: Tree, cell: Cell, envelope: Envelope, error: ErrorData): void {
  const pos = tree.fact('actor.crashed', cell.row, envelope.cause, {
    ...error,
    deadLetter: envelope.event,
    seq: envelope.seq,
    kind: envelope.kind === 'mail' ? undefined : envelope.kind,
    sender: envelope.from ?? undefined,
  })
  tree.done(envelope, 'buried')
  const wasStarting = cell.row.status === 'starting'
  if (cell.row.supervised && !wasStarting) {
    const { kind, child, event } = envelope
    tree.change(cell, {
      status: 'ended',
      exit: { kind: 'error', error, poison: { kind, child: child ?? null, event: event.type, ask: askOf(event) } } as unknown as Json,
    })
    tell(tree, cell, envelope, { kind: 'error', error }, pos)
    return
  }
  endCell(tree, cell, envelope, { kind: 'error', error }, pos)
}

/** The cell is over. `current` is the envelope that is being handled: what follows is ordered after it. */
export function endCell(tree: Tree, cell: Cell, current: Envelope | null, reason: ExitReason, crash: number | null = null): void {
  if (cell.row.status === 'ended' || cell.row.status === 'gone') return
  const wasStarting = cell.row.status === 'starting'
  const final = finalReason(tree, cell, reason)
  const told = current?.kind === 'stop' || current?.kind === 'kill' ? { letter: current.event, seq: current.seq, sender: current.from } : {}
  const pos = crash ?? tree.fact('actor.stopped', cell.row, current?.cause ?? null, { reason: final as unknown as Json, ...told })
  settle(tree, cell, pos, final)
  tree.change(cell, { status: 'ended', exit: final as unknown as Json, children: [] })
  tell(tree, cell, current, final, pos, wasStarting)
  if (cell.row.parent === null) tree.ended = final
  if (!cell.row.supervised) bury(tree, cell, pos)
}

/** A cell that ends while it is asked to stop has been stopped, whatever it says. */
function finalReason(tree: Tree, cell: Cell, reason: ExitReason): ExitReason {
  if (reason.kind !== 'normal') return reason
  for (const timer of tree.timers.of(cell.row.address)) {
    if (timer.kind === 'stop') return { kind: 'shutdown', detail: 'ordered', output: reason.output }
  }
  return reason
}

/** Ends what is bound to this life. */
export function settle(tree: Tree, cell: Cell, pos: number, reason: ExitReason): void {
  const { address } = cell.row
  for (const effect of tree.effects.of(address)) if (effect.answer) cancelEffect(tree, effect, pos)
  for (const timer of tree.timers.of(address)) if (timer.kind !== 'ask') tree.clearTimer(timer.timer)
  const isOwn = mailOf(tree, cell)
  for (const late of tree.mail.remove(address, (envelope) => envelope.kind !== 'mail' && isOwn(envelope))) outlived(tree, cell, late, pos)
  tree.freeSystemIds(cell.row)
  closeAsks(tree, cell, pos, reason)
  endSubtree(tree, cell, pos, reason.kind === 'normal')
}

/** Children that XState has stopped by itself get their stop in order; what is left goes at once, leaves first. */
function endSubtree(tree: Tree, cell: Cell, pos: number, inOrder: boolean): void {
  for (const address of tree.cells.below(cell.row.address)) {
    const child = tree.cells.get(address)
    if (child === undefined) continue
    if (inOrder && tree.mail.waiting(address).some((envelope) => envelope.kind === 'stop')) continue
    endQuietly(tree, child, pos)
  }
}

/** What was for this life alone and comes too late for it. */
function outlived(tree: Tree, cell: Cell, { to, from, event, cause: sent, seq, kind }: Envelope, cause: number): void {
  const facts = { to, from, event: event.type, reason: 'stale', why: 'the life that it was for has ended', sent, kind, letter: event }
  tree.fact('message.dropped', cell.row, cause, facts)
  tree.draft.envelopeDone(seq, 'stale')
}

/** Ends a cell and everything below it without telling its parent, which is ending itself. */
export function endQuietly(tree: Tree, cell: Cell, cause: number): void {
  const reason: ExitReason = { kind: 'killed' }
  settle(tree, cell, cause, reason)
  if (cell.row.status !== 'ended') tree.fact('actor.stopped', cell.row, cause, { reason: reason as unknown as Json })
  tree.change(cell, { exit: reason as unknown as Json })
  bury(tree, cell, cause)
}

/** Why a cell that is over ended, without what its row keeps for a restart. */
export function reasonOf(cell: Cell): ExitReason {
  const { poison: _, ...reason } = (cell.row.exit ?? { kind: 'killed' }) as { readonly [key: string]: Json }
  return reason as unknown as ExitReason
}

/** The address has ended for good: its mail is buried with the cause. */
export function bury(tree: Tree, cell: Cell, cause: number): void {
  buryMail(tree, cell, cause)
  for (const effect of tree.effects.of(cell.row.address)) {
    // What is in doubt stays so, but the next one to live here must not get its outcome.
    if (effect.status === 'in_doubt') tree.keepEffect({ ...effect, incarnation: 0 })
  }
  // The root's row stays: it says that the run is over, should the process die before that is written.
  if (cell.row.parent !== null) tree.forget(cell)
}

/** It has finished, and its supervisor keeps its spec: nobody is there until it is started again. */
export function retire(tree: Tree, cell: Cell, cause: number): void {
  settle(tree, cell, cause, reasonOf(cell))
  tree.change(cell, { retired: true, children: [] })
  buryMail(tree, cell, cause)
}

function buryMail(tree: Tree, cell: Cell, cause: number): void {
  const { address } = cell.row
  for (const letter of tree.mail.remove(address, mailOf(tree, cell))) {
    if (letter.kind !== 'mail') {
      outlived(tree, cell, letter, cause)
      continue
    }
    const facts = {
      event: letter.event.type,
      from: letter.from,
      cause: reasonOf(cell) as unknown as Json,
      sent: letter.cause,
      letter: letter.event,
    }
    tree.fact('message.buried', cell.row, cause, facts)
    tree.done(letter, 'buried')
  }
  closeAsks(tree, cell, cause, reasonOf(cell), true)
}

/** Is it for this life? A child that waits to move in where this one lived keeps its start and all that is sent to it afterwards. */
function mailOf(tree: Tree, cell: Cell): (envelope: Envelope) => boolean {
  const { address, incarnation } = cell.row
  const next = tree.mail.waiting(address).findLast(({ kind, incarnation: life }) => kind === 'start' && life !== null && life > incarnation)
  const isNext = (envelope: Envelope): boolean => envelope.incarnation !== null && envelope.incarnation > incarnation
  return (envelope) => next === undefined || (envelope.order < next.order && !isNext(envelope))
}

/** XState's stop of a child, or a supervisor's last word. Brutal: no event, no exit actions. */
export function stopCell(tree: Tree, cell: Cell, envelope: Envelope, brutal: boolean): void {
  if (cell.row.status === 'ended') {
    if (!cell.row.supervised) bury(tree, cell, envelope.cause ?? tree.draft.position)
    return
  }
  endCell(tree, cell, envelope, brutal ? { kind: 'killed' } : { kind: 'shutdown', detail: 'ordered' })
}

/** Tells the supervisor or the parent. Bound to that one's life: a new one must not hear of old children. */
function tell(tree: Tree, cell: Cell, envelope: Envelope | null, reason: ExitReason, pos: number, wasStarting = false): void {
  const { row } = cell
  if (row.parent === null) return
  const to = { to: row.parent.address, incarnation: row.parent.incarnation, from: row.address }
  if (row.supervised) {
    const type = wasStarting ? 'cell.start_failed' : 'cell.exited'
    const random = chanceOf(`${tree.run.run} ${row.address} ${row.incarnation}`)
    const event = { type, id: row.id, incarnation: row.incarnation, now: tree.now, random, reason: reason as unknown as Json }
    tree.post(envelope, OP_LAST, { kind: 'system', ...to, event }, pos)
    return
  }
  if (reason.kind !== 'normal' && reason.kind !== 'error') return
  const event =
    reason.kind === 'normal'
      ? { type: `xstate.done.actor.${row.id}`, output: reason.output, actorId: row.id }
      : { type: `xstate.error.actor.${row.id}`, error: reason.error as unknown as Json, actorId: row.id }
  tree.post(envelope, OP_LAST, { kind: 'child', ...to, event, child: { id: row.id, incarnation: row.incarnation } }, pos)
}
