/** What came of an attempt, recorded in the commit that also sends it to the actor. */
import { decideRetry } from '../../retry.ts'
import type { EffectRow } from '../../store.ts'
import { cutOff, fail, ownerOf, park, retryLater, stale, succeed } from './effects.ts'
import type { Outcome } from './performer.ts'
import type { Tree } from './tree.ts'

export function settleOutcome(tree: Tree, started: EffectRow, outcome: Outcome, random: number): void {
  const row = tree.effects.get(started.id)
  const end = outcome.ok ? 'answered' : outcome.silent === true ? 'unknown' : 'failed'
  for (const { type, data } of outcome.notes ?? []) tree.fact(type, ownerOf(started), started.cause, { effect: started.id, ...data })
  if (row === undefined || row.status !== 'started' || row.attempt !== started.attempt) {
    stale(tree, started, outcome.usage, end)
  } else if (outcome.ok) {
    succeed(tree, row, outcome.output, outcome.usage)
  } else if (outcome.aborted) {
    cutOff(tree, row, outcome.usage, end)
  } else if (row.policy === 'ask' && outcome.error.code === 'E_EFFECT_TIMEOUT') {
    park(tree, row, outcome.error.message, outcome.usage, end)
  } else {
    const decision = decideRetry(row.retry, row.attempt, outcome.failure, random, (row.totalAt ?? Number.POSITIVE_INFINITY) - tree.now)
    if (decision.retry) retryLater(tree, row, outcome.error, outcome.usage, decision.delayMs, end)
    else fail(tree, row, outcome.error, outcome.usage, { end })
  }
}
