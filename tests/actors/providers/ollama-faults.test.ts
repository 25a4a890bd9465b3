/**
 * Everything that can go wrong with a call of Ollama, on a real socket: which failure it is, what may help, and that nothing else happens.
 */
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, test, vi } from 'vitest'
import { ollama } from '../../../src/actors/providers/ollama.ts'
import { ANSWER_EVENT_BYTES_MAX } from '../../../src/limits.ts'
import type { Exchange, Fault } from '../../wire/exchange.ts'
import { closedPort } from '../../wire/server.ts'
import { READ, request } from './ollama-request.ts'
import { stage, until } from './ollama-stage.ts'

const ANSWER: Exchange = { text: ['Hel', 'lo', '.', ' I', ' am', ' here.'], usage: { input: 20, output: 6 } }
const failed = (code: string, retry: string, more: object = {}) => ({ ok: false, code, retry, ...more })
const inTwoMinutes = new Date(Date.now() + 120_000).toUTCString()

const printed: unknown[] = []
for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const)
  vi.spyOn(console, method).mockImplementation((...words: unknown[]) => void printed.push([method, ...words]))
afterEach(() => {
  expect(printed.splice(0)).toEqual([])
})

test.each<[string, Fault, object]>([
  ['429 with seconds', { kind: 'status', status: 429, retryAfter: '7' }, failed('E_PROVIDER_OVERLOADED', 'after', { retryAfterMs: 7_000 })],
  [
    '429 with milliseconds',
    { kind: 'status', status: 429, retryAfterMs: 1_500 },
    failed('E_PROVIDER_OVERLOADED', 'after', { retryAfterMs: 1_500 }),
  ],
  ['429 with a date', { kind: 'status', status: 429, retryAfter: inTwoMinutes }, failed('E_PROVIDER_OVERLOADED', 'after')],
  ['503, too many requests wait', { kind: 'status', status: 503 }, failed('E_PROVIDER_OVERLOADED', 'backoff')],
  ['500, the runner has died', { kind: 'status', status: 500 }, failed('E_PROVIDER_UNREACHABLE', 'backoff')],
  [
    '500, not enough memory',
    { kind: 'status', status: 500, message: 'model requires more system memory (9.3 GiB) than is available (4.1 GiB)' },
    failed('E_PROVIDER_REFUSED', 'never', { message: expect.stringMatching(/qwen3:8b needs more memory than there is/) }),
  ],
  ['400', { kind: 'status', status: 400, message: 'invalid options: num_ctx' }, failed('E_PROVIDER_REFUSED', 'never')],
  [
    '400, of a server that refuses instead of cutting',
    { kind: 'status', status: 400, message: 'the prompt is longer than the context length currently available to the model' },
    failed('E_CONTEXT_TOO_LARGE', 'never'),
  ],
  ['404, no such model', { kind: 'status', status: 404, message: "model 'qwen3:8b' not found" }, failed('E_MODEL_UNKNOWN', 'never')],
  ['a stream that is cut', { kind: 'cut' }, failed('E_PROVIDER_OUTPUT', 'backoff', { message: expect.stringMatching(/in the middle$/) })],
  ['a stream without its last line', { kind: 'cut', after: -1 }, failed('E_PROVIDER_OUTPUT', 'backoff')],
  [
    'an empty stream',
    { kind: 'empty' },
    failed('E_PROVIDER_OUTPUT', 'backoff', { message: expect.stringMatching(/before its first word$/) }),
  ],
  ['a reset', { kind: 'reset' }, failed('E_PROVIDER_UNREACHABLE', 'backoff')],
  ['a line that is no JSON', { kind: 'garbage' }, failed('E_PROVIDER_OUTPUT', 'backoff')],
  ['a line that is too long', { kind: 'huge', bytes: 2 * ANSWER_EVENT_BYTES_MAX }, failed('E_PROVIDER_OUTPUT', 'backoff')],
  ['JSON of another shape', { kind: 'schema' }, failed('E_PROVIDER_OUTPUT', 'backoff')],
  ['an error in the stream', { kind: 'error' }, failed('E_PROVIDER_UNREACHABLE', 'backoff')],
  ['the page of a proxy', { kind: 'html' }, failed('E_PROVIDER_OUTPUT', 'backoff')],
])('%s is one failure of one request, and prints nothing', async (_, fault, failure) => {
  const { generate, chats } = await stage({ script: [{ ...ANSWER, fault }] })
  expect(await generate()).toMatchObject(failure)
  expect(chats()).toHaveLength(1)
})

test.each<[string, Fault]>([
  ['the last line twice', { kind: 'twice' }],
  ['bytes that come one by one', { kind: 'drip', everyMs: 0, bytes: 7 }],
])('%s is no fault', async (_, fault) => {
  const { generate } = await stage({ script: [{ ...ANSWER, fault }] })
  expect(await generate()).toMatchObject({
    ok: true,
    message: { content: 'Hello. I am here.' },
    usage: { inputTokens: 20, outputTokens: 6 },
  })
})

test('what an attempt has cost is told although it failed', async () => {
  const { generate } = await stage({ script: [{ ...ANSWER, fault: { kind: 'cut', after: 4 } }] })
  expect(await generate()).toMatchObject({ ok: false, usage: { inputTokens: 5, outputTokens: 4, costUsd: null, estimated: true } })
})

