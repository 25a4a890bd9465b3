/** The adapter of Anthropic through the official client, against a server that speaks the Messages API and refuses what the real one refuses. */
import { expect, onTestFinished, test } from 'vitest'
import { type AnthropicOptions, anthropic } from '../../../src/actors/providers/anthropic.ts'
import { anthropicAnswer } from '../../../src/actors/providers/anthropic-answer.ts'
import { telling } from '../../../src/actors/providers/telling.ts'
import { anthropicServer, type AnthropicOptions as ServerOptions } from '../../wire/anthropic.ts'
import { signatureOf } from '../../wire/anthropic-rules.ts'
import type { Exchange } from '../../wire/exchange.ts'
import { ask, CANARY, EDIT, KEY, modelOf, requestOf, said, TOOL } from './asking.ts'
import { faultTests } from './cloud-faults.ts'

const MODEL = modelOf('anthropic', 'claude-haiku-4-5')
const THINKER = modelOf('anthropic', 'claude-haiku-4-5', { thinkingTokens: 2_048, temperature: 0.3 })
const READ = { id: 'call_b', name: 'read', args: { path: 'ünïcode.ts' } }

async function started(options: ServerOptions = {}, change: Partial<AnthropicOptions> = {}) {
  const server = await anthropicServer({ apiKey: KEY, script: () => ({ text: 'ok' }), ...options })
  onTestFinished(() => server.close())
  return { server, provider: anthropic({ apiKey: async () => KEY, baseUrl: server.url, ...change }) }
}

const answering = (exchange: Exchange) => started({ script: [exchange] })
/** What the server was sent with the last request. */
const sent = (server: Awaited<ReturnType<typeof started>>['server']) => server.log.at(-1)?.body as { readonly [key: string]: unknown }

test('an answer is told while it comes, and is whole: signed thoughts, text, calls, cost', async () => {
  const usage = { input: 100, output: 20, cacheRead: 60, cacheWrite: 10, reasoning: 5 }
  const { provider } = await answering({ thinking: 'Hm.', text: ['I mend ', 'it. ', '🎭'], toolCalls: [EDIT, READ], usage })
  const { result, progress, started: begun, alive } = await ask(provider, requestOf(THINKER))
  expect(result).toEqual({
    ok: true,
    message: {
      role: 'assistant',
      content: 'I mend it. 🎭',
      toolCalls: [EDIT, READ],
      thinking: { provider: 'anthropic', blocks: [{ type: 'thinking', thinking: 'Hm.', signature: signatureOf('Hm.') }] },
    },
    usage: { inputTokens: 100, outputTokens: 20, cacheReadTokens: 60, cacheWriteTokens: 10, reasoningTokens: 5, costUsd: null },
    finish: 'tool_calls',
    requestId: 'req_0001',
    firstTokenMs: expect.any(Number),
  })
  expect(progress).toEqual([{ thinking: true }, { text: 'I mend ' }, { text: 'it. ' }, { text: '🎭' }, { tool: 'edit' }, { tool: 'read' }])
  expect(begun).toBe(1)
  expect(alive).toBeGreaterThan(1)
})

test('a request says the conversation, the tools and no more; its prefix is marked for the cache', async () => {
  const { server, provider } = await started()
  await ask(provider, requestOf({ ...MODEL, temperature: 1.5 }))
  const cache_control = { type: 'ephemeral' }
  const { name, description, input } = TOOL
  expect(sent(server)).toEqual({
    model: 'claude-haiku-4-5',
    max_tokens: 4_096,
    stream: true,
    temperature: 1,
    system: [{ type: 'text', text: 'You mend code.', cache_control }],
    tools: [{ name, description, input_schema: input, cache_control }],
    messages: [{ role: 'user', content: [{ type: 'text', text: `Please: ${CANARY}.`, cache_control }] }],
  })
  expect(server.log[0]?.headers).toMatchObject({ 'idempotency-key': 'run-1/e7' })
})

const conversation = [
  said('system', 'You mend code.'),
  said('user', 'Mend it.'),
  said('assistant', '', { toolCalls: [EDIT, READ] }),
  said('tool', 'done', { toolCallId: 'call_a' }),
  said('tool', '', { toolCallId: 'call_b' }),
  said('user', 'Go on.'),
  said('assistant', '  \n'),
  said('user', 'And?'),
]

