/** An answer that is cut at any byte is no answer: nothing is made of its beginning, least of all a tool call. `TROUPE_NIGHTLY=1` cuts at each byte. */
import { expect, onTestFinished, test } from 'vitest'
import { modelRef } from '../../../src/machines/models.ts'
import { PROVIDERS, SOUND } from './fault-cases.ts'
import { MODELS, providerOf, serverOf } from './fault-providers.ts'

/** A prime: cuts fall into the middle of names, numbers, escapes and characters of two bytes. */
const STEP_BYTES = process.env['TROUPE_NIGHTLY'] === '1' ? 1 : 29
const WHOLE_BYTES_MAX = 20_000

test.each(PROVIDERS)('%s: an answer that is cut after any number of bytes is refused, until it is whole', async (name) => {
  let afterBytes = 0
  const server = await serverOf(name, () => ({ ...SOUND, fault: { kind: 'cut', afterBytes } }))
  onTestFinished(() => server.close())
  const provider = providerOf(name, server.url)
  const model = modelRef.parse({ alias: 'it', provider: name, model: MODELS[name], contextTokens: 32_000, quotaGroup: name })
  const tools = [{ name: 'edit', description: 'edits', input: { type: 'object', properties: {} } }]
  const messages = [{ role: 'user' as const, content: 'Mend the greeting.' }]
  const asked = { agent: 'coder', item: null, turn: 1, attempt: 1, messages, tools, schema: null, outputTokensMax: 999, model }
  const codes = new Set<string>()
  for (; afterBytes < WHOLE_BYTES_MAX; afterBytes += STEP_BYTES) {
    const result = await provider.generate(asked, { signal: AbortSignal.timeout(20_000), progress: () => undefined })
    if (!result.ok) {
      codes.add(result.code)
      continue
    }
    const { content, toolCalls } = result.message
    expect({ content, calls: toolCalls?.map(({ name: tool, args }) => ({ name: tool, args })) }).toEqual({
      content: 'I mend the greeting now.',
      calls: SOUND.toolCalls,
    })
    break
  }
  expect([...codes]).toEqual(['E_PROVIDER_OUTPUT'])
  expect(afterBytes, 'bytes of the first cut that took nothing away').toBeGreaterThan(500)
  expect(afterBytes).toBeLessThan(WHOLE_BYTES_MAX)
})
