/** The reserved actions of a supervisor, turned into cells in the commit of the step that took them. */
import { Defect } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import { type CellRestart, type CellStart, type ExitReason, isSupervisor, type ReservedAction } from '../../../protocol.ts'
import type { ActionTaken, Envelope, EnvelopeKind } from '../../cell.ts'
import { NOTHING, type Spending } from '../../spending.ts'
import { questionIsDead } from './asks.ts'
import { spentBelow } from './budgets.ts'
import { setDeadline } from './deadline.ts'
import { bury, endCell, reasonOf, retire, settle } from './lifecycle.ts'
import { isRefused, report, stopAll, stopIsRefused } from './on-request.ts'
import { addressOf, stopInOrder, type Turn } from './orders.ts'
import { noteStarts } from './spawns.ts'
import type { Cell, Tree } from './tree.ts'

export function supervise(tree: Tree, supervisor: Cell, envelope: Envelope, action: ActionTaken, pos: number): void {
  if (!isSupervisor(supervisor.row.machine)) {
    throw new Defect('E_ACTION_RESERVED', `${supervisor.row.address} took ${action.type}, which only a supervisor may`)
  }
  const { type, params } = action as unknown as ReservedAction
  const turn: Turn = { tree, supervisor, envelope, op: action.op, pos }
  if (type === 'cell.start') startCell(turn, params)
  else if (type === 'cell.stop') orderStop(turn, params)
  else if (type === 'cell.kill') kill(turn, params)
  else if (type === 'cell.restart') restartCell(turn, params)
  else if (type === 'cell.delete') remove(turn, params.id)
  else if (type === 'cell.retire') retireCell(turn, params.id)
  else if (type === 'cell.settle') settleCell(turn, params.id)
  else if (type === 'cell.stop_all') stopAll(turn, params.shutdownMs)
  else if (type === 'cell.report') report(turn, params)
}

function startCell(turn: Turn, start: CellStart): void {
  const { tree, supervisor } = turn
  const address = addressOf(turn, start.id)
  const before = tree.cells.get(address)
  if (start.onRequest !== undefined && isRefused(turn, start)) return
  if (before !== undefined && before.row.status !== 'ended') throw new Defect('E_CELL_EXISTS', `${address} is running already`)
  if (before !== undefined) endLife(turn, before)
  const last = before?.row.incarnation ?? (start.onRequest === undefined ? 0 : tree.lastLife(address))
  const incarnation = Math.max(last, start.after ?? 0) + 1
  const parent = { address: supervisor.row.address, incarnation: supervisor.row.incarnation }
  const cell: Cell = {
    row: {
      address,
      incarnation,
      since: incarnation,
      machine: start.src,
      version: versionOf(tree, start.src),
      parent,
      id: start.id,
      supervised: true,
      status: 'starting',
      sync: false,
      readyTag: start.readyTag ?? null,
      ready: false,
      input: start.input,
      children: [],
      nextId: before?.row.nextId ?? 0,
      systemIds: {},
      exit: null,
      restart: start.restart,
      health: start.health,
      limits: start.limits,
      ...(start.limits?.budget === undefined ? {} : { spent: spentBefore(tree, address, before) }),
    },
    snapshot: null,
  }
  if (start.onRequest !== undefined) noteStarts(tree, supervisor, 1)
  tree.adopt(cell)
  tree.useMachine(start.src)
  tree.change(cell, {})
  setDeadline(tree, cell, turn.pos)
  tree.post(
    turn.envelope,
    turn.op,
    { kind: 'start', to: address, incarnation, from: parent.address, event: { type: 'troupe.start', input: start.input } },
    turn.pos,
  )
}

/** A new life goes on with what the lives before have spent, also of an address that was given up in between. */
function spentBefore(tree: Tree, address: string, before: Cell | undefined): Spending {
  return before?.row.spent ?? (tree.lastLife(address) === 0 ? NOTHING : spentBelow(tree, address))
}

/** An unknown machine is a failed start of the child, told when its first step is tried; not a crash of its supervisor. */
function versionOf(tree: Tree, machine: string): string {
  try {
    return tree.host.machineVersion(machine)
  } catch {
    return '?'
  }
}

/** Closes what the crash before had left open for a restart from the checkpoint. The mail stays: it belongs to the address. */
function endLife(turn: Turn, cell: Cell): void {
  const { tree } = turn
  settle(tree, cell, turn.pos, reasonOf(cell))
}

