/**
 * Prices of models, and the worst case of a call by them.
 *
 *   "provider/model"  ->  USD per million tokens         `*` stands for any text; what says most about a model stands: a name before patterns, a longer one first
 *
 * No price list is part of Troupe: none was looked up while this was written, and one would be wrong soon. Prices are given under `[pricing]`, with their date.
 * What runs on a machine of one's own, and what a script says, costs nothing by the piece.
 */
import type { Reserve } from '../effect.ts'
import type { ModelRef, Price } from './models.ts'

/** Prices by pattern. */
export type PriceTable = Readonly<Record<string, Price>>

/** What is known without being told. */
export const PRICES: PriceTable = {
  'ollama/*': { input: 0, output: 0, basis: 'local' },
  'scripted/*': { input: 0, output: 0, basis: 'local' },
}

/** The price of a model; null where nobody has given one. It is never taken to be 0. */
export function priceOf(table: PriceTable, provider: string, model: string): Price | null {
  const name = `${provider}/${model}`
  const fitting = Object.keys(table).filter((pattern) => fits(pattern, name))
  const best = fitting.sort((a, b) => exactness(b) - exactness(a))[0]
  return best === undefined ? null : (table[best] ?? null)
}

/** Without `*` is more exact than with one; then the longer text is. */
const exactness = (pattern: string): number => (pattern.includes('*') ? pattern.replaceAll('*', '').length : Number.MAX_SAFE_INTEGER)

function fits(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === name
  const last = rest.pop() ?? ''
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return at <= name.length - last.length
}

/**
 * The most that one call may use: its whole prompt at the dearest kind of input tokens, and the longest answer that is asked for, thought included. `usd` is
 * null where the price is not known.
 */
export function worstCase({ price, outputTokensMax, thinkingTokens }: ModelRef, promptTokensMax: number): Reserve {
  const answer = outputTokensMax + (thinkingTokens ?? 0)
  return { tokens: promptTokensMax + answer, usd: price === null ? null : worstUsd(price, promptTokensMax, answer), turns: 1 }
}

function worstUsd({ input, output, cacheRead = 0, cacheWrite = 0 }: Price, prompt: number, answer: number): number {
  return (prompt * Math.max(input, cacheRead, cacheWrite) + answer * output) / 1_000_000
}
