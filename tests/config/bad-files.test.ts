/** Files that are wrong: each is one clear error with its place, its documented exit code and a fix; no stack, no credential, and nothing is written. */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exitOf } from '../../src/catalogue.ts'
import { UserError } from '../../src/errors.ts'
import { PLAIN } from '../../src/view/look.ts'
import { problemLines } from '../../src/view/problem.ts'
import { type ConfigPlace, configOf, type Files } from './place.ts'

const CANARY = 'zQ7canary9xW2'
const model = (line: string) => `[models.coder]\nprovider = "ollama"\nname = "x"\n${line}\n`

/** `[what, file, place, words]`. */
const INVALID: readonly (readonly [string, string | Uint8Array, string, string])[] = [
  ['no equals sign', 'this is no TOML', './troupe.toml:1:', 'no TOML'],
  ['a value that is missing', 'budget = \n', './troupe.toml:1:', 'invalid value'],
  ['a table that is not closed', '[models.coder\nname = 1', './troupe.toml:1:', 'no TOML'],
  ['a string that is not closed', 'project_dir = "x', './troupe.toml:1:15', 'unfinished string'],
  ['an inline table that is not closed', 'retry = { max_attempts = 1', './troupe.toml:1:', 'no TOML'],
  ['a key twice', 'concurrency = 1\nconcurrency = 2', './troupe.toml:2:1', 'redefine'],
  ['a table twice', '[retry]\n[retry]', './troupe.toml:2:', 'redefine'],
  ['a table and a value of one name', 'retry = 1\n[retry]', './troupe.toml:2:', 'redefine'],
  ['an escape that is none', 'project_dir = "\\q"', './troupe.toml:1:', 'escape'],
  ['a number too large', 'concurrency = 99999999999999999999', './troupe.toml:1:', 'losslessly'],
  ['a leading zero', 'concurrency = 01', './troupe.toml:1:', 'zero'],
  ['a prototype', '__proto__ = 1', './troupe.toml:1:', 'unsafe'],
  ['a prototype in a table', '[models.coder.__proto__]\nname = 1', './troupe.toml:1:', 'unsafe'],
  ['a NUL', '\u0000', './troupe.toml:1:1', 'no TOML'],
  ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0x41), './troupe.toml', 'no UTF-8'],
  ['too many bytes', `# ${'x'.repeat(1_000_001)}`, './troupe.toml', '1000000 are allowed'],
  ['tables nested without end', `x = ${'['.repeat(5_000)}${']'.repeat(5_000)}`, './troupe.toml', ''],
  ['a number as a table', 'models = 5', './troupe.toml:1:1', 'models: expected a table, got 5'],
  ['a list as a table', 'budget = []', './troupe.toml:1:1', 'budget: expected a table, got []'],
  ['a model without a name', '[models.coder]\nprovider = "ollama"', './troupe.toml:1:1', 'models.coder.name: expected text, got nothing'],
  ['a model without a provider', '[models.coder]\nname = "x"', './troupe.toml:1:1', 'models.coder.provider: expected a name'],
  ['an empty name', '[models.coder]\nprovider = "ollama"\nname = " "', './troupe.toml:3:1', 'models.coder.name: expected text, got " "'],
  ['an alias with a space', '[models."my coder"]\nprovider = "ollama"\nname = "x"', './troupe.toml:1:1', 'models: expected a name'],
  ['a name that is a number', '[models.coder]\nprovider = "ollama"\nname = 35', './troupe.toml:3:1', 'got 35'],
  ['S7: no VRAM', model('vram_gb = 0'), './troupe.toml:4:1', 'above 0, at most 24, got 0'],
  ['S7: more VRAM than a card has', model('vram_gb = 24.5'), './troupe.toml:4:1', 'above 0, at most 24, got 24.5'],
  [
    'S7: a temperature above 2',
    '[agents.coder]\ntemperature = 2.1',
    './troupe.toml:2:1',
    'agents.coder.temperature: expected a number from 0 to 2, got 2.1',
  ],
  ['S7: a temperature below 0', model('temperature = -1'), './troupe.toml:4:1', 'from 0 to 2, got -1'],
  ['S7: no iterations', '[agents.coder]\nmax_iterations = 0', './troupe.toml:2:1', 'a whole number from 1 on, like 200k, got 0'],
  ['S7: a context of nothing', '[agents.coder]\nmax_context_tokens = -5', './troupe.toml:2:1', 'got -5'],
  ['half a token', model('num_ctx = 0.5'), './troupe.toml:4:1', 'got 0.5'],
  ['no number', '[general]\ntotal_vram_gb = nan', './troupe.toml:2:1', 'general.total_vram_gb: expected a number from 0 on, got NaN'],
  ['endless memory', 'total_vram_gb = inf', './troupe.toml:1:1', 'got Infinity'],
  ['a flag in words', 'allow_prompt_logging = "yes"', './troupe.toml:1:1', 'expected true or false, got "yes"'],
  ['a way of calling tools that is none', model('tools = "magic"'), './troupe.toml:4:1', 'expected native | text, got "magic"'],
  [
    'a duration without unit',
    'timeouts = { idle = "60" }',
    './troupe.toml:1:14',
    'timeouts.idle: expected a duration with its unit, from 1ms to 365d, got "60"',
  ],
  ['a duration that is a number', '[timeouts]\ntotal = 600', './troupe.toml:2:1', 'got 600'],
  ['no time at all', '[timeouts]\nload = "0s"', './troupe.toml:2:1', 'got "0s"'],
  ['a time of years', '[timeouts]\nload = "400d"', './troupe.toml:2:1', 'got "400d"'],
  ['fallbacks that are no list', model('fallback = "b"'), './troupe.toml:4:1', 'expected a list of aliases, got "b"'],
  ['a fallback that is a number', model('fallback = ["b",\n 3]'), './troupe.toml:5:2', 'expected a list of aliases, got 3'],
  [
    'a negative price',
    '[pricing]\n"a/b" = { input = -1, output = 1 }',
    './troupe.toml:2:11',
    'pricing.a/b.input: expected a number from 0 on, got -1',
  ],
  ['half a price', '[pricing]\n"a/b" = { input = 1 }', './troupe.toml:2:1', 'pricing.a/b.output: expected a number from 0 on, got nothing'],
  ['a price of everything', '[pricing]\n"claude" = { input = 1, output = 1 }', './troupe.toml:2:1', 'expected a pattern'],
  [
    'less money than none',
    '[budget]\nmax_usd = -2',
    './troupe.toml:2:1',
    'budget.max_usd: expected a number of USD from 0 on; 0: no limit, got -2',
  ],
  [
    'an address without a scheme',
    'ollama_host = "localhost:11434"',
    './troupe.toml:1:1',
    'expected an address like http://localhost:11434',
  ],
  ['an address of a file', '[providers.x]\nbase_url = "file:///etc/passwd"', './troupe.toml:2:1', 'expected an address'],
  ['a key in both places', 'concurrency = 1\n[general]\nconcurrency = 2', './troupe.toml:1:1', 'it is here and in [general]'],
  ['a variable with a dollar', '[providers.x]\napi_key_env = "$KEY"', './troupe.toml:2:1', 'the name of an environment variable'],
  ['a breaker of words', '[providers.x]\nbreaker = { failures = "many" }', './troupe.toml:2:13', 'got "many"'],
  [
    'a project that says where the key is sent',
    '[providers.anthropic]\nbase_url = "https://evil.example"',
    './troupe.toml:2:1',
    'cannot say to which host your key is sent',
  ],
  ['a later table that is a number', 'sandbox = 5', './troupe.toml:1:1', 'sandbox: expected a table, got 5'],
]

