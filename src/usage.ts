/**
 * Sums of what calls have used, exact in every order: money is added up in whole nano-dollars (1 USD = 1e9), because 0.1 + 0.2 is not 0.3 in floating point
 * and a sum of leaves must be its root. A price of 0.05 USD per million tokens is 50 nano-dollars a token; sums are exact up to 9 million USD.
 *
 *   USD (what a provider says, what people see)  --nanoUsd-->  integer  + - <=  --usdOf-->  USD
 */
import type { Usage } from './effect.ts'

const NANO = 1_000_000_000

/** Whole nano-dollars, to the nearest. */
export const nanoUsd = (usd: number): number => Math.round(usd * NANO)
/** The same for a worst case: never less than what was given, but for the noise of floating point. */
export const nanoUsdAtMost = (usd: number): number => Math.ceil(Number((usd * NANO).toPrecision(15)))
export const usdOf = (nano: number): number => nano / NANO

/** Dollars in a sentence: two to four decimals, more below a cent. `$2.00`, `$0.0123`, `$0.000021`. */
export function dollars(nano: number): string {
  const usd = usdOf(nano)
  const decimals = nano !== 0 && Math.abs(usd) < 0.01 ? 9 : 4
  const [whole, part = ''] = usd.toFixed(decimals).split('.')
  return `$${whole}.${part.replace(/0+$/, '').padEnd(2, '0')}`
}

/**
 * Where a figure in dollars comes from. `partial`: of some calls the price is unknown, so there is no sum. `local`: machines of one's own.
 * `simulated`: answers of a script or a tape.
 */
export type CostBasis = 'priced' | 'local' | 'partial' | 'unknown' | 'simulated'

/** Of one call: where does its cost come from? */
export function basisOf({ costUsd, simulated, local }: Pick<Usage, 'costUsd' | 'simulated' | 'local'>): Exclude<CostBasis, 'partial'> {
  if (simulated === true) return 'simulated'
  if (costUsd === null) return 'unknown'
  return local === true ? 'local' : 'priced'
}

/** Of several: any unknown price makes the sum unknown. Money of one's own machines and of scripts is nothing beside money that was paid. */
export function basisOfAll(all: ReadonlySet<CostBasis>): CostBasis {
  if (all.has('partial') || (all.has('unknown') && all.size > 1)) return 'partial'
  for (const basis of ['unknown', 'priced', 'local', 'simulated'] as const) if (all.has(basis)) return basis
  return 'priced'
}

const PARTS = ['cacheReadTokens', 'cacheWriteTokens', 'reasoningTokens'] as const

/** Usage of two attempts of one call, or of none. An unknown price stays unknown. */
export function addUsage(a: Usage | null, b: Usage | null): Usage | null {
  if (a === null || b === null) return a ?? b
  const parts: Partial<Record<(typeof PARTS)[number], number>> = {}
  for (const part of PARTS) if (a[part] !== undefined || b[part] !== undefined) parts[part] = (a[part] ?? 0) + (b[part] ?? 0)
  const provider = b.provider ?? a.provider
  const model = b.model ?? a.model
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    costUsd: a.costUsd === null || b.costUsd === null ? null : usdOf(nanoUsd(a.costUsd) + nanoUsd(b.costUsd)),
    ...parts,
    ...(provider === undefined ? {} : { provider }),
    ...(model === undefined ? {} : { model }),
    ...(a.local || b.local ? { local: true } : {}),
    ...(a.simulated || b.simulated ? { simulated: true } : {}),
  }
}

export interface UsageTotal {
  readonly inputTokens: number
  readonly outputTokens: number
  /** Null where the price of one is unknown. */
  readonly costUsd: number | null
  readonly costBasis: CostBasis
  readonly simulated: boolean
}

/** What several calls have used together. None at all is 0, and priced. */
export function totalUsage(all: Iterable<Usage | null>): UsageTotal {
  const bases = new Set<CostBasis>()
  let [inputTokens, outputTokens, nano, simulated] = [0, 0, 0, false]
  for (const usage of all) {
    if (usage === null) continue
    inputTokens += usage.inputTokens
    outputTokens += usage.outputTokens
    nano += nanoUsd(usage.costUsd ?? 0)
    simulated ||= usage.simulated === true
    bases.add(basisOf(usage))
  }
  const costBasis = basisOfAll(bases)
  return {
    inputTokens,
    outputTokens,
    costUsd: costBasis === 'partial' || costBasis === 'unknown' ? null : usdOf(nano),
    costBasis,
    simulated,
  }
}
