/**
 * A model as an agent names it: everything a call needs but the key, as plain data, so that it travels in inputs, contexts and effects and a run goes on
 * with the models it began with. Made once from the configuration; secrets are never part of it.
 *
 *   chain  =  [ first choice, fallback, fallback ... ]      see fallback.ts
 */
import { z } from 'zod'

/**
 * USD per million tokens. `basis` `local`: it runs on a machine of one's own and costs nothing by the piece. `asOf` and `source` say where a price is from.
 * A model without a price has `null`, never 0.
 */
const price = z.strictObject({
  input: z.number().min(0),
  output: z.number().min(0),
  cacheRead: z.number().min(0).optional(),
  cacheWrite: z.number().min(0).optional(),
  basis: z.enum(['priced', 'local']).default('priced'),
  asOf: z.string().optional(),
  source: z.string().optional(),
})
export type Price = z.infer<typeof price>

/** Milliseconds. `load`: until a local model is in memory; `firstToken`: from then on; `idle`: between two tokens; `total`: over all attempts and waits. */
const modelTimeouts = z.strictObject({
  loadMs: z.int().positive().default(300_000),
  firstTokenMs: z.int().positive().default(60_000),
  idleMs: z.int().positive().default(60_000),
  totalMs: z.int().positive().default(600_000),
})

const modelRetry = z.strictObject({
  maxAttempts: z.int().min(1).default(3),
  baseDelayMs: z.number().min(0).default(1_000),
  maxDelayMs: z.number().min(0).default(30_000),
  exponentialBase: z.number().min(1).default(2),
})

export const modelRef = z.strictObject({
  /** As `[models]` names it. */
  alias: z.string().min(1),
  /** Name of the provider in the registry: `ollama`, `anthropic`, `openai-compatible`, `scripted`, or one of one's own. */
  provider: z.string().min(1),
  /** As the provider names it. */
  model: z.string().min(1),
  /** Tokens that prompt and answer may take together. Of a local model it is the `num_ctx` that is always sent. */
  contextTokens: z.int().positive(),
  outputTokensMax: z.int().positive().default(4_096),
  temperature: z.number().min(0).max(2).nullable().default(null),
  /** Tokens for thinking; null: the model does not think, or as it likes. */
  thinkingTokens: z.int().positive().nullable().default(null),
  /** How tools are called: by the provider's protocol, or as text that is parsed (weak local models). */
  tools: z.enum(['native', 'text']).default('native'),
  /** Models of one group share a limit: on a rate limit the others of the group are not tried. Default: the provider. */
  quotaGroup: z.string(),
  /** Memory that a local model takes while it is loaded, GB; null: it is not local. */
  vramGb: z.number().positive().nullable().default(null),
  /** How long a local model stays loaded after an answer, milliseconds; null: as the server likes. */
  keepAliveMs: z.int().min(0).nullable().default(null),
  price: price.nullable().default(null),
  timeouts: modelTimeouts.prefault({}),
  retry: modelRetry.prefault({}),
})
export type ModelRef = z.infer<typeof modelRef>

/** Models of one agent in the order in which they are tried; never empty where an agent has models at all. */
export type Chain = readonly ModelRef[]

/** What a call costs by this price, USD; null where the price is unknown. Cached tokens are part of `inputTokens`; without a price of their own they cost as others do. */
export function costOf(
  {
    inputTokens,
    outputTokens,
    cacheReadTokens = 0,
    cacheWriteTokens = 0,
  }: {
    readonly inputTokens: number
    readonly outputTokens: number
    readonly cacheReadTokens?: number | undefined
    readonly cacheWriteTokens?: number | undefined
  },
  price: Price | null,
): number | null {
  if (price === null) return null
  const plain = Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens)
  const { input, output, cacheRead = input, cacheWrite = input } = price
  return (plain * input + cacheReadTokens * cacheRead + cacheWriteTokens * cacheWrite + outputTokens * output) / 1_000_000
}
