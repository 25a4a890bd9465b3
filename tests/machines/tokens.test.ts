/** What can be said of tokens for sure, and what four real vocabularies count. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { calibrated, estimateTokens, tokensAtMost, tokensOfMessage, tokensOfTools } from '../../src/machines/tokens.ts'
import { COUNTED } from './counted.ts'

test.for(Object.entries(COUNTED))('no vocabulary takes more than what is counted at most: %s', ([_, { text, counts }]) => {
  expect(Math.max(...Object.values(counts))).toBeLessThanOrEqual(tokensAtMost(text))
})

const drawn = fc.array(fc.constantFrom(...'ab zZ09{}\n\t\u0001éЖ語🎭'), { maxLength: 40 }).map((characters) => characters.join(''))

test('what is counted at most is never more than one token a byte, and longer texts take no less', () => {
  fc.assert(
    fc.property(drawn, drawn, (text, more) => {
      const most = tokensAtMost(text)
      expect(most).toBeLessThanOrEqual(Buffer.byteLength(text))
      expect(tokensAtMost(text + more)).toBeGreaterThanOrEqual(most)
      expect(tokensAtMost(text + more)).toBeLessThanOrEqual(most + tokensAtMost(more))
      expect(estimateTokens(text)).toBeLessThanOrEqual(Math.max(1, most))
    }),
    { numRuns: 200, seed: 5 },
  )
})

test('an estimate lies within a third of what the vocabularies count for prose and code', () => {
  for (const { text, counts } of [COUNTED.prose, COUNTED.code]) {
    const mean = Object.values(counts).reduce((sum, count) => sum + count, 0) / Object.keys(counts).length
    expect(Math.abs(estimateTokens(text) - mean) / mean).toBeLessThan(1 / 3)
  }
})

test('a message takes more than its text: calls, thinking and what stands around them are counted', () => {
  const plain = { role: 'assistant', content: 'I look.' } as const
  const calling = { ...plain, toolCalls: [{ id: 'c', name: 'read', args: { path: 'a-long-path.ts' } }] }
  const thinking = {
    ...calling,
    thinking: { provider: 'anthropic', blocks: [{ type: 'thinking', thinking: 'Where is it?', signature: 'sig' }] },
  }
  const sizes = [plain, calling, thinking].map((message) => tokensOfMessage(message))
  expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => a - b))
  expect(sizes[0]).toBeGreaterThan(tokensAtMost(plain.content))
})

test('tools cost nothing where there are none', () => {
  expect(tokensOfTools([])).toBe(0)
  expect(tokensOfTools([{ name: 'done', description: 'Ends.', input: {} }])).toBeGreaterThan(400)
})

test('an estimate is corrected by what the model has counted: what came since is taken at its worst, a smaller prompt takes its share', () => {
  const reported = { model: 'm', expectedTokens: 1_000, tokens: 400 }
  expect(calibrated(1_000, null)).toBe(1_000)
  expect(calibrated(1_000, reported)).toBe(400)
  expect(calibrated(1_300, reported)).toBe(700)
  expect(calibrated(500, reported)).toBe(200)
  expect(calibrated(1_100, { ...reported, tokens: 1_050 })).toBe(1_150)
})
