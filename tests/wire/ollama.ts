/**
 * Ollama's HTTP API as its server speaks it, for the tests of the adapter: one JSON object a line.
 *
 *   POST /api/chat    {"model":..,"created_at":..,"message":{"role":"assistant","content":"Hel"},"done":false}
 *                     {"model":..,"created_at":..,"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":2,..}
 *   GET  /api/tags, /api/ps, /api/version        POST /api/show, /api/embed, /api/generate (without a prompt: loads, and answers when the model is there)
 *
 * Kept from the real one, because clients stumble over it: tool calls come in a line of their own and the last line still says `stop`; a prompt longer than
 * `num_ctx` (4,096 where it is not sent) is cut silently, which only `prompt_eval_count` shows; a model that is being loaded sends no headers until it is there;
 * another `num_ctx` than before, and it is loaded again.
 */
import type { ServerResponse } from 'node:http'
import { deliver, refuse, type Spoken, sendJson, waited } from './deliver.ts'
import { type Data, type Exchange, exchanges, type Fault, isData, listOf, piecesOf, type Script, usageOf } from './exchange.ts'
import {
  CONTEXT_LENGTH,
  CREATED_AT,
  embedded,
  fullName,
  type InMemory,
  NUM_CTX_DEFAULT,
  type OllamaModel,
  pageOf,
  shown,
} from './ollama-models.ts'
import { listen, type Seen, type WireServer } from './server.ts'

export interface OllamaOptions {
  readonly script?: Script
  /** Default: `qwen3:8b`. */
  readonly models?: readonly OllamaModel[]
  /** What goes wrong with requests that generate nothing: tags, show, ps, version, embed. */
  readonly faults?: (request: Seen) => Fault | undefined
  /** Default `0.12.6`. */
  readonly version?: string
}

export interface OllamaServer extends WireServer {
  /** Which models are in memory, by their full names. */
  readonly loaded: ReadonlyMap<string, number | null>
}

const STATUS_TEXTS: { readonly [status: number]: string } = {
  429: 'too many requests',
  500: 'llama runner process has terminated: exit status 2',
  503: 'server busy, please try again.  maximum pending requests exceeded',
}

/** Starts an Ollama server. */
export async function ollamaServer(options: OllamaOptions = {}): Promise<OllamaServer> {
  const { script = [], models = [{ name: 'qwen3:8b' }], faults, version = '0.12.6' } = options
  const next = exchanges(script)
  const known = new Map(models.map((model) => [fullName(model.name), model]))
  const loaded: InMemory = new Map(models.filter((model) => model.loaded).map((model) => [fullName(model.name), null]))
  const server = await listen(async (seen, response) => {
    const route = `${seen.method} ${seen.path}`
    const fault = route === 'POST /api/chat' ? undefined : faults?.(seen)
    if (fault !== undefined) return broken(seen, response, fault)
    if (route === 'POST /api/chat') return chat({ seen, response, known, loaded, next })
    if (seen.method === 'GET') {
      const page = pageOf(seen.path, [...known.values()], loaded, version)
      return page === null ? nowhere(response) : sendJson(response, page)
    }
    const model = known.get(fullName(nameIn(seen.body)))
    if (model === undefined) return unknown(response, nameIn(seen.body))
    if (route === 'POST /api/show') return sendJson(response, shown(model))
    if (route === 'POST /api/generate') return generate({ seen, response, loaded }, model)
    if (route === 'POST /api/embed') return sendJson(response, embedded(model, seen.body))
    nowhere(response)
  })
  return { ...server, loaded }
}

interface Chat {
  readonly seen: Seen
  readonly response: ServerResponse
  readonly known: ReadonlyMap<string, OllamaModel>
  readonly loaded: InMemory
  readonly next: ReturnType<typeof exchanges>
}

async function chat({ seen, response, known, loaded, next }: Chat): Promise<void> {
  const { body } = seen
  if (!isData(body)) return sendJson(response, { error: 'invalid character in request body' }, 400)
  const model = known.get(fullName(nameIn(body)))
  if (model === undefined) return unknown(response, nameIn(body))
  const refused = unable(model, body)
  if (refused !== null) return sendJson(response, { error: refused }, 400)
  const wantsLoad = listOf(body['messages']).length === 0
  const { exchange } = wantsLoad ? { exchange: {} as Exchange } : await next(seen)
  const { fault } = exchange
  if (fault !== undefined && refuse(response, fault, errorBody, {})) return
  if (!(await load(seen, model, loaded)) || !(await waited(seen, exchange.delayMs))) return
  const spoken = { ...speak(exchange, model.name, body), headers: exchange.headers ?? {} }
  await deliver(seen, response, spoken, fault)
  if (unloads(body)) loaded.delete(fullName(model.name))
}

const unloads = ({ keep_alive: keepAlive }: Data): boolean => keepAlive === 0 || keepAlive === '0' || keepAlive === '0s'

