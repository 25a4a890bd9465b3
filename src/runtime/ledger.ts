/**
 * The cost ledger of a run: what each call has used, and sums by subtree, by actor and by model. Pure over the rows of its effects, which are the only place where
 * cost is kept, so there are no counters that two runs could share and none that a crash could lose.
 *
 *   effect rows  -->  calls (those that used anything)  -->  total  =  sum of byActor[].own  =  sum of byModel  =  sum of calls, to the nano-dollar
 *
 * An unknown price is null, never 0. `kept`: what attempts were charged with of which nobody knows what they have used; it is in no price and no token count.
 */
import type { Address } from '../protocol.ts'
import { basisOf, basisOfAll, type CostBasis, dollars, nanoUsd, usdOf } from '../usage.ts'
import { chargedTo, plus, type Spending } from './spending.ts'
import type { EffectRow } from './store.ts'

/** One call: an effect that has used tokens or money, or may have. */
interface LedgerCall {
  readonly effect: string
  readonly path: Address
  readonly kind: string
  readonly provider: string | null
  readonly model: string | null
  readonly attempts: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly reasoningTokens: number
  /** Null: the price is not known. */
  readonly costUsd: number | null
  readonly basis: CostBasis
  /** Attempts of which nobody knows what they have used, and what budgets were charged with for them. */
  readonly lostAttempts: number
  readonly keptTokens: number
  readonly keptUsd: number
}

/** What several calls have used together. */
export interface LedgerSum {
  readonly calls: number
  readonly attempts: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly reasoningTokens: number
  /** Null where the price of one call is not known. */
  readonly costUsd: number | null
  /** Of the calls whose price is known. */
  readonly knownUsd: number
  readonly costBasis: CostBasis
  readonly lostAttempts: number
  readonly keptTokens: number
  readonly keptUsd: number
}

export interface Ledger {
  readonly calls: readonly LedgerCall[]
  readonly total: LedgerSum
  /** Every actor that has spent, and those above it, by address. `own`: itself; `all`: with all below it. */
  readonly byActor: readonly { readonly path: Address; readonly own: LedgerSum; readonly all: LedgerSum }[]
  readonly byModel: readonly ({ readonly provider: string | null; readonly model: string | null } & LedgerSum)[]
}

const COUNTS = [
  'inputTokens',
  'outputTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'reasoningTokens',
  'lostAttempts',
  'keptTokens',
  'attempts',
] as const

export function ledgerOf(rows: Iterable<EffectRow>): Ledger {
  const calls: LedgerCall[] = []
  for (const row of rows) if (row.usage !== null || (row.lost ?? 0) > 0) calls.push(callOf(row))
  const own = groups(calls, ({ path }) => [path])
  const all = groups(calls, ({ path }) => upFrom(path))
  const models = groups(calls, ({ provider, model }) => [JSON.stringify([provider, model])])
  return {
    calls,
    total: sumOf(calls),
    byActor: [...all.keys()].sort().map((path) => ({ path, own: sumOf(own.get(path) ?? []), all: sumOf(all.get(path)!) })),
    byModel: [...models.values()].map((group) => ({ provider: group[0]!.provider, model: group[0]!.model, ...sumOf(group) })),
  }
}

function callOf(row: EffectRow): LedgerCall {
  const { usage } = row
  const used: Spending = { tokens: (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0), nanoUsd: nanoUsd(usage?.costUsd ?? 0), turns: 0 }
  const charged = chargedTo(row)
  const lostAttempts = row.lost ?? 0
  return {
    effect: row.id,
    path: row.owner,
    kind: row.kind,
    provider: usage?.provider ?? null,
    model: usage?.model ?? null,
    attempts: row.attempt,
    inputTokens: usage?.inputTokens ?? 0,
    outputTokens: usage?.outputTokens ?? 0,
    cacheReadTokens: usage?.cacheReadTokens ?? 0,
    cacheWriteTokens: usage?.cacheWriteTokens ?? 0,
    reasoningTokens: usage?.reasoningTokens ?? 0,
    costUsd: usage?.costUsd ?? null,
    basis: usage === null ? 'unknown' : lostAttempts > 0 && usage.costUsd !== null ? 'partial' : basisOf(usage),
    lostAttempts,
    keptTokens: Math.max(0, charged.tokens - used.tokens),
    keptUsd: usdOf(Math.max(0, charged.nanoUsd - used.nanoUsd)),
  }
}

function sumOf(calls: readonly LedgerCall[]): LedgerSum {
  const sums = Object.fromEntries(COUNTS.map((field) => [field, calls.reduce((sum, call) => sum + call[field], 0)]))
  const known = calls.reduce((sum, { costUsd }) => sum + nanoUsd(costUsd ?? 0), 0)
  const costBasis = basisOfAll(new Set(calls.map(({ basis }) => basis)))
  return {
    calls: calls.length,
    ...(sums as Record<(typeof COUNTS)[number], number>),
    costUsd: costBasis === 'partial' || costBasis === 'unknown' ? null : usdOf(known),
    knownUsd: usdOf(known),
    costBasis,
    keptUsd: usdOf(calls.reduce((sum, { keptUsd }) => sum + nanoUsd(keptUsd), 0)),
  }
}

function groups(calls: readonly LedgerCall[], keysOf: (call: LedgerCall) => readonly string[]): Map<string, LedgerCall[]> {
  const all = new Map<string, LedgerCall[]>()
  for (const call of calls)
    for (const key of keysOf(call)) {
      const group = all.get(key)
      if (group === undefined) all.set(key, [call])
      else group.push(call)
    }
  return all
}

/** An actor and those above it, the nearest first. */
export function upFrom(address: Address): Address[] {
  const all: Address[] = []
  for (let at = address; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) all.push(at)
  return all
}

/** What all effects of an address and below it have been charged with; '' is the run. Leaves and root are sums of the same whole numbers. */
export function chargedBelow(rows: Iterable<EffectRow>, at: Address): Spending {
  let sum: Spending = { tokens: 0, nanoUsd: 0, turns: 0 }
  for (const row of rows) if (row.owner === at || row.owner.startsWith(`${at}/`)) sum = plus(sum, chargedTo(row))
  return sum
}

/**
 * Would a call of so many tokens pass a limit of money? Asked by programs that plan ahead; the engine itself reserves. Each token counts as the dearer kind.
 * @param price  USD per million tokens; null: not known, and then it cannot be said.
 */
export function checkCostCap(
  { total }: Ledger,
  call: { readonly maxUsd: number; readonly tokens: number; readonly price: { readonly input: number; readonly output: number } | null },
): { readonly wouldExceed: boolean | null; readonly currentUsd: number; readonly message: string } {
  const current = nanoUsd(total.knownUsd) + nanoUsd(total.keptUsd)
  const currentUsd = usdOf(current)
  if (call.price === null || total.costBasis === 'unknown' || (total.costBasis === 'partial' && total.lostAttempts === 0))
    return { wouldExceed: null, currentUsd, message: `${dollars(current)} are known to be spent; a price is not known, so nobody can say` }
  const next = Math.ceil((call.tokens * Math.max(call.price.input, call.price.output) * 1e9) / 1e6)
  const limit = nanoUsd(call.maxUsd)
  const message = `${dollars(current)} spent, the next call may cost ${dollars(next)}, the limit is ${dollars(limit)}`
  return { wouldExceed: current + next > limit, currentUsd, message }
}