test('results of tools are one turn, right after their calls; what said nothing is left out; four marks at most', async () => {
  const { server, provider } = await started()
  expect(await ask(provider, requestOf(MODEL, { messages: conversation }))).toMatchObject({ result: { ok: true } })
  const cache_control = { type: 'ephemeral' }
  expect(sent(server)['messages']).toEqual([
    { role: 'user', content: [{ type: 'text', text: 'Mend it.', cache_control }] },
    {
      role: 'assistant',
      content: [EDIT, READ].map(({ id, name, args }) => ({ type: 'tool_use', id, name, input: args })),
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'call_a', content: 'done' },
        { type: 'tool_result', tool_use_id: 'call_b' },
        { type: 'text', text: 'Go on.' },
        { type: 'text', text: 'And?', cache_control },
      ],
    },
  ])
  expect(JSON.stringify(sent(server)).match(/cache_control/g)).toHaveLength(4)
})

test('thoughts go back as they came, with their signature, and only to the provider that had them', async () => {
  const { server, provider } = await started({ script: [{ thinking: 'Hm.', toolCalls: [EDIT] }, { text: 'ok' }, { text: 'ok' }] })
  const { result } = await ask(provider, requestOf(THINKER))
  if (!result.ok) throw new Error(result.code)
  const messages = [said('user', 'Mend it.'), result.message, said('tool', 'done', { toolCallId: 'call_a' })]
  expect(await ask(provider, requestOf(THINKER, { messages }))).toMatchObject({ result: { ok: true } })
  const thought = { type: 'thinking', thinking: 'Hm.', signature: signatureOf('Hm.') }
  expect(sent(server)['messages']).toMatchObject([{}, { content: [thought, { type: 'tool_use' }] }, {}])
  expect(sent(server)['thinking']).toEqual({ type: 'enabled', budget_tokens: 2_048 })
  const other = anthropic({ apiKey: async () => KEY, baseUrl: server.url, name: 'second' })
  await ask(other, requestOf(THINKER, { messages }))
  expect(JSON.stringify(sent(server)['messages'])).not.toContain('Hm.')
  // A loop that was begun without thoughts of its own is refused with thinking on.
  expect(sent(server)['thinking']).toBeUndefined()
})

