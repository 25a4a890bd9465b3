/**
 * A prompt that does not fit is refused, never cut in silence (P17); and a server whose count leaves out what it had cached raises no false alarm.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countsWhole, cutOf, tokensAtLeast } from '../../../src/actors/providers/ollama-window.ts'
import { request } from './ollama-request.ts'
import { stage } from './ollama-stage.ts'

const words = (count: number): string => 'word '.repeat(count)
const prompt = (count: number, contextTokens = 8_192) => request({ messages: [{ role: 'user', content: words(count) }] }, { contextTokens })

test('P17 a prompt that cannot fit is refused before anything is sent', async () => {
  const { generate, server } = await stage()
  expect(await generate(prompt(8_192))).toEqual({
    ok: false,
    code: 'E_CONTEXT_TOO_LARGE',
    message: 'the prompt has at least 8192 tokens, the window of the model has 8192; nothing was sent',
    retry: 'never',
  })
  expect(server.log).toEqual([])
})

test('P17 the window is that which the model was made for, where more is asked for', async () => {
  const models = [{ name: 'qwen3:8b', loaded: true, contextLength: 2_048 }]
  const { generate, chats } = await stage({ models })
  expect(await generate(prompt(3_000))).toMatchObject({ code: 'E_CONTEXT_TOO_LARGE', message: expect.stringMatching(/has 2048; nothing/) })
  expect(chats()).toEqual([])
})

test.each([
  ['the count is the whole window', 8_192, '0.12.6', /fills the window of 8192 tokens/],
  ['old messages have fallen out in front', 700, '0.12.6', /has read 700 tokens of a prompt that has at least 1000/],
  ['the same, told by a newer server', 700, '0.33.2', /has read 700 tokens/],
])('P17 an answer to a prompt that was cut is not trusted: %s', async (_, input, version, message) => {
  const { generate } = await stage({ version, script: [{ text: 'Hello.', usage: { input, output: 2 } }] })
  expect(await generate(prompt(1_000))).toMatchObject({
    ok: false,
    code: 'E_CONTEXT_TOO_LARGE',
    retry: 'never',
    message: expect.stringMatching(message),
    usage: { outputTokens: 2 },
  })
})

test.each([
  ['the prompt was read whole', 1_300, '0.12.6'],
  ['the count leaves out what was cached, as 0.30 did', 12, '0.30.1'],
  ['the count is missing, as where all was cached', 0, '0.1.30'],
  ['the count is small and the version unknown', 12, 'dev'],
])('an answer is taken where %s', async (_, input, version) => {
  const { generate } = await stage({ version, script: [{ text: 'Hello.', usage: { input, output: 2 } }] })
  expect(await generate(prompt(1_000))).toMatchObject({ ok: true, usage: { inputTokens: Math.max(input, 1_000) } })
})

test('the version is asked for only where the count is small', async () => {
  const { generate, server } = await stage({
    script: [
      { text: 'a', usage: { input: 50 } },
      { text: 'b', usage: { input: 3 } },
    ],
  })
  const asked = () => server.log.filter(({ path }) => path === '/api/version').length
  await generate()
  expect(asked()).toBe(0)
  await generate()
  expect(asked()).toBe(1)
})

test.each([
  [null, null, false],
  [0, null, true],
  [null, '0.1.48', false],
  [null, '0.2.0', true],
  [null, '0.29.9', true],
  [null, '0.30.4', false],
  [40, '0.30.4', true],
  [null, '0.31.0', true],
  [null, '1.0.0', true],
  [null, '0.0.0', false],
  [null, 'nightly', false],
])('with %s cached tokens on version %s the count is of the whole prompt: %s', (cachedTokens, version, whole) => {
  expect(countsWhole({ tokens: 10, cachedTokens }, version)).toBe(whole)
})

test('a prompt that fills its window has no room for an answer, whatever the cache', () => {
  expect(cutOf({ tokens: 100, cachedTokens: null }, 100, 1, false)).toMatch(/fills the window/)
  expect(cutOf({ tokens: 99, cachedTokens: null }, 100, 1, false)).toBeNull()
  expect(cutOf({ tokens: null, cachedTokens: null }, 100, 50, true)).toBeNull()
})

test('tokens that a text surely has: one for each word, more for one that no token is as long as', () => {
  expect(tokensAtLeast(['', '   ', '--- ... {}', 'one two\tthree\nfour'])).toBe(4)
  expect(tokensAtLeast(['x'.repeat(1_000)])).toBe(8)
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), (texts) => {
      const sure = tokensAtLeast(texts)
      expect(sure).toBeLessThanOrEqual(texts.reduce((sum, text) => sum + text.length, 0))
      expect(tokensAtLeast([texts.join(' ')])).toBe(sure)
    }),
  )
})
