/** The cost ledger (R5): what each call has used, sums by subtree, by actor and by model, and nothing shared between runs. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { z } from 'zod'
import { effect, NO_RETRY, type Usage } from '../../src/effect.ts'
import { checkCostCap, ledgerOf } from '../../src/runtime/ledger.ts'
import type { EffectRow } from '../../src/runtime/store.ts'
import { openLife, temporaryFolder, waitUntil } from '../harness.ts'

let next = 0
function callOf(owner: string, usage: Usage | null, more: Partial<EffectRow> = {}): EffectRow {
  return {
    id: `e${++next}`,
    owner,
    incarnation: 1,
    invoke: 'call',
    invocation: 1,
    src: 'call',
    kind: 'llm.generate',
    input: null,
    policy: 'repeat',
    timeoutMs: null,
    retry: NO_RETRY,
    reserve: null,
    answer: true,
    status: 'succeeded',
    attempt: 1,
    startedAt: 0,
    nextAt: null,
    output: null,
    error: null,
    usage,
    evidence: null,
    cause: null,
    ...more,
  }
}

const gpt = { provider: 'openai-compatible', model: 'm-1' }
const llama = { provider: 'ollama', model: 'qwen3:14b', local: true }
const tenCents = { inputTokens: 100, outputTokens: 20, costUsd: 0.1, ...gpt }

test('R5 register_call: a call is on the ledger by being made, with its actor, model, tokens and price', () => {
  const usage = { ...tenCents, cacheReadTokens: 60, cacheWriteTokens: 10, reasoningTokens: 5 }
  const row = callOf('/team/coder', usage, { attempt: 2 })
  expect(ledgerOf([callOf('/team/coder', null), row]).calls).toEqual([
    {
      effect: row.id,
      path: '/team/coder',
      kind: 'llm.generate',
      ...gpt,
      attempts: 2,
      inputTokens: 100,
      outputTokens: 20,
      cacheReadTokens: 60,
      cacheWriteTokens: 10,
      reasoningTokens: 5,
      costUsd: 0.1,
      basis: 'priced',
      lostAttempts: 0,
      keptTokens: 0,
      keptUsd: 0,
    },
  ])
})

test('R5 get_summary: sums by subtree, by actor and by model agree to the last digit', () => {
  const rows = [
    ...['/team/coder', '/team/coder/helper', '/team/reviewer'].map((path) => callOf(path, tenCents)),
    callOf('/team/coder', { inputTokens: 7, outputTokens: 3, costUsd: 0, ...llama }),
  ]
  const { total, byActor, byModel } = ledgerOf(rows)
  expect(total).toMatchObject({ calls: 4, inputTokens: 307, outputTokens: 63, costUsd: 0.3, costBasis: 'priced' })
  expect(byActor.map(({ path, own, all }) => [path, own.costUsd, all.costUsd])).toEqual([
    ['/team', 0, 0.3],
    ['/team/coder', 0.1, 0.2],
    ['/team/coder/helper', 0.1, 0.1],
    ['/team/reviewer', 0.1, 0.1],
  ])
  expect(byModel.map(({ model, calls, costUsd, costBasis }) => [model, calls, costUsd, costBasis])).toEqual([
    ['m-1', 3, 0.3, 'priced'],
    ['qwen3:14b', 1, 0, 'local'],
  ])
})

test.each([
  ['only known ones', [tenCents, tenCents], 0.2, 'priced'],
  ['none', [], 0, 'priced'],
  ['machines of one’s own', [{ ...tenCents, costUsd: 0, ...llama }], 0, 'local'],
  ['an unknown one', [{ ...tenCents, costUsd: null }], null, 'unknown'],
  ['one known and one unknown', [tenCents, { ...tenCents, costUsd: null }], null, 'partial'],
  ['scripts', [{ ...tenCents, costUsd: 0, simulated: true }], 0, 'simulated'],
])('R5 get_total_cost_usd: of %s; a price that is not known is null, never 0', (_, usages, costUsd, costBasis) => {
  expect(ledgerOf(usages.map((usage) => callOf('/a', usage as Usage))).total).toMatchObject({ costUsd, costBasis })
})

test('R5 check_cost_cap: would_exceed, the current sum and a message; without a price nobody can say', () => {
  const ledger = ledgerOf([callOf('/a', { ...tenCents, costUsd: 1.97 })])
  const price = { input: 3, output: 15 }
  expect(checkCostCap(ledger, { maxUsd: 2, tokens: 6_000, price })).toEqual({
    wouldExceed: true,
    currentUsd: 1.97,
    message: '$1.97 spent, the next call may cost $0.09, the limit is $2.00',
  })
  // 2,000 tokens at the dearer price are exactly what is left.
  expect(checkCostCap(ledger, { maxUsd: 2, tokens: 2_000, price }).wouldExceed).toBe(false)
  expect(checkCostCap(ledger, { maxUsd: 2, tokens: 1, price: null }).wouldExceed).toBeNull()
})

test('R5.1 no globals: two runs at once in one process never share a counter', async () => {
  const call = effect({ kind: 'llm.call', input: z.object({ usd: z.number() }), output: z.null(), repeat: 'repeat' })
  const machine = setup({ types: { input: {} as { usd: number }, context: {} as { usd: number } }, actors: { call } }).createMachine({
    id: 'caller',
    context: ({ input }) => input,
    initial: 'calling',
    states: { calling: { invoke: { src: 'call', input: ({ context }) => context, onDone: 'done' } }, done: { type: 'final' } },
  })
  const perform = async ({ input, spent }: { input: { usd: number }; spent: (usage: Usage) => void }) => {
    spent({ inputTokens: 1, outputTokens: 0, costUsd: input.usd })
    return null
  }
  const { troupe, store } = openLife(temporaryFolder(), { machines: { machine }, effects: { 'llm.call': { perform } } as never })
  const ten = Array.from({ length: 10 }, (_, n) => ({ id: `c${n}`, src: 'machine', restart: 'temporary' as const }))
  const runs = await Promise.all([0.01, 0.07].map((usd) => troupe.start({ id: 'top', children: ten }, { input: { usd } })))
  await waitUntil('all have called', () => runs.every(({ id }) => ledgerOf(store.effects(id)).total.calls === 10))
  expect(runs.map(({ id }) => ledgerOf(store.effects(id)).total.costUsd)).toEqual([0.1, 0.7])
  await Promise.all(runs.map((run) => run.stop()))
})
