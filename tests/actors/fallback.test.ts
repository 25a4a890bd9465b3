/** Fallback chains of the team on the real engine: who is asked, what is on record, and that a budget is one for all models. */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { GenerateRequest, GenerateResult, Provider } from '../../src/actors/provider.ts'
import { type Gates, providerGates } from '../../src/actors/provider-gate.ts'
import { parseTask } from '../../src/actors/task.ts'
import { teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import { type ModelRef, modelRef } from '../../src/machines/models.ts'
import type { Message } from '../../src/machines/vocabulary.ts'
import type { StaticSupervisorSpec } from '../../src/protocol.ts'
import { systemClock } from '../../src/runtime/clocks/system.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'

let home = ''
let dir = ''
beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'troupe-fallback-')))
  dir = join(home, 'project')
  await mkdir(dir)
  await writeFile(join(dir, 'says.txt'), 'nothing\n')
})
afterEach(() => rm(home, { recursive: true, force: true }))

const model = (alias: string, more: Partial<ModelRef> = {}): ModelRef =>
  modelRef.parse({
    alias,
    provider: alias,
    model: `${alias}-1`,
    contextTokens: 32_000,
    quotaGroup: alias,
    retry: { maxAttempts: 2, baseDelayMs: 1, maxDelayMs: 1 },
    ...more,
  })

const usage = { inputTokens: 100, outputTokens: 10, costUsd: null }
const answer = (message: Partial<Message>): GenerateResult => ({
  ok: true,
  message: { role: 'assistant', content: '', ...message },
  usage,
  finish: message.toolCalls === undefined ? 'stop' : 'tool_calls',
})
const call = (name: string, args: { [key: string]: string }) => answer({ toolCalls: [{ id: `c-${name}`, name, args }] })

/** Does the whole task: one write, then done; approves as a reviewer. */
const able = ({ agent, messages }: GenerateRequest): GenerateResult => {
  if (agent === 'reviewer') return answer({ content: '{"verdict":"approved","feedback":[]}' })
  if (messages.at(-1)?.role === 'tool') return call('done', { summary: 'It says hello.' })
  return call('write', { path: 'hello.txt', content: 'hello' })
}
const failing = (code: string, retry: 'never' | 'backoff') => (): GenerateResult => ({
  ok: false,
  code,
  message: `no: ${code}`,
  retry,
  usage,
})

function provider(name: string, act: (request: GenerateRequest) => GenerateResult): Provider & { readonly asked: GenerateRequest[] } {
  const asked: GenerateRequest[] = []
  return {
    name,
    simulated: false,
    asked,
    generate: async (request) => {
      asked.push(request)
      return act(request)
    },
  }
}

async function play(chain: readonly ModelRef[], providers: readonly Provider[], tokensMax?: number, gates?: Gates) {
  const store = sqliteStore({ path: join(home, 'troupe.db') })
  const byName = Object.fromEntries(providers.map((one) => [one.name, one]))
  const troupe = createTroupe({ store, machines: teamMachines, providers: byName, workDir: join(home, 'work'), gates })
  const given = teamTree(parseTask('goal: Say hello.\nworkspace: {mode: copy}\nwork: [{id: hello, description: Say hello}]', 'task.yaml'), {
    dir,
  })
  const children = ((given.tree as StaticSupervisorSpec).children ?? []).map((child) =>
    'src' in child && child.src !== 'executor' ? { ...child, input: { ...(child.input as object), models: chain } as never } : child,
  )
  const session = await troupe.start({ ...given.tree, children } as StaticSupervisorSpec, {
    input: given.input,
    ...(tokensMax === undefined ? {} : { budget: { tokensMax } }),
  })
  const result = await session.done()
  const journal = store.journal(session.id, 0).map(({ type, path, data }) => ({ type, path, data: JSON.parse(data) }))
  const of = (type: string) => journal.filter((entry) => entry.type === type)
  return { store, troupe, session, result, of }
}

test('the next model of the chain does the work, each switch is on record, and the first model is asked again for the next call', async () => {
  const down = provider('down', failing('E_PROVIDER_UNREACHABLE', 'backoff'))
  const up = provider('up', able)
  const { result, of, troupe } = await play([model('down'), model('up')], [down, up])
  expect(result.status).toBe('succeeded')
  expect(await readFile(join(dir, 'hello.txt'), 'utf8')).toBe('hello')
  expect(of('model.switched').map(({ path, data }) => [path, data.from, data.to, data.reason, data.timedOut])).toEqual([
    ['/team/coder', 'down', 'up', 'E_PROVIDER_UNREACHABLE', false],
    ['/team/coder', 'down', 'up', 'E_PROVIDER_UNREACHABLE', false],
    ['/team/reviewer', 'down', 'up', 'E_PROVIDER_UNREACHABLE', false],
  ])
  expect([down.asked.length, up.asked.length]).toEqual([6, 3])
  expect(of('llm.answered').map(({ data }) => [data.provider, data.model, data.alias, data.attempt])).toEqual([
    ['up', 'up-1', 'up', 1],
    ['up', 'up-1', 'up', 1],
    ['up', 'up-1', 'up', 1],
  ])
  troupe.close()
})

