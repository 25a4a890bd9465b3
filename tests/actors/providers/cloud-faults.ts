/**
 * What each fault of a server becomes, for every adapter whose answers are streams of events. One row, one test: the class, one request and no more (the
 * clients' retries are off), a bounded time, nothing printed, and neither key nor prompt in what is told.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import type { GenerateResult, Provider } from '../../../src/actors/provider.ts'
import { RETRY_AFTER_MS_MAX } from '../../../src/limits.ts'
import type { ModelRef } from '../../../src/machines/models.ts'
import { waitUntil } from '../../harness.ts'
import type { Exchange, Fault, Script } from '../../wire/exchange.ts'
import { closedPort, listen, type WireServer } from '../../wire/server.ts'
import { ask, CANARY, EDIT, KEY, requestOf } from './asking.ts'

/** One adapter with its server. */
export interface Subject {
  readonly model: ModelRef
  readonly serve: (script: Script) => Promise<WireServer>
  readonly provider: (url: string, key?: string) => Provider
  /** What an error event in the middle of its stream is. */
  readonly midStream: { readonly code: string; readonly retry: string }
  /** A failure in the middle of an answer says what the prompt has cost. */
  readonly isCostKnownEarly: boolean
}

const never = (code: string) => ({ code, retry: 'never' })
const backoff = (code: string) => ({ code, retry: 'backoff' })
const after = (retryAfterMs: number) => ({ code: 'E_PROVIDER_OVERLOADED', retry: 'after', retryAfterMs })
const status = (code: number, more: Partial<Extract<Fault, { kind: 'status' }>> = {}): Fault => ({ kind: 'status', status: code, ...more })

const TABLE: {
  readonly [what: string]: readonly [Fault, { readonly code: string; readonly retry: string; readonly retryAfterMs?: number }]
} = {
  '429 with seconds': [status(429, { retryAfter: '7' }), after(7_000)],
  '429 with milliseconds': [status(429, { retryAfter: '7', retryAfterMs: 1_500 }), after(1_500)],
  '429 with a wait of a year': [status(429, { retryAfter: '31536000' }), after(RETRY_AFTER_MS_MAX)],
  '429 without a word': [status(429), backoff('E_PROVIDER_OVERLOADED')],
  '503 with seconds': [status(503, { retryAfter: '2' }), after(2_000)],
  529: [status(529), backoff('E_PROVIDER_OVERLOADED')],
  500: [status(500), backoff('E_PROVIDER_UNREACHABLE')],
  504: [status(504), backoff('E_PROVIDER_UNREACHABLE')],
  400: [status(400), never('E_PROVIDER_REFUSED')],
  413: [status(413), never('E_PROVIDER_REFUSED')],
  422: [status(422), never('E_PROVIDER_REFUSED')],
  401: [status(401, { message: `Incorrect API key provided: ${KEY}` }), never('E_CREDENTIALS_REJECTED')],
  403: [status(403), never('E_CREDENTIALS_REJECTED')],
  '404 of a model': [status(404, { message: 'model: nobody' }), never('E_MODEL_UNKNOWN')],
  'a prompt that does not fit': [
    status(400, { message: 'prompt is too long: 200001 tokens > 200000 maximum' }),
    never('E_CONTEXT_TOO_LARGE'),
  ],
  'a refusal that quotes prompt and key': [status(400, { message: `bad: "${CANARY}" by ${KEY}` }), never('E_PROVIDER_REFUSED')],
  'a stream that is cut cleanly': [{ kind: 'cut' }, backoff('E_PROVIDER_OUTPUT')],
  'a stream that is cut before its last event': [{ kind: 'cut', after: -1 }, backoff('E_PROVIDER_OUTPUT')],
  'a line that is no JSON': [{ kind: 'garbage' }, backoff('E_PROVIDER_OUTPUT')],
  'broken arguments of a tool': [{ kind: 'tool_json' }, backoff('E_PROVIDER_OUTPUT')],
  'the page of a proxy with 200': [{ kind: 'html' }, backoff('E_PROVIDER_OUTPUT')],
  'an empty body': [{ kind: 'empty' }, backoff('E_PROVIDER_OUTPUT')],
  'events of another API': [{ kind: 'schema' }, backoff('E_PROVIDER_OUTPUT')],
  'a connection that is reset': [{ kind: 'reset' }, backoff('E_PROVIDER_UNREACHABLE')],
}
const WHOLE: Exchange = { text: ['I mend ', 'it.'], toolCalls: [EDIT], usage: { input: 90, output: 20 } }
/** In the middle of an answer: what it has cost until then was said by those who say it first. */
const MIDDLE: ReadonlySet<Fault['kind']> = new Set(['cut', 'garbage', 'tool_json', 'reset', 'error'])

