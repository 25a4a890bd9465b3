/**
 * Budgets as leases down the tree. The worst case of each attempt is held in the commit of its intent, against every budget on its way up to the run, and
 * settled in the commit of its outcome. So at every commit, for every budget:   spent + held <= limit.
 *
 *   /team/coder-1 owes a call        budgets on its way:   /team/coder-1   /team   the run         one without room refuses it, and nobody holds anything
 *
 * What was spent is kept beside the budget it is compared with: on the cell, for all lives of its address, and on the run. It is changed in the commit that
 * changes the effect's row, so a crash takes nothing back, no restart and no resume grants anything, and opening a run reads no history for it.
 */
import type { Usage } from '../../../effect.ts'
import type { ErrorData } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { Address, Budget } from '../../../protocol.ts'
import { dollars, usdOf } from '../../../usage.ts'
import { chargedBelow, upFrom } from '../../ledger.ts'
import { type AttemptEnd, chargedTo, chargeOf, heldBy, isNothing, minus, NOTHING, plus, type Spending, worstOf } from '../../spending.ts'
import type { EffectRow, RunLimits } from '../../store.ts'
import type { Tree } from './tree.ts'

/** Why an attempt may not start. Amounts of money are nano-dollars; `owner` is the actor whose budget it is, null: the run. */
export interface Refusal {
  readonly which: 'tokens' | 'usd' | 'turns' | 'price'
  readonly spent: number
  readonly reserved: number
  readonly worst: number
  readonly limit: number
  readonly owner: Address | null
}

const CODES = { tokens: 'E_LIMIT_TOKENS', usd: 'E_LIMIT_COST', turns: 'E_LIMIT_TURNS', price: 'E_PRICE_UNKNOWN' } as const
const FIELDS = { tokens: 'tokens', usd: 'nanoUsd', turns: 'turns' } as const
const RUN = ''

const budgetOfRun = ({ tokensMax, usdMax, turnsMax }: RunLimits): Budget | undefined =>
  tokensMax === null && usdMax === undefined && turnsMax === undefined ? undefined : { tokensMax: tokensMax ?? undefined, usdMax, turnsMax }

const budgetAt = (tree: Tree, at: Address): Budget | undefined =>
  at === RUN ? budgetOfRun(tree.run.limits) : tree.cells.get(at)?.row.limits?.budget

/**
 * Which budget has no room for one attempt of this effect; null: all have. `settling`: what its attempt before is charged with and what it held, where that is
 * settled in the same commit.
 */
export function refusalOf(tree: Tree, row: EffectRow, settling = { charge: NOTHING, held: NOTHING }): Refusal | null {
  const worst = worstOf(row.reserve)
  const isUnpriced = row.reserve?.usd === null
  if (isNothing(worst) && !isUnpriced) return null
  for (const at of [...upFrom(row.owner), RUN]) {
    const budget = budgetAt(tree, at)
    if (budget === undefined) continue
    const spent = plus(spentAt(tree, at), settling.charge)
    const held = minus(tree.effects.held(at), settling.held)
    const owner = at === RUN ? null : at
    if (isUnpriced && budget.usdMax !== undefined) return { which: 'price', ...NO_FIGURES, owner }
    const limits = {
      tokens: budget.tokensMax,
      usd: budget.usdMax === undefined ? undefined : Math.round(budget.usdMax * 1e9),
      turns: budget.turnsMax,
    }
    for (const which of ['tokens', 'usd', 'turns'] as const) {
      const limit = limits[which]
      const field = FIELDS[which]
      if (limit === undefined || worst[field] === 0 || spent[field] + held[field] + worst[field] <= limit) continue
      return { which, spent: spent[field], reserved: held[field], worst: worst[field], limit, owner }
    }
  }
  return null
}
const NO_FIGURES = { spent: 0, reserved: 0, worst: 0, limit: 0 }

/** Is it held back, rather than failed, by what the run says of its budget? Only a budget that somebody can raise is waited for. */
export const isHeldBack = (tree: Tree, { which, owner }: Refusal): boolean =>
  owner === null && which !== 'price' && tree.run.limits.whenReached === 'hold'

/** Writes down that a budget was reached. @returns what the effect fails with, where it does. */
export function reach(tree: Tree, row: EffectRow, refusal: Refusal, cause: number | null): ErrorData {
  const { which, spent, reserved, worst, limit, owner } = refusal
  const figures = { spent, reserved, worst, limit }
  const inUsd = { spent: usdOf(spent), reserved: usdOf(reserved), worst: usdOf(worst), limit: usdOf(limit) }
  if (which !== 'price')
    tree.fact('limit.reached', { address: row.owner, incarnation: row.incarnation }, cause, {
      which,
      ...(which === 'usd' ? inUsd : figures),
      owner: owner ?? undefined,
    })
  return limitError(row, refusal)
}

