/** Where the configuration comes from, what wins, and what is only warned of (S7, S8). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'smol-toml'
import { expect, test } from 'vitest'
import { configOf, settingsOf } from './place.ts'

const MODEL = '[models.coder]\nprovider = "ollama"\nname = "qwen3:14b"\n'

test('S7: without any file everything has its documented default', () => {
  const { general, models, agents, memory, budget, retry, timeouts, cache, pricing, warnings } = settingsOf({})
  expect({ general, models, agents, memory, budget, retry, timeouts, cache, pricing, warnings }).toEqual({
    general: {
      dataDir: '~/.troupe',
      projectDir: '.',
      ollamaHost: 'http://localhost:11434',
      totalVramGb: 16,
      reserveVramGb: 2,
      iterationsMax: 50,
      checkpointInterval: 5,
      concurrency: 3,
      allowPromptLogging: false,
    },
    models: {},
    agents: {},
    memory: {
      episodicLimit: 5,
      semanticLimit: 10,
      contextTokensMax: 16_384,
      embeddingModel: null,
      queue: { batchSize: 10, batchTimeoutMs: 1_000, opsMax: 10_000, drainTimeoutMs: 30_000 },
    },
    budget: { usdMax: null, tokensMax: null, turnsMax: null, timeMs: null },
    retry: { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 30_000, exponentialBase: 2 },
    timeouts: { loadMs: 300_000, firstTokenMs: 60_000, idleMs: 60_000, totalMs: 600_000, commandMs: 120_000 },
    cache: { mode: 'off', bytesMax: 1_000_000_000 },
    pricing: { 'ollama/*': { input: 0, output: 0, basis: 'local' } },
    warnings: [],
  })
})

test('S8: the file of the project is above the one of the person, the environment above both; tables are joined key by key', () => {
  const settings = settingsOf({
    person: `${MODEL}num_ctx = "8k"\n[budget]\nmax_usd = 1\nmax_tokens = "1k"\n[retry]\nmax_attempts = 9\n`,
    project: '[models.coder]\nnum_ctx = "16k"\n[budget]\nmax_usd = 2\nmax_turns = 5\n',
    env: { TROUPE_BUDGET_MAX_USD: '3.5', TROUPE_MODELS_CODER_NAME: 'other', TROUPE_CACHE_MODE: 'read' },
  })
  expect(settings.models['coder']).toMatchObject({ provider: 'ollama', model: 'other', contextTokens: 16_000 })
  expect([settings.budget, settings.retry.maxAttempts, settings.cache.mode]).toEqual([
    { usdMax: 3.5, tokensMax: 1_000, turnsMax: 5, timeMs: null },
    9,
    'read',
  ])
  const where = (...path: string[]) => settings.originOf(path)?.where ?? null
  expect([
    where('budget', 'max_usd'),
    where('budget', 'max_turns'),
    where('budget', 'max_tokens'),
    where('budget', 'max_time'),
    where('models', 'coder', 'num_ctx'),
  ]).toEqual(['env TROUPE_BUDGET_MAX_USD', './troupe.toml:5:1', '~/own/config.toml:7:1', null, './troupe.toml:2:1'])
})

test('the project file is searched up to the root of the repository, and not beyond it', () => {
  const budgetOf = (dir: string, more: Record<string, string>) => settingsOf({ project: 'budget.max_usd = 4\n', dir, more }).budget.usdMax
  expect([
    budgetOf('', {}),
    budgetOf('src/deep', { 'project/.git/HEAD': '' }),
    budgetOf('src/deep', {}),
    budgetOf('inner/deep', { 'project/.git/HEAD': '', 'project/inner/.git': 'gitdir: elsewhere' }),
  ]).toEqual([4, 4, null, null])
})

test('S8: a file that is named explicitly is read instead of the one of the project', () => {
  const more = { 'other.toml': 'budget.max_usd = 7\n' }
  const given = (config: string) => configOf({ project: 'budget.max_usd = 4\n', more, flags: { config } }).config
  expect(given('../other.toml').settings().budget.usdMax).toBe(7)
  expect(() => given('nowhere.toml').settings()).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
})

test('S7: keys of [general] may stand at the top of a file', () => {
  const { general, originOf } = settingsOf({
    project: 'total_vram_gb = 24\nollama_host = "http://gpu:11434/"\n[general]\nconcurrency = 8\n',
  })
  expect(general).toMatchObject({ totalVramGb: 24, ollamaHost: 'http://gpu:11434', concurrency: 8, reserveVramGb: 2 })
  expect(originOf(['general', 'ollama_host'])?.where).toBe('./troupe.toml:2:1')
  expect(settingsOf({ env: { TROUPE_OLLAMA_HOST: 'http://there:1' } }).general.ollamaHost).toBe('http://there:1')
})

test('S8: a key that no table has is a warning with its place and what may have been meant, and the rest is read', () => {
  const settings = settingsOf({
    project: `${MODEL}num_cxt = 5\n[agents.coder]\nmodle = "x"\n[agents.codr]\n[bugdet]\nmax_usd = 1\n[sandbox]\nmod = "auto"\nnetwork = false\n[mcp.any]\nthing = 1\n`,
    env: { TROUPE_BUDGET_MAX_USDD: '1', TROUPE_HOME: '/x', TROUPE_PROJECT: '/y', TROUPE_RUN: 'z', TROUPE_NIGHTLY: '1', TROUPE_SEED: '4' },
  })
  expect(settings.models['coder']?.model).toBe('qwen3:14b')
  expect(settings.warnings.map(({ code, where, message }) => `${code} ${where} ${message}`).sort()).toEqual([
    'E_CONFIG_UNKNOWN_KEY ./troupe.toml:11:1 unknown key `mod` in [sandbox]; it is not read; did you mean `mode`?',
    'E_CONFIG_UNKNOWN_KEY ./troupe.toml:4:1 unknown key `num_cxt` in [models.coder]; it is not read; did you mean `num_ctx`?',
    'E_CONFIG_UNKNOWN_KEY ./troupe.toml:6:1 unknown key `modle` in [agents.coder]; it is not read; did you mean `model`?',
    'E_CONFIG_UNKNOWN_KEY ./troupe.toml:7:1 the team has no agent `codr`; did you mean `coder`?',
    'E_CONFIG_UNKNOWN_KEY ./troupe.toml:8:1 unknown key `bugdet`; it is not read; did you mean `budget`?',
    'E_CONFIG_UNKNOWN_KEY env TROUPE_BUDGET_MAX_USDD no key has this name, it is not read; did you mean `TROUPE_BUDGET_MAX_USD`?',
  ])
})

test('places are found in tables of every form, past strings, comments and lists', () => {
  const project = [
    '# [models.coder] in a comment',
    'retry = { max_attempts = 2, base_delay = "1s" } # { }',
    'models.ab = { provider = "ollama", name = """',
    '[models.coder]',
    '""", fallback = [ "x", # ]',
    '  "y" ] }',
    "[ pricing . 'a/[models.b]' ]",
    'input = 1',
    'output = 2',
    'source = "say \\"x = 1\\" # no comment"',
    'as_of = 2026-11-01',
    '[providers.ollama]',
    'breaker.failures = 7',
  ].join('\r\n')
  const settings = settingsOf({ project })
  const where = (...path: string[]) => settings.originOf(path)?.where.replace('./troupe.toml:', '')
  expect([
    where('retry', 'base_delay'),
    where('models', 'ab', 'name'),
    where('models', 'ab', 'fallback'),
    where('pricing', 'a/[models.b]', 'output'),
    where('providers', 'ollama', 'breaker', 'failures'),
  ]).toEqual(['2:29', '3:36', '5:6', '9:1', '13:1'])
  expect((settings.pricing as Record<string, unknown>)['a/[models.b]']).toEqual({
    input: 1,
    output: 2,
    basis: 'priced',
    asOf: '2026-11-01',
    source: 'say "x = 1" # no comment',
  })
})

test('the configuration is read when it is first asked for, and once', () => {
  const { config } = configOf({ project: 'this is no TOML' })
  expect(config.database.endsWith('troupe.db')).toBe(true)
  expect(() => config.settings()).toThrow('no TOML')
  const { config: good } = configOf({ project: MODEL })
  expect(good.settings()).toBe(good.settings())
})

test('S8: the example is read without a warning, and is the same after it was written again', () => {
  const text = readFileSync(join(import.meta.dirname, '../../examples/troupe.toml'), 'utf8')
  const settings = settingsOf({ person: text })
  expect(settings.warnings).toEqual([])
  expect(Object.keys(settings.models)).toEqual(['orchestrator', 'coder', 'embedder'])
  const again = settingsOf({ person: stringify(parse(text)) })
  expect(JSON.parse(JSON.stringify(again))).toEqual(JSON.parse(JSON.stringify(settings)))
})
