/**
 * The providers of a run, by the names that its models have. A key is found before the run is made; its client is loaded with the first call.
 *
 *   names --placeOf--> kind, address --credentials--> key, or E_CREDENTIALS_MISSING at the door --> Provider
 *
 * `scripted` and `replay` are not made here: they need the task, or a tape.
 */
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import type { Credentials, FoundKey } from './credentials.ts'
import type { ModelSettings } from './model-settings.ts'
import type { Provider } from './provider.ts'
import { type ProviderPlace, placeOf } from './provider-places.ts'

export interface ProviderOptions {
  readonly settings: Pick<ModelSettings, 'general' | 'providers'>
  readonly credentials: Credentials
  /** Of all providers. Default: the global one. Whoever records gives another. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/**
 * Makes the providers that are named.
 * @throws {UserError} `E_CREDENTIALS_MISSING`, `E_CREDENTIALS_UNSAFE` (exit 4), `E_CONFIG_INVALID` (exit 3). Nothing has been started then.
 */
export async function providersOf(names: readonly string[], options: ProviderOptions): Promise<Readonly<Record<string, Provider>>> {
  const made: [string, Provider][] = []
  for (const name of names) {
    const place = placeOf(options.settings, name)
    if (place.kind === 'scripted' || place.kind === 'replay') continue
    const found = place.key === 'none' ? null : await options.credentials.find(name)
    if (found === null && place.key === 'needed') throw missing(name, options.credentials)
    made.push([name, await providerOf(place, found, options.fetch)])
  }
  return Object.fromEntries(made)
}

/** One provider, with the key that was found for it. */
export async function providerOf(place: ProviderPlace, found: FoundKey | null, fetch?: typeof globalThis.fetch): Promise<Provider> {
  const { name, kind } = place
  const apiKey = async () => found?.key.reveal() ?? null
  const more = { ...(fetch === undefined ? {} : { fetch }), ...(place.baseUrl === null ? {} : { baseUrl: place.baseUrl }) }
  if (kind === 'anthropic') return (await import('./providers/anthropic.ts')).anthropic({ name, apiKey, ...more })
  if (kind === 'ollama') return (await import('./providers/ollama.ts')).ollama({ name, ...more })
  return (await import('./providers/openai-compatible.ts')).openaiCompatible({ name, apiKey, ...more, baseUrl: place.baseUrl ?? '' })
}

/** A key that is nowhere. */
function missing(name: string, credentials: Credentials): UserError {
  return new UserError('E_CREDENTIALS_MISSING', `no key for ${name} (${credentials.places(name)})`, {
    where: name,
    fix: `troupe auth login ${name}`,
    exit: exitOf('E_CREDENTIALS_MISSING'),
  })
}
