/** Keys of providers (M3): places in their order, a file that only its owner reads, a keychain that may hang, and a key that cannot be shown by mistake. */
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { format, inspect } from 'node:util'
import { expect, onTestFinished, test, vi } from 'vitest'
import { environmentKeys, variableOf } from '../../src/actors/credentials/environment.ts'
import { keyFile } from '../../src/actors/credentials/key-file.ts'
import { keychain } from '../../src/actors/credentials/keychain.ts'
import { checkKey, createCredentials, type KeyPlace } from '../../src/actors/credentials.ts'
import { hasSecret, isSecretName, redacted, Secret } from '../../src/secrets.ts'
import { temporaryFolder } from '../harness.ts'

const KEY = 'sk-ant-0123456789abcdefw9Qk'

function inMemory(name: KeyPlace['name'], keys: Record<string, string>, writable = true): KeyPlace {
  return {
    name,
    read: async (provider) => keys[provider] ?? null,
    write: async (provider, key) => {
      if (writable) keys[provider] = key
      return writable
    },
    remove: async (provider) => {
      const had = provider in keys
      delete keys[provider]
      return had
    },
    describe: () => name,
  }
}

test('M3: the environment is asked first, then the keychain, then the file', async () => {
  const variables: Record<string, string> = { ANTHROPIC_API_KEY: 'from-env', MINE: ' spaced ', EMPTY_API_KEY: ' ' }
  const all = createCredentials([
    environmentKeys(
      (name) => variables[name],
      (provider) => (provider === 'mine' ? 'MINE' : null),
    ),
    inMemory('keychain', { anthropic: 'x', openrouter: 'from-chain', empty: 'from-chain' }),
    inMemory('file', { openrouter: 'x', last: 'from-file' }),
  ])
  const found = async (provider: string) => {
    const { key, source } = (await all.find(provider)) ?? { key: null, source: null }
    return [key?.reveal() ?? null, source]
  }
  expect(await Promise.all(['anthropic', 'mine', 'openrouter', 'empty', 'last', 'nobody'].map(found))).toEqual([
    ['from-env', 'environment ANTHROPIC_API_KEY'],
    ['spaced', 'environment MINE'],
    ['from-chain', 'keychain'],
    ['from-chain', 'keychain'],
    ['from-file', 'file'],
    [null, null],
  ])
  expect([variableOf('openai-compatible', null), variableOf('open-router', null)]).toEqual(['OPENAI_API_KEY', 'OPEN_ROUTER_API_KEY'])
  expect(all.places('anthropic')).toBe('ANTHROPIC_API_KEY, keychain, file')
})

test('a key is kept in the first place that takes it, and is nowhere else then', async () => {
  const chain: Record<string, string> = {}
  const file: Record<string, string> = { a: 'old' }
  const env = environmentKeys(
    () => undefined,
    () => null,
  )
  expect(await createCredentials([env, inMemory('keychain', chain), inMemory('file', file)]).save('a', 'new')).toBe('keychain')
  expect([chain, file]).toEqual([{ a: 'new' }, {}])
  const without = createCredentials([env, inMemory('keychain', {}, false), inMemory('file', file)])
  expect([await without.save('a', 'new'), file]).toEqual(['file', { a: 'new' }])
  expect([await without.remove('a'), await without.remove('a'), file]).toEqual([['file'], [], {}])
})

test('the key file is 0600 in a folder of 0700, whatever the umask and the folder were, and is gone with its last key', async () => {
  const before = process.umask(0)
  onTestFinished(() => void process.umask(before))
  const folder = join(temporaryFolder(), 'keys')
  mkdirSync(folder, { mode: 0o777 })
  const file = join(folder, 'keys.json')
  const place = keyFile(file, file)
  await place.write?.('anthropic', KEY)
  await place.write?.('__proto__', 'odd')
  expect([statSync(file).mode & 0o777, statSync(folder).mode & 0o777, readdirSync(folder)]).toEqual([0o600, 0o700, ['keys.json']])
  expect([await place.read('anthropic'), await place.read('toString'), await place.read('nobody')]).toEqual([KEY, null, null])
  await place.write?.('b', 'second')
  expect([await place.remove?.('anthropic'), await place.read('anthropic'), await place.read('b')]).toEqual([true, null, 'second'])
  expect([await place.remove?.('b'), await place.remove?.('b'), existsSync(file)]).toEqual([true, false, false])
})

