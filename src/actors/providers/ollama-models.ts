/**
 * What an Ollama server offers, and what one of its models can do.
 *
 *   GET /api/tags    all models, with their sizes         POST /api/show   one: its context, its capabilities
 *   GET /api/ps      those in memory                      GET /api/version
 */
import type { OfferedModel } from '../provider.ts'
import { contextOf, isSame } from './ollama-load.ts'
import { type OllamaOptions, type OllamaServer, ollamaServer } from './ollama-server.ts'

/** How a model calls tools: by the protocol, as text that is parsed, or not at all since it cannot chat. */
export interface ProbedModel {
  readonly tools: 'native' | 'text' | 'none'
  /** Null: the server does not say. */
  readonly contextTokens: number | null
}

/** Models that are asked about at once. */
const SHOWN_AT_ONCE = 4

/** All models of a server, by name. Rejects with a {@link Failure} where it cannot be asked. */
export async function offeredModels(server: OllamaServer, signal: AbortSignal): Promise<readonly OfferedModel[]> {
  try {
    const client = await server.client({ signal, isStream: false })
    const [{ models }, running] = await Promise.all([client.list(), client.ps()])
    const offered: OfferedModel[] = []
    for (let at = 0; at < models.length; at += SHOWN_AT_ONCE) {
      const some = models.slice(at, at + SHOWN_AT_ONCE).map(async ({ name, size }) => ({
        model: name,
        contextTokens: contextOf(await client.show({ model: name }).catch(() => ({}))),
        loaded: running.models.some((one) => isSame(one.name, name)),
        sizeBytes: typeof size === 'number' ? size : null,
      }))
      offered.push(...(await Promise.all(some)))
    }
    return offered.sort((one, other) => (one.model < other.model ? -1 : 1))
  } catch (thrown) {
    throw server.failure(thrown, signal, null)
  }
}

/** The version of a server. Rejects with a {@link Failure} where it cannot be asked. */
export async function ollamaVersion(options: OllamaOptions, signal: AbortSignal): Promise<string> {
  const server = ollamaServer(options)
  try {
    return (await (await server.client({ signal, isStream: false })).version()).version
  } catch (thrown) {
    throw server.failure(thrown, signal, null)
  }
}

/**
 * What a model says that it can do; nothing is generated and nothing is loaded. Weak models may promise more than they keep: their calls are then salvaged.
 * Rejects with a {@link Failure}.
 */
export async function probeModel(
  { model, ...options }: OllamaOptions & { readonly model: string },
  signal: AbortSignal,
): Promise<ProbedModel> {
  const server = ollamaServer(options)
  try {
    const shown = await (await server.client({ signal, isStream: false })).show({ model })
    const capabilities: readonly string[] = Array.isArray(shown.capabilities) ? shown.capabilities : ['completion']
    const tools = capabilities.includes('tools') ? 'native' : capabilities.includes('completion') ? 'text' : 'none'
    return { tools, contextTokens: contextOf(shown) }
  } catch (thrown) {
    throw server.failure(thrown, signal, model)
  }
}
