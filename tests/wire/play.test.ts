/** The replies of a task give the same answers over each wire as in the process. Each server is asked by its official client. */
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { expect, onTestFinished, test } from 'vitest'
import { CODER } from '../../src/actors/prompts/coder.ts'
import { REVIEWER } from '../../src/actors/prompts/reviewer.ts'
import type { GenerateRequest, Message } from '../../src/actors/provider.ts'
import { type Reply, scripted } from '../../src/actors/providers/scripted.ts'
import { anthropicServer } from './anthropic.ts'
import type { Script } from './exchange.ts'
import { ollamaServer } from './ollama.ts'
import { openaiServer } from './openai.ts'
import { playing } from './play.ts'

const NOTHING = {
  agent: '*',
  item: null,
  turn: null,
  match: null,
  times: null,
  reply: null,
  toolCalls: [],
  tokens: null,
  delayMs: 0,
  error: null,
}
const call = (name: string, args: { [key: string]: string }) => [{ name, args }]
const REPLIES: readonly Reply[] = [
  { ...NOTHING, agent: 'coder', item: 'shout', turn: 1, times: 1, error: { code: 'E_PROVIDER_OVERLOADED', retry: 'backoff' } },
  {
    ...NOTHING,
    agent: 'coder',
    item: 'shout',
    times: 1,
    reply: 'I look first, ünd then I change.',
    toolCalls: call('read', { path: 'a.ts' }),
  },
  {
    ...NOTHING,
    agent: 'coder',
    match: 'export const',
    toolCalls: call('edit', { path: 'a.ts', old: '"', new: '\\n' }),
    tokens: { input: 7, output: 3 },
  },
  { ...NOTHING, agent: 'coder', turn: 3, toolCalls: call('done', { summary: 'done' }) },
  { ...NOTHING, agent: 'reviewer', item: 'shout', reply: { verdict: 'approved', feedback: [] } },
]
const FIRST: Message = { role: 'user', content: 'Work item shout (implementation): greet louder' }
/** The conversations that are asked, one after the other, each with what comes after its answer. */
const RESULTS = ['export const a = 1', 'edited']

interface Heard {
  readonly content: string
  readonly calls: readonly { readonly name: string; readonly args: unknown }[]
}
type Ask = (messages: readonly Message[]) => Promise<Heard>

async function ollama(script: Script): Promise<Ask> {
  const server = await ollamaServer({ script })
  onTestFinished(() => server.close())
  const client = new Ollama({ host: server.url })
  return async (messages) => {
    const said = messages.map(({ role, content, toolCalls = [] }) => ({
      role,
      content,
      tool_calls: toolCalls.map(({ name, args }) => ({ function: { name, arguments: args } })),
    }))
    const { message } = await client.chat({ model: 'qwen3:8b', messages: said })
    return {
      content: message.content,
      calls: (message.tool_calls ?? []).map((one) => ({ name: one.function.name, args: one.function.arguments })),
    }
  }
}

async function anthropic(script: Script): Promise<Ask> {
  const server = await anthropicServer({ script })
  onTestFinished(() => server.close())
  const client = new Anthropic({ baseURL: server.url, apiKey: 'test-key', maxRetries: 0 })
  return async ([system, ...messages]) => {
    const said = messages.map(({ role, content, toolCalls = [], toolCallId }): Anthropic.MessageParam => {
      if (role === 'tool') return { role: 'user', content: [{ type: 'tool_result', tool_use_id: toolCallId ?? '', content }] }
      const text = content === '' ? [] : [{ type: 'text' as const, text: content }]
      const uses = toolCalls.map(({ id, name, args }) => ({ type: 'tool_use' as const, id, name, input: args }))
      return { role: role === 'assistant' ? 'assistant' : 'user', content: [...text, ...uses] }
    })
    const stream = client.messages.stream({ model: 'claude-haiku-4-5', max_tokens: 99, system: system?.content ?? '', messages: said })
    const { content } = await stream.finalMessage()
    const calls = content.flatMap((block) => (block.type === 'tool_use' ? [{ name: block.name, args: block.input }] : []))
    return { content: content.map((block) => (block.type === 'text' ? block.text : '')).join(''), calls }
  }
}

async function openai(script: Script): Promise<Ask> {
  const server = await openaiServer({ script })
  onTestFinished(() => server.close())
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'test-key', maxRetries: 0 })
  return async (messages) => {
    const said = messages.map(({ role, content, toolCalls, toolCallId }) => ({
      role,
      content,
      ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
      ...(toolCalls === undefined
        ? {}
        : {
            tool_calls: toolCalls.map(({ id, name, args }) => ({
              id,
              type: 'function',
              function: { name, arguments: JSON.stringify(args) },
            })),
          }),
    })) as OpenAI.ChatCompletionMessageParam[]
    const stream = client.chat.completions.stream({ model: 'gpt-4.1', messages: said })
    const message = (await stream.finalChatCompletion()).choices[0]?.message
    const calls = (message?.tool_calls ?? []).flatMap((one) =>
      one.type === 'function' ? [{ name: one.function.name, args: JSON.parse(one.function.arguments) }] : [],
    )
    return { content: message?.content ?? '', calls }
  }
}

test.each(Object.entries({ ollama, anthropic, openai }))(
  'a script that is played over %s says what it says in the process',
  async (_, start) => {
    const ask = await start(playing(REPLIES))
    const messages: Message[] = [{ role: 'system', content: CODER }, FIRST]
    await expect(ask(messages), 'the scripted error comes first').rejects.toThrow('E_PROVIDER_OVERLOADED')
    for (let turn = 1; turn <= 3; turn++) {
      const expected = await inProcess({ agent: 'coder', turn, attempt: turn === 1 ? 2 : 1, messages })
      const calls = (expected.toolCalls ?? []).map(({ name, args }) => ({ name, args }))
      expect(await ask(messages), `turn ${turn}`).toEqual({ content: expected.content, calls })
      messages.push(expected)
      for (const { id } of expected.toolCalls ?? []) messages.push({ role: 'tool', content: RESULTS[turn - 1] ?? 'done', toolCallId: id })
    }
    expect(messages.filter(({ role }) => role === 'assistant').map(({ scripted: place }) => place)).toEqual([1, 2, 3])
    const review: Message[] = [
      { role: 'system', content: REVIEWER },
      { role: 'user', content: 'Round 1 of work item shout: greet louder\nThe change, tree abc:\n\n+x' },
    ]
    expect(await ask(review)).toEqual({ content: '{"verdict":"approved","feedback":[]}', calls: [] })
    await expect(
      ask([
        { role: 'system', content: CODER },
        { ...FIRST, content: 'Work item other (test): x' },
      ]),
    ).rejects.toThrow('no scripted reply matches coder, item other')
  },
)

async function inProcess(asked: Pick<GenerateRequest, 'agent' | 'turn' | 'attempt' | 'messages'>): Promise<Message> {
  const request: GenerateRequest = { ...asked, item: 'shout', tools: [], schema: null, outputTokensMax: 99 }
  const result = await scripted(REPLIES).generate(request, { signal: new AbortController().signal, progress: () => undefined })
  if (!result.ok) throw new Error(result.message)
  return result.message
}
