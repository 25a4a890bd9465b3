/**
 * What a supervisor was asked by hand and only the table of cells can answer: is the id taken, has that task been done, does it fit the limits, who is there.
 * A refusal is an event, never a defect: whoever asks for what cannot be must not crash the supervisor.
 */
import { type Json, REF_KEY } from '../../../json.ts'
import type { CellStart, ChildStanding, SupervisorEvent } from '../../../protocol.ts'
import type { EventData } from '../../cell.ts'
import { endCell } from './lifecycle.ts'
import { addressOf, stopInOrder, type Turn } from './orders.ts'
import { brokenLimit } from './spawns.ts'
import type { Cell } from './tree.ts'

type Why = Extract<SupervisorEvent, { type: 'cell.refused' }>['why']

/** Refuses a start that cannot be, and says so to the supervisor. */
export function isRefused(turn: Turn, { id, onRequest }: CellStart): boolean {
  const { tree, supervisor } = turn
  const address = addressOf(turn, id)
  const before = tree.cells.get(address)
  if (before !== undefined && before.row.status !== 'ended') return refuse(turn, id, 'already_started', `${address} is running already`)
  if (onRequest?.once === true && tree.lastLife(address) > 0)
    return refuse(turn, id, 'duplicate', `the same task was given before, to ${address}`)
  const broken = brokenLimit(tree, supervisor, 1)
  return broken !== null && refuse(turn, id, 'limit', broken)
}

/** Nobody lives there: one that has finished is stopped already, any other was never here. */
export function stopIsRefused(turn: Turn, id: string): boolean {
  const { tree } = turn
  const address = addressOf(turn, id)
  const cell = tree.cells.get(address)
  if (cell !== undefined && cell.row.status !== 'ended') return false
  const was = tree.lastLife(address) > 0
  return refuse(turn, id, was ? 'finished' : 'not_found', was ? `${address} has ended` : `there is no child '${id}'`)
}

function refuse({ tree, supervisor, envelope, op, pos }: Turn, id: string, why: Why, message: string): true {
  const { address, incarnation } = supervisor.row
  const event: EventData = { type: 'cell.refused', id, why, message, now: tree.now }
  tree.post(envelope, op, { kind: 'system', to: address, incarnation, from: null, event }, pos)
  return true
}

/**
 * Stops all living children together. Each stop is a cascade of its own: their number must not count against the one that has led here.
 * All are given the same time from now, which is OTP's one shared timer.
 */
export function stopAll(turn: Turn, shutdownMs: number | 'brutal'): void {
  const { tree, supervisor } = turn
  for (const address of tree.cells.below(supervisor.row.address)) {
    const cell = tree.cells.get(address)
    if (cell === undefined || cell.row.status === 'ended') continue
    if (shutdownMs === 'brutal') endCell(tree, cell, null, { kind: 'killed' })
    else stopInOrder(turn, cell, shutdownMs, null)
  }
}

/** Who is there, or how many, to whoever asked. */
export function report({ tree, supervisor, envelope, op, pos }: Turn, { what, replyTo }: { what: 'list' | 'count'; replyTo: Json }): void {
  const to = (replyTo as { readonly [REF_KEY]?: string } | null)?.[REF_KEY]
  if (to === undefined) return
  const children = tree.cells.below(supervisor.row.address).flatMap((address) => {
    const cell = tree.cells.get(address)
    return cell === undefined ? [] : [standing(cell)]
  })
  const active = children.filter(({ status }) => status === 'running').length
  const counts = { specs: children.length, active, supervisors: 0, workers: children.length }
  const event = what === 'list' ? { type: 'child.list', children } : { type: 'child.count', ...counts }
  tree.post(envelope, op, { kind: 'mail', to, incarnation: null, from: supervisor.row.address, event: event as EventData }, pos)
}

function standing({ row: { id, status, ready, incarnation, machine, restart = 'permanent' } }: Cell): ChildStanding {
  const word = status === 'ended' ? 'restarting' : ready ? 'running' : 'starting'
  return { id, status: word, incarnation, src: machine, kind: 'worker', restart }
}