const spoil: readonly (readonly [string, (file: string) => void, string])[] = [
  ['others may read', (file) => chmodSync(file, 0o604), 'may be read by others (mode 604)'],
  ['the group may write', (file) => chmodSync(file, 0o620), 'may be read by others (mode 620)'],
  ['holds something else', (file) => writeFileSync(file, `{"version":1,"keys":{"anthropic":5},"${KEY}":`), 'is damaged'],
  ['holds keys of another form', (file) => writeFileSync(file, `{"keys":["${KEY}"]}`), 'is damaged'],
]
test.each(spoil)('a key file that %s is not used, and none of it is shown', async (_what, act, words) => {
  const file = join(temporaryFolder(), 'keys', 'keys.json')
  const place = keyFile(file, file)
  await place.write?.('anthropic', KEY)
  act(file)
  const refused = expect.objectContaining({ code: 'E_CREDENTIALS_UNSAFE', message: `the key file ${words}; it is not used` })
  await expect(place.read('anthropic')).rejects.toEqual(refused)
  await expect(place.write?.('other', 'x')).rejects.toEqual(refused)
  const error = await place.read('anthropic').catch((thrown: unknown) => thrown)
  expect(inspect(error, { depth: 9 })).not.toContain(KEY)
})

test('a link and a folder in the place of the key file are not followed', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'real.json'), '{}', { mode: 0o600 })
  symlinkSync(join(folder, 'real.json'), join(folder, 'link.json'))
  mkdirSync(join(folder, 'folder.json'))
  for (const [name, words] of [
    ['link.json', 'is a link'],
    ['folder.json', 'is no file'],
  ] as const) {
    const place = keyFile(join(folder, name), name)
    await expect(place.read('a'), name).rejects.toMatchObject({ message: `the key file ${words}; it is not used` })
  }
})

test('M3: a keychain that hangs is given up after 3 s, told of once, and not asked again', { timeout: 20_000 }, async () => {
  const socket = join(temporaryFolder(), 'bus')
  const server = createServer((client) => void client.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  onTestFinished(() => void server.close())
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', `unix:path=${socket}`)
  onTestFinished(() => void vi.unstubAllEnvs())
  const told: string[] = []
  const place = keychain((why) => told.push(why))
  const began = performance.now()
  expect([await place.read('anthropic'), await place.write?.('anthropic', KEY), await place.remove?.('anthropic')]).toEqual([
    null,
    false,
    false,
  ])
  const tookMs = performance.now() - began
  expect(told).toEqual(['the keychain did not answer within 3 s; it is not used'])
  expect(tookMs).toBeGreaterThan(2_900)
  expect(tookMs).toBeLessThan(9_000)
})

test('without a Secret Service there is no keychain, and no error', { timeout: 20_000 }, async () => {
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', 'unix:path=/nowhere/at/all')
  onTestFinished(() => void vi.unstubAllEnvs())
  expect([await keychain().read('anthropic'), await keychain().write?.('anthropic', KEY)]).toEqual([null, false])
})

test('a key that is printed, logged or made JSON shows its last four characters and no more', () => {
  const key = new Secret(KEY)
  const shown = [String(key), `${key}`, JSON.stringify({ key }), inspect(key), inspect({ deep: [key] }), format('%s %o %j', key, key, key)]
  expect(shown.filter((text) => text.includes(KEY.slice(0, -4)))).toEqual([])
  expect([String(key), JSON.stringify(key), key.reveal()]).toEqual(['ends in w9Qk', '"ends in w9Qk"', KEY])
  expect(String(new Secret('short'))).toBe('too short to show')
})

test('what was typed is a key or is refused, and is not repeated', () => {
  expect(checkKey(` ${KEY}\r\n`)).toBe(KEY)
  for (const wrong of ['', '  \n', 'two words', 'a\nb', 'schlüssel', 'x'.repeat(9_000), '\u001b[31m']) {
    expect(() => checkKey(wrong), JSON.stringify(wrong.slice(0, 9))).toThrow(
      expect.objectContaining({ code: 'E_USAGE', message: expect.not.stringContaining(wrong || '\0') }),
    )
  }
})

test('credentials are known by their form, and by the name that they stand under', () => {
  const forms = [
    'sk-ant-api03-abcdefgh',
    'ghp_abcdefghijkl',
    'xoxb-1234567890',
    'AIzaSyA-1234567890',
    'https://u:p4ss@h',
    'Bearer abcdefgh.ijkl',
    'glpat-abcdefgh',
  ]
  expect(forms.filter((text) => !hasSecret(`see ${text} here`))).toEqual([])
  const harmless = [
    'qwen3:14b',
    'claude-sonnet-5-5',
    'http://localhost:11434',
    'token bucket',
    'ask-me-anything',
    'desk-lamp-drawing',
    'monkey',
  ]
  expect(harmless.filter(hasSecret)).toEqual([])
  expect(redacted('key sk-ant-api03-abcdefgh, and on')).toBe('key <secret>, and on')
  const names = ['ANTHROPIC_API_KEY', 'api_key', 'apiKey', 'GITHUB_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'DB_PASSWORD', 'npm_config__authToken']
  expect(names.filter((name) => !isSecretName(name))).toEqual([])
  expect(['PATH', 'max_tokens', 'first_token_ms', 'KEYBOARD', 'TROUPE_BUDGET_MAX_TOKENS', 'SSH_AUTH_SOCK'].filter(isSecretName)).toEqual([])
})