/** False when the client did not wait for it. */
async function load(seen: Seen, model: OllamaModel, loaded: InMemory): Promise<boolean> {
  const { name, loadMs = 0 } = model
  const window = Math.min(windowIn(seen.body), model.contextLength ?? CONTEXT_LENGTH)
  const held = loaded.get(fullName(name))
  if (held === null || held === window) {
    loaded.set(fullName(name), window)
    return true
  }
  loaded.delete(fullName(name))
  if (loadMs === 'never') return false
  if (!(await waited(seen, loadMs))) return false
  loaded.set(fullName(name), window)
  return true
}

const windowIn = (body: unknown): number => {
  const options = isData(body) && isData(body['options']) ? body['options'] : {}
  return typeof options['num_ctx'] === 'number' ? options['num_ctx'] : NUM_CTX_DEFAULT
}

/** Only as far as it loads a model. */
async function generate({ seen, response, loaded }: Pick<Chat, 'seen' | 'response' | 'loaded'>, model: OllamaModel): Promise<void> {
  if (isData(seen.body) && seen.body['prompt']) return sendJson(response, { error: 'this server generates by chat alone' }, 501)
  if (!(await load(seen, model, loaded))) return
  sendJson(response, { model: model.name, created_at: CREATED_AT, response: '', done: true, done_reason: 'load' })
}

/** What the model cannot do. */
function unable({ name, capabilities = ['completion', 'tools', 'thinking'] }: OllamaModel, body: Data): string | null {
  if (listOf(body['tools']).length > 0 && !capabilities.includes('tools'))
    return `registry.ollama.ai/library/${name} does not support tools`
  if (body['think'] && !capabilities.includes('thinking')) return `"${name}" does not support thinking`
  return capabilities.includes('completion') ? null : `"${name}" does not support chat`
}

function speak(exchange: Exchange, model: string, body: Data): Omit<Spoken, 'headers'> {
  const streams = body['stream'] !== false
  const line = (message: Data, rest: Data = { done: false }): string =>
    `${JSON.stringify({ model, created_at: CREATED_AT, message: { role: 'assistant', content: '', ...message }, ...rest })}${streams ? '\n' : ''}`
  const end = { done: true, done_reason: doneReason(exchange, body), ...metricsOf(exchange, body) }
  const thinking = exchange.thinking === undefined ? {} : { thinking: exchange.thinking }
  const calls = callsOf(exchange)
  const whole = line({ content: piecesOf(exchange).join(''), ...thinking, ...calls }, end)
  const lines = [
    ...(exchange.thinking === undefined ? [] : [line(thinking)]),
    ...piecesOf(exchange).map((content) => line({ content })),
    ...(calls.tool_calls === undefined ? [] : [line(calls)]),
    line({}, end),
  ]
  return {
    contentType: streams ? 'application/x-ndjson' : 'application/json; charset=utf-8',
    pieces: streams ? lines : halves(whole),
    closing: streams ? 1 : 2,
    garbage: '{"model":"qwen3:8b","created_at":"2026-\n',
    huge: (bytes) => line({ content: 'x'.repeat(bytes) }),
    error: `${JSON.stringify({ error: 'an error was encountered while running the model: unexpected EOF' })}\n`,
    schema: [`${JSON.stringify({ model, reply: 'hello', done: 'yes' })}\n`],
  }
}

/** Without messages the model is only loaded, or thrown out. */
function doneReason({ finish }: Exchange, body: Data): string {
  if (listOf(body['messages']).length === 0) return unloads(body) ? 'unload' : 'load'
  return finish === 'length' ? 'length' : 'stop'
}

/** Arguments are an object here; broken ones are the text that a model wrote instead. */
function callsOf({ toolCalls = [], fault }: Exchange): { readonly tool_calls?: readonly Data[] } {
  if (toolCalls.length === 0) return {}
  const args = (value: Data): unknown => (fault?.kind === 'tool_json' ? JSON.stringify(value).slice(0, -2) : value)
  return { tool_calls: toolCalls.map((call, index) => ({ function: { index, name: call.name, arguments: args(call.args) } })) }
}

function metricsOf(exchange: Exchange, body: Data): Data {
  const { input, output } = usageOf(exchange, [body['messages'], body['tools']])
  const numCtx = windowIn(body)
  return {
    total_duration: 1_200_000_000,
    load_duration: 100_000_000,
    prompt_eval_count: Math.min(input, numCtx),
    prompt_eval_duration: 200_000_000,
    eval_count: output,
    eval_duration: 900_000_000,
  }
}

const halves = (text: string): string[] => [text.slice(0, text.length >> 1), text.slice(text.length >> 1)]

function broken(seen: Seen, response: ServerResponse, fault: Fault): Promise<void> | void {
  if (refuse(response, fault, errorBody, {})) return
  const spoken = { ...speak({ text: 'x' }, 'x', { stream: false }), headers: {} }
  return deliver(seen, response, spoken, fault)
}

function nowhere(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found')
}

const nameIn = (body: unknown): string => (isData(body) ? String(body['model'] ?? body['name'] ?? '') : '')
const unknown = (response: ServerResponse, name: string): void => sendJson(response, { error: `model '${name}' not found` }, 404)
const errorBody = (status: number, message?: string): Data => ({ error: message ?? STATUS_TEXTS[status] ?? `status ${status}` })
