/**
 * How many tokens a text takes, without the tokenizer of its model.
 *
 *   tokensAtMost    for budgets: too much rather than too little          two to three times what tokenizers count for prose and code
 *   estimateTokens  what is likely; whoever shows it writes `~` before it
 *   calibrated      either of them, corrected by what the model itself has counted
 *
 * What is sure of every byte-level tokenizer (BPE over bytes, or SentencePiece with byte fallback) is one token a byte at most. That is kept where they come
 * close to it: digits, capitals, punctuation, controls, everything that is not ASCII. Only runs of small letters and spaces are counted as less, 0.7 and 0.5:
 * random small letters take up to 0.61 tokens each (Llama 2), a single one takes 1, and spaces hang on words or come in runs. `letters / 2`, the usual rule, is
 * too little for base64 (0.85), names in mixed case (0.74) and random words. tests/machines/tokens.test.ts holds the counts of four vocabularies. Text made
 * of rare pairs of letters against one vocabulary may still take more; so what a provider reports is believed, and a prompt that it refuses is E_CONTEXT_TOO_LARGE.
 */
import type { Json } from '../json.ts'
import type { Message } from './vocabulary.ts'

/** Counts the tokens of a text. */
export type Count = (text: string) => number

const SMALL_LETTER_TENTHS = 7
const SPACE_TENTHS = 5

/** Tokens that a text takes at most. Never more than its UTF-8 bytes. */
export function tokensAtMost(text: string): number {
  let whole = 0
  let spaces = 0
  let run = 0
  const end = (): void => {
    whole += Math.ceil((run * SMALL_LETTER_TENTHS) / 10)
    run = 0
  }
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit >= 97 && unit <= 122) run++
    else {
      if (run > 0) end()
      if (unit === 32) spaces++
      else whole += bytesOf(unit)
    }
  }
  end()
  return whole + Math.ceil((spaces * SPACE_TENTHS) / 10)
}

/** Bytes of a UTF-16 unit in UTF-8; half of a pair has half of its four. */
function bytesOf(unit: number): number {
  if (unit < 0x80) return 1
  return unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3
}

/** Tokens that a text is likely to take: four letters each, half a word of other alphabets, one character of Chinese, Japanese or Korean. */
export function estimateTokens(text: string): number {
  let quarters = 0
  for (let index = 0; index < text.length; index++) quarters += [0, 1, 2, 4][bytesOf(text.charCodeAt(index))] ?? 1
  return Math.ceil(quarters / 4)
}

/** Role, delimiters and the name of a field or two: what a message takes beside its text in every template that was looked at. */
const MESSAGE_TOKENS = 8
const CALL_TOKENS = 12
/** What a provider adds to a prompt where there are tools at all. Anthropic documents 346 (https://docs.claude.com/en/docs/build-with-claude/tool-use). */
const TOOLS_TOKENS = 400

/** Tokens of one message, with its calls, its thinking and what stands around them. */
export function tokensOfMessage({ content, toolCalls = [], toolCallId = '', thinking }: Message, count: Count = tokensAtMost): number {
  const calls = toolCalls.reduce((sum, call) => sum + CALL_TOKENS + count(`${call.id}${call.name}${JSON.stringify(call.args)}`), 0)
  return MESSAGE_TOKENS + count(content) + calls + count(toolCallId) + (thinking === undefined ? 0 : count(JSON.stringify(thinking.blocks)))
}

/** Tokens that the offered tools add to a prompt. */
export function tokensOfTools(
  offers: readonly { readonly name: string; readonly description: string; readonly input: Json }[],
  count: Count = tokensAtMost,
): number {
  if (offers.length === 0) return 0
  return offers.reduce((sum, offer) => sum + CALL_TOKENS + count(JSON.stringify(offer)), TOOLS_TOKENS)
}

/** What a prompt was thought to take, and what its model said it took. Plain data, so it lives in a context. */
export interface Reported {
  /** As the provider names the model; null: it did not say. */
  readonly model: string | null
  readonly expectedTokens: number
  readonly tokens: number
}

/**
 * Tokens of a prompt, corrected by the last report about the same conversation. What was added since is taken at its worst, so this is as sure as
 * `expectedTokens` is, and closer. A prompt that is smaller than the reported one takes its share: likely, not sure.
 */
export function calibrated(expectedTokens: number, reported: Reported | null): number {
  if (reported === null || reported.expectedTokens <= 0) return expectedTokens
  const added = expectedTokens - reported.expectedTokens
  return added >= 0 ? reported.tokens + added : Math.ceil((expectedTokens * reported.tokens) / reported.expectedTokens)
}
