/**
 * Any server that speaks OpenAI's chat completions, through OpenAI's official client: OpenAI itself, vLLM, llama.cpp, LM Studio, OpenRouter, LiteLLM and many
 * more. Each call is one attempt: the client's retries are off, it follows no redirect, and it has no time of its own.
 *
 *   <baseUrl>   POST /chat/completions (always streamed)   GET /models
 *
 * What is sent: the conversation, the tools, the shape of the answer, and `idempotency-key`. No organisation or project of the environment; the client
 * itself reads `OPENAI_CUSTOM_HEADERS`.
 */
import type { ChatCompletionChunk } from 'openai/resources'
import { HOST_TIMER_MS_MAX } from '../../limits.ts'
import type { OfferedModel, Provider } from '../provider.ts'
import { asked, exchange, type Seam, type Server } from './exchange.ts'
import { openaiAnswer } from './openai-answer.ts'
import { openaiParams } from './openai-request.ts'

export interface OpenaiCompatibleOptions {
  /** As the registry names it. */
  readonly name: string
  /** Asked at each call and never kept. Null: none is sent; many local servers want none. */
  readonly apiKey: () => Promise<string | null>
  /** With its version: `http://localhost:8000/v1`. */
  readonly baseUrl: string
  /** Default: the global one, as it is at each call. Whoever records gives another. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

const LAST = /^data: ?\[DONE\]/m
/** Names that servers give to the size of a context in their lists. It is not part of OpenAI's API. */
const CONTEXT_KEYS = ['context_length', 'max_model_len', 'context_window', 'max_context_length'] as const

/** A provider. The client is loaded with the first call. */
export function openaiCompatible({ name, apiKey, baseUrl, fetch }: OpenaiCompatibleOptions): Provider {
  const host = URL.canParse(baseUrl) ? new URL(baseUrl).hostname : ''
  const server: Server = { name, baseUrl, apiKey, isKeyless: host !== 'api.openai.com', fetch }
  return {
    name,
    simulated: false,
    generate: (request, options) =>
      exchange<ChatCompletionChunk>(server, request, options, {
        answer: (told) => openaiAnswer(request, told),
        open: async (seam) => {
          const client = await clientOf(server, seam)
          const headers = request.key === undefined ? {} : { headers: { 'idempotency-key': request.key } }
          return client.chat.completions.create(openaiParams(request, host), { signal: seam.signal, ...headers })
        },
        last: LAST,
      }),
    models: (signal) =>
      asked(server, signal, async (seam) => {
        const page = await (await clientOf(server, seam)).models.list({ signal })
        return page.data.map((model) => offered(model))
      }),
  }
}

/** For one call: it holds the key no longer than that. */
async function clientOf({ baseUrl }: Server, { key, fetch }: Seam) {
  const { OpenAI } = await import('openai')
  return new OpenAI({
    // It insists on one; without a key no header is sent.
    apiKey: key ?? 'none',
    ...(key === null ? { defaultHeaders: { authorization: null } } : {}),
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    baseURL: baseUrl,
    fetch,
    fetchOptions: { redirect: 'error' },
    maxRetries: 0,
    // Its time ends at the headers, so a stream that stalls would hang all the same: deadlines are the engine's.
    timeout: HOST_TIMER_MS_MAX,
    // It prints lines that it cannot read, and they may hold a prompt.
    logLevel: 'off',
  })
}

function offered(model: { readonly id: string }): OfferedModel {
  const said = model as { readonly id: string } & Partial<Record<(typeof CONTEXT_KEYS)[number], unknown>>
  const contextTokens = CONTEXT_KEYS.map((key) => said[key]).find((size) => Number.isInteger(size) && Number(size) > 0)
  return { model: said.id, contextTokens: typeof contextTokens === 'number' ? contextTokens : null, loaded: null, sizeBytes: null }
}
