/** The configuration as verbs use it: its warnings are said once, and keys are looked for where it says. */
import { join } from 'node:path'
import { type Credentials, createCredentials } from '../actors/credentials.ts'
import { environmentKeys } from '../actors/credentials/environment.ts'
import { keyFile } from '../actors/credentials/key-file.ts'
import { keychain } from '../actors/credentials/keychain.ts'
import type { Config } from '../config.ts'
import type { Context } from './context.ts'

type Settings = ReturnType<Config['settings']>

/** The tables of the configuration. Says what they warn of, unless `-q`. @throws {UserError} `E_CONFIG_INVALID`, `E_SECRET_IN_CONFIG` (3). */
export function settingsOf({ config, flags, io }: Context): Settings {
  const settings = config.settings()
  for (const { code, where, message } of flags.quiet ? [] : settings.warnings) {
    io.err(`${io.errLook.paint('attention', `warning[${code}]`)} ${where}  ${message}`)
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
