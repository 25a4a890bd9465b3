/** Streams of events between the network and the official clients: any cut, any speed, one result; and connections that are used again. */
import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import type { Provider } from '../../../src/actors/provider.ts'
import { anthropic } from '../../../src/actors/providers/anthropic.ts'
import { openaiCompatible } from '../../../src/actors/providers/openai-compatible.ts'
import { waitUntil } from '../../harness.ts'
import { anthropicServer } from '../../wire/anthropic.ts'
import type { Exchange } from '../../wire/exchange.ts'
import { openaiServer } from '../../wire/openai.ts'
import { listen } from '../../wire/server.ts'
import { ask, EDIT, KEY, modelOf, requestOf } from './asking.ts'

type Fetch = typeof globalThis.fetch
interface Adapter {
  readonly serve: (exchange: Exchange) => Promise<{ readonly url: string; readonly close: () => Promise<void> }>
  readonly provider: (url: string, fetch?: Fetch) => Provider
  readonly model: ReturnType<typeof modelOf>
}
const ADAPTERS: { readonly [name: string]: Adapter } = {
  anthropic: {
    serve: (exchange) => anthropicServer({ apiKey: KEY, script: [exchange] }),
    provider: (url, fetch) => anthropic({ apiKey: async () => KEY, baseUrl: url, fetch }),
    model: modelOf('anthropic', 'claude-haiku-4-5', { thinkingTokens: 1_024 }),
  },
  openai: {
    serve: (exchange) => openaiServer({ apiKey: KEY, script: [exchange] }),
    provider: (url, fetch) => openaiCompatible({ name: 'local', apiKey: async () => KEY, baseUrl: `${url}/v1`, fetch }),
    model: modelOf('local', 'gpt-4.1'),
  },
}
const EXCHANGE: Exchange = { thinking: 'Hm… 🤔', text: ['I mënd\n', '\n', 'it. 🎭'], toolCalls: [EDIT], usage: { input: 9, output: 5 } }

/** The bytes of one answer, and what becomes of them whole. */
async function recorded({ serve, provider, model }: Adapter) {
  const server = await serve(EXCHANGE)
  onTestFinished(() => server.close())
  let bytes = new Uint8Array()
  const fetch: Fetch = async (input, init) => {
    const response = await globalThis.fetch(input, init)
    bytes = new Uint8Array(await response.arrayBuffer())
    return new Response(bytes, response)
  }
  const { result } = await ask(provider(server.url, fetch), requestOf(model))
  if (!result.ok) throw new Error(result.message)
  return { bytes, message: result.message }
}

/** An answer in these chunks. */
const inChunks = (chunks: readonly Uint8Array[]): Fetch => {
  return async () => new Response(ReadableStream.from(chunks), { headers: { 'content-type': 'text/event-stream' } })
}

test.each(Object.entries(ADAPTERS))(
  '%s: however the bytes are cut into chunks, with LF or CRLF, the answer is the same',
  async (_, adapter) => {
    const { bytes, message } = await recorded(adapter)
    const crlf = Buffer.from(Buffer.from(bytes).toString('utf8').replaceAll('\n', '\r\n'))
    const cuts = fc.uniqueArray(fc.nat(bytes.length), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(cuts, fc.boolean(), async (at, isCrlf) => {
        const whole = isCrlf ? crlf : bytes
        const ends = [...at.toSorted((a, b) => a - b), whole.length]
        const chunks = ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end))
        const { result } = await ask(adapter.provider('http://127.0.0.1:9', inChunks(chunks)), requestOf(adapter.model))
        expect(result).toMatchObject({ ok: true, message })
      }),
      { numRuns: process.env['TROUPE_NIGHTLY'] === undefined ? 25 : 2_000 },
    )
  },
)

test.each(Object.entries(ADAPTERS))(
  '%s: a stream that ends anywhere before its last event is no answer, and never half a tool call',
  async (_, adapter) => {
    const { bytes } = await recorded(adapter)
    const text = Buffer.from(bytes).toString('latin1')
    const last = Math.max(text.indexOf('event: message_stop'), text.indexOf('data: [DONE]'))
    await fc.assert(
      fc.asyncProperty(fc.nat(last), async (end) => {
        const { result } = await ask(adapter.provider('http://127.0.0.1:9', inChunks([bytes.subarray(0, end)])), requestOf(adapter.model))
        expect(result).toMatchObject({ ok: false, code: 'E_PROVIDER_OUTPUT', retry: 'backoff' })
      }),
      { numRuns: process.env['TROUPE_NIGHTLY'] === undefined ? 25 : 2_000 },
    )
  },
)

test.each(Object.entries(ADAPTERS))('%s: bytes that drip over a real connection are the same answer', async (_, adapter) => {
  const { message } = await recorded(adapter)
  const server = await adapter.serve({ ...EXCHANGE, fault: { kind: 'drip', everyMs: 0, bytes: 7 } })
  onTestFinished(() => server.close())
  expect((await ask(adapter.provider(server.url), requestOf(adapter.model))).result).toMatchObject({ ok: true, message })
})

test('one event of 2 MB in pieces of 64 bytes costs its length, not the square of it', async () => {
  const text = 'x'.repeat(2_000_000)
  const chunk = { choices: [{ index: 0, delta: { content: text }, finish_reason: 'stop' }] }
  const body = Buffer.from(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`)
  const pieces = Array.from({ length: Math.ceil(body.length / 64) }, (_, index) => body.subarray(index * 64, index * 64 + 64))
  const { provider, model } = ADAPTERS['openai'] as Adapter
  const { result } = await ask(provider('http://127.0.0.1:9', inChunks(pieces)), requestOf(model))
  expect(result).toMatchObject({ ok: true, message: { content: text } })
})

/** A server of one answer that says how its connections are used. */
async function connections(end: (response: ServerResponse) => void) {
  const ports: (number | undefined)[] = []
  const server = await listen(async (_, response) => {
    ports.push(response.socket?.remotePort)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'ok' }, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`,
    )
    end(response)
  })
  onTestFinished(() => server.close())
  const { provider, model } = ADAPTERS['openai'] as Adapter
  return { server, ports, told: async () => (await ask(provider(server.url), requestOf(model))).result }
}

test('connections are used again, also where the end of a body comes after its last event', async () => {
  const { ports, told, server } = await connections((response) => void setTimeout(() => response.end(), 20))
  const isUsedAgain = (): boolean => new Set(ports).size < ports.length
  while (ports.length < 10 && !isUsedAgain()) {
    expect(await told()).toMatchObject({ ok: true })
    await waitUntil('the exchange has ended', () => server.log.at(-1)?.ended !== null)
  }
  expect(isUsedAgain()).toBe(true)
})

test('a server that does not close after its last event keeps nobody waiting, and is left soon', async () => {
  const { server, told } = await connections(() => {})
  expect(await told()).toMatchObject({ ok: true, message: { content: 'ok' } })
  await waitUntil('its connection is closed', () => server.log[0]?.ended === 'client')
})
