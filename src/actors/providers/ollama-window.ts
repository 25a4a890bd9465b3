/**
 * Does the prompt fit the window, and did the server read all of it (P17)? Ollama cuts a prompt that is too long without a word: old messages fall out in front,
 * and the only trace is `prompt_eval_count`. Pure.
 *
 * before   A prompt that surely has more tokens than the window is not sent. And the request says `truncate: false`, `shift: false`: newer servers then refuse
 *          instead of cutting. Older ones do not know these words, so the count of the answer is looked at as well.
 * after    count >= window           it was cut to the window, or there is no room left for an answer
 *          count < sure lower bound  it was cut; where the count is of the whole prompt
 *
 * A prompt cache can make the count small without anything being cut, so not every server's count is believed:
 *   up to 0.1.x        only what was evaluated; left out where all of it was cached (ollama/ollama#2068, #3427; mended by #5371 in 0.2.0)
 *   0.2 to 0.29        the whole prompt
 *   0.30.x             only what was evaluated, at first (#16414; mended by #16428 within 0.30)
 *   from 0.31          the whole prompt; later with `prompt_eval_cached_count` beside it (#17943), which tells how much of it was cached
 * So a small count is evidence where that field is there, or where the version is known and counts whole. Anything else is not held against an answer.
 */

/** What the last line of an answer says about the prompt. */
export interface PromptCount {
  /** `prompt_eval_count`; null where it is left out. */
  readonly tokens: number | null
  /** `prompt_eval_cached_count`; null where it is left out. */
  readonly cachedTokens: number | null
}

/** A run without a space is at least one token, and no token of a vocabulary that was looked at is longer than this, characters. */
const TOKEN_CHARS_MAX = 128
const WORD = /[\p{L}\p{N}]\S*/gu

/**
 * Tokens that texts surely have: tokenizers cut at spaces, so a word with a letter or a digit is at least one. Not an estimate: the truth is more, in prose by a
 * third, in code by the double.
 */
export function tokensAtLeast(texts: Iterable<string>): number {
  let tokens = 0
  for (const text of texts) for (const [word] of text.matchAll(WORD)) tokens += Math.ceil(word.length / TOKEN_CHARS_MAX)
  return tokens
}

/** May a small count be what was left over by a cache? */
export function countsWhole({ cachedTokens }: PromptCount, version: string | null): boolean {
  if (cachedTokens !== null) return true
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(version ?? '') ?? []
  if (major === undefined || minor === undefined) return false
  return Number(major) > 0 || (Number(minor) >= 2 && Number(minor) !== 30)
}

/** Is the count so small that it must be asked whether it counts whole? */
export const isSuspicious = ({ tokens }: PromptCount, atLeast: number): boolean => tokens !== null && tokens > 0 && tokens < atLeast

/**
 * Why the answer is not one to all that was said; null where nothing speaks for that.
 * @param window   tokens that the server has for prompt and answer.
 * @param isWhole  see {@link countsWhole}
 */
export function cutOf(count: PromptCount, window: number, atLeast: number, isWhole: boolean): string | null {
  const { tokens } = count
  if (tokens === null || tokens === 0) return null
  if (tokens >= window) return `the prompt fills the window of ${window} tokens: the server may have cut it`
  return isWhole && isSuspicious(count, atLeast)
    ? `the server has read ${tokens} tokens of a prompt that has at least ${atLeast}: it has cut it`
    : null
}
