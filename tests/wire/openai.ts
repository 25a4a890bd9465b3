/**
 * Chat completions as OpenAI and the many servers like it speak them, for the tests of the adapter.
 *
 *   POST /v1/chat/completions   stream: true -> `data: {chunk}` and at last `data: [DONE]`
 *        {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
 *        {"choices":[{"index":0,"delta":{"content":"Hel"},..}]}
 *        {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"edit","arguments":""}}]},..}]}
 *        {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"pa"}}]},..}]}       id and name only once, pieces by index
 *        {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
 *        {"choices":[],"usage":{..}}                                                                            only where stream_options.include_usage
 *   GET  /v1/models
 */
import type { ServerResponse } from 'node:http'
import { deliver, refuse, type Spoken, sendJson, waited } from './deliver.ts'
import { type Data, type Exchange, exchanges, type Fault, isData, listOf, piecesOf, type Script, usageOf } from './exchange.ts'
import { listen, type Seen, type WireServer } from './server.ts'

export interface OpenAiOptions {
  readonly script?: Script
  /** The key that is accepted; null: none is needed, as with servers of one's own. Default: `test-key`. */
  readonly apiKey?: string | null
  /** Default: `gpt-4.1`. */
  readonly models?: readonly string[]
  /** What goes wrong with requests that generate nothing: models. */
  readonly faults?: (request: Seen) => Fault | undefined
}

const ERRORS: { readonly [status: number]: { readonly type: string; readonly code: string | null; readonly message: string } } = {
  400: { type: 'invalid_request_error', code: null, message: 'Invalid request' },
  401: { type: 'invalid_request_error', code: 'invalid_api_key', message: 'Incorrect API key provided.' },
  403: { type: 'invalid_request_error', code: null, message: 'You are not allowed to do this.' },
  404: { type: 'invalid_request_error', code: 'model_not_found', message: 'The model does not exist or you do not have access to it.' },
  429: {
    type: 'requests',
    code: 'rate_limit_exceeded',
    message: 'Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1.',
  },
  500: { type: 'server_error', code: null, message: 'The server had an error while processing your request. Sorry about that!' },
  503: { type: 'server_error', code: null, message: 'The engine is currently overloaded, please try again later' },
}
const FINISH_REASONS = { stop: 'stop', tool_calls: 'tool_calls', length: 'length', refusal: 'content_filter' } as const
const CREATED = 1_767_323_045
const JSON_PIECE = 12

/** Starts a server of chat completions. Its base URL is `<url>/v1`. */
export async function openaiServer(options: OpenAiOptions = {}): Promise<WireServer> {
  const { script = [], apiKey = 'test-key', models = ['gpt-4.1'], faults } = options
  const next = exchanges(script)
  return listen(async (seen, response) => {
    const id = `req_${String(seen.number).padStart(4, '0')}`
    const failed = (status: number, message?: string): void =>
      sendJson(response, errorBody(status, message), status, { 'x-request-id': id })
    if (apiKey !== null && seen.headers.authorization !== `Bearer ${apiKey}`) return failed(401)
    const isChat = seen.method === 'POST' && seen.path === '/v1/chat/completions'
    const fault = isChat ? undefined : faults?.(seen)
    if (fault !== undefined) return play(seen, response, { text: 'x', fault }, id)
    if (seen.method === 'GET' && seen.path === '/v1/models') {
      const data = models.map((model) => ({ id: model, object: 'model', created: CREATED, owned_by: 'system' }))
      return sendJson(response, { object: 'list', data }, 200, { 'x-request-id': id })
    }
    const { body } = seen
    if (!isChat) return failed(404, `Unknown request URL: ${seen.method} ${seen.path}`)
    if (!isData(body)) return failed(400, 'We could not parse the JSON body of your request.')
    if (!models.includes(String(body['model'])))
      return failed(404, `The model \`${body['model']}\` does not exist or you do not have access to it.`)
    const problem = invalid(body)
    if (problem !== null) return failed(400, problem)
    const { exchange } = await next(seen)
    await play(seen, response, exchange, id)
  })
}

async function play(seen: Seen, response: ServerResponse, exchange: Exchange, id: string): Promise<void> {
  const { fault, delayMs } = exchange
  const headers = { 'x-request-id': id, ...exchange.headers }
  if (fault !== undefined && refuse(response, fault, errorBody, headers)) return
  if (!(await waited(seen, delayMs))) return
  const body = isData(seen.body) ? seen.body : {}
  await deliver(seen, response, { ...speak(exchange, body, `chatcmpl-${seen.number}`), headers }, fault)
}

