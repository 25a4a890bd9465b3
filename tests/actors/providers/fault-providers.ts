/** The adapters of the matrix, each with the server that speaks its wire format. */
import type { Provider } from '../../../src/actors/provider.ts'
import { anthropic } from '../../../src/actors/providers/anthropic.ts'
import { ollama } from '../../../src/actors/providers/ollama.ts'
import { openaiCompatible } from '../../../src/actors/providers/openai-compatible.ts'
import { anthropicServer } from '../../wire/anthropic.ts'
import type { Script } from '../../wire/exchange.ts'
import { ollamaServer } from '../../wire/ollama.ts'
import { openaiServer } from '../../wire/openai.ts'
import type { WireServer } from '../../wire/server.ts'
import type { ProviderName } from './fault-cases.ts'

export const MODELS: { readonly [provider in ProviderName]: string } = {
  anthropic: 'claude-haiku-4-5',
  'openai-compatible': 'gpt-4.1',
  ollama: 'qwen3:8b',
}

/** The path that generates. */
export const PATHS: { readonly [provider in ProviderName]: string } = {
  anthropic: '/v1/messages',
  'openai-compatible': '/v1/chat/completions',
  ollama: '/api/chat',
}

/** A server of this provider's format. */
export function serverOf(provider: ProviderName, script: Script): Promise<WireServer> {
  if (provider === 'anthropic') return anthropicServer({ script })
  return provider === 'ollama' ? ollamaServer({ script, models: [{ name: MODELS.ollama, loaded: true }] }) : openaiServer({ script })
}

/** The adapter, at this server. */
export function providerOf(provider: ProviderName, url: string): Provider {
  const apiKey = async (): Promise<string> => 'test-key'
  if (provider === 'anthropic') return anthropic({ apiKey, baseUrl: url })
  if (provider === 'ollama') return ollama({ baseUrl: url })
  return openaiCompatible({ name: provider, apiKey, baseUrl: `${url}/v1` })
}
