/**
 * What is taken of an answer, whoever gave it: a message that can be stored and performed, and counts that can be added up. Servers and providers of one's own
 * may say anything.
 *
 *   message   no JSON, half a character, more calls than TOOL_CALLS_MAX     E_PROVIDER_OUTPUT: asked again, then the next model
 *   counts    missing, negative, endless, more than any prompt              estimated, at most: a false 0 would spend nothing of a budget
 *   cost      negative, endless, more than sums are exact for               null: it is charged with its worst case
 */
import { Failure } from '../effect.ts'
import { errorData } from '../errors.ts'
import { assertJson } from '../json.ts'
import { TOOL_CALLS_MAX } from '../limits.ts'
import { tokensOfMessage } from '../machines/tokens.ts'
import type { GenerateUsage, Message } from './provider.ts'

/** More than any prompt or answer has. */
const TOKENS_MAX = 1e9
const USD_MAX = 1e6

/** @throws {Failure} `E_PROVIDER_OUTPUT` */
export function checkMessage(message: Message): void {
  const calls = message.toolCalls?.length ?? 0
  if (calls > TOOL_CALLS_MAX) throw unusable(`the answer calls ${calls} tools, ${TOOL_CALLS_MAX} are taken`)
  try {
    assertJson(message, 'message')
  } catch (thrown) {
    throw unusable(`the answer cannot be kept: ${errorData(thrown).message}`)
  }
}

const unusable = (message: string): Failure => new Failure('E_PROVIDER_OUTPUT', message, { retry: 'backoff' })

/** Its counts, with an estimate for each that cannot be. `message`: null where there was no answer. */
export function countedUsage(usage: GenerateUsage, prompt: readonly Message[], message: Message | null): GenerateUsage {
  const { inputTokens, outputTokens, costUsd, cacheReadTokens, cacheWriteTokens, reasoningTokens, ...said } = usage
  const isCounted = isCount(inputTokens) && isCount(outputTokens)
  const cached = (tokens: unknown) => (isCount(tokens) ? tokens : 0)
  return {
    ...said,
    inputTokens: isCount(inputTokens) ? inputTokens : prompt.reduce((sum, one) => sum + tokensOfMessage(one), 0),
    outputTokens: isCount(outputTokens) ? outputTokens : message === null ? 0 : tokensOfMessage(message),
    costUsd: typeof costUsd === 'number' && costUsd >= 0 && costUsd <= USD_MAX ? costUsd : null,
    ...(cacheReadTokens === undefined ? {} : { cacheReadTokens: cached(cacheReadTokens) }),
    ...(cacheWriteTokens === undefined ? {} : { cacheWriteTokens: cached(cacheWriteTokens) }),
    ...(reasoningTokens === undefined ? {} : { reasoningTokens: cached(reasoningTokens) }),
    ...(isCounted ? {} : { estimated: true }),
  }
}

const isCount = (tokens: unknown): tokens is number => typeof tokens === 'number' && tokens >= 0 && tokens <= TOKENS_MAX
