/**
 * A conversation as Anthropic's Messages API takes it: turns of user and assistant in alternation.
 *
 *   ours                                       theirs
 *   system (first)                             system                                       <- cached
 *   tools                                      tools                                        <- cached
 *   user                                       user       text
 *   assistant, thinking, toolCalls             assistant  thinking, text, tool_use ...
 *   tool, tool, user                           user       tool_result, tool_result, text    <- cached, as the user turn before it
 *
 * A cached prefix costs a tenth when it is sent again. Four marks are allowed: the system prompt, the tools, and the last two turns of the user, so that each
 * request finds what the one before it has written.
 */
import type {
  ContentBlockParam,
  MessageCreateParamsBase,
  MessageParam,
  TextBlockParam,
  ThinkingConfigParam,
  Tool,
} from '@anthropic-ai/sdk/resources/messages'
import type { GenerateRequest, Message } from '../provider.ts'

/** The smallest budget for thinking, and what is left for the answer itself. */
const THINKING_TOKENS_MIN = 1_024
const ANSWER_TOKENS_MIN = 1_024
const CACHED_USER_TURNS = 2
const CACHE = { cache_control: { type: 'ephemeral' } } as const

/** What a request says, without how the answer is sent and shaped. */
export type Prompt = Pick<MessageCreateParamsBase, 'model' | 'messages' | 'system' | 'tools' | 'thinking'>

/** The prompt of a request. Thinking of another provider is left out: it is signed for that one. */
export function anthropicPrompt(request: GenerateRequest, provider: string): Prompt {
  const { messages, tools, model } = request
  const first = messages.findIndex(({ role }) => role !== 'system')
  const system = messages.slice(0, first === -1 ? messages.length : first).map(({ content }) => content)
  const thinking = thinkingOf(request, provider)
  const turns = turnsOf(messages.slice(system.length), provider)
  return {
    model: model?.model ?? '',
    messages: cached(turns),
    ...(system.join('').trim() === '' ? {} : { system: [{ ...textOf(system.join('\n\n')), ...CACHE }] }),
    ...(tools.length === 0 ? {} : { tools: toolsOf(tools) }),
    ...(thinking === null ? {} : { thinking }),
  }
}

/**
 * Its budget is part of `max_tokens`, which is what was reserved, so it gives way. Null: it does not think. A tool loop that was begun without thoughts of its
 * own (by another model of the chain) is refused with thinking on, so it is ended without.
 */
function thinkingOf({ model, outputTokensMax, messages }: GenerateRequest, provider: string): ThinkingConfigParam | null {
  const budget = Math.min(model?.thinkingTokens ?? 0, outputTokensMax - ANSWER_TOKENS_MIN)
  if (budget < THINKING_TOKENS_MIN) return null
  const loop = messages.slice(messages.findLastIndex(({ role }) => role === 'user') + 1).filter(({ role }) => role === 'assistant')
  const isOwn = loop.every(({ thinking }) => thinking?.provider === provider && thinking.blocks.length > 0)
  return isOwn ? { type: 'enabled', budget_tokens: budget } : null
}

const toolsOf = (tools: GenerateRequest['tools']): Tool[] =>
  tools.map(({ name, description, input }, index) => ({
    name,
    description,
    input_schema: input as unknown as Tool.InputSchema,
    ...(index === tools.length - 1 ? CACHE : {}),
  }))

interface Turn {
  readonly role: 'user' | 'assistant'
  readonly content: ContentBlockParam[]
}

/** Neighbours of one role are one turn, and results of tools come first in it: the API wants them right after the calls. */
function turnsOf(messages: readonly Message[], provider: string): Turn[] {
  const turns: Turn[] = []
  for (const message of messages) {
    const role = message.role === 'assistant' ? 'assistant' : 'user'
    const content = message.role === 'assistant' ? assistantBlocks(message, provider) : userBlocks(message)
    const last = turns.at(-1)
    if (last?.role === role) last.content.push(...content)
    else if (content.length > 0) turns.push({ role, content })
  }
  const isResult = ({ type }: ContentBlockParam): boolean => type === 'tool_result'
  return turns.map(({ role, content }) => ({
    role,
    content: [...content.filter(isResult), ...content.filter((block) => !isResult(block))],
  }))
}

function userBlocks({ role, content, toolCallId }: Message): ContentBlockParam[] {
  if (role === 'tool') return [{ type: 'tool_result', tool_use_id: wireId(toolCallId ?? ''), ...(content === '' ? {} : { content }) }]
  return content.trim() === '' ? [] : [textOf(content)]
}

/** Text that is empty is refused, and so is text of blanks at the end. */
function assistantBlocks({ content, toolCalls = [], thinking }: Message, provider: string): ContentBlockParam[] {
  const thoughts = thinking?.provider === provider ? (thinking.blocks as unknown as ContentBlockParam[]) : []
  const text = content.trimEnd() === '' ? [] : [textOf(content.trimEnd())]
  const calls = toolCalls.map(
    ({ id, name, args }) => ({ type: 'tool_use', id: wireId(id), name: wireId(name).slice(0, 128), input: args }) as const,
  )
  return text.length + calls.length === 0 ? [] : [...thoughts, ...text, ...calls]
}

const textOf = (text: string): TextBlockParam => ({ type: 'text', text })

/** Ids and names that another provider or a model made up may have characters that are refused here. */
const wireId = (id: string): string => id.replace(/[^\w-]/g, '_') || '_'

function cached(turns: readonly Turn[]): MessageParam[] {
  const users = turns.flatMap(({ role }, index) => (role === 'user' ? [index] : [])).slice(-CACHED_USER_TURNS)
  return turns.map(({ role, content }, index) => ({
    role,
    content: users.includes(index)
      ? content.map((block, place) => (place === content.length - 1 ? { ...block, ...CACHE } : block) as ContentBlockParam)
      : content,
  }))
}
