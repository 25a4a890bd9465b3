/**
 * When an agent has its conversation made shorter, which part of it, and what comes of it. Pure; an agent's machine calls it before it asks its model.
 *
 *   system  task  answer  result  answer  result  answer  result         the prompt has passed the mark
 *                 '------- stretch -------------'  '-- kept ---'
 *   system  task  [summary]                        answer  result        afterwards, as the model is shown it
 *
 * The optimizer is asked for the summary. Where there is none in time, none that is short enough, or nobody to ask, a line that says what is missing takes its
 * place: shorter it becomes either way, so no conversation is stuck because it is too long to be shortened (obra/lace#374). Both are messages at the end of the
 * thread; nothing of the thread is lost. It is not done again before some turns have passed, and not for a small gain (oh-my-openagent#6871).
 */
import type { Address, AskEvent, AskParams } from '../protocol.ts'
import { type Conversation, type Cut, tokensOf } from './conversation.ts'
import type { GenerateInput, GenerateOutput } from './effects.ts'
import { calibrated, type Reported, tokensOfMessage } from './tokens.ts'
import { contextCompacted, type Message } from './vocabulary.ts'

/** Of what an agent's prompts may take. Shares are of `promptTokensMax`. */
export interface WindowLimits {
  /** Tokens of a prompt, tools included. Default: no limit is known, and nothing is made shorter. */
  readonly promptTokensMax?: number | undefined
  /** From which share on it is made shorter. Default 0.8. */
  readonly mark?: number | undefined
  /** Share of the newest answers that stays as it is. Default 0.3. */
  readonly keep?: number | undefined
  /** Answers of the model between two times. Default 4. */
  readonly turnsMin?: number | undefined
  /** Time for a summary, milliseconds. Default three minutes. */
  readonly askMs?: number | undefined
  /** Tokens that the offered tools take at most. Default {@link TOOLS_TOKENS}. */
  readonly toolsTokens?: number | undefined
}
/** What the tools of a coder take at most. */
export const TOOLS_TOKENS = 3_500
const DEFAULTS = { mark: 0.8, keep: 0.3, turnsMin: 4, askMs: 180_000 }
/** Smallest share that a stretch must free, and largest that its summary may take. */
const GAIN_MIN = 0.2
const SUMMARY_MAX = 0.15
const SUMMARY_TOKENS_MIN = 100

/** What an agent keeps about its window. Plain data. */
export interface Window {
  /** Null: there is none. */
  readonly optimizer: Address | null
  readonly limits: WindowLimits
  /** Questions to the optimizer so far. */
  readonly asked: number
  /** Which conversation was made shorter last, and after which turn. */
  readonly last: { readonly thread: string; readonly turn: number } | null
  /** What the model has counted last, for a conversation of `length` messages; 0 when it was made shorter since. */
  readonly reported: (Reported & { readonly thread: string; readonly length: number }) | null
}

/** At the beginning. */
export const openWindow = (optimizer: Address | undefined, limits: WindowLimits | undefined): Window => ({
  ...{ optimizer: optimizer ?? null, limits: limits ?? {} },
  ...{ asked: 0, last: null, reported: null },
})

/** Part of a conversation that a summary takes the place of: places, and the tokens that it takes at most. */
export interface Stretch {
  readonly from: Cut
  readonly to: Cut
}

const reportedOf = ({ reported }: Window, { thread }: Conversation): Window['reported'] => (reported?.thread === thread ? reported : null)

/** Tokens of the conversation and the tools at most. */
const expectedOf = ({ limits }: Window, conversation: Conversation): number => tokensOf(conversation) + (limits.toolsTokens ?? TOOLS_TOKENS)

/** Tokens that the next prompt takes, tools included: what the model has counted, and what came since at its worst. */
const promptTokensOf = (window: Window, conversation: Conversation): number =>
  calibrated(expectedOf(window, conversation), reportedOf(window, conversation))

/**
 * What is to be made shorter: from the first answer on all but the newest ones. Null: nothing that would help. All of it is counted at its worst: of the shorter
 * conversation its model has counted nothing yet, and it must fit all the same.
 */
export function stretchOf(window: Window, conversation: Conversation): Stretch | null {
  const { promptTokensMax, keep = DEFAULTS.keep } = window.limits
  const { cuts = [], lastUser } = conversation
  const [from] = cuts
  if (promptTokensMax === undefined || from === undefined) return null
  const others =
    expectedOf(window, conversation) - tokensOf(conversation) + from.tokens + summaryTokens(promptTokensMax) + (lastUser?.tokens ?? 0)
  const room = Math.min(keep * promptTokensMax, promptTokensMax - others)
  const to = cuts.find((cut) => tokensOf(conversation) - cut.tokens <= room) ?? cuts.at(-1)
  return to === undefined || to.tokens - from.tokens < GAIN_MIN * promptTokensMax ? null : { from, to }
}

/** What a summary may take. */
const summaryTokens = (promptTokensMax: number): number => Math.max(SUMMARY_TOKENS_MIN, Math.floor(promptTokensMax * SUMMARY_MAX))

/** Is it time? */
export function isFull(window: Window, conversation: Conversation): boolean {
  const { promptTokensMax, mark = DEFAULTS.mark, turnsMin = DEFAULTS.turnsMin } = window.limits
  if (promptTokensMax === undefined || window.optimizer === null) return false
  if (window.last?.thread === conversation.thread && conversation.turns - window.last.turn < turnsMin) return false
  return promptTokensOf(window, conversation) > mark * promptTokensMax && stretchOf(window, conversation) !== null
}

