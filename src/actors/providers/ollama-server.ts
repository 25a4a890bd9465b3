/**
 * A server of Ollama as the adapter knows it: how it is asked, and what an error of it means.
 *
 *   404 with `model`                          E_MODEL_UNKNOWN
 *   more memory than there is                 E_PROVIDER_REFUSED      to ask again does not help, another model does
 *   does not support tools                    E_PROVIDER_REFUSED      `tools = "text"` helps
 *   longer than the context                   E_CONTEXT_TOO_LARGE     of servers that refuse instead of cutting
 *   anything else                             as failures.ts says: 401 403 | 429 503 529 | other 4xx | other 5xx | connections
 */
import type { Ollama } from 'ollama'
import { Failure } from '../../effect.ts'
import { type Asked, type Refusal, refusalOf } from './failures.ts'
import { OllamaError, type OllamaWatch, ollamaFetch } from './ollama-fetch.ts'
import { socketFetch } from './socket-fetch.ts'

/** Where it is and how it is reached. */
export interface OllamaOptions {
  /** Default `http://127.0.0.1:11434`. */
  readonly baseUrl?: string | undefined
  /** Default: one without times of its own, see socket-fetch.ts. Whoever records gives another. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** As the registry names it. Default `ollama`. */
  readonly name?: string | undefined
  /** For a server behind a proxy. Asked at each call and never kept. Default: none is sent. */
  readonly apiKey?: (() => Promise<string | null>) | undefined
}

export interface OllamaServer {
  readonly name: string
  /** For people, without path and credentials: `ollama at 127.0.0.1:11434`. */
  readonly label: string
  /** The official client, for one request. It has no deadlines of its own: the signal of the watch is its only end. */
  readonly client: (watch: OllamaWatch) => Promise<Ollama>
  /** What went wrong, in our words. */
  readonly refusal: (thrown: unknown, about: { readonly model: string | null; readonly prompt?: () => string }) => Refusal
  /** The same as a {@link Failure}, or that nobody wants the answer any more. */
  readonly failure: (thrown: unknown, signal: AbortSignal, model: string | null) => Failure
}

const BASE_URL = 'http://127.0.0.1:11434'
const NO_MEMORY = /requires more system memory|out of memory|cudaMalloc failed/i
const NO_TOOLS = /does not support tools/i
const TOO_LONG = /longer than the context|exceeds?\b.{0,40}\bcontext|context (?:length|size|window) (?:exceeded|is too small)/i

export function ollamaServer({ baseUrl = BASE_URL, fetch = socketFetch, name = 'ollama', apiKey }: OllamaOptions): OllamaServer {
  const label = URL.canParse(baseUrl) ? `${name} at ${new URL(baseUrl).host}` : name
  const refusal: OllamaServer['refusal'] = (thrown, { model, prompt = () => '' }) => {
    const asked: Asked = { server: label, model, key: null, prompt }
    return refusalOf(known(thrown, asked) ?? asOfFetch(thrown), asked)
  }
  return {
    name,
    label,
    async client(watch) {
      const { Ollama: Client } = await import('ollama')
      const key = await apiKey?.().catch(() => {
        throw new Failure('E_CREDENTIALS_MISSING', 'its key cannot be read')
      })
      const headers = key === undefined || key === null || key.trim() === '' ? {} : { headers: { authorization: `Bearer ${key.trim()}` } }
      return new Client({ host: baseUrl, fetch: ollamaFetch(fetch, watch), ...headers })
    },
    refusal,
    failure(thrown, signal, model) {
      if (signal.aborted) return new Failure('E_ABORTED', 'nobody wants the answer any more')
      const { code, message, retry, retryAfterMs, details } = refusal(thrown, { model })
      return new Failure(code, message, {
        retry,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        ...(details === undefined ? {} : { details }),
      })
    },
  }
}

/** Errors of a socket as a fetch throws them: their codes are no words of the server. */
const asOfFetch = (thrown: unknown): unknown => {
  const { code } = (thrown ?? {}) as { code?: unknown }
  const isSocket = thrown instanceof Error && !(thrown instanceof Failure) && typeof code === 'string'
  return isSocket ? new TypeError('fetch failed', { cause: thrown }) : thrown
}

/** What only a server of Ollama says. Null: nothing of that. */
function known(thrown: unknown, { model }: Asked): Failure | null {
  if (!(thrown instanceof OllamaError)) return null
  const words = thrown.error.message
  const name = model ?? 'the model'
  if (NO_MEMORY.test(words)) return new Failure('E_PROVIDER_REFUSED', `${name} needs more memory than there is`)
  if (TOO_LONG.test(words)) return new Failure('E_CONTEXT_TOO_LARGE', `the prompt does not fit ${name}`)
  if (!NO_TOOLS.test(words)) return null
  return new Failure('E_PROVIDER_REFUSED', `${name} does not support tools`, { details: { hint: `set tools = "text" for ${name}` } })
}
