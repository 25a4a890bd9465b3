/**
 * What a resume does to timers whose state does not want the time to go on while nobody ran.
 *
 *   last commit ──── downtime ──── resume          remaining: later by the downtime      restart: all of it, from the resume on
 *
 * The downtime is by how much the run clock advances at the resume: what no commit holds counts as time in which nobody ran. A timer that was due by the last
 * commit had passed already, and fires.
 */
import type { TimerRow } from '../../store.ts'
import type { Tree } from './tree.ts'

/** When it is due after a resume. @param last  run clock of the last commit before. @param now  run clock of the resume. */
export function dueAfter(timer: TimerRow, last: number, now: number): number {
  if (timer.policy === undefined || timer.dueAt <= last) return timer.dueAt
  return timer.policy === 'remaining' ? timer.dueAt + (now - last) : now + (timer.delayMs ?? 0)
}

/** In the first commit of the new owner: a process that dies before it has moved nothing. */
export function moveTimers(tree: Tree, cause: number): void {
  const last = tree.run.clock.runMs
  for (const timer of [...tree.timers.values()]) {
    const dueAt = dueAfter(timer, last, tree.now)
    if (dueAt === timer.dueAt) continue
    tree.clearTimer(timer.timer)
    const { timer: was, ...row } = timer
    const moved = tree.setTimer({ ...row, dueAt })
    const owner = { address: timer.owner, incarnation: timer.incarnation }
    const facts = { timer: moved.timer, was, id: timer.id, from: timer.dueAt, to: dueAt, policy: timer.policy }
    tree.fact('timer.moved', owner, cause, facts)
  }
}
