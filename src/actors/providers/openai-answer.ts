/**
 * An answer of an OpenAI-compatible server from its chunks:
 *
 *   { delta: { content } }                                    text, in pieces
 *   { delta: { tool_calls: [{ index, id, function }] } }      a call: its id and name once, its arguments in pieces
 *   { delta: {}, finish_reason }                              the end of the answer
 *   { choices: [], usage }                                    its cost
 *   [DONE]                                                    the end of the stream (seen by event-stream.ts; the client swallows it)
 *
 * Servers differ: some leave the index out, repeat a name, say `stop` where they call a tool, or tell no cost. Then it is estimated, and says so;
 * likewise where an answer breaks off.
 */
import type { ChatCompletionChunk, CompletionUsage } from 'openai/resources'
import { Failure } from '../../effect.ts'
import type { Finish, GenerateRequest, GenerateUsage, Message } from '../provider.ts'
import type { Answer, Said } from './exchange.ts'
import type { Telling } from './telling.ts'
import { type SpokenCall, toolCalls } from './tool-arguments.ts'

type Delta = ChatCompletionChunk.Choice.Delta
type CallPiece = ChatCompletionChunk.Choice.Delta.ToolCall

/** What was heard so far. */
interface Heard {
  text: string
  refusal: string
  /** Characters of thoughts. */
  thoughtChars: number
  readonly calls: { -readonly [key in keyof SpokenCall]: SpokenCall[key] }[]
  /** Place of a call by the index that the server gave it. */
  readonly places: Map<number, number>
  finish: ChatCompletionChunk.Choice['finish_reason']
  cost: CompletionUsage | null
}

/** Characters of a token, where no cost is told. */
const CHARS_PER_TOKEN = 4

/** Listens to one answer. */
export function openaiAnswer(request: GenerateRequest, told: Telling): Answer<ChatCompletionChunk> {
  const heard: Heard = { text: '', refusal: '', thoughtChars: 0, calls: [], places: new Map(), finish: null, cost: null }
  const usage = (): GenerateUsage | null => (heard.cost !== null ? usageOf(heard.cost) : hasBegun(heard) ? estimate(request, heard) : null)
  return {
    hear(chunk) {
      heard.cost = chunk.usage ?? heard.cost
      const choice = chunk.choices?.find(({ index = 0 }) => index === 0)
      if (choice === undefined || heard.finish !== null) return
      if (choice.delta !== undefined && choice.delta !== null) add(heard, choice.delta, told)
      heard.finish = choice.finish_reason ?? null
    },
    usage,
    result: () =>
      heard.finish === null ? null : { ...saidOf(heard, heard.finish, request.turn), usage: usage() ?? estimate(request, heard) },
  }
}

function add(heard: Heard, delta: Delta, told: Telling): void {
  heard.text += delta.content ?? ''
  heard.refusal += delta.refusal ?? ''
  told.text(delta.content ?? '')
  told.text(delta.refusal ?? '')
  const thought = thoughtOf(delta)
  heard.thoughtChars += thought.length
  if (thought !== '') told.thinking(thought)
  for (const piece of delta.tool_calls ?? []) {
    const call = heard.calls[placeOf(heard, piece)]
    if (call === undefined) continue
    call.id ||= piece.id ?? ''
    call.name ||= piece.function?.name ?? ''
    call.args += piece.function?.arguments ?? ''
    told.call(call.name, piece.function?.arguments ?? '')
  }
}

/** Not of OpenAI's API, but told by many that speak it. It is a sign of life, and not kept. */
function thoughtOf(delta: Delta): string {
  const { reasoning_content: content, reasoning } = delta as { reasoning_content?: unknown; reasoning?: unknown }
  return typeof content === 'string' ? content : typeof reasoning === 'string' ? reasoning : ''
}

/** Which call a piece belongs to. Without an index, an id that is new begins another one. */
function placeOf({ calls, places }: Heard, { index, id }: Partial<CallPiece>): number {
  const known =
    index === undefined ? calls.findLastIndex((call) => id === undefined || id === '' || call.id === id) : (places.get(index) ?? -1)
  if (known !== -1) return known
  if (index !== undefined) places.set(index, calls.length)
  return calls.push({ id: '', name: '', args: '' }) - 1
}

function saidOf({ text, refusal, calls: spoken }: Heard, finished: NonNullable<Heard['finish']>, turn: number): Omit<Said, 'usage'> {
  const isRefusal = finished === 'content_filter' || refusal !== ''
  const isCut = finished === 'length'
  const calls = isRefusal ? [] : toolCalls(spoken, turn, isCut)
  if (finished === 'tool_calls' && calls.length === 0 && !isRefusal) {
    throw new Failure('E_PROVIDER_OUTPUT', 'the answer says that it calls a tool, and calls none', { retry: 'backoff' })
  }
  const content = (text === '' ? refusal : text).toWellFormed()
  const message = { role: 'assistant', content, ...(calls.length === 0 ? {} : { toolCalls: calls }) } as Message
  const finish: Finish = isRefusal ? 'refusal' : isCut ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop'
  return { message, finish }
}

function usageOf({ prompt_tokens, completion_tokens, prompt_tokens_details, completion_tokens_details }: CompletionUsage): GenerateUsage {
  const cached = prompt_tokens_details?.cached_tokens
  const written = prompt_tokens_details?.cache_write_tokens
  const thought = completion_tokens_details?.reasoning_tokens
  return {
    inputTokens: prompt_tokens ?? 0,
    outputTokens: completion_tokens ?? 0,
    costUsd: null,
    ...(typeof cached === 'number' ? { cacheReadTokens: cached } : {}),
    ...(typeof written === 'number' ? { cacheWriteTokens: written } : {}),
    ...(typeof thought === 'number' ? { reasoningTokens: thought } : {}),
  }
}

/** The prompt was read, and is paid for whatever becomes of the rest. */
const hasBegun = ({ text, refusal, thoughtChars, calls }: Heard): boolean => text + refusal !== '' || thoughtChars > 0 || calls.length > 0

/** A false 0 would spend nothing of a budget. */
function estimate({ messages, tools }: GenerateRequest, { text, refusal, thoughtChars, calls }: Heard): GenerateUsage {
  const said = text.length + refusal.length + thoughtChars
  const output = calls.reduce((sum, { name, args }) => sum + name.length + args.length, said)
  return {
    inputTokens: Math.ceil(JSON.stringify([messages, tools]).length / CHARS_PER_TOKEN),
    outputTokens: Math.ceil(output / CHARS_PER_TOKEN),
    costUsd: null,
    estimated: true,
  }
}
