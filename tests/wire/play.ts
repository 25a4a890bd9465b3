/**
 * Plays the replies of a task over the wire, so that the same script which the `scripted` provider gives in the process runs through each adapter.
 *
 *   request body --heard--> who asks, about which item, what was said --scripted(replies)--> reply --exchangeOf--> answer in the server's dialect
 *
 * Nothing but the request itself says who asks: the agent is known by its system prompt, the item by the words that open its conversation, the turn by the
 * answers that are there. Which reply gave an earlier answer is found by asking for it again; only attempts that failed are remembered, by the conversation.
 */
import { createHash } from 'node:crypto'
import { CODER } from '../../src/actors/prompts/coder.ts'
import { ORCHESTRATOR } from '../../src/actors/prompts/orchestrator.ts'
import { REVIEWER } from '../../src/actors/prompts/reviewer.ts'
import type { GenerateRequest, GenerateResult, Message } from '../../src/actors/provider.ts'
import { type Reply, scripted } from '../../src/actors/providers/scripted.ts'
import { type Data, type Exchange, type Fault, isData, listOf } from './exchange.ts'
import type { Seen } from './server.ts'

const AGENTS = { coder: CODER, orchestrator: ORCHESTRATOR, reviewer: REVIEWER }
const ITEM = /^(?:Work item|Round \d+ of work item) ([A-Za-z][\w-]*)/m
const PIECE = /.{1,24}/gsu
/** Attempts of one request that are looked through for the one that answered. */
const ATTEMPTS_MAX = 100

/** A script that answers each request as `scripted(replies)` would. */
export function playing(replies: readonly Reply[]): (request: Seen) => Promise<Exchange> {
  const provider = scripted(replies.map((reply) => ({ ...reply, delayMs: 0 })))
  const asked = new Map<string, number>()
  const ask = (request: GenerateRequest): Promise<GenerateResult> =>
    provider.generate(request, { signal: new AbortController().signal, progress: () => undefined })

  /** The conversation with the place of its reply at each answer. */
  async function marked(agent: string, item: string | null, said: readonly Message[]): Promise<readonly Message[]> {
    const known: Message[] = []
    for (const message of said) {
      const scriptedBy = message.role === 'assistant' ? await placeOf({ ...requestOf(agent, item, known), attempt: 1 }) : undefined
      known.push(scriptedBy === undefined ? message : { ...message, scripted: scriptedBy })
    }
    return known
  }
  async function placeOf(request: GenerateRequest): Promise<number | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const result = await ask({ ...request, attempt })
      if (result.ok) return result.message.scripted
      if (result.code === 'E_SCRIPT_MISS') return undefined
    }
    return undefined
  }

  return async (seen) => {
    const said = heard(seen.body)
    const agent = agentOf(said)
    const item = ITEM.exec(said.find(({ role }) => role === 'user')?.content ?? '')?.[1] ?? null
    const key = createHash('sha256')
      .update(JSON.stringify([agent, said]))
      .digest('hex')
    const attempt = (asked.get(key) ?? 0) + 1
    asked.set(key, attempt)
    const result = await ask({ ...requestOf(agent, item, await marked(agent, item, said)), attempt })
    const delayMs = result.ok ? (replies[result.message.scripted ?? -1]?.delayMs ?? 0) : 0
    return { ...exchangeOf(result, seen.body), delayMs }
  }
}

function requestOf(agent: string, item: string | null, messages: readonly Message[]): GenerateRequest {
  const turn = messages.filter(({ role }) => role === 'assistant').length + 1
  return { agent, item, turn, attempt: 1, messages, tools: [], schema: null, outputTokensMax: 4_096 }
}

/** By its first line: what an adapter adds to a prompt comes after it. */
function agentOf(said: readonly Message[]): string {
  const system = said
    .filter(({ role }) => role === 'system')
    .map(({ content }) => content)
    .join('\n')
  const known = Object.entries(AGENTS).find(([, prompt]) => system.includes(prompt.split('\n')[0] ?? prompt))
  if (known === undefined) throw new Error(`no agent of the team has this system prompt: ${system.slice(0, 200)}`)
  return known[0]
}

/** What was said, of all three formats. Blocks of one message are messages of their own, as the conversation had them. */
function heard(body: unknown): readonly Message[] {
  if (!isData(body)) throw new Error('a request without a body')
  const system = body['system'] === undefined ? [] : [{ role: 'system' as const, content: textsOf(body['system']).join('\n') }]
  return [...system, ...listOf(body['messages']).flatMap(messagesOf)]
}

function messagesOf({ role, content }: Data): readonly Message[] {
  const results = listOf(content).filter((block) => block['type'] === 'tool_result')
  const texts = textsOf(content)
  if (role === 'user' || role === 'developer') {
    const told = results.map((block) => ({ role: 'tool' as const, content: textsOf(block['content']).join('\n') }))
    return [...told, ...texts.map((text) => ({ role: role === 'user' ? ('user' as const) : ('system' as const), content: text }))]
  }
  return [{ role: role as Message['role'], content: texts.join('') }]
}

function textsOf(content: unknown): readonly string[] {
  if (typeof content === 'string') return [content]
  return listOf(content).flatMap(({ type, text }) => (type === 'text' && typeof text === 'string' ? [text] : []))
}

function exchangeOf(result: GenerateResult, body: unknown): Exchange {
  if (!result.ok) return { text: 'this is not said to its end', fault: faultOf(result) }
  const { message, usage } = result
  const forced = forcedTool(body)
  const isForced = forced !== null && message.toolCalls === undefined
  const toolCalls = isForced
    ? [{ name: forced, args: JSON.parse(message.content) }]
    : (message.toolCalls ?? []).map(({ name, args }) => ({ name, args }))
  return {
    ...(isForced ? {} : { text: message.content.match(PIECE) ?? [] }),
    toolCalls,
    usage: { input: usage.inputTokens, output: usage.outputTokens },
  }
}

/** The one tool that the request leaves to the model, by which some adapters ask for JSON. */
function forcedTool(body: unknown): string | null {
  const choice = isData(body) ? body['tool_choice'] : undefined
  if (!isData(choice)) return null
  const name = isData(choice['function']) ? choice['function']['name'] : choice['name']
  return typeof name === 'string' ? name : null
}

/** What a server does so that an adapter finds this failure. */
function faultOf({ code, message, retry }: GenerateResult & { readonly ok: false }): Fault {
  const status = (number: number): Fault => ({ kind: 'status', status: number, message })
  switch (code) {
    case 'E_PROVIDER_OVERLOADED':
      return retry === 'after' ? { kind: 'status', status: 429, retryAfterMs: 10 } : status(503)
    case 'E_PROVIDER_UNREACHABLE':
      return { kind: 'reset' }
    case 'E_PROVIDER_TIMEOUT':
      return { kind: 'hang', after: 0 }
    case 'E_PROVIDER_OUTPUT':
      return { kind: 'cut', after: -1 }
    case 'E_CREDENTIALS_REJECTED':
      return status(401)
    case 'E_MODEL_UNKNOWN':
      return status(404)
    default:
      return status(retry === 'never' ? 400 : 500)
  }
}
