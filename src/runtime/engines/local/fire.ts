/** A timer whose deadline has come. It fires once: its row dies in the commit that sends its event. */
import type { TimerRow } from '../../store.ts'
import { timedOut } from './asks.ts'
import { deadlinePassed } from './deadline.ts'
import { endCell } from './lifecycle.ts'
import { isBound, type Tree } from './tree.ts'

export function fireTimer(tree: Tree, timer: TimerRow): void {
  const owner = { address: timer.owner, incarnation: timer.incarnation }
  tree.clearTimer(timer.timer)
  const pos = tree.fact('timer.fired', owner, timer.cause, { timer: timer.timer, id: timer.id, lateMs: tree.now - timer.dueAt })
  if (timer.kind === 'ask') {
    timedOut(tree, timer)
  } else if (timer.kind === 'deadline') {
    deadlinePassed(tree, timer, pos)
  } else if (timer.kind === 'stop') {
    const cell = tree.cells.get(timer.owner)
    if (cell !== undefined && isBound(cell.row, timer.incarnation)) endCell(tree, cell, null, { kind: 'killed' })
  } else if (timer.to === timer.owner) {
    const own = { timer: timer.timer, timerId: timer.id, incarnation: timer.incarnation }
    tree.post(null, 0, { kind: 'timer', to: timer.to, from: timer.owner, event: timer.event, ...own }, pos)
  } else {
    tree.post(null, 0, { kind: 'mail', to: timer.to, incarnation: timer.life, from: timer.owner, event: timer.event }, pos)
  }
}
