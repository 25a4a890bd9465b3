/**
 * A conversation as Ollama's chat takes it.
 *
 *   ours                      tools: native                                    tools: text
 *   system, user              system, user                                     the tools are described behind the first system message
 *   assistant, toolCalls      assistant  tool_calls [{ id, function }]         its text, then <tool_call>{...}</tool_call> for each
 *   tool                      tool       tool_name, tool_call_id               user: the result, with the name of the tool
 *
 * Always sent: `num_ctx`, since a server without it takes 4,096 tokens and cuts the rest (P17), `num_predict`, and that nothing may be cut or shifted. Thoughts
 * are not given back: templates leave them out of what was said before.
 */
import type { ChatRequest, Message as OllamaMessage, Tool } from 'ollama'
import type { GenerateRequest, Message, ToolOffer } from '../provider.ts'

type Model = NonNullable<GenerateRequest['model']>

/** What every request says about how the model is run. Another value of it, and the server loads the model again. */
export const runOptions = (model: Model) => ({
  model: model.model,
  ...(model.keepAliveMs === null ? {} : { keep_alive: `${model.keepAliveMs}ms` }),
  // Newer servers refuse what does not fit instead of cutting it; the client passes on what it does not know.
  shift: false,
})

/** The whole body of a request. */
export function chatRequest({ messages, tools, schema, outputTokensMax }: GenerateRequest, model: Model): ChatRequest & { stream: true } {
  const isText = model.tools === 'text'
  const native = isText || tools.length === 0 ? {} : { tools: tools.map(toolOf) }
  const body = {
    ...runOptions(model),
    truncate: false,
    messages: isText ? textMessages(messages, tools) : nativeMessages(messages),
    stream: true as const,
    ...native,
    ...(schema === null ? {} : { format: schema as object }),
    ...(model.thinkingTokens === null ? {} : { think: true }),
    options: {
      num_ctx: model.contextTokens,
      num_predict: outputTokensMax,
      ...(model.temperature === null ? {} : { temperature: model.temperature }),
    },
  }
  return body
}

/** What must be in the prompt, whatever the template of the model makes of it. Answers are not: templates leave thoughts in them out. */
export const promptTexts = (messages: readonly OllamaMessage[]): readonly string[] =>
  messages.filter(({ role }) => role !== 'assistant').map(({ content }) => content)

const toolOf = ({ name, description, input }: ToolOffer): Tool => ({
  type: 'function',
  function: { name, description, parameters: input as NonNullable<Tool['function']['parameters']> },
})

function nativeMessages(messages: readonly Message[]): OllamaMessage[] {
  const names = namesOf(messages)
  return messages.map(({ role, content, toolCalls = [], toolCallId = '' }) => {
    const calls = toolCalls.map(({ id, name, args }) => ({ id, function: { name, arguments: args } }))
    if (role === 'tool') return { role, content, tool_name: names.get(toolCallId) ?? '', tool_call_id: toolCallId }
    return { role, content, ...(calls.length === 0 ? {} : { tool_calls: calls }) }
  })
}

/** The tool that each call was of. */
const namesOf = (messages: readonly Message[]): ReadonlyMap<string, string> =>
  new Map(messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name] as const)))

/** For models without tools of their own: calls and results are text, and salvage.ts reads them back. */
function textMessages(messages: readonly Message[], tools: readonly ToolOffer[]): OllamaMessage[] {
  const names = namesOf(messages)
  const said = messages.map(({ role, content, toolCalls = [], toolCallId = '' }) => {
    if (role === 'tool') return { role: 'user', content: `Result of ${names.get(toolCallId) ?? 'the tool'}:\n${content}` }
    const calls = toolCalls.map(({ name, args }) => `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`)
    return { role, content: [content, ...calls].filter((part) => part !== '').join('\n') }
  })
  if (tools.length === 0) return said
  const [first, ...rest] = said
  if (first?.role !== 'system') return [{ role: 'system', content: toolsInWords(tools) }, ...said]
  return [{ role: 'system', content: `${first.content}\n\n${toolsInWords(tools)}` }, ...rest]
}

function toolsInWords(tools: readonly ToolOffer[]): string {
  const list = tools.map(({ name, description, input }) => JSON.stringify({ name, description, parameters: input }))
  return `You have these tools, one a line, with the JSON Schema of their arguments:
${list.join('\n')}

To call one, answer with a block like this, and nothing after it:
<tool_call>
{"name": "<name of the tool>", "arguments": {...}}
</tool_call>
You get its result with the next message. Several blocks are several calls.`
}
