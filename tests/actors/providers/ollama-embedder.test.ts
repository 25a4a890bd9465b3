/** Vectors of texts, what a model can do, and the version, from a server of Ollama. */
import { expect, test } from 'vitest'
import { ollamaEmbedder } from '../../../src/actors/providers/ollama-embedder.ts'
import { ollamaVersion, probeModel } from '../../../src/actors/providers/ollama-models.ts'
import type { Fault } from '../../wire/exchange.ts'
import { stage } from './ollama-stage.ts'

const models = [
  { name: 'nomic-embed-text', capabilities: ['embedding'] as const },
  { name: 'qwen3:8b', contextLength: 32_768 },
  { name: 'gemma3:4b', capabilities: ['completion'] as const },
]
const { signal } = new AbortController()

test('each text has its vector, in order and in several requests, and the length is known after the first', async () => {
  const { server } = await stage({ models })
  const embedder = ollamaEmbedder({ baseUrl: server.url, model: 'nomic-embed-text' })
  expect([embedder.name, embedder.dimensions]).toEqual(['ollama/nomic-embed-text', null])
  const texts = Array.from({ length: 70 }, (_, index) => `text ${index % 35}`)
  const vectors = await embedder.embed(texts, signal)
  expect(vectors).toHaveLength(70)
  expect(vectors.slice(0, 35)).toEqual(vectors.slice(35))
  expect(embedder.dimensions).toBe(vectors[0]?.length)
  const sent = server.log.map(({ body }) => body as { input: string[]; truncate: boolean })
  expect(sent.map(({ input, truncate }) => [input.length, truncate])).toEqual([
    [32, false],
    [32, false],
    [6, false],
  ])
  expect(await embedder.embed([], signal)).toEqual([])
})

test.each<[string, Fault, string]>([
  ['another shape', { kind: 'schema' }, 'E_PROVIDER_OUTPUT'],
  ['a page', { kind: 'html' }, 'E_PROVIDER_OUTPUT'],
  ['nothing', { kind: 'empty' }, 'E_PROVIDER_OUTPUT'],
  ['a reset', { kind: 'reset' }, 'E_PROVIDER_UNREACHABLE'],
  ['429', { kind: 'status', status: 429 }, 'E_PROVIDER_OVERLOADED'],
])('instead of vectors %s is a failure', async (_, fault, code) => {
  const { server } = await stage({ models, faults: () => fault })
  const embedder = ollamaEmbedder({ baseUrl: server.url, model: 'nomic-embed-text' })
  await expect(embedder.embed(['a'], signal)).rejects.toMatchObject({ name: 'Failure', code })
})

test('vectors that nobody waits for are not waited for', async () => {
  const { server } = await stage({ models, faults: () => ({ kind: 'hang', after: 0 }) })
  const controller = new AbortController()
  const vectors = ollamaEmbedder({ baseUrl: server.url, model: 'nomic-embed-text' }).embed(['a'], controller.signal)
  controller.abort()
  await expect(vectors).rejects.toMatchObject({ code: 'E_ABORTED' })
})

test('P20 a model is asked what it can do, without being loaded', async () => {
  const { server } = await stage({ models })
  const probe = (model: string) => probeModel({ baseUrl: server.url, model }, signal)
  expect(await probe('qwen3:8b')).toEqual({ tools: 'native', contextTokens: 32_768 })
  expect(await probe('gemma3:4b')).toMatchObject({ tools: 'text' })
  expect(await probe('nomic-embed-text')).toMatchObject({ tools: 'none' })
  await expect(probe('no-such')).rejects.toMatchObject({ code: 'E_MODEL_UNKNOWN' })
  expect(server.loaded.size).toBe(0)
  expect(await ollamaVersion({ baseUrl: server.url }, signal)).toBe('0.12.6')
})
