/**
 * What a run has used: `troupe show RUN --usage`, as tables and as `troupe.usage/1`, which is also the export.
 *
 *   3 calls  41.8k tokens  $0.1234        of $2.00
 *   ACTOR         CALLS  INPUT  OUTPUT  CACHED  COST        with all below it
 *   MODEL         CALLS  INPUT  OUTPUT  CACHED  COST
 */
import type { Json, JsonObject } from '../json.ts'
import type { Ledger, LedgerSum } from '../runtime/ledger.ts'
import type { CellRow, RunRow } from '../runtime/store.ts'
import { dollars, nanoUsd, usdOf } from '../usage.ts'
import { count, money, plural, printable } from './format.ts'
import type { Look } from './look.ts'
import { tableLines } from './table.ts'

/** Cost of a sum: `$0.1200 + $?` where some prices are known and some are not. */
function costWords({ costUsd, knownUsd, costBasis }: Pick<LedgerSum, 'costUsd' | 'knownUsd' | 'costBasis'>): string {
  return costBasis === 'partial' ? `${dollars(nanoUsd(knownUsd))} + $?` : money(costUsd, costBasis)
}

/** Lines for people. */
export function usageLines(run: RunRow, ledger: Ledger, cells: readonly CellRow[], look: Look, tabs: boolean): readonly string[] {
  const { total } = ledger
  const head = [plural(total.calls, 'call'), `${count(total.inputTokens + total.outputTokens)} tokens`, costWords(total)]
  const kept =
    total.lostAttempts === 0 ? [] : [`${plural(total.lostAttempts, 'attempt')} of unknown cost: ${keptWords(total)} kept as spent`]
  const budgets = budgetsOf(run, cells).map((budget) => budgetWords(budget))
  const actors = ledger.byActor.map(({ path, all }) => ({ name: path, sum: all }))
  const models = ledger.byModel.map(({ provider, model, ...sum }) => ({ name: modelName(provider, model), sum }))
  return [
    head.join('  '),
    ...kept,
    ...budgets,
    ...tableLines(columns('ACTOR'), actors.map(rowOf), look, tabs),
    ...tableLines(columns('MODEL'), models.map(rowOf), look, tabs),
  ]
}

const keptWords = ({ keptTokens, keptUsd }: LedgerSum): string =>
  [`${count(keptTokens)} tokens`, ...(keptUsd > 0 ? [dollars(nanoUsd(keptUsd))] : [])].join(', ')

const columns = (title: string) => [
  { title, cut: 'middle' as const },
  ...['CALLS', 'INPUT', 'OUTPUT', 'CACHED', 'COST'].map((name) => ({ title: name, align: 'right' as const })),
]

function rowOf({ name, sum }: { readonly name: string; readonly sum: LedgerSum }) {
  const figures = [sum.calls, sum.inputTokens, sum.outputTokens, sum.cacheReadTokens].map(count)
  return [name, ...figures, costWords(sum)].map((text) => ({ text }))
}

const modelName = (provider: string | null, model: string | null): string => printable(`${provider ?? '?'} ${model ?? '?'}`)

interface Standing {
  /** Null: the run. */
  readonly path: string | null
  readonly tokensMax: number | null
  readonly usdMax: number | null
  readonly turnsMax: number | null
  readonly spent: { readonly tokens: number; readonly usd: number; readonly turns: number }
}

/** Every budget of a run, with what is on record against it. */
function budgetsOf({ limits }: RunRow, cells: readonly CellRow[]): Standing[] {
  const all = [
    { path: null, budget: limits, spent: limits.spent },
    ...cells.map(({ address, limits, spent }) => ({ path: address, budget: limits?.budget ?? {}, spent })),
  ]
  return all
    .map(({ path, budget, spent = { tokens: 0, nanoUsd: 0, turns: 0 } }) => ({
      path,
      tokensMax: budget.tokensMax ?? null,
      usdMax: budget.usdMax ?? null,
      turnsMax: budget.turnsMax ?? null,
      spent: { tokens: spent.tokens, usd: usdOf(spent.nanoUsd), turns: spent.turns },
    }))
    .filter(({ tokensMax, usdMax, turnsMax }) => tokensMax !== null || usdMax !== null || turnsMax !== null)
}

function budgetWords({ path, tokensMax, usdMax, turnsMax, spent }: Standing): string {
  const words = [
    ...(usdMax === null ? [] : [`${dollars(nanoUsd(spent.usd))} of ${dollars(nanoUsd(usdMax))}`]),
    ...(tokensMax === null ? [] : [`${count(spent.tokens)} of ${count(tokensMax)} tokens`]),
    ...(turnsMax === null ? [] : [`${count(spent.turns)} of ${count(turnsMax)} turns`]),
  ]
  return `budget${path === null ? '' : ` of ${path}`}: ${words.join(', ')} spent`
}

/** `troupe.usage/1`. `troupe show RUN --usage --json > costs.json` is the export. */
export function usageObject(run: RunRow, { total, byActor, byModel, calls }: Ledger, cells: readonly CellRow[]): JsonObject {
  return {
    schema: 'troupe.usage/1',
    type: 'result',
    run: run.run,
    name: run.name,
    total: { ...total },
    budgets: budgetsOf(run, cells) as unknown as Json,
    byActor: byActor as unknown as Json,
    byModel: byModel as unknown as Json,
    calls: calls as unknown as Json,
  }
}
