/**
 * Answers of models that are kept: the same question is not paid for twice. Off unless it is asked for, because a model that is asked again may do better.
 *
 *   key = SHA-256 of { provider, model, parameters, messages, tools, schema } as JSON with sorted names
 *
 *   - only an answer that ended well is kept: `stop`, `tool_calls`
 *   - an answer from here says so (`cached`), and has used nothing: 0 tokens, 0 USD
 *   - within one process a call that has had its answer is not given it again: whoever asks once more with the same key (a new attempt) could not use it.
 *     After a crash it is: the answer was paid for, and perhaps nobody has seen it
 *   - who the agent is, the turn, the attempt and the price do not count
 *   - simulated providers are not kept: their answers cost nothing, and depend on more than the question
 */
import { createHash } from 'node:crypto'
import { canonical } from '../machines/fingerprint.ts'
import type { GenerateOptions, GenerateRequest, GenerateResult, Message, Provider } from './provider.ts'

/** `read`: nothing is added. `write`: nothing is given; what is kept gets newer. */
export type CacheMode = 'off' | 'read' | 'write' | 'readwrite'

/** What is kept of an answer. */
export interface CachedAnswer {
  readonly message: Message
  readonly finish: 'stop' | 'tool_calls'
  /** Who has answered. */
  readonly provider: string
  readonly model: string | null
}

/** The port. Neither ever rejects: a cache that fails is a cache that has nothing. */
export interface ResponseCache {
  readonly mode: CacheMode
  /** Null where there is none, or none that is valid. */
  get(key: string): Promise<CachedAnswer | null>
  put(key: string, answer: CachedAnswer): Promise<void>
}

const CALLS_MAX = 10_000

/** The key of a request to this provider. */
export function cacheKey(provider: string, { model, messages, tools, schema, outputTokensMax }: GenerateRequest): string {
  const asked = {
    v: 1,
    provider,
    model: model?.model ?? null,
    parameters: {
      contextTokens: model?.contextTokens ?? null,
      outputTokensMax,
      temperature: model?.temperature ?? null,
      thinkingTokens: model?.thinkingTokens ?? null,
      tools: model?.tools ?? null,
    },
    messages,
    tools,
    schema,
  }
  return createHash('sha256').update(canonical(asked)).digest('hex')
}

/** The provider, with answers from a cache where it has them. With mode `off`, and around a simulated one, it is the provider itself. */
export function wrapCache(provider: Provider, cache: ResponseCache): Provider {
  if (cache.mode === 'off' || provider.simulated) return provider
  const reads = cache.mode === 'read' || cache.mode === 'readwrite'
  const writes = cache.mode === 'write' || cache.mode === 'readwrite'
  const answered = new Answered()
  const generate = async (request: GenerateRequest, options: GenerateOptions): Promise<GenerateResult> => {
    const key = cacheKey(provider.name, request)
    if (reads && !answered.has(request.key)) {
      const found = await cache.get(key)
      if (found !== null && !options.signal.aborted) {
        answered.add(request.key)
        return given(found, options)
      }
    }
    const result = await provider.generate(request, options)
    if (!result.ok || (result.finish !== 'stop' && result.finish !== 'tool_calls')) return result
    answered.add(request.key)
    // Before the answer goes on: whoever has used it finds it again after a crash.
    const { message, finish } = result
    if (writes) await cache.put(key, { message, finish, provider: provider.name, model: request.model?.model ?? null })
    return result
  }
  return {
    name: provider.name,
    simulated: false,
    generate,
    ...(provider.models === undefined ? {} : { models: (signal) => provider.models!(signal) }),
    ...(provider.countTokens === undefined ? {} : { countTokens: (request, signal) => provider.countTokens!(request, signal) }),
  }
}

function given({ message, finish }: CachedAnswer, options: GenerateOptions): GenerateResult {
  options.started?.()
  if (message.content !== '') options.progress({ text: message.content })
  return { ok: true, message, finish, usage: { inputTokens: 0, outputTokens: 0, costUsd: 0 }, cached: true }
}

/** Calls that have had an answer in this process; the newest of them. */
class Answered {
  readonly #keys = new Set<string>()

  has(key: string | undefined): boolean {
    return key !== undefined && this.#keys.has(key)
  }

  add(key: string | undefined): void {
    if (key === undefined) return
    this.#keys.add(key)
    if (this.#keys.size <= CALLS_MAX) return
    const [oldest] = this.#keys
    if (oldest !== undefined) this.#keys.delete(oldest)
  }
}