function restartCell(turn: Turn, restart: CellRestart): void {
  const { tree } = turn
  const cell = tree.cells.get(addressOf(turn, restart.id))
  const snapshot = cell === undefined ? null : tree.snapshotOf(cell)
  const crashed = (cell?.row.exit as { kind?: string } | null | undefined)?.kind === 'error'
  const fromCheckpoint = restart.from === 'checkpoint' && cell !== undefined && snapshot?.status === 'active' && crashed && canGoOn(cell)
  const from = fromCheckpoint ? 'checkpoint' : 'initial'
  const { count, max, periodMs, backoffMs, group } = restart
  const facts = { reason: restart.reason as unknown as Json, from, count, max, periodMs, backoffMs, group }
  if (!fromCheckpoint) {
    startCell(turn, restart.keepInput === true ? { ...restart, input: cell?.row.input } : restart)
    tree.fact('actor.restarted', tree.cells.get(addressOf(turn, restart.id))!.row, turn.pos, facts)
    return
  }
  // The same life goes on under a new number: timers, effects, children and asks are kept, only the poison event is not delivered again.
  tree.change(cell, { status: 'gone' })
  const next: Cell = { row: { ...cell.row, incarnation: cell.row.incarnation + 1, status: 'active', exit: null, ready: false }, snapshot }
  tree.adopt(next)
  tree.change(next, {})
  tree.fact('actor.restarted', next.row, turn.pos, facts)
  tree.keepSnapshot(next, snapshot)
  tree.change(next, { ready: true })
  const event = { type: 'cell.started', id: next.row.id, incarnation: next.row.incarnation, now: tree.now, declined: false }
  const to = turn.supervisor.row
  tree.post(
    turn.envelope,
    turn.op,
    { kind: 'system', to: to.address, incarnation: to.incarnation, from: next.row.address, event },
    turn.pos,
  )
  answerForPoison(turn, next, cell.row.exit as unknown as Poisoned)
  tree.mail.release(next.row.address)
}

/**
 * Without the event that crashed it, can an actor go on where it stood? Not where it waits for that very event: a timer that has fired, an effect that has
 * failed, an answer. Nothing would ever wake it, so its restart is from the beginning.
 */
function canGoOn(cell: Cell): boolean {
  const { poison } = cell.row.exit as unknown as Partial<Poisoned>
  return poison !== undefined && (poison.kind === 'mail' || poison.event.startsWith('xstate.done.actor.'))
}

/** What a crash leaves in the row of the life that ended. */
type Poisoned = Extract<ExitReason, { kind: 'error' }> & {
  readonly poison: {
    readonly kind: EnvelopeKind
    readonly child: Envelope['child'] | null
    readonly event: string
    readonly ask: string | null
  }
}

/**
 * The event that crashed the actor is not delivered again, and somebody may be waiting for what it would have led to. Who asked is told that nobody will
 * answer. An actor that waits for a child or an effect hears that its outcome could not be used.
 */
function answerForPoison(turn: Turn, next: Cell, { poison, ...reason }: Poisoned): void {
  const { tree, pos } = turn
  if (poison.ask !== null) questionIsDead(tree, poison.ask, pos, next.row.incarnation - 1, reason)
  const { child } = poison
  if (child === null || child === undefined || !poison.event.startsWith('xstate.done.actor.')) return
  const error = {
    code: 'E_POISON',
    message: `what '${child.id}' gave crashed the actor: ${reason.error.message}`,
    cause: reason.error as unknown as Json,
  }
  const event = { type: `xstate.error.actor.${child.id}`, error, actorId: child.id }
  const to = { to: next.row.address, incarnation: next.row.incarnation, from: null }
  tree.post(turn.envelope, turn.op, { kind: poison.kind, ...to, event, child }, pos)
}

function orderStop(turn: Turn, { id, shutdownMs, onRequest }: Extract<ReservedAction, { type: 'cell.stop' }>['params']): void {
  if (onRequest === true && stopIsRefused(turn, id)) return
  const cell = turn.tree.cells.get(addressOf(turn, id))
  if (cell !== undefined) stopInOrder(turn, cell, shutdownMs, turn.envelope)
}

function kill(turn: Turn, { id, error, onRequest }: Extract<ReservedAction, { type: 'cell.kill' }>['params']): void {
  const { tree } = turn
  if (onRequest === true && stopIsRefused(turn, id)) return
  const cell = tree.cells.get(addressOf(turn, id))
  if (cell === undefined || cell.row.status === 'ended') return
  endCell(
    tree,
    cell,
    turn.envelope,
    error === undefined ? { kind: 'killed' } : { kind: 'error', error: { ...error, path: cell.row.address } },
  )
}

function retireCell(turn: Turn, id: string): void {
  const cell = turn.tree.cells.get(addressOf(turn, id))
  if (cell !== undefined && cell.row.status === 'ended' && cell.row.retired !== true) retire(turn.tree, cell, turn.pos)
}

function settleCell(turn: Turn, id: string): void {
  const cell = turn.tree.cells.get(addressOf(turn, id))
  if (cell !== undefined && cell.row.status === 'ended') endLife(turn, cell)
}

function remove(turn: Turn, id: string): void {
  const { tree } = turn
  const cell = tree.cells.get(addressOf(turn, id))
  if (cell === undefined) return
  if (cell.row.status !== 'ended') throw new Defect('E_CELL_RUNNING', `${cell.row.address} is running; stop it before it is deleted`)
  endLife(turn, cell)
  bury(tree, cell, turn.pos)
}
