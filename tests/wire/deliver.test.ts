/** Each fault is on the wire what its name says, seen by plain HTTP. A matrix of faults that never happened would be green for nothing. */
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { waitUntil } from '../harness.ts'
import type { Exchange, Fault } from './exchange.ts'
import { openaiServer } from './openai.ts'
import { closedPort } from './server.ts'

const ANSWER: Exchange = { text: ['one ', 'two ', 'three'], toolCalls: [{ name: 'edit', args: { path: 'a' } }] }
/** How long a client waits that expects nothing more, and one that does. */
const SILENCE_MS = 300
const PATIENCE_MS = 20_000

async function started(fault?: Fault) {
  const server = await openaiServer({ script: () => ({ ...ANSWER, ...(fault === undefined ? {} : { fault }) }) })
  onTestFinished(() => server.close())
  return server
}

/** What a client sees: status and body, and how it ended. It gives up after a while. */
async function seen(url: string, waitMs = PATIENCE_MS) {
  const body = JSON.stringify({ model: 'gpt-4.1', stream: true, messages: [{ role: 'user', content: 'x' }] })
  const chunks: string[] = []
  let status = 0
  let headers = new Headers()
  try {
    const signal = AbortSignal.timeout(waitMs)
    const options = { method: 'POST', headers: { authorization: 'Bearer test-key' }, body, signal, redirect: 'manual' as const }
    const response = await fetch(`${url}/v1/chat/completions`, options)
    status = response.status
    headers = response.headers
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) chunks.push(decoder.decode(chunk, { stream: true }))
    return { status, headers, text: chunks.join(''), pieces: chunks.length, end: 'whole' }
  } catch (error) {
    const { name, cause } = error as Error & { cause?: { code?: string } }
    return { status, headers, text: chunks.join(''), pieces: chunks.length, end: name === 'TimeoutError' ? 'hung' : (cause?.code ?? name) }
  }
}

const DONE = 'data: [DONE]\n\n'
const whole = await (async () => {
  const server = await openaiServer({ script: () => ANSWER })
  const { text } = await seen(server.url)
  await server.close()
  return text
})()

test('a sound answer is whole', () => {
  expect(whole.endsWith(`"finish_reason":"tool_calls"}]}\n\n${DONE}`)).toBe(true)
})

test.each<[string, Fault, { status: number; end: string }, (text: string) => boolean]>([
  ['a silent server', { kind: 'hang', after: 0 }, { status: 0, end: 'hung' }, (text) => text === ''],
  ['a server that falls silent', { kind: 'hang' }, { status: 200, end: 'hung' }, (text) => whole.startsWith(text) && text.length > 100],
  ['a clean cut', { kind: 'cut' }, { status: 200, end: 'whole' }, (text) => whole.startsWith(text) && text.length < whole.length],
  ['a reset', { kind: 'reset' }, { status: 200, end: 'ECONNRESET' }, (text) => whole.startsWith(text) && text.length < whole.length],
  [
    'a garbage line',
    { kind: 'garbage' },
    { status: 200, end: 'whole' },
    (text) => text.includes('"choices":[{"in\n') && text.endsWith(DONE),
  ],
  [
    'a huge line',
    { kind: 'huge', bytes: 3_000_000 },
    { status: 200, end: 'whole' },
    (text) => text.length > 3_000_000 && text.endsWith(DONE),
  ],
  ['an error event', { kind: 'error' }, { status: 200, end: 'whole' }, (text) => text.trimEnd().endsWith('"code":null}}')],
  ['a page', { kind: 'html' }, { status: 200, end: 'whole' }, (text) => text.startsWith('<!DOCTYPE html>')],
  ['an empty body', { kind: 'empty' }, { status: 200, end: 'whole' }, (text) => text === ''],
  ['another shape', { kind: 'schema' }, { status: 200, end: 'whole' }, (text) => !text.includes('choices')],
  ['a second end', { kind: 'twice' }, { status: 200, end: 'whole' }, (text) => text.split(DONE).length === 3],
  ['broken arguments', { kind: 'tool_json' }, { status: 200, end: 'whole' }, (text) => !text.includes('\\"}') && text.endsWith(DONE)],
  ['a slow drip', { kind: 'drip', everyMs: 0, bytes: 100 }, { status: 200, end: 'whole' }, (text) => text === whole],
])('%s', async (_, fault, expected, fits) => {
  const server = await started(fault)
  const { status, text, end } = await seen(server.url, expected.end === 'hung' ? SILENCE_MS : PATIENCE_MS)
  expect({ status, end }).toEqual(expected)
  expect(fits(text), text.slice(0, 2_000)).toBe(true)
})

test('each form of Retry-After is sent as it is written', async () => {
  const date = new Date(Date.now() + 5_000).toUTCString()
  for (const [fault, name, value] of [
    [{ kind: 'status', status: 429, retryAfter: '7' }, 'retry-after', '7'],
    [{ kind: 'status', status: 429, retryAfter: date }, 'retry-after', date],
    [{ kind: 'status', status: 429, retryAfterMs: 1_500 }, 'retry-after-ms', '1500'],
  ] as const) {
    const server = await started(fault)
    const { status, headers } = await seen(server.url)
    expect([status, headers.get(name)]).toEqual([429, value])
  }
})

test('a redirect names its target, and the target is not asked by the server', async () => {
  const target = await started()
  const server = await started({ kind: 'redirect', status: 307, to: `${target.url}/v1/chat/completions` })
  const { status, headers } = await seen(server.url)
  expect([status, headers.get('location'), target.log]).toEqual([307, `${target.url}/v1/chat/completions`, []])
})

test('on a closed port nobody listens', async () => {
  expect((await seen(`http://127.0.0.1:${await closedPort()}`)).end).toBe('ECONNREFUSED')
})

test('the log tells which client did not wait for its answer', async () => {
  const server = await started({ kind: 'hang', after: 0 })
  const body = '{"model":"gpt-4.1","messages":[{"role":"user","content":"x"}]}'
  const socket = connect(server.port, '127.0.0.1')
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test-key\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  await waitUntil('the request is there', () => server.log.length === 1)
  expect(server.log[0]?.ended).toBe(null)
  socket.destroy()
  await waitUntil('the server has seen it go', () => server.log[0]?.ended === 'client')
  expect(server.log[0]?.gone.aborted).toBe(true)
})
