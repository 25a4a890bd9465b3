/** Prices by pattern, and the worst case of a call. */
import { expect, test } from 'vitest'
import { effectOf } from '../../src/effect.ts'
import { generate } from '../../src/machines/effects.ts'
import { costOf, modelRef } from '../../src/machines/models.ts'
import { PRICES, type PriceTable, priceOf, worstCase } from '../../src/machines/prices.ts'

const price = (input: number, more = {}) => ({ input, output: input * 5, basis: 'priced' as const, ...more })
const TABLE: PriceTable = {
  ...PRICES,
  '*': price(9),
  'anthropic/*': price(8),
  'anthropic/claude-*-4': price(3),
  'anthropic/claude-opus-4': price(15),
}

test.each([
  ['anthropic', 'claude-opus-4', 15],
  ['anthropic', 'claude-haiku-4', 3],
  ['anthropic', 'other', 8],
  ['openai-compatible', 'x', 9],
  ['ollama', 'qwen3:14b', 0],
])('the price of %s %s is the one of the pattern that says most', (provider, model, input) => {
  expect(priceOf(TABLE, provider, model)?.input).toBe(input)
})

test('a model without a price has none, and what runs at home is local', () => {
  expect([priceOf(PRICES, 'anthropic', 'claude-opus-4'), priceOf(PRICES, 'ollama', 'any')?.basis]).toEqual([null, 'local'])
  expect(priceOf({ 'a/*b*c': price(1) }, 'a', 'bc')?.input).toBe(1)
  expect(priceOf({ 'a/*b*c': price(1) }, 'a', 'cb')).toBeNull()
})

const model = modelRef.parse({
  alias: 'a',
  provider: 'p',
  model: 'm',
  contextTokens: 8_000,
  outputTokensMax: 1_000,
  quotaGroup: 'p',
  price: price(3, { cacheWrite: 4 }),
})

test('no usage within the worst case costs more than it, however its prompt was cached', () => {
  const worst = worstCase(model, 2_000)
  expect(worst).toEqual({ tokens: 3_000, usd: (2_000 * 4 + 1_000 * 15) / 1e6, turns: 1 })
  for (const [cacheReadTokens, cacheWriteTokens] of [
    [0, 0],
    [2_000, 0],
    [0, 2_000],
    [700, 900],
  ] as const)
    expect(costOf({ inputTokens: 2_000, outputTokens: 1_000, cacheReadTokens, cacheWriteTokens }, model.price)).toBeLessThanOrEqual(
      worst.usd!,
    )
  expect(worstCase({ ...model, price: null, thinkingTokens: 500 }, 2_000)).toEqual({ tokens: 3_500, usd: null, turns: 1 })
})

test('a call of a model reserves its whole prompt and answer; without a model its tokens alone', () => {
  const { reserve } = effectOf(generate)!
  const input = { agent: 'coder', thread: 't', item: null, turn: 1, tools: [], format: 'text', promptChars: 100 }
  expect(reserve!(input)).toEqual({ tokens: 50 + 4_096, turns: 1 })
  expect(reserve!({ ...input, model })).toMatchObject({ tokens: 2_300 + 1_000, turns: 1 })
  expect(reserve!({ ...input, model, promptChars: 1_000_000, promptTokensMax: 6_000 })).toMatchObject({ tokens: 7_000 })
})
