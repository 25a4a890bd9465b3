/**
 * Answers from a list of replies instead of a model. Always simulated; an unmatched request is a failure, never an invented answer.
 *
 *   for each reply in order: agent, item, turn and match fit, and it is not used up?  -> this one
 *   none                                                                              -> E_SCRIPT_MISS
 *
 * It is a pure function of the request, so it answers the same after a crash. `times` is counted where it survives: an answer that was given carries the
 * place of its reply (`scripted`) in the conversation; an error leaves nothing there and is counted by the attempts of the request.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Json } from '../../json.ts'
import type { GenerateOptions, GenerateRequest, GenerateResult, GenerateUsage, Message, Provider } from '../provider.ts'

/** One reply. What is null fits everything. */
export interface Reply {
  /** `*`: any. */
  readonly agent: string
  readonly item: string | null
  readonly turn: number | null
  /** A regular expression that is found in the last message. */
  readonly match: string | null
  /** How often it is given in one conversation; null: always. */
  readonly times: number | null
  /** Text, or data that is given as JSON text. */
  readonly reply: Json | null
  readonly toolCalls: readonly { readonly name: string; readonly args: { readonly [key: string]: Json } }[]
  readonly tokens: { readonly input: number; readonly output: number } | null
  /** Waited before it answers or fails, milliseconds of real time. */
  readonly delayMs: number
  readonly error: { readonly code: string; readonly retry: 'never' | 'backoff' | 'after' } | null
}

/** Characters of a token, where the script gives no count. */
const CHARS_PER_TOKEN = 4

/** A provider that gives these replies. */
export function scripted(replies: readonly Reply[]): Provider {
  const rules = replies.map((reply) => ({ reply, pattern: reply.match === null ? null : new RegExp(reply.match, 'u') }))
  return {
    name: 'scripted',
    simulated: true,
    async generate(request, options) {
      const index = choose(rules, request)
      const reply = index === null ? undefined : replies[index]
      if (index === null || reply === undefined) return miss(request, replies.length)
      if (!(await waited(reply.delayMs, options.signal))) return aborted()
      return reply.error === null ? answer(request, reply, index, options) : failed(request, reply)
    },
  }
}

interface Rule {
  readonly reply: Reply
  readonly pattern: RegExp | null
}

/** The reply that this attempt gets. Errors that earlier attempts of the request got are used up first. */
function choose(rules: readonly Rule[], request: GenerateRequest): number | null {
  const used = rules.map((_, index) => request.messages.filter((message) => message.scripted === index).length)
  for (let attempt = 1; ; attempt++) {
    const index = rules.findIndex(
      (rule, place) => fits(rule, request) && (used[place] ?? 0) < (rule.reply.times ?? Number.POSITIVE_INFINITY),
    )
    if (index === -1) return null
    if (attempt === request.attempt || rules[index]?.reply.error === null) return index
    used[index] = (used[index] ?? 0) + 1
  }
}

function fits({ reply, pattern }: Rule, { agent, item, turn, messages }: GenerateRequest): boolean {
  if (reply.agent !== '*' && reply.agent !== agent) return false
  if (reply.item !== null && reply.item !== item) return false
  if (reply.turn !== null && reply.turn !== turn) return false
  return pattern === null || pattern.test(messages.at(-1)?.content ?? '')
}

function answer(request: GenerateRequest, reply: Reply, index: number, options: GenerateOptions): GenerateResult {
  const content = typeof reply.reply === 'string' ? reply.reply : reply.reply === null ? '' : JSON.stringify(reply.reply)
  const toolCalls = reply.toolCalls.map((call, place) => ({
    id: `call-${request.turn}-${place + 1}`,
    name: call.name,
    args: { ...call.args },
  }))
  const message: Message = { role: 'assistant', content, ...(toolCalls.length > 0 ? { toolCalls } : {}), scripted: index } as Message
  if (content !== '') options.progress({ text: content })
  return { ok: true, message, usage: usageOf(request, reply, message), finish: toolCalls.length > 0 ? 'tool_calls' : 'stop' }
}

function usageOf(request: GenerateRequest, { tokens }: Reply, message: Message | null): GenerateUsage {
  const input = request.messages.reduce((sum, said) => sum + lengthOf(said), 0)
  return {
    inputTokens: tokens?.input ?? Math.ceil(input / CHARS_PER_TOKEN),
    outputTokens: tokens?.output ?? Math.ceil((message === null ? 0 : lengthOf(message)) / CHARS_PER_TOKEN),
    costUsd: 0,
  }
}

const lengthOf = (message: Message): number =>
  message.content.length + (message.toolCalls === undefined ? 0 : JSON.stringify(message.toolCalls).length)

function failed(request: GenerateRequest, reply: Reply): GenerateResult {
  const { code, retry } = reply.error ?? { code: 'E_SCRIPT_MISS', retry: 'never' }
  const usage = reply.tokens === null ? {} : { usage: usageOf(request, reply, null) }
  return { ok: false, code, message: `the script fails ${where(request)} with ${code}`, retry, ...usage }
}

function miss(request: GenerateRequest, count: number): GenerateResult {
  const { agent, item, turn } = request
  const why = count === 0 ? 'no replies are scripted and no model is configured: ' : ''
  const hint = 'add one under `replies:` of the task file'
  const message = `${why}no scripted reply matches ${where(request)}`
  return { ok: false, code: 'E_SCRIPT_MISS', message, retry: 'never', details: { hint, data: { agent, item, turn } } }
}

const where = ({ agent, item, turn }: GenerateRequest): string => `${agent}, item ${item ?? '-'}, turn ${turn}`

const aborted = (): GenerateResult => ({ ok: false, code: 'E_ABORTED', message: 'nobody wants the answer any more', retry: 'never' })

/** False when it was aborted meanwhile. */
async function waited(delayMs: number, signal: AbortSignal): Promise<boolean> {
  if (delayMs > 0) await wait(delayMs, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}