/** `[what, file, place]`: all of them are refused as credentials, and none is repeated. */
const SECRET: readonly (readonly [string, string, string])[] = [
  ['a key at the top', `api_key = "${CANARY}"`, './troupe.toml:1:1'],
  ['a key of a provider', `[providers.anthropic]\napi_key = "sk-ant-${CANARY}"`, './troupe.toml:2:1'],
  ['a key under a name of its own', `[providers.anthropic]\nbearer = "${CANARY}"`, './troupe.toml:2:1'],
  ['a key where the name of a variable belongs', `[providers.anthropic]\napi_key_env = "sk-ant-${CANARY}"`, './troupe.toml:2:1'],
  ['a key as the name of a model', model(`fallback = ["sk-${CANARY}"]`), './troupe.toml:4:13'],
  ['a password in an address', `ollama_host = "http://me:${CANARY}@host"`, './troupe.toml:1:1'],
  ['a key as a key', `[models]\nsk-${CANARY} = 1`, './troupe.toml:2:1'],
  ['a token in a table of a later version', `[mcp.github]\nenv = { GITHUB_TOKEN = "${CANARY}" }`, './troupe.toml:2:9'],
  ['keys in a table of their own', `[credentials]\nanthropic = "${CANARY}"`, './troupe.toml:2:1'],
]

function refused(files: Files): { readonly error: UserError; readonly said: string; readonly place: ConfigPlace } {
  const place = configOf(files)
  try {
    place.config.settings()
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    return { error: error as UserError, said: problemLines(error as UserError, PLAIN).join('\n'), place }
  }
  throw new Error('it was taken')
}

