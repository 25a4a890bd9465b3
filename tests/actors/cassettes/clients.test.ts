/** The official clients, recorded against a real server and replayed without one: they see the same, and a miss reaches whoever called them. */
import { join } from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { replayMissOf } from '../../../src/actors/cassettes/miss.ts'
import { recordingFetch } from '../../../src/actors/cassettes/record.ts'
import { replayFetch } from '../../../src/actors/cassettes/replay.ts'
import { readTape } from '../../../src/actors/cassettes/tape.ts'
import { Failure } from '../../../src/effect.ts'
import { temporaryFolder } from '../../harness.ts'
import { type Answer, anthropicEvents, ollamaLines, openaiChunks, serve } from './server.ts'

type Fetch = typeof fetch
interface Call {
  readonly url: string
  readonly fetch: Fetch
  readonly prompt: string
}
const WORDS = ['Grüße', ' aus', ' 東京', ' 🙂']
const SSE = { 'content-type': 'text/event-stream' }

/** Everything that a client yields. */
async function everything(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const one of stream) seen.push(one)
  return seen
}

const causesOf = (error: unknown): unknown[] => (error instanceof Error ? [error, ...causesOf(error.cause)] : [])

const CLIENTS = {
  anthropic: {
    answer: { headers: SSE, body: anthropicEvents(WORDS) },
    call: async ({ url, fetch, prompt }: Call) => {
      const client = new Anthropic({ baseURL: url, apiKey: 'sk-ant-canary-000000000001', maxRetries: 0, fetch })
      const messages = [{ role: 'user' as const, content: prompt }]
      return everything(await client.messages.create({ model: 'claude-test', max_tokens: 64, stream: true, messages }))
    },
  },
  openai: {
    answer: { headers: SSE, body: openaiChunks(WORDS) },
    call: async ({ url, fetch, prompt }: Call) => {
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-canary-0000000000000001', maxRetries: 0, fetch })
      const messages = [{ role: 'user' as const, content: prompt }]
      return everything(await client.chat.completions.create({ model: 'gpt-test', stream: true, messages }))
    },
  },
  ollama: {
    answer: { headers: { 'content-type': 'application/x-ndjson' }, body: ollamaLines(WORDS) },
    call: async ({ url, fetch, prompt }: Call) => {
      const client = new Ollama({ host: url, fetch })
      return everything(await client.chat({ model: 'qwen3:14b', stream: true, messages: [{ role: 'user', content: prompt }] }))
    },
  },
} satisfies Record<string, { answer: Answer; call: (call: Call) => Promise<unknown[]> }>

const each = Object.entries(CLIENTS).map(([name, { answer, call }]) => ({ name, answer, call }))

test.each(each)('$name: what was streamed once is streamed again with the server gone', async ({ answer, call }) => {
  const file = join(temporaryFolder(), 'tape.jsonl')
  const server = await serve(() => answer)
  const live = await call({ url: server.url, fetch, prompt: 'hello' })
  const recording = await recordingFetch({ file })
  const recorded = await call({ url: server.url, fetch: recording.fetch, prompt: 'hello' })
  // What the client took as a whole answer is on the disk already; nothing waits for `close`.
  expect((await readTape(file)).exchanges).toMatchObject([{ exchange: 1, status: 200, end: 'whole', isSealed: true }])
  await recording.close()
  await server.stop()
  const replay = await replayFetch({ file, strict: true })
  const replayed = await call({ url: 'http://127.0.0.1:1', fetch: replay.fetch, prompt: 'hello' })
  expect({ recorded, replayed, asked: server.asked.length, unused: replay.unused() }).toEqual({
    recorded: live,
    replayed: live,
    asked: 2,
    unused: [],
  })
  expect(JSON.stringify(live)).toContain('東京')
})

test.each(each)(
  '$name: a request that is not on the tape is E_REPLAY_MISS with the first difference, whatever the client makes of it',
  async ({ answer, call }) => {
    const file = join(temporaryFolder(), 'tape.jsonl')
    const server = await serve(() => answer)
    const recording = await recordingFetch({ file })
    await call({ url: server.url, fetch: recording.fetch, prompt: 'the call timed out after 6 tests' })
    await recording.close()
    const replay = await replayFetch({ file })
    // A client that finds "timed out" in an error takes it for a time limit and forgets the cause.
    const thrown = await call({ url: server.url, fetch: replay.fetch, prompt: 'the call timed out after 7 tests' }).catch((e: unknown) => e)
    const failure = replayMissOf(thrown)
    // Who looks for a failure among the causes finds the same.
    expect(causesOf(thrown).find((cause) => cause instanceof Failure)).toBe(failure)
    expect({ code: failure?.code, retry: failure?.retry, message: failure?.message, asked: server.asked.length }).toEqual({
      code: 'E_REPLAY_MISS',
      retry: 'never',
      message: `request 1 is not on the tape ${file}; nearest: exchange 1, differs at messages[0].content: "the call timed out after 6 tests" / "the call timed out after 7 tests"`,
      asked: 1,
    })
    expect(failure?.details.data).toEqual({
      file,
      asked: 1,
      nearest: {
        exchange: 1,
        at: 'messages[0].content',
        tape: '"the call timed out after 6 tests"',
        now: '"the call timed out after 7 tests"',
      },
    })
  },
)

test('other errors are no misses, also those that contain themselves', () => {
  const round = new Error('round')
  round.cause = round
  expect(
    [null, 'E_REPLAY_MISS', new Error('E_REPLAY_MISS'), round, new AggregateError([round])].map((error) => replayMissOf(error)),
  ).toEqual([null, null, null, null, null])
})
