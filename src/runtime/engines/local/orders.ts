/** What an order of a supervisor is carried out with, and the one order that both supervise.ts and on-request.ts carry out: a stop. */
import { SHUTDOWN_EVENT } from '../../../protocol.ts'
import type { Envelope } from '../../cell.ts'
import type { Cell, Tree } from './tree.ts'

/** What an order of a supervisor is carried out with. */
export interface Turn {
  readonly tree: Tree
  readonly supervisor: Cell
  readonly envelope: Envelope
  readonly op: number
  readonly pos: number
}

/** Where a child of the supervisor lives. */
export const addressOf = (turn: Turn, id: string): string => `${turn.supervisor.row.address}/${encodeURIComponent(id)}`

/**
 * An ordered stop: `shutdown` if the state accepts it, then up to `shutdownMs`; else the end at once.
 * @param current  the envelope whose cascade it belongs to; null: one of its own.
 */
export function stopInOrder(turn: Turn, cell: Cell, shutdownMs: number, current: Envelope | null): void {
  const { tree } = turn
  if (cell.row.status === 'ended' || cell.row.status === 'gone') return
  const { address, incarnation } = cell.row
  const snapshot = tree.snapshotOf(cell)
  const accepts =
    snapshot !== null &&
    cell.row.status === 'active' &&
    tree.host.accepts(cell.row.machine, snapshot, cell.row.children, { type: SHUTDOWN_EVENT })
  if (!accepts) {
    tree.post(
      current,
      turn.op,
      { kind: 'stop', to: address, incarnation, from: turn.supervisor.row.address, event: { type: 'troupe.stop' } },
      turn.pos,
    )
    return
  }
  tree.setTimer({
    owner: address,
    incarnation,
    id: 'troupe.stop',
    to: address,
    life: null,
    event: { type: 'troupe.kill' },
    dueAt: tree.now + shutdownMs,
    kind: 'stop',
    cause: turn.pos,
  })
  tree.post(
    current,
    turn.op,
    { kind: 'system', to: address, incarnation, from: turn.supervisor.row.address, event: { type: SHUTDOWN_EVENT } },
    turn.pos,
  )
}
