/** The Ollama server of the tests, seen by the official client: what an adapter is tested against must itself be understood by it. */
import { type ChatResponse, Ollama } from 'ollama'
import { expect, onTestFinished, test } from 'vitest'
import { waitUntil } from '../harness.ts'
import { type OllamaOptions, ollamaServer } from './ollama.ts'

async function started(options: OllamaOptions) {
  const server = await ollamaServer(options)
  onTestFinished(() => server.close())
  return { server, client: new Ollama({ host: server.url }) }
}

const MESSAGES = [{ role: 'user', content: 'Mend the greeting.' }]
const TOOL = { type: 'function', function: { name: 'edit', description: 'edits', parameters: { type: 'object', properties: {} } } }

test('a streamed answer arrives piece by piece with thinking, tool calls and the numbers of its end', async () => {
  const { server, client } = await started({
    script: [
      {
        thinking: 'Hm.',
        text: ['I mend ', 'it.'],
        toolCalls: [{ name: 'edit', args: { path: 'a.ts', count: 2 } }],
        usage: { input: 30, output: 9 },
      },
    ],
  })
  const stream = await client.chat({
    model: 'qwen3:8b',
    messages: MESSAGES,
    tools: [TOOL],
    stream: true,
    options: { num_ctx: 8_192 },
    think: true,
  })
  const parts: ChatResponse[] = []
  for await (const part of stream) parts.push(part)
  expect(parts.map(({ message, done }) => ({ ...message, done }))).toEqual([
    { role: 'assistant', content: '', thinking: 'Hm.', done: false },
    { role: 'assistant', content: 'I mend ', done: false },
    { role: 'assistant', content: 'it.', done: false },
    {
      role: 'assistant',
      content: '',
      tool_calls: [{ function: { index: 0, name: 'edit', arguments: { path: 'a.ts', count: 2 } } }],
      done: false,
    },
    { role: 'assistant', content: '', done: true },
  ])
  expect(parts.at(-1)).toMatchObject({ done_reason: 'stop', prompt_eval_count: 30, eval_count: 9 })
  expect(server.log).toMatchObject([{ method: 'POST', path: '/api/chat', body: { options: { num_ctx: 8_192 } } }])
  await waitUntil('the server has ended it', () => server.log[0]?.ended === 'server')
})

test('an answer that is not streamed is one object', async () => {
  const { client } = await started({ script: [{ text: ['{"ok":', 'true}'], finish: 'length' }] })
  const answer = await client.chat({ model: 'qwen3:8b', messages: MESSAGES, format: 'json' })
  expect(answer).toMatchObject({ message: { role: 'assistant', content: '{"ok":true}' }, done: true, done_reason: 'length' })
})

test('a prompt that is longer than num_ctx is cut silently, as the real one does', async () => {
  const script = [{ text: 'ok' }, { text: 'ok' }]
  const { client } = await started({ script })
  const messages = [{ role: 'user', content: 'x'.repeat(40_000) }]
  const short = await client.chat({ model: 'qwen3:8b', messages })
  const long = await client.chat({ model: 'qwen3:8b', messages, options: { num_ctx: 32_768 } })
  expect([short.prompt_eval_count, long.prompt_eval_count > 10_000]).toEqual([4_096, true])
})

test('models are listed, shown, loaded by a first call, and thrown out by keep_alive 0', async () => {
  const models = [
    { name: 'qwen3:8b', contextLength: 32_768, loadMs: 20 },
    { name: 'nomic-embed-text', capabilities: ['embedding'] as const },
  ]
  const { client, server } = await started({ script: [{ text: 'ok' }], models })
  expect((await client.list()).models.map(({ name }) => name)).toEqual(['qwen3:8b', 'nomic-embed-text:latest'])
  const shown = await client.show({ model: 'qwen3:8b' })
  expect(shown.capabilities).toEqual(['completion', 'tools', 'thinking'])
  expect(shown.model_info).toMatchObject({ 'general.architecture': 'qwen3', 'qwen3.context_length': 32_768 })
  expect((await client.ps()).models).toEqual([])
  await client.chat({ model: 'qwen3:8b', messages: MESSAGES })
  expect((await client.ps()).models.map(({ name }) => name)).toEqual(['qwen3:8b'])
  expect(await client.chat({ model: 'qwen3:8b', messages: [], keep_alive: 0 })).toMatchObject({ done_reason: 'unload' })
  expect([...server.loaded]).toEqual([])
  expect((await client.version()).version).toMatch(/^\d+\.\d+\.\d+$/)
})

test('an embedding has the length that was asked for, and is the same for the same text', async () => {
  const { client } = await started({ models: [{ name: 'nomic-embed-text', capabilities: ['embedding'] }] })
  const { embeddings } = await client.embed({
    model: 'nomic-embed-text',
    input: ['red apples', 'red apples', 'a tax form'],
    dimensions: 32,
  })
  expect(embeddings.map(({ length }) => length)).toEqual([32, 32, 32])
  expect(embeddings[0]).toEqual(embeddings[1])
  expect(embeddings[0]).not.toEqual(embeddings[2])
})

test('what cannot be done is refused in the words of Ollama', async () => {
  const { client } = await started({
    models: [{ name: 'gemma3:4b', capabilities: ['completion'] }],
    script: [{ fault: { kind: 'status', status: 503 } }],
  })
  const refused = [
    client.chat({ model: 'no-such', messages: MESSAGES }),
    client.chat({ model: 'gemma3:4b', messages: MESSAGES, tools: [TOOL] }),
    client.chat({ model: 'gemma3:4b', messages: MESSAGES, think: true }),
    client.chat({ model: 'gemma3:4b', messages: MESSAGES }),
  ].map((call) => call.catch((error: { status_code: number; error: string }) => `${error.status_code} ${error.error}`))
  expect(await Promise.all(refused)).toEqual([
    "404 model 'no-such' not found",
    '400 registry.ollama.ai/library/gemma3:4b does not support tools',
    '400 "gemma3:4b" does not support thinking',
    '503 server busy, please try again.  maximum pending requests exceeded',
  ])
})
