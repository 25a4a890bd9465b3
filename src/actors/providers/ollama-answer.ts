/**
 * An answer of Ollama from its lines:
 *
 *   { message: { content } }                         text, in pieces
 *   { message: { thinking } }                        a thought: a sign of life, and not kept
 *   { message: { tool_calls: [{ function }] } }      calls, each whole, in a line of their own
 *   { done: true, done_reason, eval_count ... }      the end and its cost. Without it the stream was cut
 *
 * Calls that the server did not see are taken out of the text (salvage.ts). Nothing is mended: a call that is broken is no call.
 */
import type { ChatResponse } from 'ollama'
import { Failure } from '../../effect.ts'
import type { Finish, GenerateRequest, GenerateUsage, Message } from '../provider.ts'
import type { PromptCount } from './ollama-window.ts'
import { salvage } from './salvage.ts'
import type { Telling } from './telling.ts'
import { type SpokenCall, toolCalls } from './tool-arguments.ts'

/** A whole answer. */
export interface OllamaSaid {
  readonly message: Message
  readonly finish: Finish
  readonly usage: GenerateUsage
  readonly count: PromptCount
  /** The calls were text, and the server saw none. */
  readonly isSalvaged: boolean
}

/** What has been heard of an answer. */
export interface OllamaAnswer {
  /** @throws {Failure} `E_PROVIDER_OUTPUT` where no answer can come of it. */
  readonly hear: (line: ChatResponse) => void
  /** The cost as far as it can be told; null: nothing was said yet. */
  readonly usage: () => GenerateUsage | null
  /** Null: it has not ended. @throws {Failure} `E_PROVIDER_OUTPUT` where it is not usable. */
  readonly result: () => OllamaSaid | null
}

/**
 * Listens to one answer.
 * @param atLeast  tokens that the prompt surely has: its count may be missing, and a false 0 would spend nothing of a budget.
 */
export function ollamaAnswer(request: GenerateRequest, atLeast: number, told: Telling): OllamaAnswer {
  let text = ''
  let pieces = 0
  let last: ChatResponse | null = null
  const spoken: SpokenCall[] = []
  const usage = (): GenerateUsage | null =>
    last !== null ? usageOf(last, atLeast, pieces) : pieces === 0 ? null : unended(atLeast, pieces)
  return {
    hear(line) {
      if (last !== null) return
      const { content, thinking, calls } = partsOf(line)
      if (content !== '' || thinking !== '' || calls.length > 0) pieces++
      text += content
      told.text(content)
      if (thinking !== '') told.thinking(thinking)
      for (const call of calls) {
        spoken.push(call)
        told.call(call.name, call.args)
      }
      if (line.done) last = line
    },
    usage,
    result: () =>
      last === null ? null : { ...saidOf(request, text, spoken, last), usage: usageOf(last, atLeast, pieces), count: countOf(last) },
  }
}

/** A line that was not checked by anybody: its shape is, here. */
function partsOf(line: ChatResponse): { readonly content: string; readonly thinking: string; readonly calls: readonly SpokenCall[] } {
  const { message, done } = line as { message?: { content?: unknown; thinking?: unknown; tool_calls?: unknown }; done?: unknown }
  if (typeof message !== 'object' || message === null || typeof done !== 'boolean')
    throw new Failure('E_PROVIDER_OUTPUT', 'sent a line that is no part of a chat', { retry: 'backoff' })
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.map(spokenCall) : []
  return { content: textOf(message.content), thinking: textOf(message.thinking), calls }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

function spokenCall(call: unknown): SpokenCall {
  const { name, arguments: args } = ((call as { function?: unknown } | null)?.function ?? {}) as { name?: unknown; arguments?: unknown }
  return { id: '', name: textOf(name), args: typeof args === 'string' ? args : (JSON.stringify(args) ?? '') }
}

function saidOf(
  { tools, turn }: GenerateRequest,
  text: string,
  spoken: readonly SpokenCall[],
  { done_reason }: ChatResponse,
): Pick<OllamaSaid, 'message' | 'finish' | 'isSalvaged'> {
  const isCut = done_reason === 'length'
  const native = toolCalls(spoken, turn, isCut)
  const found = native.length > 0 || tools.length === 0 ? { content: text, calls: [] } : salvage(text, tools)
  const salvaged = found.calls.map(({ name, args }, place) => ({ id: `call-${turn}-${place + 1}`, name, args: { ...args } }))
  const calls = native.length > 0 ? native : salvaged
  const content = found.content.toWellFormed()
  if (calls.length === 0 && content.trim() === '') throw nothing(isCut)
  const message = { role: 'assistant', content, ...(calls.length === 0 ? {} : { toolCalls: calls }) } as Message
  return { message, finish: calls.length > 0 ? 'tool_calls' : isCut ? 'length' : 'stop', isSalvaged: salvaged.length > 0 }
}

const nothing = (isCut: boolean): Failure =>
  isCut
    ? new Failure('E_PROVIDER_OUTPUT', 'used all tokens of its answer before it said anything', { retry: 'never' })
    : new Failure('E_PROVIDER_OUTPUT', 'gave an answer with nothing in it', { retry: 'backoff' })

const amount = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.trunc(value) : null

function countOf(last: ChatResponse): PromptCount {
  const { prompt_eval_count: tokens, prompt_eval_cached_count: cached } = last as ChatResponse & {
    readonly prompt_eval_cached_count?: unknown
  }
  return { tokens: amount(tokens), cachedTokens: amount(cached) }
}

/** The count of a server that leaves out what it had cached is too small: then at least what is sure is counted. */
function usageOf(last: ChatResponse, atLeast: number, pieces: number): GenerateUsage {
  const { tokens, cachedTokens } = countOf(last)
  return {
    inputTokens: Math.max(tokens ?? 0, atLeast),
    outputTokens: amount(last.eval_count) ?? pieces,
    costUsd: null,
    ...(cachedTokens === null ? {} : { cacheReadTokens: cachedTokens }),
  }
}

/** Each line is about one token. */
const unended = (atLeast: number, pieces: number): GenerateUsage => ({
  inputTokens: atLeast,
  outputTokens: pieces,
  costUsd: null,
  estimated: true,
})
