/**
 * A conversation as the chat completions of OpenAI take it, and of the many servers that speak like it.
 *
 *   ours                      theirs
 *   system, user              system, user
 *   assistant, toolCalls      assistant    content, tool_calls [{ id, function: { name, arguments: TEXT } }]
 *   tool                      tool         tool_call_id
 *
 * Thoughts are not sent: they are signed for the provider that they came from, and this API takes none.
 */
import type {
  ChatCompletionCreateParamsStreaming,
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
} from 'openai/resources/chat/completions'
import type { GenerateRequest, Message } from '../provider.ts'
import { openaiFormat } from './schema-answer.ts'

/** The whole body of a request. @param host  of the server: OpenAI's own has another name for the limit of an answer than everybody else. */
export function openaiParams(request: GenerateRequest, host: string): ChatCompletionCreateParamsStreaming {
  const { messages, tools, model, outputTokensMax } = request
  const format = openaiFormat(request.schema)
  const temperature = model?.temperature ?? null
  return {
    model: model?.model ?? '',
    messages: messages.flatMap(messageOf),
    stream: true,
    stream_options: { include_usage: true },
    ...(host === 'api.openai.com' ? { max_completion_tokens: outputTokensMax } : { max_tokens: outputTokensMax }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toolOf) }),
    ...(format === null ? {} : { response_format: format }),
    ...(temperature === null ? {} : { temperature }),
  }
}

const toolOf = ({ name, description, input }: GenerateRequest['tools'][number]): ChatCompletionFunctionTool => ({
  type: 'function',
  function: { name, description, parameters: input as Record<string, unknown> },
})

/** An answer that said nothing is left out: many servers refuse it. */
function messageOf({ role, content, toolCalls = [], toolCallId = '' }: Message): ChatCompletionMessageParam[] {
  if (role === 'tool') return [{ role, tool_call_id: toolCallId, content }]
  if (role !== 'assistant') return [{ role, content }]
  if (toolCalls.length === 0) return content.trim() === '' ? [] : [{ role, content }]
  const calls = toolCalls.map(
    ({ id, name, args }) => ({ id, type: 'function', function: { name, arguments: JSON.stringify(args) } }) as const,
  )
  return [{ role, content: content === '' ? null : content, tool_calls: calls }]
}