test('a thought that was cut before it was signed is no part of the answer: it would be refused with every later request', () => {
  const answer = anthropicAnswer('anthropic', 1, telling({ progress: () => undefined, signal: new AbortController().signal }))
  for (const event of [
    { type: 'message_start', message: { usage: { input_tokens: 5, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm' } },
    { type: 'message_delta', delta: { stop_reason: 'max_tokens' }, usage: { output_tokens: 9 } },
  ])
    answer.hear(event as never)
  expect(answer.result()).toMatchObject({ finish: 'length', message: { role: 'assistant', content: '' } })
  expect(answer.result()?.message).not.toHaveProperty('thinking')
})

test('thinking takes its part of the answer: the budget gives way to the limit, and there is no temperature', async () => {
  const { server, provider } = await started()
  await ask(provider, requestOf({ ...THINKER, thinkingTokens: 100_000 }))
  expect(sent(server)).toMatchObject({ max_tokens: 4_096, thinking: { budget_tokens: 3_072 } })
  expect(sent(server)).not.toHaveProperty('temperature')
  await ask(provider, requestOf(THINKER, { outputTokensMax: 2_000 }))
  expect(sent(server)).toMatchObject({ max_tokens: 2_000, temperature: 0.3 })
  expect(sent(server)).not.toHaveProperty('thinking')
})

test('ids and names that somebody else made up are sent in letters that are taken', async () => {
  const { server, provider } = await started()
  const call = { id: 'functions.edit:0', name: 'no such.tool', args: {} }
  const messages = [said('user', 'a'), said('assistant', '', { toolCalls: [call] }), said('tool', 'no', { toolCallId: call.id })]
  expect(await ask(provider, requestOf(MODEL, { messages }))).toMatchObject({ result: { ok: true } })
  expect(sent(server)['messages']).toMatchObject([
    {},
    { content: [{ id: 'functions_edit_0', name: 'no_such_tool' }] },
    { content: [{ tool_use_id: 'functions_edit_0' }] },
  ])
})

test('a schema is asked for as the API takes it: closed objects; one that it cannot say is left out', async () => {
  const { server, provider } = await started()
  const schema = { type: 'object', properties: { list: { type: 'array', items: { type: 'string' }, maxItems: 5 } }, required: ['list'] }
  await ask(provider, requestOf(MODEL, { schema }))
  expect(sent(server)['output_config']).toMatchObject({
    format: { type: 'json_schema', schema: { type: 'object', required: ['list'], additionalProperties: false } },
  })
  await ask(provider, requestOf(MODEL, { schema: { type: 'object', additionalProperties: { type: 'number' } } }))
  expect(sent(server)).not.toHaveProperty('output_config')
})

const ENDS: { readonly [what: string]: readonly [Exchange, object] } = {
  'a refusal, which calls no tool': [
    { text: 'No.', toolCalls: [EDIT], finish: 'refusal' },
    { ok: true, finish: 'refusal', message: { role: 'assistant', content: 'No.' } },
  ],
  'an answer that was cut at its limit': [
    { text: 'Don', finish: 'length' },
    { ok: true, finish: 'length' },
  ],
  'a call that was cut at its limit: the same again would be cut again': [
    { toolCalls: [EDIT], finish: 'length', fault: { kind: 'tool_json' }, usage: { input: 9, output: 4_096 } },
    { ok: false, code: 'E_PROVIDER_OUTPUT', retry: 'never', usage: { inputTokens: 9, outputTokens: 4_096 } },
  ],
  'a call of a tool that does not exist, which the machine answers': [
    { toolCalls: [{ id: 'x', name: 'rm', args: {} }] },
    { ok: true, finish: 'tool_calls', message: { role: 'assistant', content: '', toolCalls: [{ id: 'x', name: 'rm', args: {} }] } },
  ],
  'the end of a call, and no call': [
    { text: 'hm', finish: 'tool_calls' },
    { ok: false, code: 'E_PROVIDER_OUTPUT', retry: 'backoff' },
  ],
}
test.each(Object.entries(ENDS))('%s', async (_, [exchange, expected]) => {
  const { provider } = await answering(exchange)
  expect((await ask(provider, requestOf(MODEL))).result).toMatchObject(expected)
})

test.each([
  ['is not there', async () => null],
  ['is empty', async () => ' '],
  ['cannot be read', () => Promise.reject(new Error('the keychain says sk-canary-0123'))],
])('without a request: the key %s', async (_, apiKey) => {
  const { server, provider } = await started({}, { apiKey })
  const { result } = await ask(provider, requestOf(MODEL))
  expect(result).toMatchObject({ ok: false, code: 'E_CREDENTIALS_MISSING', retry: 'never' })
  expect(JSON.stringify(result)).not.toContain('canary')
  expect(server.log).toEqual([])
})

test('the key is asked for at each call, so that another one counts at once', async () => {
  const keys = ['sk-old', KEY]
  const { provider } = await started({}, { apiKey: async () => keys.shift() ?? null })
  expect((await ask(provider, requestOf(MODEL))).result).toMatchObject({ code: 'E_CREDENTIALS_REJECTED' })
  expect((await ask(provider, requestOf(MODEL))).result).toMatchObject({ ok: true })
})

test('models are listed over all pages, with the size of their context', async () => {
  const models = Array.from({ length: 2_001 }, (_, index) => `claude-${index}`)
  const { server, provider } = await started({ models })
  const offered = await provider.models?.(new AbortController().signal)
  expect(offered?.map(({ model }) => model)).toEqual(models)
  expect(offered?.[0]).toEqual({ model: 'claude-0', contextTokens: 200_000, loaded: null, sizeBytes: null })
  expect(server.log).toHaveLength(3)
})

test('tokens are counted by the server, and what it refuses there has a code too', async () => {
  const { server, provider } = await started()
  const { signal } = new AbortController()
  expect(await provider.countTokens?.(requestOf(MODEL, { messages: conversation }), signal)).toBeGreaterThan(20)
  expect(server.log[0]?.path).toBe('/v1/messages/count_tokens')
  const unknown = provider.countTokens?.(requestOf(modelOf('anthropic', 'nobody')), signal)
  await expect(unknown).rejects.toMatchObject({ name: 'Failure', code: 'E_MODEL_UNKNOWN', retry: 'never' })
  const overloaded = await started({ faults: () => ({ kind: 'status', status: 429, retryAfter: '3' }) })
  await expect(overloaded.provider.models?.(signal)).rejects.toMatchObject({ code: 'E_PROVIDER_OVERLOADED', retryAfterMs: 3_000 })
})

faultTests({
  model: modelOf('anthropic', 'claude-haiku-4-5'),
  serve: (script) => anthropicServer({ script, apiKey: KEY }),
  provider: (url, key = KEY) => anthropic({ apiKey: async () => key, baseUrl: url }),
  midStream: { code: 'E_PROVIDER_OVERLOADED', retry: 'backoff' },
  isCostKnownEarly: true,
})
