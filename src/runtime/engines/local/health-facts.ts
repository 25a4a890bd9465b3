/**
 * What the rows of a turn tell a judge of health: each open effect of an actor, and how it has ended, as facts.
 *
 *   row as it is known --> row of this turn = effect.owed | started | parked | retry.scheduled | succeeded | failed | cancelled
 */
import { isVolatile } from '../../../effect.ts'
import type { HealthFact } from '../../../health.ts'
import type { Address } from '../../../protocol.ts'
import { isLimited } from '../../health.ts'
import type { EffectRow } from '../../store.ts'
import type { Tree } from './tree.ts'

/** What is new of an actor, without when. */
export type News = HealthFact extends infer Fact ? (Fact extends unknown ? Omit<Fact, 'now'> : never) : never

/** Callbacks and observables live as long as they are wanted, and a named action is owed no answer: their silence says nothing. */
export const isJudged = (row: EffectRow): boolean => row.answer && !isVolatile(row)

/** Open effects of an actor and of the children that XState made it. */
export function openOf(tree: Tree, address: Address): EffectRow[] {
  const own = tree.effects.of(address).filter(isJudged)
  const children = tree.cells.get(address)?.row.children ?? []
  return children.length === 0 ? own : [...own, ...children.flatMap((link) => (link.ended === true ? [] : openOf(tree, link.address)))]
}

const about = ({ id, kind }: EffectRow) => ({ effect: id, kind })

/** What has become of an open effect since `known`. */
export function opening(row: EffectRow, known: EffectRow | undefined): News[] {
  if (row.status === 'in_doubt') return [{ type: 'effect.parked', ...about(row) }]
  if (row.status === 'owed') return [{ type: 'effect.owed', ...about(row) }]
  const isNext = known?.status === 'started' && known.nextAt === null && known.attempt < row.attempt
  // Its next attempt began in the very turn in which the one before had failed.
  const failed = isNext || row.nextAt !== null ? retrying(row, isNext ? row.attempt - 1 : row.attempt, known === undefined) : []
  return row.nextAt !== null ? failed : [...failed, { type: 'effect.started', ...about(row), attempt: row.attempt }]
}

/** A next attempt without an error before it is one that a resume repeats. */
function retrying(row: EffectRow, attempt: number, isKnown: boolean): News[] {
  if (row.error === null) return []
  const { code } = row.error
  return [
    {
      type: 'retry.scheduled',
      ...about(row),
      attempt,
      nextAt: row.nextAt ?? 0,
      code,
      limited: isLimited(row),
      ...(isKnown ? { known: true } : {}),
    },
  ]
}

/** How an effect that was open has ended. */
export function closing(row: EffectRow): News[] {
  if (row.status === 'failed') return [{ type: 'effect.failed', ...about(row), code: row.error?.code ?? 'E_DEFECT' }]
  return [{ type: row.status === 'succeeded' ? 'effect.succeeded' : 'effect.cancelled', ...about(row) }]
}
