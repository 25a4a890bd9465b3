/** The configuration as verbs use it: its warnings are said once, and keys are looked for where it says. */
import { join } from 'node:path'
import type { ResponseCache } from '../actors/cache.ts'
import { diskCache } from '../actors/caches/disk.ts'
import { openSeam } from '../actors/cassettes/seam.ts'
import { environmentKeys } from '../actors/credentials/environment.ts'
import { keyFile } from '../actors/credentials/key-file.ts'
import { keychain } from '../actors/credentials/keychain.ts'
import { type Credentials, createCredentials, type FoundKey } from '../actors/credentials.ts'
import { keysOf, providersOf } from '../actors/provider-factory.ts'
import type { ProviderSource } from '../app.ts'
import type { Config } from '../config.ts'
import { errorData } from '../errors.ts'
import { printable } from '../view/format.ts'
import type { Context } from './context.ts'

type Settings = ReturnType<Config['settings']>

/** The tables of the configuration. Says what they warn of, unless `-q`. @throws {UserError} `E_CONFIG_INVALID`, `E_SECRET_IN_CONFIG` (3). */
export function settingsOf({ config, flags, io }: Context): Settings {
  const settings = config.settings()
  for (const { code, where, message } of flags.quiet ? [] : settings.warnings) {
    io.err(`${io.errLook.paint('attention', `warning[${code}]`)} ${where}  ${printable(message)}`)
  }
  return settings
}

/** Where keys are: the environment, the keychain, a file in the home. */
export function credentialsOf({ config, flags, io }: Context, { providers }: Pick<Settings, 'providers'>): Credentials {
  const file = join(config.home, 'keys', 'keys.json')
  return createCredentials([
    environmentKeys(config.variable, (provider) => providers[provider]?.apiKeyEnv ?? null),
    keychain((why) => void (flags.quiet || io.err(`note: ${why}`))),
    keyFile(file, file),
  ])
}

/** Makes providers by name: the door asks for them, and then the run does, with its tape. @throws {UserError} `E_CREDENTIALS_*` (4), `E_CASSETTE_INVALID` (8). */
export function providerSource(context: Context): ProviderSource {
  return async (names, tapes = {}) => {
    const settings = context.config.settings()
    const credentials = credentialsOf(context, settings)
    const needsKeys = tapes.replay === undefined
    const found = needsKeys ? await keysOf(names, { settings, credentials }) : new Map<string, FoundKey>()
    // Its own keys are known by their value, so none gets onto a tape whatever it looks like.
    const seam = await openSeam({ ...tapes, secrets: [...found.values()].map(({ key }) => key.reveal()) })
    if (seam.torn !== null) context.io.err(`note: the tape ended in a torn line; it was cut off (${seam.torn.bytes} bytes)`)
    const providers = await providersOf(names, { settings, found, seam, cache: cacheOf(context, settings) })
    const unkept = (error: unknown): void => context.io.err(`warning: not all of the run is on its tape: ${errorData(error).message}`)
    return { providers, close: () => seam.close().catch(unkept) }
  }
}

/** Answers that are kept, where the configuration says so. */
function cacheOf({ config, io }: Context, { cache: { mode, bytesMax } }: Settings): ResponseCache | undefined {
  if (mode === 'off') return undefined
  return diskCache({ root: join(config.home, 'cache'), mode, bytesMax, warn: (message) => io.err(`warning: ${message}`) })
}
