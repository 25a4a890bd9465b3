/** Ordered fallback chains: who is asked next, what is told, and what it looks like when nobody is left (R3, P22). */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ErrorData } from '../../src/errors.ts'
import { exhausted, mayFallBack, nextModel, sanitised, triedOf } from '../../src/machines/fallback.ts'
import { askedOf, callingOf, failedCall, hasAnother, promptTokensMax, switched, switchOf } from '../../src/machines/model-call.ts'
import { costOf, type ModelRef, modelRef } from '../../src/machines/models.ts'

const model = (alias: string, more: Partial<ModelRef> = {}): ModelRef =>
  modelRef.parse({ alias, provider: 'p', model: `m-${alias}`, contextTokens: 8_192, outputTokensMax: 1_000, quotaGroup: alias, ...more })
const error = (code: string, message = 'it did not work'): ErrorData => ({ code, message })
const CHAIN = [model('large'), model('mini'), model('nano')]

test('R3.1: a timeout goes to the next model of the chain, and is told apart from other failures', () => {
  const late = error('E_EFFECT_TIMEOUT', 'llm.generate gave nothing within 60000 ms')
  const calling = callingOf({ models: CHAIN })
  expect(switchOf(calling, late)).toEqual({
    from: 'large',
    to: 'mini',
    reason: 'E_PROVIDER_TIMEOUT',
    timedOut: true,
    text: 'llm.generate gave nothing within 60000 ms',
  })
  const second = { ...calling, call: switched(calling, late) }
  expect(askedOf(second).model?.alias).toBe('mini')
  expect(switchOf(second, error('E_PROVIDER_UNREACHABLE'))).toMatchObject({ from: 'mini', to: 'nano', timedOut: false })
})

test('R3: a chain that is used up is a typed failure with each reason, never an answer', () => {
  let calling = callingOf({ models: CHAIN })
  for (const code of ['E_EFFECT_TIMEOUT', 'E_PROVIDER_OVERLOADED']) calling = { ...calling, call: switched(calling, error(code)) }
  expect(hasAnother(calling, error('E_PROVIDER_OUTPUT'))).toBe(false)
  expect(failedCall(calling, error('E_PROVIDER_OUTPUT', 'a cut stream'))).toEqual({
    code: 'E_FALLBACK_EXHAUSTED',
    message: 'all 3 models failed: large timed out, mini E_PROVIDER_OVERLOADED, nano E_PROVIDER_OUTPUT',
    tried: [
      { alias: 'large', code: 'E_PROVIDER_TIMEOUT', timedOut: true, reason: 'it did not work' },
      { alias: 'mini', code: 'E_PROVIDER_OVERLOADED', timedOut: false, reason: 'it did not work' },
      { alias: 'nano', code: 'E_PROVIDER_OUTPUT', timedOut: false, reason: 'a cut stream' },
    ],
    cause: { code: 'E_PROVIDER_OUTPUT', message: 'a cut stream' },
  })
})

test('R3: a single model has no fallback, and its own error is the one that is told', () => {
  const calling = callingOf({ models: [model('nano')] })
  expect(failedCall(calling, error('E_EFFECT_TIMEOUT', 'late'))).toEqual({ code: 'E_PROVIDER_TIMEOUT', message: 'late' })
  expect(askedOf(calling)).toEqual({ model: model('nano'), promptTokensMax: 7_192 })
})

test('P22: on a rate limit no other model of the same quota group is tried, and the error names the ones that were passed over', () => {
  const chain = [model('a', { quotaGroup: 'x' }), model('b', { quotaGroup: 'x' }), model('c', { quotaGroup: 'y' })]
  expect(nextModel(chain, 0, error('E_PROVIDER_OVERLOADED'))).toBe(2)
  expect(nextModel(chain, 0, error('E_PROVIDER_UNREACHABLE'))).toBe(1)
  const last = error('E_PROVIDER_OVERLOADED')
  expect(exhausted(chain.slice(0, 2), [triedOf(chain[0]!, last)], last).message).toBe(
    'all 1 models failed: a E_PROVIDER_OVERLOADED; not tried, same quota: b',
  )
})

