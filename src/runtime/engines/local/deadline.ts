/**
 * The deadline of one life of an actor (`limits.deadlineMs`): a timer like any other, so it survives a crash of the process and goes on over a restart from the
 * checkpoint, which is the same life. It ends with the life.
 *
 *   start ──────── deadlineMs ────────> ends as `shutdown timeout`, with `output: { status: 'timed_out', partial }`
 *
 * An actor that has crashed and waits for its supervisor has nothing left to end: its life is over, so its restart is from the beginning.
 */
import type { Json } from '../../../json.ts'
import type { ExitReason } from '../../../protocol.ts'
import type { TimerRow } from '../../store.ts'
import { endCell, settle } from './lifecycle.ts'
import { timedOutWith } from './partial.ts'
import { type Cell, isBound, type Tree } from './tree.ts'

/** Once a life, when it is started. A spec without a deadline sets nothing. @param cause  the entry that tells of the start. */
export function setDeadline(tree: Tree, cell: Cell, cause: number): void {
  const { address, incarnation, limits } = cell.row
  const deadlineMs = limits?.deadlineMs
  if (deadlineMs === undefined) return
  const timer = tree.setTimer({
    owner: address,
    incarnation,
    id: 'troupe.deadline',
    to: address,
    life: null,
    event: { type: 'troupe.deadline' },
    dueAt: tree.now + deadlineMs,
    kind: 'deadline',
    cause,
  })
  tree.fact('timer.set', cell.row, cause, { timer: timer.timer, id: timer.id, dueAt: timer.dueAt, to: address })
}

/** Ends the life that it was set for: its parent is told, and so is who waits for it. @param pos  the entry that tells of the firing. */
export function deadlinePassed(tree: Tree, timer: TimerRow, pos: number): void {
  const cell = tree.cells.get(timer.owner)
  if (cell === undefined || !isBound(cell.row, timer.incarnation) || cell.row.status === 'gone') return
  const failure = {
    code: 'E_ACTOR_TIMEOUT',
    message: `${timer.owner} was not done within ${cell.row.limits?.deadlineMs} ms`,
    path: timer.owner,
  }
  const reason: ExitReason = { kind: 'shutdown', detail: 'timeout', output: { ...timedOutWith(tree, timer.owner) }, failure }
  if (cell.row.status !== 'ended') {
    endCell(tree, cell, null, reason)
    return
  }
  settle(tree, cell, pos, reason)
  tree.change(cell, { exit: reason as unknown as Json, children: [] })
}
