/**
 * Anthropic's Messages API as its servers speak it, for the tests of the adapter.
 *
 *   POST /v1/messages                stream: true -> server-sent events, `event: <type>` and `data: {"type":"<type>",...}`:
 *        message_start, ping, { content_block_start, content_block_delta*, content_block_stop }*, message_delta, message_stop
 *   POST /v1/messages/count_tokens   {"input_tokens":12}
 *   GET  /v1/models                  pages: ?limit=&after_id=
 *
 * Kept from the real one: `input_tokens` leaves cached tokens out; the usage of `message_delta` is cumulative and the last word; an error may come after
 * status 200 as an event; thinking is signed, and a signature that comes back changed is refused (anthropic-rules.ts).
 */
import type { ServerResponse } from 'node:http'
import { invalid, signatureOf } from './anthropic-rules.ts'
import { deliver, refuse, type Spoken, sendJson, waited } from './deliver.ts'
import { type Data, type Exchange, exchanges, type Fault, isData, piecesOf, type Script, usageOf } from './exchange.ts'
import { listen, type Seen, type WireServer } from './server.ts'

export interface AnthropicOptions {
  readonly script?: Script
  /** The key that is accepted. Default: `test-key`. */
  readonly apiKey?: string
  /** Names, newest first. Default: `claude-haiku-4-5`. */
  readonly models?: readonly string[]
  /** What goes wrong with requests that generate nothing: models, count_tokens. */
  readonly faults?: (request: Seen) => Fault | undefined
}

const ERROR_TYPES: { readonly [status: number]: string } = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  503: 'api_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}
const ERROR_TEXTS: { readonly [status: number]: string } = {
  429: 'This request would exceed your organization’s rate limit of 50 requests per minute.',
  500: 'Internal server error',
  529: 'Overloaded',
}
const STOP_REASONS = { stop: 'end_turn', tool_calls: 'tool_use', length: 'max_tokens', refusal: 'refusal' } as const
const JSON_PIECE = 12

/** Starts a server of the Messages API. */
export async function anthropicServer(options: AnthropicOptions = {}): Promise<WireServer> {
  const { script = [], apiKey = 'test-key', models = ['claude-haiku-4-5'], faults } = options
  const next = exchanges(script)
  return listen(async (seen, response) => {
    const id = `req_${String(seen.number).padStart(4, '0')}`
    const failed = (status: number, message?: string): void =>
      sendJson(response, errorBody(id)(status, message), status, { 'request-id': id })
    if (keyOf(seen) !== apiKey) return failed(401, 'invalid x-api-key')
    if (seen.headers['anthropic-version'] === undefined) return failed(400, 'anthropic-version: header is required')
    const isMessage = seen.method === 'POST' && seen.path === '/v1/messages'
    const fault = isMessage ? undefined : faults?.(seen)
    if (fault !== undefined) return play(seen, response, { text: 'x', fault }, id, 1)
    if (seen.method === 'GET' && seen.path === '/v1/models')
      return sendJson(response, pageOf(models, seen.query), 200, { 'request-id': id })
    const { body } = seen
    const isCount = seen.method === 'POST' && seen.path === '/v1/messages/count_tokens'
    if (!isMessage && !isCount) return failed(404, 'Not Found')
    if (!isData(body)) return failed(400, 'The request body is not valid JSON')
    if (!models.includes(String(body['model']))) return failed(404, `model: ${body['model']}`)
    const problem = invalid(isCount ? { max_tokens: 1_000_000, ...body } : body)
    if (problem !== null) return failed(400, problem)
    if (isCount) return sendJson(response, { input_tokens: usageOf({}, promptOf(body)).input }, 200, { 'request-id': id })
    const { nth, exchange } = await next(seen)
    await play(seen, response, exchange, id, nth)
  })
}

/** A key comes in a header of its own, or as a bearer, as this version of the client sends it. */
const keyOf = ({ headers }: Seen): unknown => headers['x-api-key'] ?? headers.authorization?.replace(/^Bearer /, '')

async function play(seen: Seen, response: ServerResponse, exchange: Exchange, id: string, nth: number): Promise<void> {
  const { fault, delayMs } = exchange
  const headers = { 'request-id': id, ...exchange.headers }
  if (fault !== undefined && refuse(response, fault, errorBody(id), headers)) return
  if (!(await waited(seen, delayMs))) return
  const body = isData(seen.body) ? seen.body : {}
  await deliver(seen, response, { ...speak(exchange, body, id, nth), headers }, fault)
}

