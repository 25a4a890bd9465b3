/**
 * The providers of a run, by the names that its models have. A key is found before the run is made; its client is loaded with the first call.
 *
 *   names --placeOf--> kind, address --credentials--> key, or E_CREDENTIALS_MISSING at the door --> Provider
 *
 * `scripted` and `replay` are not made here: they need the task, or a tape.
 */
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { type ResponseCache, wrapCache } from './cache.ts'
import type { Seam } from './cassettes/seam.ts'
import type { Credentials, FoundKey } from './credentials.ts'
import type { ModelSettings } from './model-settings.ts'
import type { Provider } from './provider.ts'
import { type ProviderPlace, placeOf } from './provider-places.ts'

export interface KeyOptions {
  readonly settings: Pick<ModelSettings, 'general' | 'providers'>
  readonly credentials: Credentials
}

/**
 * The keys of these providers; of one that may do without, only where it has one.
 * @throws {UserError} `E_CREDENTIALS_MISSING`, `E_CREDENTIALS_UNSAFE` (exit 4), `E_CONFIG_INVALID` (exit 3). Nothing has been started then.
 */
export async function keysOf(names: readonly string[], { settings, credentials }: KeyOptions): Promise<ReadonlyMap<string, FoundKey>> {
  const keys = new Map<string, FoundKey>()
  for (const name of names) {
    const { key } = placeOf(settings, name)
    const found = key === 'none' ? null : await credentials.find(name)
    if (found === null && key === 'needed') throw missing(name, credentials)
    if (found !== null) keys.set(name, found)
  }
  return keys
}

export interface ProviderOptions {
  readonly settings: Pick<ModelSettings, 'general' | 'providers'>
  /** From {@link keysOf}. Empty where a tape answers: nobody is asked, so nobody is shown a key. */
  readonly found: ReadonlyMap<string, FoundKey>
  /** Where exchanges are recorded or answered from a tape. Default: the network, and nothing is kept. */
  readonly seam?: Seam | undefined
  /** Answers that are kept. Default: none. */
  readonly cache?: ResponseCache | undefined
}

/** Shown to a client that wants a key, where no server will see it. */
const NO_KEY = 'none-is-needed-for-a-tape'

/**
 * Makes the providers that are named.
 * @throws {UserError} `E_CONFIG_INVALID` (exit 3).
 */
export async function providersOf(names: readonly string[], options: ProviderOptions): Promise<Readonly<Record<string, Provider>>> {
  const made: [string, Provider][] = []
  for (const name of names) {
    const place = placeOf(options.settings, name)
    if (place.kind === 'scripted' || place.kind === 'replay') continue
    const provider = await providerOf(place, options.found.get(name) ?? null, options.seam)
    // What a tape says is no model's answer of today, and no cache keeps it.
    if (options.seam?.isReplay === true) made.push([name, { ...provider, simulated: true }])
    else made.push([name, options.cache === undefined ? provider : wrapCache(provider, options.cache)])
  }
  return Object.fromEntries(made)
}

/** One provider, with the key that was found for it. */
export async function providerOf(place: ProviderPlace, found: FoundKey | null, seam?: Seam): Promise<Provider> {
  const { name, kind } = place
  const apiKey = async () => found?.key.reveal() ?? (seam?.isReplay === true ? NO_KEY : null)
  const address = place.baseUrl === null ? {} : { baseUrl: place.baseUrl }
  if (kind === 'ollama') {
    const [{ ollama }, { socketFetch }] = await Promise.all([import('./providers/ollama.ts'), import('./providers/socket-fetch.ts')])
    return ollama({ name, ...address, ...(seam === undefined ? {} : { fetch: seam.over(socketFetch) }) })
  }
  const more = { ...address, ...(seam?.fetch === undefined ? {} : { fetch: seam.fetch }) }
  if (kind === 'anthropic') return (await import('./providers/anthropic.ts')).anthropic({ name, apiKey, ...more })
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