test('there are more than 40 of them', () => expect(INVALID.length + SECRET.length).toBeGreaterThan(50))

test.each(INVALID)('%s is one error with its place and a fix, and nothing is written', (_what, project, where, words) => {
  const { error, said, place } = refused({ project })
  expect([error.code, error.options.exit]).toEqual(['E_CONFIG_INVALID', 3])
  expect(error.options.where.startsWith(where), error.options.where).toBe(true)
  expect(error.message).toContain(words)
  expect(said).toMatch(/\n {2}fix: \S/)
  expect(said).not.toMatch(/^\s+at |node:|\.ts:|\[object/m)
  expect(readdirSync(place.home)).toEqual([])
})

test.each(SECRET)('%s is refused and not repeated', (_what, project, where) => {
  const { error, said } = refused({ project })
  expect([error.code, error.options.exit, error.options.where]).toEqual(['E_SECRET_IN_CONFIG', exitOf('E_SECRET_IN_CONFIG'), where])
  expect(said).not.toContain(CANARY)
  expect(said).toMatch(/fix: troupe auth login/)
})

test('a credential in a line that is no TOML is not repeated either', () => {
  for (const project of [`api_key = ${CANARY}`, `x = sk-${CANARY}`, `"secret" = '${CANARY}`, `[a]\nb = "https://u:${CANARY}@h" x`]) {
    const { error, said } = refused({ project })
    expect([error.code, said.includes(CANARY)], project).toEqual(['E_CONFIG_INVALID', false])
  }
})

test('a variable of the environment that does not fit is named, and a credential in one is not repeated', () => {
  const wrong = refused({ env: { TROUPE_RETRY_MAX_ATTEMPTS: 'often' } })
  expect([wrong.error.options.where, wrong.error.message]).toEqual([
    'env TROUPE_RETRY_MAX_ATTEMPTS',
    'retry.max_attempts: expected a whole number from 1 to 100, got "often"',
  ])
  const secret = refused({ env: { TROUPE_PROVIDERS_ANTHROPIC_API_KEY_ENV: `sk-ant-${CANARY}` } })
  expect([secret.error.code, secret.error.options.where]).toEqual(['E_SECRET_IN_CONFIG', 'env TROUPE_PROVIDERS_ANTHROPIC_API_KEY_ENV'])
  expect(secret.said).not.toContain(CANARY)
})

test('a folder and a file that nobody may read are errors, not stacks', () => {
  const { error } = refused({ more: { 'project/troupe.toml/x': '' } })
  expect([error.code, error.message]).toEqual(['E_CONFIG_INVALID', 'it is no file'])
})

test('what may look like a credential and is none is taken', () => {
  const project = [
    '[budget]\nmax_tokens = "200k"',
    '[http]\ntoken = "0123456789abcdef"',
    model('max_output_tokens = 4096\nkeep_alive = "5m"'),
    '[timeouts]\nfirst_token = "60s"',
  ]
  const person = '[providers.anthropic]\napi_key_env = "MY_ANTHROPIC_API_KEY"'
  expect(configOf({ project: project.join('\n'), person }).config.settings().warnings).toEqual([])
})

test('the file of a project cannot name a variable of the person that is then sent as a key, not even to this machine', () => {
  const { error } = refused({ project: '[providers.mine]\nbase_url = "http://127.0.0.1:8000"\napi_key_env = "AWS_SECRET_ACCESS_KEY"' })
  expect([error.code, error.options.exit, error.options.where]).toEqual(['E_CONFIG_INVALID', 3, './troupe.toml:3:1'])
  expect(error.message).toContain('cannot say which variable is your key')
  const env = { TROUPE_PROVIDERS_MINE_API_KEY_ENV: 'MY_KEY' }
  const project = '[providers.mine]\nbase_url = "http://127.0.0.1:8000"'
  expect(configOf({ project, env }).config.settings().providers['mine']?.apiKeyEnv).toBe('MY_KEY')
})

test('an address on this machine, and the word of the person, say where keys are sent', () => {
  const own = '[providers.mine]\nbase_url = "https://models.example/v1/"'
  expect(configOf({ person: own }).config.settings().providers['mine']?.baseUrl).toBe('https://models.example/v1')
  const local = '[providers.mine]\nbase_url = "http://127.0.0.1:8000/v1"'
  expect(configOf({ project: local }).config.settings().providers['mine']?.baseUrl).toBe('http://127.0.0.1:8000/v1')
  const env = { TROUPE_PROVIDERS_MINE_BASE_URL: 'https://models.example' }
  expect(configOf({ project: local, env }).config.settings().providers['mine']?.baseUrl).toBe('https://models.example')
})
