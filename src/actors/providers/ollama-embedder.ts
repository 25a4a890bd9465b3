/**
 * Vectors of texts, from a model of an Ollama server. A text that is longer than the model takes is refused, not cut: `truncate: false`.
 *
 *   texts ── 32 at a time ── POST /api/embed ── as many vectors, of one length, of numbers ── in the order of the texts
 */
import { Failure } from '../../effect.ts'
import type { Embedder } from '../memory/embedder.ts'
import { type OllamaOptions, ollamaServer } from './ollama-server.ts'

/** Texts of one request. */
const BATCH = 32

/** Rejects with a {@link Failure}. Its vectors' length is known after the first text. */
export function ollamaEmbedder({ model, ...options }: OllamaOptions & { readonly model: string }): Embedder {
  const server = ollamaServer(options)
  let dimensions: number | null = null
  const embedSome = async (input: readonly string[], signal: AbortSignal): Promise<readonly number[][]> => {
    const client = await server.client({ signal, isStream: false })
    const { embeddings } = await client.embed({ model, input: [...input], truncate: false })
    const length = vectorLength(embeddings, input.length)
    if (dimensions !== null && dimensions !== length)
      throw new Failure('E_PROVIDER_OUTPUT', `${model} gave vectors of ${length} numbers, and of ${dimensions} before`)
    dimensions = length
    return embeddings
  }
  return {
    name: `${server.name}/${model}`,
    get dimensions() {
      return dimensions
    },
    async embed(texts, signal) {
      const vectors: number[][] = []
      try {
        for (let at = 0; at < texts.length; at += BATCH) vectors.push(...(await embedSome(texts.slice(at, at + BATCH), signal)))
        return vectors
      } catch (thrown) {
        throw server.failure(thrown, signal, model)
      }
    },
  }
}

/** The one length of all vectors. @throws {Failure} `E_PROVIDER_OUTPUT` */
function vectorLength(vectors: unknown, count: number): number {
  const isVector = (one: unknown): one is number[] => Array.isArray(one) && one.length > 0 && one.every((part) => Number.isFinite(part))
  if (!Array.isArray(vectors) || vectors.length !== count || !vectors.every(isVector))
    throw new Failure('E_PROVIDER_OUTPUT', 'sent something else than a vector for each text', { retry: 'backoff' })
  const lengths = new Set(vectors.map(({ length }) => length))
  if (lengths.size !== 1) throw new Failure('E_PROVIDER_OUTPUT', 'sent vectors of several lengths', { retry: 'backoff' })
  return [...lengths][0] ?? 0
}
