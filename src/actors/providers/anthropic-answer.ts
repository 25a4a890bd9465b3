/**
 * An answer of Anthropic from its events. Blocks come one after the other, each in pieces:
 *
 *   message_start (cost of the prompt)
 *     content_block_start 0 thinking     thinking_delta ... signature_delta   content_block_stop
 *     content_block_start 1 text         text_delta ...                       content_block_stop
 *     content_block_start 2 tool_use     input_json_delta ...                 content_block_stop
 *   message_delta (why it stopped, cost of the answer)
 *   message_stop
 *
 * Thoughts are kept as they came, with their signature. Pieces of arguments are only joined; tool-arguments.ts reads them.
 */
import type {
  MessageDeltaUsage,
  RawContentBlockDelta,
  RawMessageStreamEvent,
  StopReason,
  Usage,
} from '@anthropic-ai/sdk/resources/messages'
import { Failure } from '../../effect.ts'
import type { Json } from '../../json.ts'
import type { Finish, GenerateUsage, Message } from '../provider.ts'
import type { Answer, Said } from './exchange.ts'
import type { Telling } from './telling.ts'
import { toolCalls } from './tool-arguments.ts'

/** One block while it comes. */
interface Block {
  readonly type: string
  text: string
  signature: string
  readonly data: string
  readonly id: string
  readonly name: string
  /** Arguments that came with the beginning of the block. */
  readonly input: string
}

/** Listens to one answer. @param turn  for the ids of calls that have none. */
export function anthropicAnswer(provider: string, turn: number, told: Telling): Answer<RawMessageStreamEvent> {
  const blocks = new Map<number, Block>()
  let cost: Partial<Record<keyof MessageDeltaUsage, number>> | null = null
  let thoughtTokens: number | null = null
  let stopped: StopReason | null = null
  const charge = (usage: Usage | MessageDeltaUsage): void => {
    thoughtTokens = usage.output_tokens_details?.thinking_tokens ?? thoughtTokens
    cost = { ...cost, ...counts(usage) }
  }
  const usage = (): GenerateUsage | null => (cost === null ? null : usageOf(cost, thoughtTokens))
  return {
    hear(event) {
      if (event.type === 'message_start') charge(event.message.usage)
      else if (event.type === 'content_block_start') blocks.set(event.index, begun(event.content_block, told))
      else if (event.type === 'content_block_delta') add(blocks.get(event.index), event.delta, told)
      else if (event.type === 'message_delta') {
        stopped = event.delta.stop_reason
        charge(event.usage)
      }
    },
    usage,
    result() {
      const spent = usage()
      return stopped === null || spent === null ? null : { ...saidOf([...blocks.values()], stopped, provider, turn), usage: spent }
    },
  }
}

function begun(block: object, told: Telling): Block {
  const { type = '', text = '', thinking = '', signature = '', data = '', id = '', name = '', input = {} } = block as Record<string, string>
  if (type === 'text') told.text(text)
  else if (type === 'tool_use') told.call(name, '')
  else if (type === 'thinking' || type === 'redacted_thinking') told.thinking(thinking + data)
  return { type, text: type === 'thinking' ? thinking : text, signature, data, id, name, input: JSON.stringify(input) }
}

/** Pieces of a block that was never begun are nobody's. */
function add(block: Block | undefined, delta: RawContentBlockDelta, told: Telling): void {
  if (block === undefined) return
  if (delta.type === 'text_delta') {
    block.text += delta.text
    told.text(delta.text)
  } else if (delta.type === 'input_json_delta') {
    block.text += delta.partial_json
    told.call(block.name, delta.partial_json)
  } else if (delta.type === 'thinking_delta') {
    block.text += delta.thinking
    told.thinking(delta.thinking)
  } else if (delta.type === 'signature_delta') {
    block.signature += delta.signature
    told.thinking(delta.signature)
  }
}

function saidOf(blocks: readonly Block[], stopped: StopReason, provider: string, turn: number): Omit<Said, 'usage'> {
  const content = blocks.map(({ type, text }) => (type === 'text' ? text : '')).join('')
  const thoughts = blocks.flatMap(thoughtOf)
  const isRefusal = stopped === 'refusal'
  const isCut = stopped === 'max_tokens' || stopped === 'model_context_window_exceeded'
  const spoken = blocks
    .filter(({ type }) => type === 'tool_use' && !isRefusal)
    .map(({ id, name, text, input }) => ({ id, name, args: text === '' ? input : text }))
  const calls = toolCalls(spoken, turn, isCut)
  if (stopped === 'tool_use' && calls.length === 0) {
    throw new Failure('E_PROVIDER_OUTPUT', 'the answer says that it calls a tool, and calls none', { retry: 'backoff' })
  }
  const message: Message = {
    role: 'assistant',
    content: content.toWellFormed(),
    ...(calls.length === 0 ? {} : { toolCalls: calls }),
    ...(thoughts.length === 0 ? {} : { thinking: { provider, blocks: thoughts } }),
  } as Message
  const finish: Finish = isRefusal ? 'refusal' : isCut ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop'
  return { message, finish }
}

/** As it is given back: with its signature, or what is hidden of it. A thought that was cut before it was signed would be refused with every later request. */
function thoughtOf({ type, text, signature, data }: Block): Json[] {
  if (type === 'thinking') return signature === '' ? [] : [{ type, thinking: text, signature }]
  return type === 'redacted_thinking' ? [{ type, data }] : []
}

/** Those that were told. What comes later in a stream counts from its beginning, and replaces what was told before. */
function counts(usage: Usage | MessageDeltaUsage): Record<string, number> {
  const names = ['input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'] as const
  return Object.fromEntries(names.flatMap((name) => (typeof usage[name] === 'number' ? [[name, usage[name]]] : [])))
}

function usageOf(cost: Partial<Record<keyof MessageDeltaUsage, number>>, thoughtTokens: number | null): GenerateUsage {
  const { input_tokens: plain = 0, output_tokens: outputTokens = 0 } = cost
  const { cache_read_input_tokens: cacheReadTokens = 0, cache_creation_input_tokens: cacheWriteTokens = 0 } = cost
  return {
    inputTokens: plain + cacheReadTokens + cacheWriteTokens,
    outputTokens,
    costUsd: null,
    cacheReadTokens,
    cacheWriteTokens,
    ...(thoughtTokens === null ? {} : { reasoningTokens: thoughtTokens }),
  }
}
