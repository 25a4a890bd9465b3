/** The chat completions server of the tests, seen by the official client. */
import OpenAI from 'openai'
import { expect, onTestFinished, test } from 'vitest'
import { type OpenAiOptions, openaiServer } from './openai.ts'

async function started(options: OpenAiOptions, apiKey = 'test-key') {
  const server = await openaiServer(options)
  onTestFinished(() => server.close())
  return { server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 }) }
}

const ASKED = { model: 'gpt-4.1', messages: [{ role: 'user' as const, content: 'Mend the greeting.' }] }
const CALLS = [
  { name: 'edit', args: { path: 'src/greeting.ts', old: 'Helo', new: 'Hello' } },
  { name: 'read', args: { path: 'ünïcode.ts' } },
]

test('a streamed answer is put together by the client: text, two tool calls in pieces, usage at the end', async () => {
  const { client } = await started({
    script: [{ text: ['I mend ', 'it.'], toolCalls: CALLS, usage: { input: 40, output: 12, cacheRead: 8, reasoning: 3 } }],
  })
  const stream = client.chat.completions.stream({ ...ASKED, stream_options: { include_usage: true } })
  const pieces: string[] = []
  stream.on('content', (piece) => pieces.push(piece))
  const answer = await stream.finalChatCompletion()
  const [choice] = answer.choices
  expect(pieces).toEqual(['I mend ', 'it.'])
  expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { role: 'assistant', content: 'I mend it.' } })
  const calls = choice?.message.tool_calls?.map((call) =>
    call.type === 'function' ? { name: call.function.name, args: JSON.parse(call.function.arguments) } : call,
  )
  expect(calls).toEqual(CALLS)
  expect(answer.usage).toEqual({
    prompt_tokens: 40,
    completion_tokens: 12,
    total_tokens: 52,
    prompt_tokens_details: { cached_tokens: 8 },
    completion_tokens_details: { reasoning_tokens: 3 },
  })
})

test('usage is streamed only to those who ask for it, and the last line is [DONE]', async () => {
  const { client, server } = await started({ script: () => ({ text: 'ok' }) })
  const counted: unknown[] = []
  for (const stream_options of [null, { include_usage: true }]) {
    let usage = 0
    for await (const chunk of await client.chat.completions.create({ ...ASKED, stream: true, stream_options })) usage += chunk.usage ? 1 : 0
    counted.push(usage)
  }
  expect(counted).toEqual([0, 1])
  const raw = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer test-key' },
    body: JSON.stringify({ ...ASKED, stream: true }),
  })
  expect((await raw.text()).endsWith('data: [DONE]\n\n')).toBe(true)
})

test('an answer that is not streamed is one object, and models are listed', async () => {
  const { client } = await started({ script: [{ toolCalls: CALLS }], models: ['gpt-4.1', 'o4-mini'] })
  const answer = await client.chat.completions.create(ASKED)
  expect(answer.choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: { content: null, tool_calls: [{ type: 'function' }, { type: 'function' }] },
  })
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['gpt-4.1', 'o4-mini'])
})

test('a wrong key, an unknown model, a call without its result and a rate limit are refused with types and codes', async () => {
  const { client, server } = await started({ script: [{ fault: { kind: 'status', status: 429, retryAfterMs: 1_500 } }] })
  const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'other-key', maxRetries: 0 })
  await expect(stranger.chat.completions.create(ASKED)).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' })
  await expect(client.chat.completions.create({ ...ASKED, model: 'claude' })).rejects.toMatchObject({
    status: 404,
    code: 'model_not_found',
  })
  const open = {
    role: 'assistant' as const,
    tool_calls: [{ id: 'call_1', type: 'function' as const, function: { name: 'edit', arguments: '{}' } }],
  }
  const messages = [...ASKED.messages, open, { role: 'user' as const, content: 'Go on.' }]
  await expect(client.chat.completions.create({ ...ASKED, messages })).rejects.toMatchObject({ status: 400, message: /call_1/ })
  const limited = await client.chat.completions.create(ASKED).catch((error: InstanceType<typeof OpenAI.APIError>) => error)
  expect(limited).toMatchObject({ status: 429, code: 'rate_limit_exceeded', requestID: 'req_0004' })
  expect((limited as { headers: Headers }).headers.get('retry-after-ms')).toBe('1500')
})
