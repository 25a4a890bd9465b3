/** The adapter of OpenAI-compatible servers through the official client, against a server of chat completions, and against answers that deviate from it. */
import { expect, onTestFinished, test, vi } from 'vitest'
import { type OpenaiCompatibleOptions, openaiCompatible } from '../../../src/actors/providers/openai-compatible.ts'
import type { Exchange } from '../../wire/exchange.ts'
import { type OpenAiOptions, openaiServer } from '../../wire/openai.ts'
import { ask, CANARY, EDIT, KEY, modelOf, requestOf, said, TOOL } from './asking.ts'
import { faultTests } from './cloud-faults.ts'

const MODEL = modelOf('local', 'gpt-4.1')
const READ = { id: 'call_b', name: 'read', args: { path: 'ünïcode.ts' } }

async function started(options: OpenAiOptions = {}, change: Partial<OpenaiCompatibleOptions> = {}) {
  const server = await openaiServer({ apiKey: KEY, script: () => ({ text: 'ok' }), ...options })
  onTestFinished(() => server.close())
  return { server, provider: openaiCompatible({ name: 'local', apiKey: async () => KEY, baseUrl: `${server.url}/v1`, ...change }) }
}
const answering = (exchange: Exchange) => started({ script: [exchange] })
const sent = (server: Awaited<ReturnType<typeof started>>['server']) => server.log.at(-1)?.body as { readonly [key: string]: unknown }

/** Answers of a server that deviates: chunks as they are, at the seam where cassettes record. */
function deviating(chunks: readonly unknown[], baseUrl = 'http://127.0.0.1:9/v1') {
  const bodies: unknown[] = []
  const lines = [...chunks.map((chunk) => (typeof chunk === 'string' ? chunk : JSON.stringify(chunk))), '[DONE]']
  const fetch: typeof globalThis.fetch = async (_, init) => {
    bodies.push(JSON.parse(String(init?.body)))
    return new Response(lines.map((line) => `data: ${line}\n\n`).join(''), { headers: { 'content-type': 'text/event-stream' } })
  }
  return { provider: openaiCompatible({ name: 'local', apiKey: async () => KEY, baseUrl, fetch }), bodies }
}
const delta = (change: object, finish_reason: string | null = null) => ({ choices: [{ index: 0, delta: change, finish_reason }] })

test('an answer is told while it comes, and is whole: text, calls, cost; thoughts are a sign of life', async () => {
  const usage = { input: 100, output: 20, cacheRead: 60, cacheWrite: 8, reasoning: 5 }
  const { provider } = await answering({ thinking: 'Hm.', text: ['I mend ', 'it.'], toolCalls: [EDIT, READ], usage })
  const { result, progress, started: begun, alive } = await ask(provider, requestOf(MODEL))
  expect(result).toEqual({
    ok: true,
    message: { role: 'assistant', content: 'I mend it.', toolCalls: [EDIT, READ] },
    usage: { inputTokens: 100, outputTokens: 20, cacheReadTokens: 60, cacheWriteTokens: 8, reasoningTokens: 5, costUsd: null },
    finish: 'tool_calls',
    requestId: 'req_0001',
    firstTokenMs: expect.any(Number),
  })
  expect(progress).toEqual([{ thinking: true }, { text: 'I mend ' }, { text: 'it.' }, { tool: 'edit' }, { tool: 'read' }])
  expect(begun).toBe(1)
  expect(alive).toBeGreaterThan(1)
})

test('a request says the conversation, the tools and no more', async () => {
  vi.stubEnv('OPENAI_ORG_ID', 'org-canary')
  vi.stubEnv('OPENAI_ADMIN_KEY', 'admin-canary')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { server, provider } = await started()
  await ask(provider, requestOf({ ...MODEL, temperature: 0.3, thinkingTokens: 2_048 }))
  const { name, description, input } = TOOL
  expect(sent(server)).toEqual({
    model: 'gpt-4.1',
    max_tokens: 4_096,
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.3,
    tools: [{ type: 'function', function: { name, description, parameters: input } }],
    messages: [
      { role: 'system', content: 'You mend code.' },
      { role: 'user', content: `Please: ${CANARY}.` },
    ],
  })
  expect(server.log[0]?.headers).toMatchObject({ 'idempotency-key': 'run-1/e7' })
  expect(JSON.stringify(server.log[0]?.headers)).not.toMatch(/org-canary|admin-canary/)
  expect(Object.keys(server.log[0]?.headers ?? {}).filter((header) => header.startsWith('openai-'))).toEqual([])
})

