/** Keys from environment variables: `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, or the one that `api_key_env` of a provider names. Never written. */
import type { KeyPlace } from '../credentials.ts'

const USUAL: Readonly<Record<string, string>> = { anthropic: 'ANTHROPIC_API_KEY', 'openai-compatible': 'OPENAI_API_KEY' }

/** The variable of a provider: the one that was configured, else the usual one, else its name: `openrouter` has `OPENROUTER_API_KEY`. */
export const variableOf = (provider: string, configured: string | null): string =>
  configured ??
  (Object.hasOwn(USUAL, provider) ? USUAL[provider] : undefined) ??
  `${provider.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_API_KEY`

/**
 * @param variable    reads one; undefined where it is not set.
 * @param configured  the name that the configuration gives for a provider.
 */
export function environmentKeys(variable: (name: string) => string | undefined, configured: (provider: string) => string | null): KeyPlace {
  return {
    name: 'environment',
    read: async (provider) => variable(variableOf(provider, configured(provider)))?.trim() || null,
    describe: (provider) => `environment ${variableOf(provider, configured(provider))}`,
  }
}
