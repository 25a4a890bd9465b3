/**
 * What the tests of the Ollama adapter share: a server, a provider for it, and a call whose words are kept.
 */
import { onTestFinished } from 'vitest'
import type { GenerateOptions, GenerateRequest, GenerateResult } from '../../../src/actors/provider.ts'
import { ollama } from '../../../src/actors/providers/ollama.ts'
import type { Json } from '../../../src/json.ts'
import { type OllamaOptions, ollamaServer } from '../../wire/ollama.ts'
import type { Seen } from '../../wire/server.ts'
import { request } from './ollama-request.ts'

/** A model that is in memory, so that a call is one request. */
export const WARM = [{ name: 'qwen3:8b', loaded: true }] as const

/** A running call, and what it said. */
export interface Call {
  readonly result: Promise<GenerateResult>
  /** `progress`, `started` and `alive` in their order. */
  readonly said: Json[]
  readonly abort: () => void
}

/** Starts a server and a provider for it. */
export async function stage(options: OllamaOptions = {}, more: Parameters<typeof ollama>[0] = {}) {
  const server = await ollamaServer({ models: WARM, ...options })
  onTestFinished(() => server.close())
  const provider = ollama({ baseUrl: server.url, ...more })
  const call = (asked: GenerateRequest = request()): Call => {
    const controller = new AbortController()
    const said: Json[] = []
    const options: GenerateOptions = {
      signal: controller.signal,
      progress: (data) => said.push(data),
      started: () => said.push('started'),
    }
    return { result: provider.generate(asked, options), said, abort: () => controller.abort(new Error('not wanted')) }
  }
  return { server, provider, call, generate: (asked?: GenerateRequest) => call(asked).result, chats: () => chatsIn(server.log) }
}

/** The bodies of the chats that a server was asked for. */
const chatsIn = (log: readonly Seen[]): readonly Record<string, unknown>[] =>
  log.filter(({ path }) => path === '/api/chat').map(({ body }) => body as Record<string, unknown>)

/** Polls until it is so. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 5_000
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within 5 s: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
