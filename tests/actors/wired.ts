/** The three adapters, each before a server that plays a script: what a test of the team over the wire needs of them. */

import type { Provider } from '../../src/actors/provider.ts'
import { anthropic } from '../../src/actors/providers/anthropic.ts'
import { ollama } from '../../src/actors/providers/ollama.ts'
import { openaiCompatible } from '../../src/actors/providers/openai-compatible.ts'
import type { TeamModels } from '../../src/actors/team.ts'
import { type Chain, type ModelRef, modelRef } from '../../src/machines/models.ts'
import { anthropicServer } from '../wire/anthropic.ts'
import type { Script } from '../wire/exchange.ts'
import { ollamaServer } from '../wire/ollama.ts'
import { openaiServer } from '../wire/openai.ts'
import type { WireServer } from '../wire/server.ts'

export const ADAPTERS = ['ollama', 'anthropic', 'openai-compatible'] as const
export type AdapterName = (typeof ADAPTERS)[number]

/** What the servers let in. No real key: nobody outside the loopback is ever asked. */
const TEST_KEY = 'test-key-of-nobody'
const MODEL = 'some-model'
const key = async (): Promise<string> => TEST_KEY

/** A model of this adapter's server. */
export const wiredModel = (adapter: AdapterName, more: Partial<ModelRef> = {}): ModelRef =>
  modelRef.parse({
    alias: adapter,
    provider: adapter,
    model: adapter === 'ollama' ? 'qwen3:8b' : MODEL,
    contextTokens: 64_000,
    quotaGroup: adapter,
    ...(adapter === 'ollama' ? { vramGb: 8, price: { input: 0, output: 0, basis: 'local' } } : { price: { input: 3, output: 15 } }),
    retry: { maxAttempts: 3, baseDelayMs: 1, maxDelayMs: 10 },
    ...more,
  })

/** The same chain for all agents. */
export const sameForAll = (chain: Chain): TeamModels => ({
  chains: { orchestrator: chain, coder: chain, reviewer: chain, optimizer: chain },
  contextTokensMax: { orchestrator: 64_000, coder: 64_000, reviewer: 64_000, optimizer: 64_000 },
})

export async function serverOf(adapter: AdapterName, script: Script): Promise<WireServer> {
  if (adapter === 'ollama') return ollamaServer({ script })
  return adapter === 'anthropic'
    ? anthropicServer({ script, apiKey: TEST_KEY, models: [MODEL] })
    : openaiServer({ script, apiKey: TEST_KEY, models: [MODEL] })
}

/** The adapter, as a program makes it. `fetch` is the seam of tapes. */
export function providerOf(adapter: AdapterName, url: string, fetch: typeof globalThis.fetch = globalThis.fetch): Provider {
  if (adapter === 'ollama') return ollama({ baseUrl: url, fetch })
  if (adapter === 'anthropic') return anthropic({ apiKey: key, baseUrl: url, fetch })
  return openaiCompatible({ name: 'openai-compatible', apiKey: key, baseUrl: `${url}/v1`, fetch })
}
