/**
 * Where each provider is and what it needs: its kind, its address, whether it wants a key, how much it takes at once.
 *
 *   anthropic, openai-compatible, ollama, scripted, replay     built in
 *   any other name                                             speaks as OpenAI does, where [providers.NAME] has a base_url
 */
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { isLoopback } from '../loopback.ts'
import { nearest } from '../near.ts'
import type { ModelSettings, ProviderEntry } from './model-settings.ts'

type ProviderKind = 'scripted' | 'replay' | 'ollama' | 'anthropic' | 'openai-compatible'

export interface ProviderPlace {
  readonly name: string
  readonly kind: ProviderKind
  /** Null: the client's own, or it has none. */
  readonly baseUrl: string | null
  /** Servers that speak as OpenAI does, on this machine or by plain http, may do without. */
  readonly key: 'needed' | 'optional' | 'none'
  readonly apiKeyEnv: string | null
  readonly queueEnabled: boolean
  /** Calls at once. */
  readonly concurrency: number
  /** Null: what its headers say. */
  readonly requestsPerMinute: number | null
  readonly breaker: { readonly failures: number; readonly openMs: number }
}

const KINDS: readonly ProviderKind[] = ['scripted', 'replay', 'ollama', 'anthropic', 'openai-compatible']
const OPENAI = 'https://api.openai.com/v1'
/** One's own machine answers one after the other. */
const CONCURRENCY_LOCAL = 1
const CONCURRENCY = 4
const DEFAULT: ProviderEntry = {
  queueEnabled: true,
  concurrency: null,
  requestsPerMinute: null,
  baseUrl: null,
  apiKeyEnv: null,
  breaker: { failures: 5, openMs: 30_000 },
}

/** Names that a model may have as its provider. */
export const providerNames = ({ providers }: Pick<ModelSettings, 'providers'>): readonly string[] => [
  ...new Set([...KINDS, ...Object.keys(providers).filter((name) => providers[name]?.baseUrl != null)]),
]

/** Providers that have a key: the built-in ones, and those of the configuration. */
export const keyedNames = (settings: Pick<ModelSettings, 'general' | 'providers' | 'originOf'>): readonly string[] =>
  providerNames(settings).filter((name) => placeOf(settings, name).key !== 'none')

/**
 * @param where  what names it, for the error.
 * @throws {UserError} `E_CONFIG_INVALID` (exit 3) where there is no such provider.
 */
export function placeOf(settings: Pick<ModelSettings, 'general' | 'providers'>, name: string, where = 'config'): ProviderPlace {
  // A provider may have any name, `constructor` too.
  const entry = (Object.hasOwn(settings.providers, name) ? settings.providers[name] : undefined) ?? DEFAULT
  const kind = KINDS.find((each) => each === name) ?? (entry.baseUrl === null ? null : 'openai-compatible')
  if (kind === null) throw unknown(settings, name, where)
  const baseUrl = entry.baseUrl ?? (kind === 'ollama' ? settings.general.ollamaHost : kind === 'openai-compatible' ? OPENAI : null)
  const local = baseUrl !== null && (isLoopback(baseUrl) || baseUrl.startsWith('http:'))
  return {
    name,
    kind,
    baseUrl,
    key: kind === 'anthropic' ? 'needed' : kind === 'openai-compatible' ? (local ? 'optional' : 'needed') : 'none',
    apiKeyEnv: entry.apiKeyEnv,
    queueEnabled: entry.queueEnabled,
    concurrency: entry.concurrency ?? (kind === 'ollama' ? CONCURRENCY_LOCAL : CONCURRENCY),
    requestsPerMinute: entry.requestsPerMinute,
    breaker: entry.breaker,
  }
}

function unknown(settings: Pick<ModelSettings, 'providers'>, name: string, where: string): UserError {
  const names = providerNames(settings)
  const [near] = nearest(name, names)
  const hint = near === undefined ? `there are: ${names.join(', ')}` : `did you mean \`${near}\`?`
  const fix = `name one of those, or give [providers.${name}] a base_url: then it is spoken to as OpenAI is`
  return new UserError('E_CONFIG_INVALID', `there is no provider \`${name}\`; ${hint}`, { where, fix, exit: exitOf('E_CONFIG_INVALID') })
}
