/**
 * Claude, through Anthropic's official client. Each call is one attempt: the client's retries are off, it follows no redirect, and it has no time of its own.
 *
 *   api.anthropic.com   POST /v1/messages (always streamed)   POST /v1/messages/count_tokens   GET /v1/models
 *
 * What is sent: the conversation, the tools, the shape of the answer, and `idempotency-key`. Nothing of the environment but what the client itself reads
 * (`ANTHROPIC_CUSTOM_HEADERS`).
 */
import type { MessageCreateParamsStreaming, RawMessageStreamEvent } from '@anthropic-ai/sdk/resources/messages'
import { HOST_TIMER_MS_MAX } from '../../limits.ts'
import type { GenerateRequest, OfferedModel, Provider } from '../provider.ts'
import { anthropicAnswer } from './anthropic-answer.ts'
import { anthropicPrompt } from './anthropic-request.ts'
import { asked, exchange, type Seam, type Server } from './exchange.ts'
import { anthropicFormat } from './schema-answer.ts'

export interface AnthropicOptions {
  /** Asked at each call and never kept. Null: there is none. */
  readonly apiKey: () => Promise<string | null>
  /** Default: `https://api.anthropic.com`. */
  readonly baseUrl?: string | undefined
  /** Default: the global one, as it is at each call. Whoever records gives another. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Default: `anthropic`. Thoughts are signed for it: another name is another provider. */
  readonly name?: string | undefined
}

const LAST = /^event: ?message_stop/m
/** Pages of models that are asked for at most, of a thousand each. */
const MODEL_PAGES_MAX = 20

/** A provider. The client is loaded with the first call. */
export function anthropic({ apiKey, baseUrl = 'https://api.anthropic.com', fetch, name = 'anthropic' }: AnthropicOptions): Provider {
  const server: Server = { name, baseUrl, apiKey, isKeyless: false, fetch }
  return {
    name,
    simulated: false,
    generate: (request, options) =>
      exchange<RawMessageStreamEvent>(server, request, options, {
        answer: (told) => anthropicAnswer(name, request.turn, told),
        open: async (seam) => {
          const client = await clientOf(server, seam)
          return client.messages.create(await paramsOf(request, name), { signal: seam.signal, ...headersOf(request) })
        },
        last: LAST,
      }),
    models: (signal) => asked(server, signal, async (seam) => modelsOf(await clientOf(server, seam), signal)),
    countTokens: (request, signal) =>
      asked(
        server,
        signal,
        async (seam) => {
          const client = await clientOf(server, seam)
          return (await client.messages.countTokens(anthropicPrompt(request, name), { signal })).input_tokens
        },
        request.model?.model,
      ),
  }
}

/** For one call: it holds the key no longer than that. */
async function clientOf({ baseUrl }: Server, { key, fetch }: Seam) {
  const { Anthropic } = await import('@anthropic-ai/sdk')
  return new Anthropic({
    apiKey: key,
    baseURL: baseUrl,
    fetch,
    fetchOptions: { redirect: 'error' },
    maxRetries: 0,
    // Its time ends at the headers, so a stream that stalls would hang all the same: deadlines are the engine's.
    timeout: HOST_TIMER_MS_MAX,
    // It prints lines that it cannot read, and they may hold a prompt.
    logLevel: 'off',
    openTelemetry: false,
  })
}

async function paramsOf(request: GenerateRequest, name: string): Promise<MessageCreateParamsStreaming> {
  const { transformJSONSchema } = await import('@anthropic-ai/sdk/lib/transform-json-schema')
  const prompt = anthropicPrompt(request, name)
  const format = anthropicFormat(request.schema, transformJSONSchema)
  const temperature = prompt.thinking === undefined ? (request.model?.temperature ?? null) : null
  return {
    ...prompt,
    max_tokens: request.outputTokensMax,
    stream: true,
    ...(format === null ? {} : { output_config: { format } }),
    ...(temperature === null ? {} : { temperature: Math.min(1, temperature) }),
  }
}

const headersOf = ({ key }: GenerateRequest) => (key === undefined ? {} : { headers: { 'idempotency-key': key } })

async function modelsOf(client: Awaited<ReturnType<typeof clientOf>>, signal: AbortSignal): Promise<readonly OfferedModel[]> {
  const models: OfferedModel[] = []
  let pages = 0
  for await (const page of (await client.models.list({ limit: 1_000 }, { signal })).iterPages()) {
    models.push(
      ...page.data.map(({ id, max_input_tokens }) => ({
        model: id,
        contextTokens: max_input_tokens ?? null,
        loaded: null,
        sizeBytes: null,
      })),
    )
    pages += 1
    if (pages === MODEL_PAGES_MAX) break
  }
  return models
}
