/** The request that the tests of the Ollama adapter send. */
import type { GenerateRequest } from '../../../src/actors/provider.ts'
import { modelRef } from '../../../src/machines/models.ts'

const MODEL = modelRef.parse({
  alias: 'coder',
  provider: 'ollama',
  model: 'qwen3:8b',
  contextTokens: 8_192,
  outputTokensMax: 512,
  quotaGroup: 'ollama',
  vramGb: 6,
})
type Model = typeof MODEL

export const READ = {
  name: 'read',
  description: 'Reads a file.',
  input: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
}

export const request = (more: Partial<GenerateRequest> = {}, model: Partial<Model> = {}): GenerateRequest => ({
  agent: 'coder',
  item: 'parse',
  turn: 3,
  attempt: 1,
  messages: [
    { role: 'system', content: 'You write code.' },
    { role: 'user', content: 'Say hello.' },
  ],
  tools: [],
  schema: null,
  outputTokensMax: 512,
  model: { ...MODEL, ...model },
  ...more,
})
