/**
 * The arithmetic of budgets, pure: what an effect row holds of them, and what it has been charged with.
 *
 *   owed, waits for its next attempt, started    holds its worst case (`reserve`): it may yet be spent
 *   an attempt ends and its usage is known       charged with that; a turn where it was answered
 *   an attempt ends and nobody knows what of it  charged with its worst case, or with more where more is known (`lost`)
 *   in doubt, over, held back by a budget        holds nothing
 *
 * Whole numbers throughout, so sums are the same in every order.
 */
import type { Reserve, Usage } from '../effect.ts'
import { addUsage, nanoUsd, nanoUsdAtMost } from '../usage.ts'
import type { EffectRow } from './store.ts'

/** Tokens, nano-dollars and turns: of a reservation, of a charge, or of a sum. */
export interface Spending {
  readonly tokens: number
  readonly nanoUsd: number
  readonly turns: number
}

export const NOTHING: Spending = { tokens: 0, nanoUsd: 0, turns: 0 }

/** How an attempt ended. `unknown`: nobody knows what it has used. */
export type AttemptEnd = 'answered' | 'failed' | 'unknown'

export const plus = (a: Spending, b: Spending): Spending => ({
  tokens: a.tokens + b.tokens,
  nanoUsd: a.nanoUsd + b.nanoUsd,
  turns: a.turns + b.turns,
})
export const minus = (a: Spending, b: Spending): Spending => ({
  tokens: a.tokens - b.tokens,
  nanoUsd: a.nanoUsd - b.nanoUsd,
  turns: a.turns - b.turns,
})
export const isNothing = ({ tokens, nanoUsd, turns }: Spending): boolean => tokens === 0 && nanoUsd === 0 && turns === 0

/** The worst case of one attempt. Of an unknown price no money is held: a budget of money refuses it. */
export const worstOf = (reserve: Reserve | null): Spending =>
  reserve === null ? NOTHING : { tokens: reserve.tokens, nanoUsd: nanoUsdAtMost(reserve.usd ?? 0), turns: reserve.turns ?? 0 }

/** Is an attempt of it under way of whose cost nothing is on record yet? */
export const isUnderWay = (row: EffectRow): boolean => row.status === 'started' && row.nextAt === null && row.heard !== row.attempt

/** What it holds of the budgets above it. */
export function heldBy(row: EffectRow): Spending {
  const holds = row.held !== true && (row.status === 'owed' || (row.status === 'started' && (row.nextAt !== null || isUnderWay(row))))
  return holds ? worstOf(row.reserve) : NOTHING
}

/** What it has been charged with by now. */
export const chargedTo = (row: EffectRow): Spending => row.charged ?? fromUsage(row.usage)

/** The change of a row whose attempt has ended: its usage, its charge, and how many attempts were lost track of. */
export function settled(row: EffectRow, usage: Usage | null, end: AttemptEnd): Partial<EffectRow> {
  const sum = addUsage(row.usage, usage)
  if (row.reserve === null) return { usage: sum }
  const charged = plus(chargedTo(row), chargeOf(row, usage, end))
  const isPlain = isNothing(minus(charged, fromUsage(sum)))
  return {
    usage: sum,
    ...(isPlain && row.charged === undefined ? {} : { charged }),
    ...(end === 'unknown' ? { lost: (row.lost ?? 0) + 1 } : {}),
  }
}

/** What one attempt is charged with. A call of which no price is known costs what was reserved for it. */
export function chargeOf(row: EffectRow, usage: Usage | null, end: AttemptEnd): Spending {
  const worst = worstOf(row.reserve)
  const used = { ...fromUsage(usage), ...(usage !== null && usage.costUsd === null ? { nanoUsd: worst.nanoUsd } : {}) }
  if (end !== 'unknown') return { ...used, turns: end === 'answered' ? worst.turns : 0 }
  return {
    tokens: Math.max(worst.tokens, used.tokens),
    nanoUsd: Math.max(worst.nanoUsd, used.nanoUsd),
    turns: worst.turns,
  }
}

const fromUsage = (usage: Usage | null): Spending =>
  usage === null ? NOTHING : { tokens: usage.inputTokens + usage.outputTokens, nanoUsd: nanoUsd(usage.costUsd ?? 0), turns: 0 }
