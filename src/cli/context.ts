/** What every verb is given: where it works, how it speaks, and the store, opened when it is first asked for. */
import { readFileSync } from 'node:fs'
import type { App, ProviderSource } from '../app.ts'
import type { Config, Flags } from '../config.ts'
import type { Io } from './io.ts'

export interface Context {
  readonly config: Config
  readonly flags: Flags
  readonly io: Io
  /** The same one each time. @throws {UserError} `E_STORE_*`. */
  app(): Promise<App>
  /** Providers of models with their keys, each made once. @throws {UserError} `E_CREDENTIALS_*` (4). */
  readonly providers: ProviderSource
  /** Milliseconds since 1970. */
  now(): number
}

/** Of Troupe, from its package. */
export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return (manifest as { version: string }).version
}
