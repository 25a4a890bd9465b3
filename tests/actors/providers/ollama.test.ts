/**
 * Models of Ollama through the official client against a server that speaks its wire format: what is sent, and what comes back.
 */
import { expect, test } from 'vitest'
import { ollama } from '../../../src/actors/providers/ollama.ts'
import { READ, request } from './ollama-request.ts'
import { stage, WARM } from './ollama-stage.ts'

test('an answer streams piece by piece and comes back whole, with its cost', async () => {
  const { call } = await stage({ script: [{ text: ['Hel', 'lo.'], usage: { input: 20, output: 2 } }] })
  const { result, said } = call()
  expect(await result).toEqual({
    ok: true,
    message: { role: 'assistant', content: 'Hello.' },
    finish: 'stop',
    usage: { inputTokens: 20, outputTokens: 2, costUsd: null },
    firstTokenMs: expect.any(Number),
  })
  expect(said).toEqual(['started', { text: 'Hel' }, { text: 'lo.' }])
})

test('P17 the size of the context is always sent, and that nothing may be cut or shifted', async () => {
  const { generate, chats } = await stage({ script: [{ text: 'a' }, { text: 'b' }] })
  await generate()
  await generate(
    request(
      { outputTokensMax: 99, schema: { type: 'object' } },
      { temperature: 0.3, keepAliveMs: 60_000, contextTokens: 16_384, thinkingTokens: 1 },
    ),
  )
  const [plain, full] = chats()
  expect(plain).toEqual({
    model: 'qwen3:8b',
    stream: true,
    truncate: false,
    shift: false,
    messages: [
      { role: 'system', content: 'You write code.' },
      { role: 'user', content: 'Say hello.' },
    ],
    options: { num_ctx: 8_192, num_predict: 512 },
  })
  expect(full).toMatchObject({
    keep_alive: '60000ms',
    format: { type: 'object' },
    think: true,
    options: { num_ctx: 16_384, num_predict: 99, temperature: 0.3 },
  })
})

test('a tool is offered, called and answered by the protocol of Ollama', async () => {
  const { generate, chats } = await stage({
    script: [
      {
        text: 'I look.',
        toolCalls: [
          { name: 'read', args: { path: 'a.ts' } },
          { name: 'read', args: { path: 'b.ts' } },
        ],
      },
      { text: 'I see.' },
    ],
  })
  const first = await generate(request({ tools: [READ] }))
  const toolCalls = [
    { id: 'call-3-1', name: 'read', args: { path: 'a.ts' } },
    { id: 'call-3-2', name: 'read', args: { path: 'b.ts' } },
  ]
  expect(first).toMatchObject({ ok: true, finish: 'tool_calls', message: { role: 'assistant', content: 'I look.', toolCalls } })
  await generate(
    request({
      tools: [READ],
      messages: [
        { role: 'user', content: 'Look at a.ts' },
        { role: 'assistant', content: 'I look.', toolCalls: toolCalls.slice(0, 1) },
        { role: 'tool', content: 'const a = 1', toolCallId: 'call-3-1' },
      ],
    }),
  )
  expect(chats()[0]).toMatchObject({
    tools: [{ type: 'function', function: { name: 'read', description: 'Reads a file.', parameters: READ.input } }],
  })
  expect(chats()[1]).toMatchObject({
    messages: [
      { role: 'user', content: 'Look at a.ts' },
      { role: 'assistant', content: 'I look.', tool_calls: [{ id: 'call-3-1', function: { name: 'read', arguments: { path: 'a.ts' } } }] },
      { role: 'tool', content: 'const a = 1', tool_name: 'read', tool_call_id: 'call-3-1' },
    ],
  })
})

test('P20 a call that the server took for text is a call all the same', async () => {
  const { generate } = await stage({ script: [{ text: ['I look.\n<tool_', 'call>{"name":"read","arguments":{"path":"a.ts"}}'] }] })
  expect(await generate(request({ tools: [READ] }))).toMatchObject({
    finish: 'tool_calls',
    message: { content: 'I look.', toolCalls: [{ id: 'call-3-1', name: 'read', args: { path: 'a.ts' } }] },
  })
})

test('P20 a call of a tool that was not offered, or that is broken, stays text', async () => {
  const broken = '{"name":"read","arguments":{"path":}}'
  const { generate } = await stage({ script: [{ text: broken }, { text: '{"name":"read","arguments":{}}' }] })
  expect(await generate(request({ tools: [READ] }))).toMatchObject({ ok: true, finish: 'stop', message: { content: broken } })
  expect(await generate()).toMatchObject({ ok: true, finish: 'stop', message: { content: '{"name":"read","arguments":{}}' } })
})