test('a call with broken arguments is no answer: no part of it can run', async () => {
  const toolCalls = [{ name: 'read', args: { path: 'a.ts' } }]
  const { generate } = await stage({ script: [{ text: 'I look.', toolCalls, fault: { kind: 'tool_json' } }] })
  const result = await generate(request({ tools: [READ] }))
  expect(result).toMatchObject(failed('E_PROVIDER_OUTPUT', 'backoff', { message: expect.stringMatching(/arguments of a tool call/) }))
  expect(result).not.toHaveProperty('message.toolCalls')
})

test.each<[string, Exchange, object]>([
  ['nothing in it', { text: '' }, failed('E_PROVIDER_OUTPUT', 'backoff')],
  ['thoughts alone, up to its limit', { thinking: 'Hm. Hm.', finish: 'length' }, failed('E_PROVIDER_OUTPUT', 'never')],
])('an answer with %s is not usable', async (_, exchange, failure) => {
  const { generate } = await stage({ script: [exchange] })
  expect(await generate()).toMatchObject(failure)
})

test('a model that does not support tools is told with what helps', async () => {
  const { generate } = await stage({ models: [{ name: 'qwen3:8b', loaded: true, capabilities: ['completion'] }] })
  expect(await generate(request({ tools: [READ] }))).toMatchObject({
    code: 'E_PROVIDER_REFUSED',
    details: { hint: 'set tools = "text" for qwen3:8b' },
  })
})

test.each([301, 302, 307, 308])('a redirect %i is refused, and the prompt goes to nobody else', async (status) => {
  const other = await stage()
  const { generate, chats } = await stage({ script: [{ fault: { kind: 'redirect', status, to: `${other.server.url}/api/chat` } }] })
  expect(await generate()).toMatchObject(failed('E_PROVIDER_REFUSED', 'never', { message: expect.stringMatching(/redirect/) }))
  expect(chats()).toHaveLength(1)
  expect(other.server.log).toEqual([])
})

test('a redirect is refused with the fetch of Node, too', async () => {
  const other = await stage()
  const fault: Fault = { kind: 'redirect', status: 307, to: `${other.server.url}/api/chat` }
  const { generate } = await stage({ script: [{ fault }] }, { fetch: globalThis.fetch })
  expect(await generate()).toMatchObject(failed('E_PROVIDER_REFUSED', 'never'))
  expect(other.server.log).toEqual([])
})

test('nobody listens: it says where', async () => {
  const port = await closedPort()
  const provider = ollama({ baseUrl: `http://127.0.0.1:${port}` })
  const result = await provider.generate(request(), { signal: new AbortController().signal, progress: () => {} })
  expect(result).toMatchObject(
    failed('E_PROVIDER_UNREACHABLE', 'backoff', { message: `no connection to ollama at 127.0.0.1:${port} (ECONNREFUSED)` }),
  )
})

test.each<[string, number]>([
  ['before its headers', 0],
  ['in the middle of its answer', 3],
])('the server sees an abort while it hangs %s', async (_, after) => {
  const { call, server } = await stage({ script: [{ ...ANSWER, fault: { kind: 'hang', after } }] })
  const { result, said, abort } = call()
  const chat = () => server.log.find(({ path }) => path === '/api/chat')
  await until('it hangs', () => chat() !== undefined && said.length === 1 + after)
  abort()
  expect(await result).toMatchObject(failed('E_ABORTED', 'never'))
  await until('the server knows', () => chat()?.ended === 'client')
})

test('a line that never ends is read up to its bound, and then its connection is closed', async () => {
  let sent = 0
  const piece = Buffer.alloc(65_536, 'x')
  const server = createServer((asked, answer) => {
    if (asked.url !== '/api/chat') return void answer.writeHead(404).end()
    answer.writeHead(200, { 'content-type': 'application/x-ndjson' })
    const send = (): void => {
      while (!answer.destroyed && answer.write(piece)) sent += piece.length
      sent += piece.length
    }
    answer.on('drain', send)
    send()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const result = await ollama({ baseUrl: `http://127.0.0.1:${port}` }).generate(request(), {
    signal: new AbortController().signal,
    progress: () => {},
  })
  await new Promise((resolve) => server.close(resolve))
  expect(result).toMatchObject(
    failed('E_PROVIDER_OUTPUT', 'backoff', { message: expect.stringMatching(/a line of the answer has more than/) }),
  )
  expect(sent).toBeLessThan(ANSWER_EVENT_BYTES_MAX + SOCKET_BYTES)
})
/** What is on its way in the buffers of two sockets. */
const SOCKET_BYTES = 12_000_000

test('a process prints nothing of its own, whatever a server sends: pages, garbage, errors without JSON', async () => {
  const script: Exchange[] = [
    { ...ANSWER, fault: { kind: 'garbage' } },
    { ...ANSWER, fault: { kind: 'html' } },
  ]
  const { server } = await stage({ script })
  const child = join(import.meta.dirname, 'ollama-quiet.child.ts')
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [child, server.url, server.url, `${server.url}/nowhere`])
  expect({ codes: JSON.parse(stdout), stderr }).toEqual({
    codes: ['E_PROVIDER_OUTPUT', 'E_PROVIDER_OUTPUT', 'E_PROVIDER_REFUSED'],
    stderr: '',
  })
})