function speak(exchange: Exchange, body: Data, id: string, nth: number): Omit<Spoken, 'headers'> {
  const usage = tokensOf(exchange, body)
  const finish = exchange.finish ?? (exchange.toolCalls === undefined || exchange.toolCalls.length === 0 ? 'stop' : 'tool_calls')
  const message = {
    id: `msg_${String(nth).padStart(4, '0')}`,
    type: 'message',
    role: 'assistant',
    model: body['model'],
    stop_sequence: null,
  }
  const odd = {
    garbage: event('content_block_delta', '{"type":"content_block_delta","index":0,"del'),
    huge: (bytes: number) => delta(0, { type: 'text_delta', text: 'x'.repeat(bytes) }),
    error: event('error', JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' }, request_id: id })),
  }
  const blocks = blocksOf(exchange, nth)
  if (body['stream'] !== true) {
    const text = JSON.stringify({ ...message, content: blocks, stop_reason: STOP_REASONS[finish], usage })
    const pieces = [text.slice(0, text.length >> 1), text.slice(text.length >> 1)]
    return { ...odd, contentType: 'application/json', pieces, closing: 2, schema: [JSON.stringify({ completion: ' hello', stop: null })] }
  }
  const start = { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } }
  return {
    ...odd,
    contentType: 'text/event-stream; charset=utf-8',
    pieces: [
      sse({ type: 'message_start', message: start }),
      sse({ type: 'ping' }),
      ...blocks.flatMap((block, index) => streamed(block, index, exchange)),
      sse({ type: 'message_delta', delta: { stop_reason: STOP_REASONS[finish], stop_sequence: null }, usage }),
      sse({ type: 'message_stop' }),
    ],
    closing: 2,
    schema: [sse({ type: 'completion', completion: ' hello', stop_reason: null })],
  }
}

function blocksOf({ thinking, toolCalls = [], ...rest }: Exchange, nth: number): Data[] {
  const text = piecesOf(rest).join('')
  return [
    ...(thinking === undefined ? [] : [{ type: 'thinking', thinking, signature: signatureOf(thinking) }]),
    ...(text === '' ? [] : [{ type: 'text', text }]),
    ...toolCalls.map(({ id, name, args }, index) => ({ type: 'tool_use', id: id ?? `toolu_${nth}_${index + 1}`, name, input: args })),
  ]
}

/** One block as events. */
function streamed(block: Data, index: number, exchange: Exchange): string[] {
  const begin = (content: Data): string => sse({ type: 'content_block_start', index, content_block: content })
  const end = sse({ type: 'content_block_stop', index })
  if (block['type'] === 'thinking') {
    const { thinking, signature } = block
    const begun = begin({ type: 'thinking', thinking: '', signature: '' })
    return [begun, delta(index, { type: 'thinking_delta', thinking }), delta(index, { type: 'signature_delta', signature }), end]
  }
  if (block['type'] === 'text') {
    const pieces = piecesOf(exchange).map((text) => delta(index, { type: 'text_delta', text }))
    return [begin({ type: 'text', text: '' }), ...pieces, end]
  }
  const json = JSON.stringify(block['input'])
  const sent = exchange.fault?.kind === 'tool_json' ? json.slice(0, -2) : json === '{}' ? '' : json
  const pieces = ['', ...(sent.match(new RegExp(`.{1,${JSON_PIECE}}`, 'gsu')) ?? [])]
  return [begin({ ...block, input: {} }), ...pieces.map((piece) => delta(index, { type: 'input_json_delta', partial_json: piece })), end]
}

const delta = (index: number, change: Data): string => sse({ type: 'content_block_delta', index, delta: change })
const event = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`
const sse = (data: Data & { readonly type: string }): string => event(data.type, JSON.stringify(data))

function tokensOf(exchange: Exchange, body: Data): Data {
  const { input, output, cacheRead, cacheWrite, reasoning } = usageOf(exchange, promptOf(body))
  return {
    input_tokens: input - cacheRead - cacheWrite,
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cacheRead,
    output_tokens: output,
    ...(reasoning > 0 ? { output_tokens_details: { thinking_tokens: reasoning } } : {}),
  }
}

const promptOf = ({ system, messages, tools }: Data): unknown => [system, messages, tools]

const errorBody =
  (id: string) =>
  (status: number, message?: string): Data => ({
    type: 'error',
    error: { type: ERROR_TYPES[status] ?? 'api_error', message: message ?? ERROR_TEXTS[status] ?? 'Internal server error' },
    request_id: id,
  })

function pageOf(models: readonly string[], query: URLSearchParams): Data {
  const start = models.indexOf(query.get('after_id') ?? '') + 1
  const page = models.slice(start, start + Number(query.get('limit') ?? 20))
  const data = page.map((id) => ({
    type: 'model',
    id,
    display_name: id,
    created_at: '2025-09-29T00:00:00Z',
    max_input_tokens: 200_000,
    max_tokens: 64_000,
  }))
  return { data, has_more: start + page.length < models.length, first_id: page[0] ?? null, last_id: page.at(-1) ?? null }
}
