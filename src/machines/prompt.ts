/**
 * The messages of one model call: the conversation that its input names, within its budget, and before it the stretch of another one that is to be read.
 *
 *   coder        thread                                             context.ts: all of it, or what fits
 *   optimizer    system, the stretch as text (user), instruction    all of the stretch, or each message of it cut in the middle to one length
 */
import { buildContext, type Context, middleCut } from './context.ts'
import type { GenerateInput } from './effects.ts'
import { historyOf } from './history.ts'
import { type Count, tokensAtMost, tokensOfMessage } from './tokens.ts'
import type { Message } from './vocabulary.ts'

/** Characters of a message in a stretch below which it says nothing any more. */
const CHARS_MIN = 40

export interface PromptRequest {
  readonly input: Pick<GenerateInput, 'thread' | 'promptTokensMax' | 'known' | 'stretch' | 'model'>
  /** A thread as it is committed. */
  readonly thread: (name: string) => readonly Message[]
  /** Tokens of the offered tools: `tokensOfTools`. */
  readonly toolTokens: number
  /** Default: at most. */
  readonly count?: Count
}

/** What a model is shown. Where it does not fit there is no prompt: `E_CONTEXT_TOO_LARGE`. */
export function promptOf({ input, thread, toolTokens, count = tokensAtMost }: PromptRequest): Context {
  const messages = thread(input.thread)
  const measure = (message: Message): number => tokensOfMessage(message, count)
  const room = (input.promptTokensMax ?? Number.POSITIVE_INFINITY) - toolTokens
  const build = (budgetTokens: number): Context => buildContext({ messages, budgetTokens, measure })
  if (input.stretch !== undefined) {
    const { thread: name, back, count: length } = input.stretch
    const from = Math.max(0, thread(name).length - back)
    return withStretch(build(Number.POSITIVE_INFINITY), thread(name).slice(from, from + length), { room, measure })
  }
  return build(isKnownToFit(input, messages, measure) ? Number.POSITIVE_INFINITY : room)
}

/** What its model has counted, and what was said since at its worst. */
function isKnownToFit(
  { known, model, promptTokensMax }: PromptRequest['input'],
  messages: readonly Message[],
  measure: (message: Message) => number,
) {
  if (known === undefined || promptTokensMax === undefined || known.model !== (model?.model ?? null)) return false
  const added = messages.slice(messages.length - known.since)
  return added.reduce((sum, message) => sum + measure(message), known.tokens) <= promptTokensMax
}

function withStretch(
  own: Context,
  stretch: readonly Message[],
  { room, measure }: { readonly room: number; readonly measure: (message: Message) => number },
): Context {
  if (!own.ok) return own
  const head = own.messages.findIndex(({ role }) => role !== 'system')
  const at = (chars: number): readonly Message[] => own.messages.toSpliced(head, 0, { role: 'user', content: transcriptOf(stretch, chars) })
  const size = (messages: readonly Message[]): number => messages.reduce((sum, message) => sum + measure(message), 0)
  const longest = Math.max(CHARS_MIN, ...stretch.map((message) => said(message).length))
  let [low, high] = [CHARS_MIN, longest]
  if (size(at(low)) > room) return { ok: false, needed: size(at(low)), budget: room }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (size(at(middle)) <= room) low = middle
    else high = middle - 1
  }
  const wholeTokens = size(at(longest))
  return { ok: true, messages: at(low), tokens: size(at(low)), wholeTokens, dropped: null, cut: low === longest ? 0 : 1 }
}

/** A stretch as text, each of its messages cut to so many characters. */
function transcriptOf(stretch: readonly Message[], chars: number): string {
  const messages = historyOf(stretch).groups.flatMap((group) => group.messages)
  return messages.map((message) => `--- ${titleOf(message)}\n${middleCut(said(message), chars)}`).join('\n')
}

const titleOf = ({ role, standsFor }: Message): string =>
  standsFor === undefined
    ? { system: 'system', user: 'user', assistant: 'assistant', tool: 'result' }[role]
    : `summary of ${standsFor} messages before`

const said = ({ content, toolCalls = [] }: Message): string =>
  [content, ...toolCalls.map((call) => `calls ${call.name} ${JSON.stringify(call.args)}`)].filter((line) => line !== '').join('\n')
