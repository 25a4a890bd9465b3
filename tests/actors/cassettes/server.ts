/** A real server on 127.0.0.1 that answers as it is told, in the pieces that it is told. It ends with the test, or before it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as nextRound } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Each is written by itself; null: the connection is cut; `hang`: nothing more comes. */
  readonly body: readonly (string | Uint8Array | null | 'hang')[]
}

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface TestServer {
  readonly url: string
  readonly asked: readonly Asked[]
  /** Ends it at once, with all its connections. */
  stop(): Promise<void>
}

/** @param answer  called for each request, with its number from 1. */
export async function serve(answer: (asked: Asked, number: number) => Answer): Promise<TestServer> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const body = await text(request).catch(() => '')
    const got = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body }
    asked.push(got)
    await give(answer(got, asked.length), response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  onTestFinished(stop)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, stop }
}

async function give({ status = 200, headers = {}, body }: Answer, response: ServerResponse): Promise<void> {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.flushHeaders()
  for (const piece of body) {
    if (piece === 'hang') return
    if (piece === null) return void response.socket?.destroy()
    await new Promise<void>((resolve) => response.write(piece, () => resolve()))
    // A piece of its own for the reader, mostly: the test does not rest on it.
    for (let round = 0; round < 4; round++) await nextRound()
  }
  response.end()
}

/** An answer of Ollama that streams. */
export const ollamaLines = (words: readonly string[]): readonly string[] => [
  ...words.map((content) => `${JSON.stringify({ model: 'qwen3:14b', message: { role: 'assistant', content }, done: false })}\n`),
  `${JSON.stringify({ model: 'qwen3:14b', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', prompt_eval_count: 7, eval_count: 2 })}\n`,
]

const event = (type: string, data: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`

/** An answer of Anthropic that streams. */
export const anthropicEvents = (words: readonly string[]): readonly string[] => [
  event('message_start', {
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-test',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 7, output_tokens: 1 },
    },
  }),
  event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
  ...words.map((text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
  event('content_block_stop', { index: 0 }),
  event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 2 } }),
  event('message_stop', {}),
]

/** An answer of OpenAI's chat completions that streams. */
export const openaiChunks = (words: readonly string[]): readonly string[] => [
  ...words.map((content, index) => {
    const chunk = { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'gpt-test' }
    const finish_reason = index === words.length - 1 ? 'stop' : null
    return `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`
  }),
  'data: [DONE]\n\n',
]
