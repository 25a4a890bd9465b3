/** The Messages server of the tests, seen by the official client. */
import Anthropic from '@anthropic-ai/sdk'
import { expect, onTestFinished, test } from 'vitest'
import { waitUntil } from '../harness.ts'
import { type AnthropicOptions, anthropicServer } from './anthropic.ts'
import { signatureOf } from './anthropic-rules.ts'

async function started(options: AnthropicOptions, apiKey = 'test-key') {
  const server = await anthropicServer(options)
  onTestFinished(() => server.close())
  return { server, client: new Anthropic({ baseURL: server.url, apiKey, maxRetries: 0 }) }
}

const ASKED = { model: 'claude-haiku-4-5', max_tokens: 4_096, messages: [{ role: 'user' as const, content: 'Mend the greeting.' }] }
const EDIT = { name: 'edit', args: { path: 'src/greeting.ts', old: 'Helo', new: 'Hello' } }
const USAGE = { input: 100, output: 20, cacheRead: 60, cacheWrite: 10, reasoning: 5 }

test('a streamed answer is put together by the client: signed thinking, text, a tool call in pieces, usage', async () => {
  const { client, server } = await started({ script: [{ thinking: 'Hm.', text: ['I mend ', 'it.'], toolCalls: [EDIT], usage: USAGE }] })
  const stream = client.messages.stream({ ...ASKED, thinking: { type: 'enabled', budget_tokens: 2_048 } })
  const pieces: string[] = []
  stream.on('text', (piece) => pieces.push(piece))
  const answer = await stream.finalMessage()
  expect(pieces).toEqual(['I mend ', 'it.'])
  expect(answer.content).toEqual([
    { type: 'thinking', thinking: 'Hm.', signature: signatureOf('Hm.') },
    { type: 'text', text: 'I mend it.' },
    { type: 'tool_use', id: 'toolu_1_1', name: 'edit', input: EDIT.args },
  ])
  expect(answer).toMatchObject({
    stop_reason: 'tool_use',
    usage: { input_tokens: 30, cache_creation_input_tokens: 10, cache_read_input_tokens: 60, output_tokens: 20 },
  })
  await waitUntil('the server has ended it', () => server.log[0]?.ended === 'server')
  expect(stream.request_id).toBe('req_0001')
  expect(server.log).toMatchObject([{ method: 'POST', path: '/v1/messages', body: { stream: true } }])
})

test('the same answer that is not streamed is one message', async () => {
  const { client } = await started({
    script: [{ text: 'Done.', finish: 'length', headers: { 'anthropic-ratelimit-requests-remaining': '3' } }],
  })
  const { data, response } = await client.messages.create(ASKED).withResponse()
  expect(data).toMatchObject({ content: [{ type: 'text', text: 'Done.' }], stop_reason: 'max_tokens' })
  expect(response.headers.get('anthropic-ratelimit-requests-remaining')).toBe('3')
})

test('tokens are counted, and models are listed page by page', async () => {
  const models = Array.from({ length: 25 }, (_, index) => `claude-${index}`)
  const { client, server } = await started({ models: ['claude-haiku-4-5', ...models] })
  expect((await client.messages.countTokens({ model: ASKED.model, messages: ASKED.messages })).input_tokens).toBeGreaterThan(5)
  const listed: string[] = []
  for await (const model of client.models.list()) listed.push(model.id)
  expect(listed).toEqual(['claude-haiku-4-5', ...models])
  expect(server.log.filter(({ path }) => path === '/v1/models')).toHaveLength(2)
})

const REFUSED: { readonly [what: string]: [ask: (client: Anthropic) => Promise<unknown>, expected: string] } = {
  'an unknown model': [(client) => client.messages.create({ ...ASKED, model: 'gpt' }), '404 not_found_error'],
  'a call without its result': [
    (client) =>
      client.messages.create({
        ...ASKED,
        messages: [
          ...ASKED.messages,
          { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'edit', input: {} }] },
          { role: 'user', content: 'Go on.' },
        ],
      }),
    '400 invalid_request_error',
  ],
  'a thought that was changed': [
    (client) =>
      client.messages.create({
        ...ASKED,
        messages: [
          ...ASKED.messages,
          { role: 'assistant', content: [{ type: 'thinking', thinking: 'Ha.', signature: signatureOf('Hm.') }] },
          { role: 'user', content: 'Go on.' },
        ],
      }),
    '400 invalid_request_error',
  ],
}

test.each(Object.entries(REFUSED))('%s is refused', async (_, [ask, expected]) => {
  const { client } = await started({})
  const error = await ask(client).catch((refusal: unknown) => refusal)
  expect(error).toBeInstanceOf(Anthropic.APIError)
  const { status, type } = error as { status: number; type: string }
  expect(`${status} ${type}`).toBe(expected)
})

test('a wrong key, a full server and an error after the headers have the types that the client knows', async () => {
  const fault = { kind: 'status', status: 529, retryAfter: '7' } as const
  const { client, server } = await started({ script: [{ fault }, { text: ['a', 'b'], fault: { kind: 'error' } }] })
  const stranger = new Anthropic({ baseURL: server.url, apiKey: 'other-key', maxRetries: 0 })
  await expect(stranger.messages.create(ASKED)).rejects.toMatchObject({ status: 401, type: 'authentication_error' })
  const full = await client.messages.create(ASKED).catch((error: InstanceType<typeof Anthropic.APIError>) => error)
  expect(full).toMatchObject({ status: 529, type: 'overloaded_error', requestID: 'req_0002' })
  expect((full as { headers: Headers }).headers.get('retry-after')).toBe('7')
  await expect(client.messages.stream(ASKED).finalMessage()).rejects.toMatchObject({ type: 'overloaded_error' })
})