/** Registers the tests of one adapter. */
export function faultTests({ model, serve, provider, midStream, isCostKnownEarly }: Subject): void {
  const played = async (exchange: Exchange, signal?: AbortSignal) => {
    const server = await serve([exchange])
    onTestFinished(() => server.close())
    return { server, told: () => ask(provider(server.url), requestOf(model), signal) }
  }

  test.each(Object.entries({ ...TABLE, 'an error event after 200': [{ kind: 'error' }, midStream] as const }))(
    'R3: %s has one class, after one request',
    async (_, [fault, expected]) => {
      const printed = silence()
      const { server, told } = await played({ ...WHOLE, fault })
      const { result } = await told()
      expect(result).toMatchObject({ ok: false, ...expected })
      expect(server.log).toHaveLength(1)
      if (MIDDLE.has(fault.kind) && isCostKnownEarly) expect(result).toMatchObject({ usage: { inputTokens: 90, costUsd: null } })
      expect(printed()).toEqual([])
      keepsSecrets(result)
    },
  )

  test('a Retry-After that is a date is waited for', async () => {
    const at = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 30_000)
    const { told } = await played({ fault: status(429, { retryAfter: at.toUTCString() }) })
    const { result } = await told()
    expect(result).toMatchObject({ ok: false, code: 'E_PROVIDER_OVERLOADED', retry: 'after' })
    const { retryAfterMs = 0 } = result as Extract<GenerateResult, { ok: false }>
    expect(retryAfterMs).toBeGreaterThan(25_000)
    expect(retryAfterMs).toBeLessThanOrEqual(31_000)
  })

  test.each([0, 3])('a server that hangs after %i events is left when nobody waits any more, and it sees that', async (events) => {
    const controller = new AbortController()
    const { server, told } = await played({ ...WHOLE, fault: { kind: 'hang', after: events } }, controller.signal)
    const asked = told()
    await waitUntil('it is asked', () => server.log.length === 1)
    controller.abort()
    expect(await asked).toMatchObject({ result: { ok: false, code: 'E_ABORTED', retry: 'never' } })
    await waitUntil('its connection is closed', () => server.log[0]?.ended === 'client')
  })

  test('a huge line is not read to its end', async () => {
    const { server, told } = await played({ ...WHOLE, fault: { kind: 'huge', bytes: 20_000_000 } })
    expect(await told()).toMatchObject({
      result: { ok: false, code: 'E_PROVIDER_OUTPUT', message: expect.stringContaining('4000000 bytes') },
    })
    await waitUntil('its connection is closed', () => server.log[0]?.ended === 'client')
  })

  test('an end that is sent twice is one answer', async () => {
    const { told } = await played({ ...WHOLE, fault: { kind: 'twice' } })
    expect(await told()).toMatchObject({ result: { ok: true, finish: 'tool_calls', usage: { inputTokens: 90, outputTokens: 20 } } })
  })

  test('a redirect is not followed: nobody else gets the prompt', async () => {
    const stranger = await listen(async (_, response) => void response.end())
    onTestFinished(() => stranger.close())
    const { told } = await played({ fault: { kind: 'redirect', status: 307, to: `${stranger.url}/v1` } })
    expect(await told()).toMatchObject({
      result: { ok: false, ...never('E_PROVIDER_REFUSED'), message: expect.stringContaining('redirect') },
    })
    expect(stranger.log).toEqual([])
  })

  test('a port on which nobody listens is unreachable', async () => {
    const { result } = await ask(provider(`http://127.0.0.1:${await closedPort()}`), requestOf(model))
    expect(result).toMatchObject({ ok: false, ...backoff('E_PROVIDER_UNREACHABLE'), message: expect.stringContaining('ECONNREFUSED') })
  })

  test('an address with credentials in it is not told', async () => {
    const { result } = await ask(provider('http://user:hidden@127.0.0.1:9'), requestOf(model))
    expect(result).toMatchObject({ ok: false, ...never('E_PROVIDER_UNREACHABLE') })
    expect(JSON.stringify(result)).not.toMatch(/user|hidden/)
  })

  test('a server that has no such address is no unknown model', async () => {
    const server = await listen(async (_, response) => void response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>404</h1>'))
    onTestFinished(() => server.close())
    expect(await ask(provider(server.url), requestOf(model))).toMatchObject({ result: { ok: false, ...never('E_PROVIDER_REFUSED') } })
  })

  test.each([
    ['another key', 'sk-other-0123456789', 'E_CREDENTIALS_REJECTED'],
    ['a key that no header may hold', 'sk-canary\n-0123', 'E_CREDENTIALS_REJECTED'],
  ])('%s is refused, and not told', async (_, key, code) => {
    const server = await serve([])
    onTestFinished(() => server.close())
    const { result } = await ask(provider(server.url, key), requestOf(model))
    expect(result).toMatchObject({ ok: false, ...never(code) })
    expect(JSON.stringify(result)).not.toContain(key.slice(0, 9))
  })
}

function keepsSecrets(result: GenerateResult): void {
  const text = JSON.stringify(result)
  expect(text).not.toContain(KEY)
  expect(text).not.toContain(CANARY)
}

/** What is printed meanwhile, by whomever. */
function silence(): () => readonly unknown[] {
  const spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation(() => undefined),
  )
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore()
  })
  return () => spies.flatMap((spy) => spy.mock.calls)
}
