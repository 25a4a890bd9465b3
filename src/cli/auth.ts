/**
 * `troupe auth login|status|logout`: keys of providers (M3). A key is typed without being shown, or read from stdin with `--key -`; it is no argument, because
 * arguments are seen by everybody on the machine. It is never printed whole.
 */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text as readAll } from 'node:stream/consumers'
import { checkKey, type Credentials, type FoundKey } from '../actors/credentials.ts'
import { providerOf } from '../actors/provider-factory.ts'
import { keyedNames, placeOf, providerNames } from '../actors/provider-places.ts'
import { exitOf } from '../catalogue.ts'
import { Failure } from '../effect.ts'
import { UserError } from '../errors.ts'
import { nearest } from '../near.ts'
import { type KeyRow, keysObject, keyTable } from '../view/setup.ts'
import type { Context } from './context.ts'
import { within } from './probe.ts'
import { credentialsOf, settingsOf } from './settings.ts'

type Settings = ReturnType<typeof settingsOf>

/** Keeps a key. @throws {UserError} `E_USAGE`, `E_CONFIRM_REQUIRED` (2) where nobody can be asked, `E_CREDENTIALS_UNSAFE` (4). */
export async function login(context: Context, provider: string, { key }: { readonly key?: string }): Promise<number> {
  const settings = settingsOf(context)
  mustTakeKey(settings, provider)
  if (key !== undefined && key !== '-') throw usage('a key is no argument: everybody on this machine can see it', `troupe auth login ${provider} --key - < FILE; if it was a real one, replace it`)
  const given = checkKey(key === '-' ? await readAll(process.stdin) : await hidden(context, provider))
  const credentials = credentialsOf(context, settings)
  const place = await credentials.save(provider, given)
  const found = await credentials.find(provider)
  const rows = [rowOf(provider, 'ok', found)]
  if (isJson(context)) context.io.json(keysObject(rows))
  else context.io.out(`${provider}  kept in ${place}, ${found?.key ?? ''}`)
  if (place.startsWith('file ') && !context.flags.quiet) context.io.err('note: there is no keychain here, so the key is in a file that only you may read')
  if (found !== null && found.source !== place && !context.flags.quiet) context.io.err(`note: ${found.source} has a key too, and it is used first`)
  return 0
}

/** How each provider stands. Exit 0, with `--online` 4 where one refuses its key. */
export async function status(context: Context, { online = false }: { readonly online?: boolean }): Promise<number> {
  const settings = settingsOf(context)
  const credentials = credentialsOf(context, settings)
  const rows = await Promise.all(keyedNames(settings).map((name) => standing(settings, credentials, name, online)))
  if (isJson(context)) context.io.json(keysObject(rows))
  else for (const line of keyTable(rows, context.io.outLook, !context.config.stdout.terminal)) context.io.out(line)
  return rows.some(({ state }) => state === 'rejected') ? exitOf('E_CREDENTIALS_REJECTED') : 0
}

/** Forgets a key. Exit 0 where there was none, too. */
export async function logout(context: Context, provider: string): Promise<number> {
  const settings = settingsOf(context)
  mustTakeKey(settings, provider)
  const credentials = credentialsOf(context, settings)
  const had = await credentials.remove(provider)
  const found = await credentials.find(provider)
  if (isJson(context)) context.io.json(keysObject([rowOf(provider, found === null ? 'missing' : 'ok', found)]))
  else context.io.out(had.length === 0 ? `${provider}  no key was kept` : `${provider}  removed from ${had.join(' and ')}`)
  if (found !== null && !context.flags.quiet) context.io.err(`note: ${found.source} still has a key`)
  return 0
}

const isJson = ({ flags }: Context): boolean => flags.json || flags.jsonl
const usage = (message: string, fix: string): UserError => new UserError('E_USAGE', message, { where: 'auth', fix, exit: exitOf('E_USAGE') })

function mustTakeKey(settings: Settings, provider: string): void {
  const keyed = keyedNames(settings)
  if (keyed.includes(provider)) return
  if (providerNames(settings).includes(provider)) throw usage(`${provider} takes no key`, 'troupe models')
  const [near] = nearest(provider, keyed)
  const hint = near === undefined ? `there are: ${keyed.join(', ')}` : `did you mean \`${near}\`?`
  throw usage(`no provider has this name; ${hint}`, 'name one of those, or give [providers.NAME] a base_url in ~/.troupe/config.toml')
}

/** One line that is not shown. */
async function hidden({ config }: Context, provider: string): Promise<string> {
  if (!config.prompts) {
    throw new UserError('E_CONFIRM_REQUIRED', 'nobody can be asked for the key here', {
      where: 'auth login',
      fix: `troupe auth login ${provider} --key - < FILE`,
      exit: exitOf('E_CONFIRM_REQUIRED'),
    })
  }
  process.stderr.write(`key of ${provider} (it is not shown): `)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const prompt = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  const ended = new Promise<string>((resolve) => prompt.once('close', () => resolve('')))
  const line = await Promise.race([prompt.question(''), ended])
  prompt.close()
  process.stderr.write('\n')
  return line
}

async function standing(settings: Settings, credentials: Credentials, name: string, online: boolean): Promise<KeyRow> {
  const found = await credentials.find(name)
  if (found === null) return { ...rowOf(name, 'missing', null), looked: credentials.places(name) }
  return online ? rowOf(name, await checked(settings, name, found), found) : rowOf(name, 'ok', found)
}

/** Asks the provider for its models: that costs nothing. */
async function checked(settings: Settings, name: string, found: FoundKey): Promise<KeyRow['state']> {
  const provider = await providerOf(placeOf(settings, name), found)
  try {
    await within((signal) => provider.models?.(signal) ?? Promise.resolve([]))
    return 'ok'
  } catch (error) {
    return error instanceof Failure && error.code === 'E_CREDENTIALS_REJECTED' ? 'rejected' : 'unchecked'
  }
}

const rowOf = (provider: string, state: KeyRow['state'], found: FoundKey | null): KeyRow => ({
  provider,
  state,
  source: found?.source ?? null,
  shown: found === null ? null : String(found.key),
  looked: null,
})