/** The error of an effect that does not fit. */
function limitError(row: EffectRow, refusal: Refusal): ErrorData {
  const { which, owner } = refusal
  return { code: CODES[which], message: wordsOf(row, refusal), path: row.owner, ...(owner === null ? {} : { budget: owner }) }
}

function wordsOf({ kind, input }: EffectRow, { which, spent, reserved, worst, limit, owner }: Refusal): string {
  const whose = owner === null ? '' : ` of ${owner}`
  if (which === 'tokens') return `${spent} of ${limit} tokens${whose} are spent and ${reserved} reserved; the next call may take ${worst}`
  if (which === 'turns') return `${spent} of ${limit} turns${whose} are taken and ${reserved} reserved`
  const named = (input as { model?: { provider?: Json; model?: Json } } | null)?.model
  if (which === 'price')
    return `the price of ${named === undefined ? kind : `${named.provider} ${named.model}`} is not known, and the budget${whose} is one of money`
  const held = reserved === 0 ? '' : ` and ${dollars(reserved)} reserved`
  return `${dollars(spent)} spent${held}, the next call may cost ${dollars(worst)}, the limit${whose} is ${dollars(limit)}`
}

/** Charges every budget on the way up with what a change of this row changes. Before the row itself is kept. */
export function charge(tree: Tree, before: EffectRow | undefined, after: EffectRow): void {
  if (after.usage === null && after.charged === undefined && before?.charged === undefined) return
  const more = minus(chargedTo(after), before === undefined ? NOTHING : chargedTo(before))
  if (isNothing(more)) return
  for (const at of [...upFrom(after.owner), RUN]) if (budgetAt(tree, at) !== undefined) keepSpent(tree, at, plus(spentAt(tree, at), more))
}

/** What is on record of a budget. Of one that is younger than what it covers it is made from the effects, once. */
function spentAt(tree: Tree, at: Address): Spending {
  const kept = at === RUN ? tree.run.limits.spent : tree.cells.get(at)?.row.spent
  if (kept !== undefined) return kept
  const sum = spentBelow(tree, at)
  keepSpent(tree, at, sum)
  return sum
}

function keepSpent(tree: Tree, at: Address, spent: Spending): void {
  if (at === RUN) tree.changeLimits({ ...tree.run.limits, spent })
  else tree.change(tree.cells.get(at)!, { spent })
}

/** Read from the rows of all effects that there ever were: slow. */
export const spentBelow = (tree: Tree, at: Address): Spending => chargedBelow(tree.allEffects(), at)

/** Tells of an attempt that was charged with its worst case because nobody knows what it has used, and of one that used more than its worst case. */
export function noteCharge(tree: Tree, row: EffectRow, usage: Usage | null, end: AttemptEnd, cause: number | null): void {
  const worst = worstOf(row.reserve)
  if (isNothing(worst) || ![...upFrom(row.owner), RUN].some((at) => budgetAt(tree, at) !== undefined)) return
  const charged = chargeOf(row, usage, end)
  const isOver = charged.tokens > worst.tokens || charged.nanoUsd > worst.nanoUsd
  if (end !== 'unknown' && !isOver) return
  const owner = { address: row.owner, incarnation: row.incarnation }
  const about = { effect: row.id, kind: row.kind, attempt: row.attempt, charged: figuresOf(charged) }
  if (end === 'unknown') tree.fact('budget.kept', owner, cause, about)
  if (isOver) tree.fact('budget.exceeded', owner, cause, { ...about, worst: figuresOf(worst) })
}

/** As a fact shows them: money in USD. */
export const figuresOf = ({ tokens, nanoUsd, turns }: Spending) => ({ tokens, usd: usdOf(nanoUsd), turns })

/** Effects that were held back and fit by now: others have used less than they had reserved, or the budget was raised. */
export function letGo(tree: Tree): void {
  if (tree.effects.heldBack === 0) return
  for (const row of [...tree.effects.values()]) {
    if (row.held !== true || refusalOf(tree, row) !== null) continue
    const totalMs = row.deadlines?.totalMs
    // The time that it could not begin in is not its own.
    tree.keepEffect({ ...row, held: undefined, ...(totalMs === undefined ? {} : { totalAt: tree.now + totalMs }) })
  }
}

/** Of an effect that was held back: the budget that it waits for. */
export function heldError(tree: Tree): ErrorData | null {
  for (const row of tree.effects.values()) {
    const refusal = row.held === true ? refusalOf(tree, row) : null
    if (refusal === null) continue
    const { path: _, ...error } = limitError(row, refusal)
    return error
  }
  return null
}

/** What an effect that is over, or about to be, held until now. */
export const settling = (row: EffectRow, usage: Usage | null, end: AttemptEnd) => ({ charge: chargeOf(row, usage, end), held: heldBy(row) })