test('a model without tools of its own is told of them in words, and reads results as words', async () => {
  const models = [{ name: 'qwen3:8b', loaded: true, capabilities: ['completion'] as const }]
  const { generate, chats } = await stage({ models, script: [{ text: '```json\n{"name":"read","arguments":{"path":"a.ts"}}\n```' }] })
  const messages = [
    { role: 'system', content: 'You write code.' },
    { role: 'user', content: 'Look.' },
    { role: 'assistant', content: 'I look.', toolCalls: [{ id: 'call-2-1', name: 'read', args: { path: 'b.ts' } }] },
    { role: 'tool', content: 'const b = 1', toolCallId: 'call-2-1' },
  ] as const
  const result = await generate(request({ messages: messages as never, tools: [READ] }, { tools: 'text' }))
  expect(result).toMatchObject({ finish: 'tool_calls', message: { content: '', toolCalls: [{ name: 'read', args: { path: 'a.ts' } }] } })
  const [{ tools, messages: sent } = {}] = chats() as { tools?: unknown; messages: { role: string; content: string }[] }[]
  expect(tools).toBeUndefined()
  expect(sent?.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user'])
  expect(sent?.[0]?.content).toMatch(/^You write code\.\n\nYou have these tools.*\n\{"name":"read","description":"Reads a file\."/)
  expect(sent?.[2]?.content).toBe('I look.\n<tool_call>\n{"name":"read","arguments":{"path":"b.ts"}}\n</tool_call>')
  expect(sent?.[3]?.content).toBe('Result of read:\nconst b = 1')
})

test('a thought is a sign of life and the first token, and no part of the answer', async () => {
  const { call } = await stage({ script: [{ thinking: 'Hm.', text: 'Hello.' }] })
  const { result, said } = call()
  expect(await result).toMatchObject({ ok: true, message: { content: 'Hello.' } })
  expect(said).toEqual(['started', { thinking: true }, { text: 'Hello.' }])
})

test('an answer that was cut at its limit says so', async () => {
  const { generate } = await stage({ script: [{ text: 'Once upon', finish: 'length' }] })
  expect(await generate()).toMatchObject({ ok: true, finish: 'length', message: { content: 'Once upon' } })
})

test('models are listed with their contexts and whether they are in memory', async () => {
  const { provider } = await stage({
    models: [
      { name: 'qwen3:8b', contextLength: 40_960, sizeBytes: 5_200_000_000 },
      { name: 'llama3.1', contextLength: 131_072, sizeBytes: 4_900_000_000, loaded: true },
    ],
  })
  expect(await provider.models?.(new AbortController().signal)).toEqual([
    { model: 'llama3.1:latest', contextTokens: 131_072, loaded: true, sizeBytes: 4_900_000_000 },
    { model: 'qwen3:8b', contextTokens: 40_960, loaded: false, sizeBytes: 5_200_000_000 },
  ])
})

test('a call without a model, and one that nobody wants, ask nothing', async () => {
  const { server, provider, call } = await stage()
  const options = { signal: AbortSignal.abort(), progress: () => {} }
  expect(await provider.generate(request(), options)).toMatchObject({ ok: false, code: 'E_ABORTED' })
  expect(await call({ ...request(), model: undefined }).result).toMatchObject({ ok: false, code: 'E_MODEL_UNKNOWN', retry: 'never' })
  expect(server.log).toEqual([])
})

test('a key goes with every request, and into no message', async () => {
  const { generate, server } = await stage(
    { models: WARM, script: [{ fault: { kind: 'status', status: 401, message: 'the key tok-123456 is wrong' } }] },
    { apiKey: async () => 'tok-123456' },
  )
  const result = await generate()
  expect(result).toMatchObject({ ok: false, code: 'E_CREDENTIALS_REJECTED', retry: 'never' })
  expect(JSON.stringify(result)).not.toContain('tok-123456')
  expect(server.log.map(({ headers }) => headers.authorization)).toEqual(server.log.map(() => 'Bearer tok-123456'))
})

test('the name is that of the registry', () => {
  expect(ollama({ name: 'workstation' })).toMatchObject({ name: 'workstation', simulated: false })
})
