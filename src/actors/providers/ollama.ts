/**
 * Models of an Ollama server, through its official client. Each call is one attempt, and never rejects.
 *
 *   fits at all? ── is it loaded? ── POST /api/chat, streamed ── its end, its cost ── was the prompt read whole? ── answer
 *       |                |                    |                       |                       '-- E_CONTEXT_TOO_LARGE   ollama-window.ts
 *       |                |                    |                       '-- none: E_PROVIDER_OUTPUT
 *       |                |                    '-- errors, garbage, stdout                                              ollama-fetch.ts
 *       |                '-- cold: { loading: true }, then started                                                     ollama-load.ts
 *       '-- E_CONTEXT_TOO_LARGE, nothing was sent
 *
 * The client is loaded with the first call. It has no deadlines and so has nothing here: the signal ends everything, down to the socket.
 */
import type { GenerateOptions, GenerateRequest, GenerateResult, Provider } from '../provider.ts'
import { type Refusal, unusable } from './failures.ts'
import { type OllamaAnswer, type OllamaSaid, ollamaAnswer } from './ollama-answer.ts'
import { noMemory, type OllamaMemory, ready } from './ollama-load.ts'
import { offeredModels } from './ollama-models.ts'
import { chatRequest, promptTexts } from './ollama-request.ts'
import { type OllamaOptions, type OllamaServer, ollamaServer } from './ollama-server.ts'
import { countsWhole, cutOf, isSuspicious, tokensAtLeast } from './ollama-window.ts'
import { telling } from './telling.ts'

export type { OllamaOptions } from './ollama-server.ts'

/** A provider of the models of one server. */
export function ollama(options: OllamaOptions = {}): Provider {
  const server = ollamaServer(options)
  const memory = noMemory()
  return {
    name: server.name,
    simulated: false,
    generate: (request, call) => generated(server, memory, request, call),
    models: (signal) => offeredModels(server, signal),
  }
}

/** How long a server may take to close a stream whose last line has come, before its socket is closed. */
const CLOSING_MS = 250

/** One attempt at one answer. Never rejects. */
async function generated(
  server: OllamaServer,
  memory: OllamaMemory,
  request: GenerateRequest,
  options: GenerateOptions,
): Promise<GenerateResult> {
  const { model } = request
  if (model === undefined) return { ok: false, code: 'E_MODEL_UNKNOWN', message: `no model of ${server.label} is named`, retry: 'never' }
  if (options.signal.aborted) return aborted()
  const body = chatRequest(request, model)
  const atLeast = tokensAtLeast(promptTexts(body.messages ?? []))
  const told = telling(options)
  const answer = ollamaAnswer(request, atLeast, told)
  const costOf = () => ({ usage: answer.usage() ?? undefined })
  try {
    if (atLeast >= model.contextTokens) return tooLarge(atLeast, model.contextTokens)
    const window = await ready(server, memory, model, options)
    if (atLeast >= window) return tooLarge(atLeast, window)
    const isWhole = await listen(server, body, answer, options)
    if (options.signal.aborted) return { ...aborted(), ...costOf() }
    const said = answer.result()
    const firstTokenMs = told.firstTokenMs()
    if (said === null || !isWhole) return { ok: false, ...unended(server, firstTokenMs), ...costOf() }
    const cut = await cutBy(server, said, window, atLeast, options.signal)
    if (cut !== null) return { ok: false, code: 'E_CONTEXT_TOO_LARGE', message: cut, retry: 'never', usage: said.usage }
    const { message, finish, usage } = said
    return { ok: true, message, finish, usage, ...(firstTokenMs === null ? {} : { firstTokenMs }) }
  } catch (thrown) {
    // A deadline ends an attempt by its signal: what was said until then has been used.
    if (options.signal.aborted) return { ...aborted(), ...costOf() }
    const refusal = server.refusal(thrown, { model: model.model, prompt: () => JSON.stringify(body.messages) })
    return { ok: false, ...refusal, ...costOf() }
  }
}

/** Hears the answer out. False: the stream ended before its last line. */
async function listen(
  server: OllamaServer,
  body: ReturnType<typeof chatRequest>,
  answer: OllamaAnswer,
  options: GenerateOptions,
): Promise<boolean> {
  const socket = new AbortController()
  const signal = AbortSignal.any([options.signal, socket.signal])
  const { promise: closed, resolve: ended } = Promise.withResolvers<void>()
  let hasEnded = false
  const note = (): void => {
    hasEnded = true
    ended()
  }
  let isWhole = false
  try {
    const client = await server.client({ signal, isStream: true, alive: options.alive, ended: note })
    for await (const line of await client.chat(body)) {
      answer.hear(line)
      isWhole = line.done
    }
    return isWhole
  } catch (thrown) {
    // The client throws where a stream ends without its last line.
    if (hasEnded && !isWhole) return false
    throw thrown
  } finally {
    if (isWhole) await within(CLOSING_MS, closed)
    socket.abort()
  }
}

/** Waits for it, and no longer than that. */
async function within(ms: number, what: Promise<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([what, late])
  clearTimeout(timer)
}

/** Why the answer is not one to the whole prompt. The version is asked for only where the count is small: see ollama-window.ts. */
async function cutBy(
  server: OllamaServer,
  { count }: OllamaSaid,
  window: number,
  atLeast: number,
  signal: AbortSignal,
): Promise<string | null> {
  const version = isSuspicious(count, atLeast) && count.cachedTokens === null ? await versionOf(server, signal) : null
  return cutOf(count, window, atLeast, countsWhole(count, version))
}

async function versionOf(server: OllamaServer, signal: AbortSignal): Promise<string | null> {
  try {
    const client = await server.client({ signal: AbortSignal.any([signal, AbortSignal.timeout(CLOSING_MS * 4)]), isStream: false })
    const { version } = await client.version()
    return typeof version === 'string' ? version : null
  } catch {
    return null
  }
}

const tooLarge = (atLeast: number, window: number): GenerateResult => ({
  ok: false,
  code: 'E_CONTEXT_TOO_LARGE',
  message: `the prompt has at least ${atLeast} tokens, the window of the model has ${window}; nothing was sent`,
  retry: 'never',
})

const unended = ({ label }: OllamaServer, firstTokenMs: number | null): Refusal =>
  unusable(`${label} ended the stream ${firstTokenMs === null ? 'before its first word' : 'in the middle'}`)

const aborted = (): Refusal & { readonly ok: false } => ({
  ok: false,
  code: 'E_ABORTED',
  message: 'nobody wants the answer any more',
  retry: 'never',
})
