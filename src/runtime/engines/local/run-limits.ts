/** Limits of a run that a resume changes: they are part of the run, so a crash takes none of them back. */
import type { ResumeOptions } from '../../engine.ts'
import type { RunRow } from '../../store.ts'
import type { Tree } from './tree.ts'

/** Somebody has looked at it: it may crash as often again. */
export function forgetCrashes(tree: Tree): void {
  const { crashes } = tree.run.limits
  if (crashes === undefined || crashes.seen.length === 0) return
  changeLimits(tree, { ...tree.run.limits, crashes: { ...crashes, seen: [] } })
}

function changeLimits(tree: Tree, limits: RunRow['limits']): void {
  tree.run = { ...tree.run, limits }
  tree.draft.changeRun({ limits })
}

/** What was spent stays spent. */
export function raise(tree: Tree, { budget, deadlineMs }: ResumeOptions): void {
  const { tokensMax, deadlineAt } = tree.run.limits
  const limits = {
    ...tree.run.limits,
    tokensMax: budget?.tokensMax ?? tokensMax,
    deadlineAt: deadlineMs === undefined ? deadlineAt : tree.now + deadlineMs,
  }
  if (limits.tokensMax === tokensMax && limits.deadlineAt === deadlineAt) return
  if (limits.tokensMax !== tokensMax) tree.fact('limit.raised', null, null, { which: 'tokens', from: tokensMax, to: limits.tokensMax })
  if (limits.deadlineAt !== deadlineAt) tree.fact('limit.raised', null, null, { which: 'time', from: deadlineAt, to: limits.deadlineAt })
  changeLimits(tree, limits)
}
