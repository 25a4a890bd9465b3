/** Which models an agent has (R3, S7, P22): from flags, the task and the configuration; prices, keys and names are looked at before a run is made. */
import { expect, test } from 'vitest'
import { createCredentials, type KeyPlace } from '../../src/actors/credentials.ts'
import { priceOf } from '../../src/actors/model-settings.ts'
import { type AgentName, chainOf, checkPrices, type ModelChoice, planModels, vramWarnings } from '../../src/actors/models.ts'
import { keysOf, providersOf } from '../../src/actors/provider-factory.ts'
import { placeOf } from '../../src/actors/provider-places.ts'
import type { UserError } from '../../src/errors.ts'
import { settingsOf } from '../config/place.ts'

const MODELS = `
[models]
orchestrator = { provider = "anthropic", name = "claude-sonnet-5-5", fallback = ["coder", "big"], temperature = 1.5 }
coder = { provider = "ollama", name = "qwen3:14b", num_ctx = 16384, vram_gb = 10, keep_alive = "5m", fallback = ["small"] }
small = { provider = "ollama", name = "qwen3:4b", tools = "text" }
big = { provider = "anthropic", name = "claude-opus-5-5", thinking_tokens = 8000, quota_group = "opus" }
[pricing]
"anthropic/*" = { input = 9, output = 9 }
"anthropic/claude-sonnet-*" = { input = 3, output = 15, cache_read = 0.3, as_of = "2026-11-01" }
`
const settings = () => settingsOf({ person: MODELS })
const names = (agent: AgentName, choice: ModelChoice = {}, text = MODELS) =>
  chainOf(settingsOf({ person: text }), agent, choice).map(({ alias }) => alias)
const refusal = (act: () => unknown): Pick<UserError, 'code' | 'message'> & { where: string; exit: number } => {
  try {
    act()
  } catch (error) {
    const { code, message, options } = error as UserError
    return { code, message, where: options.where, exit: options.exit }
  }
  throw new Error('it was taken')
}
const taskOf = (agents: NonNullable<ModelChoice['task']>['agents'], provider: string | null = null): ModelChoice => ({
  task: { provider, agents },
})

test('a name that every object has is no provider', () => {
  for (const name of ['constructor', 'toString', '__proto__'])
    expect(refusal(() => placeOf(settings(), name))).toMatchObject({ code: 'E_CONFIG_INVALID', exit: 3 })
})

test('a model travels with all that a call needs but the key', () => {
  expect(chainOf(settings(), 'coder')[0]).toEqual({
    alias: 'coder',
    provider: 'ollama',
    model: 'qwen3:14b',
    contextTokens: 16_384,
    outputTokensMax: 4_096,
    temperature: 0.3,
    thinkingTokens: null,
    tools: 'native',
    quotaGroup: 'ollama',
    vramGb: 10,
    keepAliveMs: 300_000,
    price: { input: 0, output: 0, basis: 'local' },
    timeouts: { loadMs: 300_000, firstTokenMs: 60_000, idleMs: 60_000, totalMs: 600_000 },
    retry: { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 30_000, exponentialBase: 2 },
  })
  expect(chainOf(settings(), 'orchestrator')[0]).toMatchObject({
    contextTokens: 200_000,
    temperature: 1.5,
    vramGb: null,
    price: { input: 3, output: 15, cacheRead: 0.3, basis: 'priced', asOf: '2026-11-01' },
  })
})

test('R3: fallbacks follow in their order, each with its own, each model once', () => {
  expect(names('orchestrator')).toEqual(['orchestrator', 'coder', 'small', 'big'])
  expect(names('coder')).toEqual(['coder', 'small'])
  expect(chainOf(settings(), 'orchestrator').map(({ quotaGroup }) => quotaGroup)).toEqual(['anthropic', 'ollama', 'ollama', 'opus'])
})

test('the flag is above the task, the task above the agent of the configuration, that above the names of aliases', () => {
  const configured = `${MODELS}[agents.coder]\nmodel = "big"\n`
  expect([
    names('coder', { modelFlag: 'small', ...taskOf({ coder: { model: 'orchestrator' } }) }, configured)[0],
    names('coder', taskOf({ coder: { model: 'small' } }), configured)[0],
    names('coder', {}, configured)[0],
    names('coder')[0],
    names('reviewer')[0],
    names('optimizer', {}, '[models.any]\nprovider = "ollama"\nname = "x"')[0],
    names(
      'reviewer',
      {},
      '[memory]\nembedding_model = "e"\n[models]\ne = {provider = "ollama", name = "e"}\nm = {provider = "ollama", name = "m"}',
    )[0],
  ]).toEqual(['small', 'small', 'big', 'coder', 'orchestrator', 'any', 'm'])
})

