/** Limits of a run that a resume changes: they are part of the run, so a crash takes none of them back. */
import type { ResumeOptions } from '../../engine.ts'
import type { Tree } from './tree.ts'

/** Somebody has looked at it: it may crash as often again. */
export function forgetCrashes(tree: Tree): void {
  const { crashes } = tree.run.limits
  if (crashes === undefined || crashes.seen.length === 0) return
  tree.changeLimits({ ...tree.run.limits, crashes: { ...crashes, seen: [] } })
}

/** What was spent stays spent. */
export function raise(tree: Tree, { budget, deadlineMs }: ResumeOptions): void {
  const before = tree.run.limits
  const given = { tokensMax: budget?.tokensMax, usdMax: budget?.usdMax, turnsMax: budget?.turnsMax }
  const after = { ...before, ...defined(given), deadlineAt: deadlineMs === undefined ? before.deadlineAt : tree.now + deadlineMs }
  let isRaised = false
  for (const [which, field] of LIMITS) {
    if (after[field] === before[field]) continue
    tree.fact('limit.raised', null, null, { which, from: before[field] ?? null, to: after[field] })
    isRaised = true
  }
  if (isRaised) tree.changeLimits(after)
}

const LIMITS = [
  ['tokens', 'tokensMax'],
  ['usd', 'usdMax'],
  ['turns', 'turnsMax'],
  ['time', 'deadlineAt'],
] as const

const defined = <T extends object>(given: T): Partial<{ [K in keyof T]: NonNullable<T[K]> }> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never