test('a conversation goes out with calls as text and each result by its id; thoughts of others and empty answers stay here', async () => {
  const { server, provider } = await started()
  const messages = [
    said('user', 'Mend it.'),
    said('assistant', '', {
      toolCalls: [EDIT],
      thinking: { provider: 'anthropic', blocks: [{ type: 'thinking', thinking: 'Hm.', signature: 's' }] },
    }),
    said('tool', 'done', { toolCallId: 'call_a' }),
    said('assistant', ' '),
    said('user', 'Go on.'),
  ]
  expect(await ask(provider, requestOf(MODEL, { messages }))).toMatchObject({ result: { ok: true } })
  expect(sent(server)['messages']).toEqual([
    { role: 'user', content: 'Mend it.' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_a', type: 'function', function: { name: 'edit', arguments: JSON.stringify(EDIT.args) } }],
    },
    { role: 'tool', tool_call_id: 'call_a', content: 'done' },
    { role: 'user', content: 'Go on.' },
  ])
})

test('a schema is strict only where the API takes it so', async () => {
  const { server, provider } = await started()
  const closed = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false }
  await ask(provider, requestOf(MODEL, { schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', ...closed } }))
  expect(sent(server)['response_format']).toEqual({ type: 'json_schema', json_schema: { name: 'answer', strict: true, schema: closed } })
  for (const open of [
    { ...closed, required: [] },
    { ...closed, additionalProperties: {} },
    { type: 'array', items: {} },
  ]) {
    await ask(provider, requestOf(MODEL, { schema: open }))
    expect(sent(server)['response_format']).toMatchObject({ json_schema: { strict: false, schema: open } })
  }
})

test("OpenAI's own server has its own name for the limit of an answer, and wants a key", async () => {
  const { provider, bodies } = deviating([delta({ content: 'ok' }, 'stop')], 'https://api.openai.com/v1')
  await ask(provider, requestOf(MODEL))
  expect(bodies).toMatchObject([{ max_completion_tokens: 4_096 }])
  expect(bodies[0]).not.toHaveProperty('max_tokens')
  const keyless = openaiCompatible({ name: 'openai', apiKey: async () => null, baseUrl: 'https://api.openai.com/v1' })
  expect((await ask(keyless, requestOf(MODEL))).result).toMatchObject({ ok: false, code: 'E_CREDENTIALS_MISSING' })
})

test('a server of one own that needs no key is sent none', async () => {
  const { server, provider } = await started({ apiKey: null }, { apiKey: async () => null })
  expect((await ask(provider, requestOf(MODEL))).result).toMatchObject({ ok: true })
  expect(server.log[0]?.headers).not.toHaveProperty('authorization')
})

test('a cost that is not told is estimated, and says so', async () => {
  const { provider } = deviating([delta({ content: 'x'.repeat(400) }), delta({}, 'stop')])
  const { result } = await ask(provider, requestOf(MODEL))
  expect(result).toMatchObject({ ok: true, usage: { outputTokens: 100, costUsd: null, estimated: true } })
  expect(result.usage?.inputTokens).toBeGreaterThan(30)
})

const call = (more: object, piece: string) => ({ ...more, function: { name: 'edit', arguments: piece } })
const DEVIATIONS: { readonly [what: string]: readonly [readonly unknown[], object] } = {
  'no index, whole calls, `stop` as the end': [
    [delta({ tool_calls: [call({ id: 'a' }, '{"x":1}'), call({ id: 'b' }, '{"x":2}')] }), delta({}, 'stop')],
    {
      ok: true,
      finish: 'tool_calls',
      message: {
        toolCalls: [
          { id: 'a', args: { x: 1 } },
          { id: 'b', args: { x: 2 } },
        ],
      },
    },
  ],
  'no ids, a name with each piece': [
    [
      delta({ tool_calls: [call({ index: 0 }, '{"x"')] }),
      delta({ tool_calls: [call({ index: 0 }, ':1}'), call({ index: 1 }, '')] }),
      delta({}, 'stop'),
    ],
    {
      ok: true,
      message: {
        toolCalls: [
          { id: 'call-3-1', name: 'edit', args: { x: 1 } },
          { id: 'call-3-2', name: 'edit', args: {} },
        ],
      },
    },
  ],
  'another index after the other': [
    [
      delta({ tool_calls: [call({ index: 1, id: 'b' }, '{"x":2}'), call({ index: 0, id: 'a' }, '{"x":')] }),
      delta({ tool_calls: [call({ index: 0 }, '1}')] }),
      delta({}, 'tool_calls'),
    ],
    {
      ok: true,
      message: {
        toolCalls: [
          { id: 'b', args: { x: 2 } },
          { id: 'a', args: { x: 1 } },
        ],
      },
    },
  ],
  'arguments that are a list': [
    [delta({ tool_calls: [call({ index: 0, id: 'a' }, '[1]')] }), delta({}, 'stop')],
    { ok: false, code: 'E_PROVIDER_OUTPUT' },
  ],
  'a refusal in a field of its own': [
    [delta({ refusal: 'I will not.' }), delta({}, 'stop')],
    { ok: true, finish: 'refusal', message: { content: 'I will not.' } },
  ],
  'a filter': [[delta({ content: 'Well' }), delta({}, 'content_filter')], { ok: true, finish: 'refusal' }],
  'words after the end, and another choice': [
    [delta({ content: 'a' }, 'stop'), delta({ content: 'b' }), { choices: [{ index: 1, delta: { content: 'c' }, finish_reason: 'stop' }] }],
    { ok: true, finish: 'stop', message: { content: 'a' } },
  ],
  'no end': [[delta({ content: 'a' })], { ok: false, code: 'E_PROVIDER_OUTPUT', retry: 'backoff' }],
  'half a character': [[delta({ content: '\ud83c' }), delta({}, 'stop')], { ok: true, message: { content: '\ufffd' } }],
  'an error with a status': [
    [delta({ content: 'a' }), { error: { code: 429, message: 'slow' } }],
    { ok: false, code: 'E_PROVIDER_OVERLOADED', retry: 'backoff' },
  ],
  'an empty account': [
    [{ error: { code: 'insufficient_quota', message: 'pay' } }],
    { ok: false, code: 'E_PROVIDER_OVERLOADED', retry: 'never' },
  ],
  'an error of a type that nobody knows': [
    [{ error: { type: 'odd', message: 'x' } }],
    { ok: false, code: 'E_PROVIDER_UNREACHABLE', retry: 'backoff' },
  ],
  'an error in words': [[{ error: 'oops' }], { ok: false, code: 'E_PROVIDER_UNREACHABLE', retry: 'backoff' }],
}
test.each(Object.entries(DEVIATIONS))('servers differ: %s', async (_, [chunks, expected]) => {
  expect((await ask(deviating(chunks).provider, requestOf(MODEL))).result).toMatchObject(expected)
})

test('models are listed, with the size of their context where it is told', async () => {
  const { provider } = await started({ models: ['gpt-4.1', 'o4-mini'] })
  const { signal } = new AbortController()
  expect(await provider.models?.(signal)).toEqual(
    ['gpt-4.1', 'o4-mini'].map((model) => ({ model, contextTokens: null, loaded: null, sizeBytes: null })),
  )
  const fetch = async () => Response.json({ object: 'list', data: [{ id: 'qwen', max_model_len: 32_768 }] })
  const vllm = openaiCompatible({ name: 'vllm', apiKey: async () => null, baseUrl: 'http://127.0.0.1:9/v1', fetch })
  expect(await vllm.models?.(signal)).toMatchObject([{ model: 'qwen', contextTokens: 32_768 }])
  const page = openaiCompatible({
    name: 'x',
    apiKey: async () => null,
    baseUrl: 'http://127.0.0.1:9/v1',
    fetch: async () => new Response('<p>', { headers: { 'content-type': 'text/html' } }),
  })
  await expect(page.models?.(signal)).rejects.toMatchObject({ name: 'Failure', code: 'E_PROVIDER_OUTPUT' })
})

faultTests({
  model: modelOf('local', 'gpt-4.1'),
  serve: (script) => openaiServer({ script, apiKey: KEY }),
  provider: (url, key = KEY) => openaiCompatible({ name: 'local', apiKey: async () => key, baseUrl: `${url}/v1` }),
  midStream: { code: 'E_PROVIDER_UNREACHABLE', retry: 'backoff' },
  isCostKnownEarly: false,
})