test.each(['E_LIMIT_TOKENS', 'E_LIMIT_COST', 'E_REPLAY_MISS', 'E_SCRIPT_MISS', 'E_DEFECT', 'E_ABORTED'])(
  'P22: after %s no other model is asked: it would be the same',
  (code) => {
    expect(mayFallBack(error(code))).toBe(false)
    expect(nextModel(CHAIN, 0, error(code))).toBeNull()
    expect(failedCall(callingOf({ models: CHAIN }), error(code))).toEqual(error(code))
  },
)

test('the first model is not given up for good: the next call begins with it again, and only the last one waits for its provider', () => {
  const calling = callingOf({ models: CHAIN })
  const second = { ...calling, call: switched(calling, error('E_PROVIDER_UNREACHABLE')) }
  expect([askedOf(calling), askedOf(second)].map(({ model, failFast }) => [model?.alias, failFast])).toEqual([
    ['large', true],
    ['mini', true],
  ])
  const third = { ...second, call: switched(second, error('E_PROVIDER_UNREACHABLE')) }
  expect(askedOf(third)).not.toHaveProperty('failFast')
  expect(askedOf(callingOf({}))).toEqual({})
})

test('a reason is one line without addresses, keys and headers, whatever a provider says', () => {
  expect(sanitised('POST https://user:pw@host.example/v1?key=abc failed\n  Authorization: Bearer abc.def sk-ant-api03-xyz')).toBe(
    'POST <address> failed Authorization: <secret> <secret>',
  )
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), fc.stringMatching(/^[A-Za-z0-9]{12,40}$/), (noise, secret) => {
      const said = sanitised(`${noise} sk-${secret} https://x:${secret}@h/ Bearer ${secret}`)
      expect(said).not.toContain(secret)
      expect(said.length).toBeLessThanOrEqual(160)
      expect(said.includes('\n')).toBe(false)
    }),
  )
})

test('whatever fails in whatever order, a chain ends after as many calls as it has models, and each is asked once at most', () => {
  const codes = ['E_EFFECT_TIMEOUT', 'E_PROVIDER_OVERLOADED', 'E_PROVIDER_UNREACHABLE', 'E_PROVIDER_OUTPUT', 'E_LIMIT_COST', 'E_DEFECT']
  const groups = fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(groups, fc.array(fc.constantFrom(...codes), { minLength: 6, maxLength: 6 }), (quotas, failures) => {
      let calling = callingOf({ models: quotas.map((quotaGroup, index) => model(`m${index}`, { quotaGroup })) })
      const asked: string[] = []
      for (const code of failures) {
        asked.push(askedOf(calling).model?.alias ?? '')
        if (!hasAnother(calling, error(code))) break
        calling = { ...calling, call: switched(calling, error(code)) }
      }
      expect(new Set(asked).size).toBe(asked.length)
      expect(asked.length).toBeLessThanOrEqual(quotas.length)
      expect(asked).toEqual([...asked].sort())
    }),
  )
})

test('a price that is not known is null, never 0; cached tokens have their own price where there is one', () => {
  const usage = { inputTokens: 1_000_000, outputTokens: 100_000, cacheReadTokens: 400_000, cacheWriteTokens: 100_000 }
  expect(costOf(usage, null)).toBeNull()
  expect(costOf(usage, { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75, basis: 'priced' })).toBeCloseTo(
    1.5 + 0.12 + 0.375 + 1.5,
    10,
  )
  expect(costOf(usage, { input: 3, output: 15, basis: 'priced' })).toBeCloseTo(4.5, 10)
  expect(costOf(usage, { input: 0, output: 0, basis: 'local' })).toBe(0)
})

test('a prompt may take what the model takes without its answer, and no more than the agent may', () => {
  expect(promptTokensMax(model('a'), null)).toBe(7_192)
  expect(promptTokensMax(model('a'), 4_000)).toBe(3_000)
  expect(promptTokensMax(model('a', { contextTokens: 900 }), null)).toBe(1)
})
