/**
 * What the choice of models needs from the configuration, as plain data: the tables of `troupe.toml` as the program has them. A program of one's own may give
 * them without any file. `null`: not said.
 */
import type { Price } from '../machines/models.ts'
import { PRICES, priceOf as priceIn } from '../machines/prices.ts'

export interface ModelEntry {
  /** `ollama`, `anthropic`, `openai-compatible`, `scripted`, `replay`, or a name from {@link ModelSettings.providers} that has an address. */
  readonly provider: string
  readonly model: string
  readonly contextTokens: number | null
  readonly outputTokensMax: number
  readonly temperature: number | null
  readonly thinkingTokens: number | null
  readonly tools: 'native' | 'text'
  readonly vramGb: number | null
  /** Aliases, in the order in which they are tried. */
  readonly fallback: readonly string[]
  readonly quotaGroup: string
  readonly keepAliveMs: number | null
}

interface AgentEntry {
  /** An alias. */
  readonly model: string | null
  readonly temperature: number | null
  readonly contextTokensMax: number
  readonly iterationsMax: number
  readonly deadlineMs: number | null
}

export interface ProviderEntry {
  readonly queueEnabled: boolean
  readonly concurrency: number | null
  readonly requestsPerMinute: number | null
  readonly baseUrl: string | null
  /** Name of the environment variable with its key. */
  readonly apiKeyEnv: string | null
  readonly breaker: { readonly failures: number; readonly openMs: number }
}

export interface ModelSettings {
  readonly general: { readonly ollamaHost: string; readonly totalVramGb: number; readonly reserveVramGb: number }
  readonly models: Readonly<Record<string, ModelEntry>>
  readonly agents: Readonly<Record<string, AgentEntry>>
  readonly providers: Readonly<Record<string, ProviderEntry>>
  /** By `provider/model`, `*` stands for any text. */
  readonly pricing: Readonly<Record<string, Price>>
  readonly timeouts: { readonly loadMs: number; readonly firstTokenMs: number; readonly idleMs: number; readonly totalMs: number }
  readonly retry: {
    readonly maxAttempts: number
    readonly baseDelayMs: number
    readonly maxDelayMs: number
    readonly exponentialBase: number
  }
  readonly memory: { readonly embeddingModel: string | null }
  /** Where a key was said, for errors; null: nowhere. */
  originOf(path: readonly string[]): { readonly where: string } | null
}

/** Tokens of context of a model whose `num_ctx` is not said. */
const CONTEXT_TOKENS: Readonly<Record<string, number>> = { anthropic: 200_000 }
const CONTEXT_TOKENS_OTHERS = 16_384

/** Tokens that prompt and answer of a model may take together. */
export const contextTokensOf = ({ contextTokens, provider }: ModelEntry): number =>
  contextTokens ?? CONTEXT_TOKENS[provider] ?? CONTEXT_TOKENS_OTHERS

/** The price of a model: the pattern that says it most exactly; null where none does. */
export const priceOf = ({ pricing }: Pick<ModelSettings, 'pricing'>, provider: string, model: string): Price | null =>
  priceIn({ ...PRICES, ...pricing }, provider, model)