test('S7: temperature and context are those of the task, else of the agent, else of the model, else the default', () => {
  const text = `${MODELS}[agents]\nreviewer = { temperature = 0.9, max_context_tokens = "8k" }\n`
  const temperature = (agent: AgentName, choice: ModelChoice = {}) => chainOf(settingsOf({ person: text }), agent, choice)[0]?.temperature
  expect([
    temperature('reviewer', taskOf({ reviewer: { temperature: 0 } })),
    temperature('reviewer'),
    temperature('orchestrator'),
    temperature('coder'),
    temperature('coder', { modelFlag: 'big' }),
  ]).toEqual([0, 0.9, 1.5, 0.3, null])
  expect(planModels(settingsOf({ person: text }), taskOf({ coder: { contextTokensMax: 500 } })).contextTokensMax).toEqual({
    orchestrator: 16_384,
    coder: 500,
    reviewer: 8_000,
    optimizer: 16_384,
  })
})

test('a provider that is asked for has only its own models', () => {
  expect(names('orchestrator', { providerFlag: 'ollama' })).toEqual(['coder', 'small'])
  expect(names('coder', { providerFlag: 'anthropic' })).toEqual(['orchestrator'])
  expect(names('coder', taskOf({}, 'anthropic'))).toEqual(['orchestrator'])
  const named = chainOf(settings(), 'coder', { providerFlag: 'ollama', modelFlag: 'llama9:70b' })
  expect(named).toMatchObject([{ alias: 'llama9:70b', provider: 'ollama', model: 'llama9:70b', price: { basis: 'local' } }])
  expect(refusal(() => names('coder', { providerFlag: 'openai-compatible' }))).toMatchObject({
    code: 'E_MODEL_UNKNOWN',
    where: '--provider',
  })
  expect(refusal(() => names('coder', { providerFlag: 'anthropic', modelFlag: 'coder' }))).toMatchObject({ code: 'E_MODEL_UNKNOWN' })
})

test('nothing configured is scripted and says so; what is configured is never replaced by a script', () => {
  const none = planModels(settingsOf({}))
  expect(none).toMatchObject({ providers: ['scripted'], simulated: true, unconfigured: true, chains: { coder: [] } })
  expect(planModels(settings())).toMatchObject({ providers: ['anthropic', 'ollama'], simulated: false, unconfigured: false })
  expect(planModels(settings(), { providerFlag: 'scripted' })).toMatchObject({ simulated: true, unconfigured: false })
  expect(planModels(settings(), taskOf({}, 'scripted'))).toMatchObject({ simulated: true, unconfigured: false })
  expect(refusal(() => planModels(settingsOf({}), { providerFlag: 'ollama' }))).toMatchObject({ code: 'E_MODEL_UNKNOWN', exit: 3 })
})

test.each([
  ['an alias of a flag', { modelFlag: 'codr' }, MODELS, '--model', 'there is no model `codr`; did you mean `coder`?'],
  [
    'an alias of a task',
    taskOf({ coder: { model: 'bigg' } }),
    MODELS,
    'task: agents.coder.model',
    'there is no model `bigg`; did you mean `big`?',
  ],
  [
    'an alias of an agent',
    {},
    `${MODELS}[agents.coder]\nmodel = "zzz"\n`,
    '~/own/config.toml:11:1',
    'there are: orchestrator, coder, small, big',
  ],
  ['a fallback', {}, '[models.coder]\nprovider = "ollama"\nname = "x"\nfallback = ["smal"]\n', '~/own/config.toml:4:1', 'no model `smal`'],
  [
    'fallbacks that go round',
    {},
    '[models]\ncoder = {provider = "ollama", name = "x", fallback = ["b"]}\nb = {provider = "ollama", name = "y", fallback = ["coder"]}\n',
    '~/own/config.toml:3:39',
    'the fallbacks go round: coder -> b -> coder',
  ],
] as const)('%s that leads nowhere is refused before a run is made', (_what, choice, text, where, words) => {
  const found = refusal(() => chainOf(settingsOf({ person: text }), 'coder', choice))
  expect(found).toMatchObject({ code: 'E_MODEL_UNKNOWN', exit: 3, where })
  expect(found.message).toContain(words)
})