test('R3: while a provider is paused for an hour, each call goes to the next quota group at once and not after its whole time', async () => {
  const limited = provider('a', () => ({
    ok: false,
    code: 'E_PROVIDER_OVERLOADED',
    message: 'no',
    retry: 'after',
    retryAfterMs: 3_600_000,
  }))
  const up = provider('b', able)
  const began = performance.now()
  const { result, of, troupe } = await play([model('a'), model('b')], [limited, up], undefined, providerGates({ clock: systemClock }))
  expect([result.status, limited.asked.length, up.asked.length]).toEqual(['succeeded', 1, 3])
  expect(of('model.switched').map(({ data }) => data.reason)).toEqual(Array(3).fill('E_PROVIDER_OVERLOADED'))
  expect(performance.now() - began).toBeLessThan(30_000)
  troupe.close()
})

test('a count that cannot be is estimated, so it spends of the budget; what cannot be kept is asked of the next model', async () => {
  for (const tokens of [-5, Number.NaN, 1e308, '12']) {
    const lying = provider('a', (request) => ({ ...able(request), usage: { ...usage, inputTokens: tokens as number } }))
    const { result, store, session, troupe } = await play([model('a')], [lying], 1_000_000)
    expect([tokens, result.status]).toEqual([tokens, 'succeeded'])
    const spent = store.run(session.id)?.limits.spent?.tokens ?? 0
    expect([spent > 500, spent < 100_000]).toEqual([true, true])
    troupe.close()
  }
  const calls = Array.from({ length: 65 }, (_, at) => ({ id: `c${at}`, name: `tool${at}`, args: {} }))
  for (const message of [{ content: 'half \ud800' }, { toolCalls: calls }]) {
    const odd = provider('a', () => answer(message))
    const { result, of, troupe } = await play([model('a'), model('b')], [odd, provider('b', able)])
    expect(result.status).toBe('succeeded')
    expect([of('actor.crashed'), new Set(of('model.switched').map(({ data }) => data.reason))]).toEqual([
      [],
      new Set(['E_PROVIDER_OUTPUT']),
    ])
    troupe.close()
  }
})

test('R3: where all models fail, the run fails with each reason and exit code 5, and nothing is promoted', async () => {
  const providers = [provider('a', failing('E_PROVIDER_TIMEOUT', 'backoff')), provider('b', failing('E_CREDENTIALS_REJECTED', 'never'))]
  const { result, troupe } = await play([model('a'), model('b')], providers)
  expect(result.status).toBe('failed')
  expect(result.reason?.code).toBe('E_FALLBACK_EXHAUSTED')
  expect(JSON.stringify(result.output)).toContain('all 2 models failed: a timed out, b E_CREDENTIALS_REJECTED')
  await expect(readFile(join(dir, 'hello.txt'))).rejects.toThrow('ENOENT')
  expect(providers.map(({ asked }) => asked.length)).toEqual([2, 1])
  troupe.close()
})

test('P22: a switch grants no fresh budget: what the first model has used counts, and the limit ends the chain', async () => {
  const costly = provider(
    'costly',
    () => ({ ...failing('E_PROVIDER_OUTPUT', 'backoff')(), usage: { ...usage, inputTokens: 4_000 } }) as GenerateResult,
  )
  const up = provider('up', able)
  const { result, store, session, troupe } = await play([model('costly'), model('up')], [costly, up], 12_000)
  expect(result.reason?.code).toBe('E_LIMIT_TOKENS')
  const spent = store
    .effects(session.id)
    .reduce((sum, { usage: used }) => sum + (used === null ? 0 : used.inputTokens + used.outputTokens), 0)
  expect(spent).toBeLessThanOrEqual(12_000)
  expect(up.asked.length).toBeLessThan(3)
  troupe.close()
})

test('a run whose provider is not there in this process fails with E_MODEL_UNKNOWN and the ones that are', async () => {
  const { result, troupe } = await play([model('gone')], [provider('up', able)])
  expect(JSON.stringify(result.output)).toContain('there is no provider `gone` for model gone; there are: up')
  expect(result.reason?.code).toBe('E_MODEL_UNKNOWN')
  troupe.close()
})