const idOf = ({ asked }: Window): string => `compact/${asked}`

/** Is this about the question that is open? */
export const isAbout = (window: Window, event: { readonly id?: string }): boolean => event.id === idOf(window)

/** Parameters of `ask`, after `asked` was raised. */
export function compactQuestion(window: Window, conversation: Conversation, item: string): AskParams {
  const { promptTokensMax = 0, askMs = DEFAULTS.askMs } = window.limits
  const { from, to } = stretchOf(window, conversation) ?? NOTHING
  const budgetTokens = summaryTokens(promptTokensMax)
  const stretch = { thread: conversation.thread, ...placesOf(conversation, { from, to }), tokens: to.tokens - from.tokens }
  return {
    id: idOf(window),
    to: window.optimizer ?? '',
    timeoutMs: askMs,
    event: { type: 'context.compact', ...stretch, item, budgetTokens },
  }
}
const NOTHING: Stretch = { from: { at: 0, tokens: 0 }, to: { at: 1, tokens: 1 } }

const placesOf = ({ length }: Conversation, { from, to }: Stretch) => ({ back: length - from.at, count: to.at - from.at })

/** What became of a conversation, as it is told: tokens of the next prompt before and after. */
export interface Shortened {
  readonly message: Message
  readonly conversation: Conversation
  readonly window: Window
  readonly fact: { readonly beforeTokens: number; readonly afterTokens: number; readonly method: 'summary' | 'truncated' }
}

/** Makes a conversation shorter: by the summary that was answered, or by a line in its place. Null: there is nothing to be made shorter any more. */
export function shortened(window: Window, conversation: Conversation, event: AskEvent): Shortened | null {
  const stretch = stretchOf(window, conversation)
  if (stretch === null) return null
  const summaryOf = placesOf(conversation, stretch)
  const read = event.type === 'ask.answered' ? contextCompacted.safeParse(event.answer).data?.summary : undefined
  const summary: Message = { role: 'user', content: `[summary of the ${summaryOf.count} messages that were here]\n${read}`, summaryOf }
  const isSummary = read !== undefined && tokensOfMessage(summary) < stretch.to.tokens - stretch.from.tokens
  const line = `[${summaryOf.count} messages that were here are left out; what they did to files is done]`
  const message: Message = isSummary ? summary : { role: 'user', content: line, summaryOf }
  const after = without(conversation, stretch, message)
  const beforeTokens = promptTokensOf(window, conversation)
  const { thread, turns } = conversation
  const reported = window.reported === null ? null : { ...window.reported, length: 0 }
  const changed: Window = { ...window, last: { thread, turn: turns }, reported }
  const fact = { beforeTokens, afterTokens: promptTokensOf(changed, after), method: isSummary ? 'summary' : 'truncated' } as const
  return { message, conversation: after, window: changed, fact }
}

/** The conversation with this message at its end, which stands for the stretch. What a user has said last is shown all the same. */
function without(conversation: Conversation, { from, to }: Stretch, message: Message): Conversation {
  const { cuts = [], lastUser, length } = conversation
  const kept = lastUser !== undefined && lastUser.at >= from.at && lastUser.at < to.at ? lastUser.tokens : 0
  const less = to.tokens - from.tokens - tokensOfMessage(message) - kept
  const tokens = tokensOf(conversation) - less
  const later = cuts.filter(({ at }) => at >= to.at).map((cut) => ({ at: cut.at, tokens: cut.tokens - less }))
  // Half of the characters is what a call reserves: from here on that is what is shown.
  return { ...conversation, length: length + 1, tokens, chars: Math.min(conversation.chars, 2 * tokens), cuts: [from, ...later] }
}

/**
 * What a model has counted, kept for the next prompt. What was cut, or is of no model, teaches nothing. Nor does a count that cannot be: less than before although
 * the conversation has only grown (some servers leave out what they had cached), or next to nothing.
 */
export function learned(window: Window, conversation: Conversation, { usage }: Pick<GenerateOutput, 'usage'>): Window {
  const { promptTokensMax } = window.limits
  const expectedTokens = expectedOf(window, conversation)
  const { inputTokens: tokens, model = null, simulated = false } = usage
  if (promptTokensMax === undefined || simulated || promptTokensOf(window, conversation) > promptTokensMax) return window
  const before = reportedOf(window, conversation)
  const least = before === null || before.length === 0 ? 0 : before.tokens
  if (tokens < least || tokens * UNBELIEVABLE < expectedTokens) return window
  const { thread, length } = conversation
  return { ...window, reported: { model, expectedTokens, tokens, thread, length } }
}
/** No text takes so many times less than it may at most. */
const UNBELIEVABLE = 8

/** What of it goes into the input of a model call. */
export function windowInput(window: Window, conversation: Conversation): Pick<GenerateInput, 'promptTokensMax' | 'known'> {
  const { promptTokensMax } = window.limits
  const reported = reportedOf(window, conversation)
  if (promptTokensMax === undefined) return {}
  if (reported === null || reported.length === 0) return { promptTokensMax }
  const { model, tokens, length } = reported
  return { promptTokensMax, known: { model, tokens, since: conversation.length - length } }
}
