/** What a run has used, for people and for programs. */
import { expect, test } from 'vitest'
import { ledgerOf } from '../../src/runtime/ledger.ts'
import type { CellRow } from '../../src/runtime/store.ts'
import { usageLines, usageObject } from '../../src/view/usage.ts'
import { NEW_RUN } from '../harness.ts'
import { effectRow } from './samples.ts'

const priced = { provider: 'anthropic', model: 'm', inputTokens: 900, outputTokens: 100, costUsd: 0.1, cacheReadTokens: 300 }
const EFFECTS = [
  effectRow({ id: 'e1', owner: '/team/coder', usage: priced }),
  effectRow({ id: 'e2', owner: '/team/reviewer', usage: { inputTokens: 40, outputTokens: 2, costUsd: null } }),
  effectRow({
    id: 'e3',
    owner: '/team/coder',
    usage: { ...priced, costUsd: 0.02 },
    reserve: { tokens: 5_000, usd: 0.05, turns: 1 },
    charged: { tokens: 6_000, nanoUsd: 70_000_000, turns: 2 },
    lost: 1,
  }),
]
const run = { ...NEW_RUN, limits: { ...NEW_RUN.limits, usdMax: 2, spent: { tokens: 7_042, nanoUsd: 170_000_000, turns: 3 } } }
const coder = {
  address: '/team/coder',
  limits: { budget: { turnsMax: 9 } },
  spent: { tokens: 7_000, nanoUsd: 0, turns: 3 },
} as unknown as CellRow

test('R5 get_summary: by actor with all below it, by model, and how its budgets stand; what is not known is said', () => {
  const look = { width: null, ascii: false, paint: (_: unknown, text: string) => text }
  expect(usageLines(run, ledgerOf(EFFECTS), [coder], look as never, false)).toEqual([
    '3 calls  2k tokens  $0.12 + $?',
    '1 attempt of unknown cost: 5k tokens, $0.05 kept as spent',
    'budget: $0.17 of $2.00 spent',
    'budget of /team/coder: 3 of 9 turns spent',
    'ACTOR           CALLS  INPUT  OUTPUT  CACHED        COST',
    '/team               3   1.8k     202     600  $0.12 + $?',
    '/team/coder         2   1.8k     200     600  $0.12 + $?',
    '/team/reviewer      1     40       2       0          $?',
    'MODEL        CALLS  INPUT  OUTPUT  CACHED        COST',
    'anthropic m      2   1.8k     200     600  $0.12 + $?',
    '? ?              1     40       2       0          $?',
  ])
})

test('R5 save_to_file: the export is one object; its parts add up to its total', () => {
  const object = JSON.parse(JSON.stringify(usageObject(run, ledgerOf(EFFECTS), [coder])))
  expect(Object.keys(object)).toEqual(['schema', 'type', 'run', 'name', 'total', 'budgets', 'byActor', 'byModel', 'calls'])
  expect([object.schema, object.total.costUsd, object.total.knownUsd, object.total.costBasis]).toEqual([
    'troupe.usage/1',
    null,
    0.12,
    'partial',
  ])
  expect(object.byModel.reduce((sum: number, { calls }: { calls: number }) => sum + calls, 0)).toBe(object.calls.length)
  expect(object.budgets).toEqual([
    { path: null, tokensMax: null, usdMax: 2, turnsMax: null, spent: { tokens: 7_042, usd: 0.17, turns: 3 } },
    { path: '/team/coder', tokensMax: null, usdMax: null, turnsMax: 9, spent: { tokens: 7_000, usd: 0, turns: 3 } },
  ])
})
