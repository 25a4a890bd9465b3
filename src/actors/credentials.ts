/**
 * Keys of providers: where they are looked for, and where they are kept (M3). Never in the store, a prompt, a log, a tape or the environment of a command.
 *
 *   environment variable   >   keychain of the system   >   file of mode 0600, where there is no keychain
 *   (never written)            (first choice of login)       (said so)
 *
 * A key in hand is a {@link Secret}: printing it gives its last four characters.
 */
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { Secret } from '../secrets.ts'

/** A place that keys can be in. */
export interface KeyPlace {
  readonly name: 'environment' | 'keychain' | 'file'
  /** Null where it has no key for this provider, or the place itself does not exist here. @throws {UserError} `E_CREDENTIALS_UNSAFE`. */
  read(provider: string): Promise<string | null>
  /** False where the place does not exist here. Left out: it cannot be written. */
  write?(provider: string, key: string): Promise<boolean>
  /** True where there was a key, and is none any more. */
  remove?(provider: string): Promise<boolean>
  /** Where exactly, for people: the name of the variable, the path of the file. */
  describe(provider: string): string
}

export interface FoundKey {
  readonly key: Secret
  /** `keychain`, `file ~/.troupe/keys/keys.json`, `environment ANTHROPIC_API_KEY`. */
  readonly source: string
}

export interface Credentials {
  /** The first place that has one. @throws {UserError} `E_CREDENTIALS_UNSAFE` where the file would be next and others may read it. */
  find(provider: string): Promise<FoundKey | null>
  /** Keeps a key in the first place that takes it, and takes it out of the others that are written. @returns the place, for people. */
  save(provider: string, key: string): Promise<string>
  /** Takes it out of all places that are written. @returns those that had it. */
  remove(provider: string): Promise<readonly string[]>
  /** All places in their order, for people: `ANTHROPIC_API_KEY, keychain, file`. */
  places(provider: string): string
}

/** Asks places in their order. */
export function createCredentials(places: readonly KeyPlace[]): Credentials {
  const remove = async (provider: string, from: readonly KeyPlace[]): Promise<readonly string[]> => {
    const had: string[] = []
    for (const place of from) if ((await place.remove?.(provider)) === true) had.push(place.describe(provider))
    return had
  }
  return {
    find: async (provider) => {
      for (const place of places) {
        const key = await place.read(provider)
        if (key !== null) return { key: new Secret(key), source: place.describe(provider) }
      }
      return null
    },
    save: async (provider, key) => {
      for (const place of places) {
        if ((await place.write?.(provider, key)) !== true) continue
        const others = places.slice(places.indexOf(place) + 1)
        await remove(provider, others)
        return place.describe(provider)
      }
      throw new UserError('E_CREDENTIALS_UNSAFE', 'there is no place that can keep a key', {
        where: 'auth login',
        fix: 'set the environment variable of the provider',
        exit: exitOf('E_CREDENTIALS_UNSAFE'),
      })
    },
    remove: (provider) => remove(provider, places),
    places: (provider) =>
      places.map((place) => (place.name === 'environment' ? place.describe(provider).replace(/^environment /, '') : place.name)).join(', '),
  }
}

const KEY_CHARS_MAX = 8_192

/** A key as it was typed or piped, without the line end. @throws {UserError} `E_USAGE` (exit 2) where it is none; it is not repeated. */
export function checkKey(given: string): string {
  const key = given.trim()
  const why =
    key === ''
      ? 'no key was given'
      : key.length > KEY_CHARS_MAX
        ? 'it is too long for a key'
        : /^[\x21-\x7e]+$/.test(key)
          ? null
          : 'a key has no spaces, line ends or special letters in it'
  if (why === null) return key
  throw new UserError('E_USAGE', why, { where: 'auth login', fix: 'troupe auth login PROVIDER --key - < FILE', exit: exitOf('E_USAGE') })
}