/** Why the request is refused, or null: a call without its result, and what is not there. */
function invalid(body: Data): string | null {
  const messages = listOf(body['messages'])
  if (messages.length === 0) return "Missing required parameter: 'messages'."
  for (const [index, message] of messages.entries()) {
    const before = messages[index - 1]
    if (message['role'] === 'tool' && before?.['role'] !== 'tool' && listOf(before?.['tool_calls']).length === 0) {
      return "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
    }
    const after = messages.slice(index + 1)
    const end = after.findIndex((next) => next['role'] !== 'tool')
    const given = (end === -1 ? after : after.slice(0, end)).map((next) => next['tool_call_id'])
    const missing = listOf(message['tool_calls']).filter((call) => !given.includes(call['id']))
    if (missing.length > 0) {
      return `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${missing.map((call) => call['id']).join(', ')}`
    }
  }
  return null
}

function speak(exchange: Exchange, body: Data, id: string): Omit<Spoken, 'headers'> {
  const calls = (exchange.toolCalls ?? []).map((call, index) => ({
    ...call,
    id: call.id ?? `call_${id}_${index + 1}`,
    json: jsonOf(call.args, exchange),
  }))
  const finish = FINISH_REASONS[exchange.finish ?? (calls.length === 0 ? 'stop' : 'tool_calls')]
  const base = { id, created: CREATED, model: body['model'], system_fingerprint: 'fp_44709d6fcb' }
  const chunk = (rest: Data): string => `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', ...rest })}\n\n`
  const delta = (change: Data, reason: string | null = null): string =>
    chunk({ choices: [{ index: 0, delta: change, logprobs: null, finish_reason: reason }] })
  const odd = {
    garbage: 'data: {"id":"chatcmpl-1","choices":[{"in\n\n',
    huge: (bytes: number) => delta({ content: 'x'.repeat(bytes) }),
    error: `data: ${JSON.stringify(errorBody(500))}\n\n`,
  }
  const usage = tokensOf(exchange, body)
  const content = piecesOf(exchange).join('')
  if (body['stream'] !== true) {
    const toolCalls = calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.json } }))
    const message = {
      role: 'assistant',
      content: content === '' ? null : content,
      refusal: null,
      ...(calls.length > 0 ? { tool_calls: toolCalls } : {}),
    }
    const text = JSON.stringify({
      ...base,
      object: 'chat.completion',
      choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
      usage,
    })
    const pieces = [text.slice(0, text.length >> 1), text.slice(text.length >> 1)]
    return { ...odd, contentType: 'application/json', pieces, closing: 2, schema: [JSON.stringify({ output: [], object: 'response' })] }
  }
  const wantsUsage = isData(body['stream_options']) && body['stream_options']['include_usage'] === true
  return {
    ...odd,
    contentType: 'text/event-stream; charset=utf-8',
    pieces: [
      delta({ role: 'assistant', content: content === '' ? null : '' }),
      ...(exchange.thinking === undefined ? [] : [delta({ reasoning_content: exchange.thinking })]),
      ...piecesOf(exchange).map((text) => delta({ content: text })),
      ...calls.flatMap((call, index) => streamed(call, index).map((tool) => delta({ tool_calls: [tool] }))),
      delta({}, finish),
      ...(wantsUsage ? [chunk({ choices: [], usage })] : []),
      'data: [DONE]\n\n',
    ],
    closing: wantsUsage ? 3 : 2,
    schema: [`data: ${JSON.stringify({ type: 'response.output_text.delta', delta: 'hello' })}\n\n`, 'data: [DONE]\n\n'],
  }
}

function streamed(call: { readonly id: string; readonly name: string; readonly json: string }, index: number): Data[] {
  const pieces = call.json.match(new RegExp(`.{1,${JSON_PIECE}}`, 'gsu')) ?? []
  const begin = { index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } }
  return [begin, ...pieces.map((piece) => ({ index, function: { arguments: piece } }))]
}

function jsonOf(args: Data, { fault }: Exchange): string {
  const json = JSON.stringify(args)
  return fault?.kind === 'tool_json' ? json.slice(0, -2) : json
}

function tokensOf(exchange: Exchange, body: Data): Data {
  const { input, output, cacheRead, cacheWrite, reasoning } = usageOf(exchange, [body['messages'], body['tools']])
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cacheRead, ...(cacheWrite > 0 ? { cache_write_tokens: cacheWrite } : {}) },
    completion_tokens_details: { reasoning_tokens: reasoning },
  }
}

function errorBody(status: number, message?: string): Data {
  const { type, code, message: text } = ERRORS[status] ?? { type: 'server_error', code: null, message: `status ${status}` }
  return { error: { message: message ?? text, type, param: null, code } }
}