test('a provider that is none is named with a near one, and one with an address of its own speaks as OpenAI does', () => {
  const of = (provider: string, more = '') => settingsOf({ person: `[models.coder]\nprovider = "${provider}"\nname = "x"\n${more}` })
  expect(refusal(() => chainOf(of('olama'), 'coder'))).toEqual({
    code: 'E_CONFIG_INVALID',
    message: 'there is no provider `olama`; did you mean `ollama`?',
    where: '~/own/config.toml:2:1',
    exit: 3,
  })
  const mine = of('mine', '[providers.mine]\nbase_url = "https://models.example/v1"\nconcurrency = 9\n')
  expect(placeOf(mine, 'mine')).toMatchObject({
    kind: 'openai-compatible',
    key: 'needed',
    concurrency: 9,
    baseUrl: 'https://models.example/v1',
  })
  expect(placeOf(of('x'), 'ollama')).toMatchObject({ key: 'none', concurrency: 1, baseUrl: 'http://localhost:11434' })
  expect(placeOf(of('x'), 'openai-compatible')).toMatchObject({ key: 'needed', concurrency: 4, baseUrl: 'https://api.openai.com/v1' })
})

test.each([
  ['anthropic', 'claude-sonnet-5-5', 3],
  ['anthropic', 'claude-opus-5-5', 9],
  ['ollama', 'anything:1b', 0],
  ['openai-compatible', 'gpt', null],
] as const)('the most exact pattern is the price of %s/%s', (provider, model, input) => {
  expect(priceOf(settings(), provider, model)?.input ?? null).toBe(input)
})

test('patterns with several stars fit as a whole', () => {
  const pricing = { 'a/x*y*z': { input: 1, output: 1, basis: 'priced' as const } }
  const fits = (model: string) => priceOf({ pricing }, 'a', model) !== null
  expect(['xyz', 'x-y-z', 'xz', 'xyzz', 'xyz-', 'xzy', 'axyz'].map(fits)).toEqual([true, true, false, true, false, false, false])
})

test('a limit of money with a model of unknown price is refused, fallbacks too; a script has no price', () => {
  const text = '[models]\ncoder = {provider = "ollama", name = "x", fallback = ["far"]}\nfar = {provider = "anthropic", name = "claude"}\n'
  const plan = planModels(settingsOf({ person: text }))
  expect(() => checkPrices(plan, null)).not.toThrow()
  expect(refusal(() => checkPrices(plan, 2))).toMatchObject({ code: 'E_PRICE_UNKNOWN', exit: 3, where: 'models.far' })
  expect(() => checkPrices(planModels(settings()), 2)).not.toThrow()
  expect(() => checkPrices(planModels(settingsOf({})), 2)).not.toThrow()
})

test('S9: models that the card has no room for together are told of, distinct ones', () => {
  const two = '[models]\ncoder = {provider = "ollama", name = "a", vram_gb = 10}\nreviewer = {provider = "ollama", name = "b"}\n'
  const warned = (text: string) => vramWarnings(settingsOf({ person: text }), planModels(settingsOf({ person: text }))).join()
  expect(warned(two)).toContain('need 18 GB together, 14 GB are free')
  expect(warned(two.replace('"b"', '"a", vram_gb = 10'))).toBe('')
})

test('M3: a key that is missing is told before a run is made, with the places that were looked at; what needs none is not asked for one', async () => {
  const asked: string[] = []
  const place: KeyPlace = {
    name: 'environment',
    read: async (name) => {
      asked.push(name)
      return null
    },
    describe: () => 'environment SOME_KEY',
  }
  const options = { settings: settings(), credentials: createCredentials([place]) }
  await expect(keysOf(['ollama', 'anthropic'], options)).rejects.toMatchObject({
    code: 'E_CREDENTIALS_MISSING',
    message: 'no key for anthropic (SOME_KEY)',
    options: { exit: 4, fix: 'troupe auth login anthropic' },
  })
  expect(asked).toEqual(['anthropic'])
  const found = await keysOf(['ollama', 'scripted'], options)
  expect(Object.keys(await providersOf(['ollama', 'scripted'], { settings: settings(), found }))).toEqual(['ollama'])
})
