/** The adapters of providers on a tape: the same result with the server gone; a miss is told as one and never tried again. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { recordingFetch } from '../../../src/actors/cassettes/record.ts'
import { replayFetch } from '../../../src/actors/cassettes/replay.ts'
import { readTape } from '../../../src/actors/cassettes/tape.ts'
import type { GenerateResult, Provider } from '../../../src/actors/provider.ts'
import { anthropic } from '../../../src/actors/providers/anthropic.ts'
import { ollama } from '../../../src/actors/providers/ollama.ts'
import { openaiCompatible } from '../../../src/actors/providers/openai-compatible.ts'
import { socketFetch } from '../../../src/actors/providers/socket-fetch.ts'
import { temporaryFolder } from '../../harness.ts'
import { anthropicServer } from '../../wire/anthropic.ts'
import type { Exchange } from '../../wire/exchange.ts'
import { ollamaServer } from '../../wire/ollama.ts'
import { openaiServer } from '../../wire/openai.ts'
import type { WireServer } from '../../wire/server.ts'
import { ask, EDIT, KEY, modelOf, requestOf, said } from '../providers/asking.ts'

type Fetch = typeof fetch
/** First the server asks to wait, then it answers in pieces, with a call of a tool. */
const SCRIPT: readonly Exchange[] = [
  { fault: { kind: 'status', status: 429, retryAfter: '3' } },
  { text: ['I mend ', 'the 挨拶.'], toolCalls: [{ id: EDIT.id, name: EDIT.name, args: EDIT.args }] },
]
const apiKey = async () => KEY

const ADAPTERS = {
  anthropic: {
    model: modelOf('anthropic', 'claude-haiku-4-5'),
    base: fetch as Fetch,
    server: (script: readonly Exchange[]) => anthropicServer({ script, apiKey: KEY }),
    provider: (url: string, by: Fetch): Provider => anthropic({ apiKey, baseUrl: url, fetch: by }),
  },
  'openai-compatible': {
    model: modelOf('openai-compatible', 'gpt-4.1'),
    base: fetch as Fetch,
    server: (script: readonly Exchange[]) => openaiServer({ script, apiKey: KEY }),
    provider: (url: string, by: Fetch): Provider =>
      openaiCompatible({ name: 'openai-compatible', apiKey, baseUrl: `${url}/v1`, fetch: by }),
  },
  ollama: {
    model: modelOf('ollama', 'qwen3:8b', { contextTokens: 8_192 }),
    base: socketFetch,
    server: (script: readonly Exchange[]): Promise<WireServer> => ollamaServer({ script }),
    provider: (url: string, by: Fetch): Provider => ollama({ baseUrl: url, fetch: by }),
  },
}

/** Times differ from one call to the next. */
const plain = ({ firstTokenMs: _, ...result }: GenerateResult & { firstTokenMs?: unknown }) => result

test.each(Object.entries(ADAPTERS))(
  '%s: a refusal and an answer are given again as they were; another prompt is E_REPLAY_MISS, never tried again',
  async (name, adapter) => {
    const file = join(temporaryFolder(), 'tape.jsonl')
    const server = await adapter.server(SCRIPT)
    const recording = await recordingFetch({ file, secrets: [KEY] })
    const request = requestOf(adapter.model)
    const recorder = adapter.provider(server.url, recording.over(adapter.base))
    const live = [await ask(recorder, request), await ask(recorder, request)]
    await recording.close()
    await server.close()
    const tape = await replayFetch({ file, strict: true })
    const replayer = adapter.provider('http://127.0.0.1:9', tape.fetch)
    const again = [await ask(replayer, request), await ask(replayer, request)]
    // The host is in what people read of a failure, and it is another one.
    const told = (all: typeof live) =>
      all.map(({ result, progress }) => ({ result: { ...plain(result), ...(result.ok ? {} : { message: '' }) }, progress }))
    expect(told(again)).toEqual(told(live))
    expect(live.map(({ result }) => (result.ok ? result.finish : result.code))).toEqual(['E_PROVIDER_OVERLOADED', 'tool_calls'])
    const missed = await ask(replayer, { ...request, messages: [said('system', 'You mend code.'), said('user', '7 tests timed out')] })
    expect(missed.result).toMatchObject({
      ok: false,
      code: 'E_REPLAY_MISS',
      retry: 'never',
      message: expect.stringMatching(/request \d+ is not on the tape .*; nearest: exchange \d+, differs at messages.*7 tests timed out/),
    })
    const { exchanges } = await readTape(file)
    expect([JSON.stringify(exchanges).includes(KEY), exchanges.every(({ end }) => end === 'whole'), name]).toEqual([false, true, name])
  },
)
