/** Which effects start in this turn, whether some could start at once in the next, and when something is due at all. */
import type { Admissions } from './admissions.ts'
import { expire, startEffect } from './effects.ts'
import type { Performer } from './performer.ts'
import type { Tree } from './tree.ts'

/** Marks effects as started that an earlier commit owes; they are performed once the commit of this turn has returned. */
export function startOwed(tree: Tree, performer: Performer, admissions: Admissions): void {
  const { afterwards, now, run } = tree
  for (const row of [...tree.effects.waiting()]) {
    if (tree.ended !== null && row.answer) continue // Of a tree that has ended only its named actions are still owed.
    if (row.held === true) continue
    if (row.totalAt !== undefined && row.totalAt <= now) {
      expire(tree, row)
      continue
    }
    const isOwed = row.status === 'owed' && (row.cause ?? 0) <= run.position
    const isNext = row.status === 'started' && row.nextAt !== null && row.nextAt <= now
    const couldStart = (isOwed || isNext) && !performer.isInFlight(row) && performer.hasRoom(row, afterwards.perform)
    if (couldStart && admissions.admits(row)) startEffect(tree, row)
  }
}

/** Who waits at a gate, or for room in a budget, is not owed a turn: the gate makes one when it opens, and a budget when something is settled. */
export function owesNow(tree: Tree, performer: Performer, admissions: Admissions): boolean {
  for (const row of tree.effects.waiting())
    if (row.status === 'owed' && row.held !== true && performer.hasRoom(row, []) && !admissions.isWaiting(row)) return true
  return false
}

/** Run clock of whatever is due first: a timer, a next attempt, the total deadline of an effect that waits, the deadline of the run, or `judgedAt`, the next check of somebody's health. Infinity where nothing is. */
export function nextDue(tree: Tree, performer: Performer, admissions: Admissions, judgedAt: number): number {
  const deadlineAt = tree.run.limits.deadlineAt ?? Number.POSITIVE_INFINITY
  let dueAt = Math.min(deadlineAt, judgedAt, tree.timers.first()?.dueAt ?? Number.POSITIVE_INFINITY)
  for (const row of tree.effects.waiting()) {
    if (row.held === true) continue
    if (row.totalAt !== undefined) dueAt = Math.min(dueAt, row.totalAt)
    if (row.nextAt !== null && performer.hasRoom(row, []) && !admissions.isWaiting(row)) dueAt = Math.min(dueAt, row.nextAt)
  }
  return dueAt
}
