/** Kept answers: valid or not there, never paid for twice, never given to a call that could not use them. A6 by its tests' names. */
import { existsSync, readdirSync, readFileSync, renameSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type CachedAnswer, type CacheMode, cacheKey, type ResponseCache, wrapCache } from '../../src/actors/cache.ts'
import { readCounts } from '../../src/actors/caches/counters.ts'
import { diskCache } from '../../src/actors/caches/disk.ts'
import { validateCacheEntry } from '../../src/actors/caches/entry.ts'
import { inspectCache, purgeable, purgeCache } from '../../src/actors/caches/folder.ts'
import type { GenerateRequest, GenerateResult, Provider } from '../../src/actors/provider.ts'
import { modelRef } from '../../src/machines/models.ts'
import { temporaryFolder } from '../harness.ts'

const NOW = Date.UTC(2026, 10, 20, 9, 12)
const DAY_MS = 86_400_000
const clock = { wallMs: () => NOW }
const answerOf = (content: string): CachedAnswer => ({
  message: { role: 'assistant', content, toolCalls: [{ id: 'c1', name: 'read', args: { path: 'ä"' } }] },
  finish: 'tool_calls',
  provider: 'ollama',
  model: 'qwen3:14b',
})
const keyOf = (n: number): string => n.toString(16).padStart(2, '0').repeat(32)
const fileOf = (root: string, key: string): string => join(root, key.slice(0, 2), `${key}.json`)

function given(mode: CacheMode = 'readwrite', bytesMax = 1_000_000, at = clock) {
  const root = join(temporaryFolder(), 'cache')
  const warnings: string[] = []
  const cache = diskCache({ root, mode, bytesMax, clock: at, warn: (message) => warnings.push(message) })
  return { root, cache, warnings, counts: () => readCounts(root, NOW) }
}

test('A6 validate_cache_entry: what was put is what is got, with its SHA-256; what is not there is a miss', async () => {
  const { root, cache, counts } = given()
  expect(await cache.get(keyOf(1))).toBeNull()
  await cache.put(keyOf(1), answerOf('one'))
  expect(await cache.get(keyOf(1))).toEqual(answerOf('one'))
  expect(await validateCacheEntry(fileOf(root, keyOf(1)))).toEqual({ answer: answerOf('one'), cause: null })
  expect(JSON.parse(readFileSync(fileOf(root, keyOf(1)), 'utf8'))).toMatchObject({
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    payload: { v: 1, key: keyOf(1), at: '2026-11-20T09:12:00.000Z' },
  })
  expect([statSync(fileOf(root, keyOf(1))).mode & 0o777, await counts()]).toEqual([0o600, { hits: 1, misses: 1, skipped: 0 }])
})

const DAMAGE: readonly (readonly [string, string, (path: string, text: string) => void])[] = [
  ['a changed byte', 'sha256 differs', (path, text) => writeFileSync(path, text.replace('one', 'two'))],
  ['a cut file', 'is no JSON', (path, text) => truncateSync(path, text.length - 20)],
  ['an empty file', 'is empty', (path) => truncateSync(path, 0)],
  ['another format', 'has format 9, this release reads 1', (path, text) => writeFileSync(path, text.replace('"v":1', '"v":9'))],
  ['no entry at all', 'is no entry', (path) => writeFileSync(path, '[1]')],
]

test.each(DAMAGE)(
  'A6 corrupt entry, %s: skipped with one warning, counted, removed, and rebuilt where writing is allowed',
  async (_, cause, damage) => {
    const { root, cache, warnings, counts } = given('readwrite')
    const path = fileOf(root, keyOf(1))
    await cache.put(keyOf(1), answerOf('one'))
    damage(path, readFileSync(path, 'utf8'))
    expect((await inspectCache(root, NOW, true)).invalid).toEqual([{ key: keyOf(1), cause }])
    expect(await cache.get(keyOf(1))).toBeNull()
    expect([existsSync(path), await cache.get(keyOf(1))]).toEqual([false, null])
    await cache.put(keyOf(1), answerOf('again'))
    expect(await cache.get(keyOf(1))).toEqual(answerOf('again'))
    expect(warnings).toEqual([`the cached answer ${keyOf(1).slice(0, 7)} is skipped: ${cause}`])
    expect(await counts()).toEqual({ hits: 1, misses: 2, skipped: 1 })
  },
)

test('A6 corrupt entry where nothing may be written: skipped with one warning however often it is asked for, and left as it is', async () => {
  const writer = given()
  await writer.cache.put(keyOf(1), answerOf('one'))
  const path = fileOf(writer.root, keyOf(1))
  writeFileSync(path, 'garbage')
  const warnings: string[] = []
  const cache = diskCache({ root: writer.root, mode: 'read', bytesMax: 1_000_000, clock, warn: (message) => warnings.push(message) })
  expect([await cache.get(keyOf(1)), await cache.get(keyOf(1)), readFileSync(path, 'utf8'), warnings.length]).toEqual([
    null,
    null,
    'garbage',
    1,
  ])
})

test('an entry under the name of another one is no entry', async () => {
  const { root, cache } = given()
  await cache.put(keyOf(1), answerOf('one'))
  await cache.put(keyOf(2), answerOf('two'))
  renameSync(fileOf(root, keyOf(1)), fileOf(root, keyOf(2)))
  expect(await validateCacheEntry(fileOf(root, keyOf(2)))).toEqual({ answer: null, cause: 'is under another name' })
})

test('A6 cache validate and purge count exactly: all, invalid, and what was not used for so long', async () => {
  const { root, cache } = given()
  for (let n = 1; n <= 9; n++) await cache.put(keyOf(n), answerOf(String(n)))
  for (const n of [2, 5]) writeFileSync(fileOf(root, keyOf(n)), 'garbage')
  const old = (NOW - 40 * DAY_MS) / 1_000
  for (const n of [7, 8, 9]) utimesSync(fileOf(root, keyOf(n)), old, old)
  writeFileSync(`${fileOf(root, keyOf(1))}.7-0.tmp`, 'begun, and its process died')
  utimesSync(`${fileOf(root, keyOf(1))}.7-0.tmp`, old, old)
  expect((await inspectCache(root, NOW, true)).invalid).toEqual([2, 5].map((n) => ({ key: keyOf(n), cause: 'is no JSON' })))
  const purge = async (what: Parameters<typeof purgeable>[1]) => {
    const { entries, removed, invalid } = await purgeCache(root, await purgeable(root, what, NOW), NOW)
    return { entries, removed, invalid: invalid?.length }
  }
  expect(await purge({ what: 'invalid' })).toEqual({ entries: 7, removed: 2, invalid: 0 })
  expect(await purge({ what: 'older', olderThanMs: 30 * DAY_MS })).toEqual({ entries: 4, removed: 3, invalid: 0 })
  expect(await purge({ what: 'older', olderThanMs: 30 * DAY_MS })).toEqual({ entries: 4, removed: 0, invalid: 0 })
  expect(await purge({ what: 'all' })).toEqual({ entries: 0, removed: 4, invalid: 0 })
  expect(readdirSync(root, { recursive: true }).filter((name) => String(name).includes('.json'))).toEqual([])
})

test('counts are of seven days, survive the process, and are exact for many processes at once', async () => {
  const { root, cache } = given()
  await cache.put(keyOf(1), answerOf('one'))
  const others = Array.from({ length: 4 }, () => diskCache({ root, mode: 'read', bytesMax: 1_000_000, clock }))
  await Promise.all(others.flatMap((other) => Array.from({ length: 25 }, (_, n) => other.get(keyOf(n % 2)))))
  const week = diskCache({ root, mode: 'read', bytesMax: 1_000_000, clock: { wallMs: () => NOW - 6 * DAY_MS } })
  const longAgo = diskCache({ root, mode: 'read', bytesMax: 1_000_000, clock: { wallMs: () => NOW - 7 * DAY_MS } })
  await Promise.all([week.get(keyOf(1)), longAgo.get(keyOf(1))])
  expect(await readCounts(root, NOW)).toEqual({ hits: 4 * 12 + 1, misses: 4 * 13, skipped: 0 })
})

test('what is too much goes: the entries that were used longest ago', async () => {
  const { root, cache } = given()
  await cache.put(keyOf(0), answerOf('0'))
  const size = statSync(fileOf(root, keyOf(0))).size
  let now = NOW
  const small = diskCache({ root, mode: 'readwrite', bytesMax: size * 10, clock: { wallMs: () => now } })
  for (let n = 1; n <= 9; n++, now += 1_000) await small.put(keyOf(n), answerOf(String(n)))
  await small.get(keyOf(0))
  now += 1_000
  await small.put(keyOf(10), answerOf('a'))
  const left = readdirSync(root).filter((name) => existsSync(fileOf(root, name.repeat(32))))
  // Eleven are one too many; nine tenths of ten stay: the two that were used longest ago are gone, and the one that was just read is not.
  expect(left).toEqual(['00', '03', '04', '05', '06', '07', '08', '09', '0a'])
})

test('many processes write the same entry at once: it is one of theirs, whole', async () => {
  const { root } = given()
  const all = Array.from({ length: 20 }, (_, n) => n)
  const put = (n: number) => diskCache({ root, mode: 'write', bytesMax: 1_000_000, clock }).put(keyOf(1), answerOf('x'.repeat(n * 500)))
  await Promise.all(all.map(put))
  expect(await validateCacheEntry(fileOf(root, keyOf(1)))).toMatchObject({ cause: null })
  expect(readdirSync(join(root, keyOf(1).slice(0, 2)))).toEqual([`${keyOf(1)}.json`])
})

const model = modelRef.parse({ alias: 'a', provider: 'ollama', model: 'qwen3:14b', contextTokens: 8_000, quotaGroup: 'ollama' })
const request = (more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  agent: 'coder',
  item: 'parse',
  turn: 1,
  attempt: 1,
  messages: [{ role: 'user', content: 'hello' }],
  tools: [{ name: 'read', description: 'reads', input: { type: 'object' } }],
  schema: null,
  outputTokensMax: 64,
  model,
  key: 'run/e1',
  ...more,
})
const USAGE = { inputTokens: 10, outputTokens: 2, costUsd: null }

/** A provider that counts what it is asked. */
function counting(result: (call: number) => GenerateResult, simulated = false): Provider & { calls: number } {
  const provider = {
    name: 'ollama',
    simulated,
    calls: 0,
    generate: async (): Promise<GenerateResult> => result(++provider.calls),
  }
  return provider
}
const said = (content: string, finish: 'stop' | 'length' | 'refusal' = 'stop'): GenerateResult => ({
  ok: true,
  message: { role: 'assistant', content },
  usage: USAGE,
  finish,
})
const ask = (provider: Provider, more: Partial<GenerateRequest> = {}) => {
  const progress: unknown[] = []
  const signal = new AbortController().signal
  return provider.generate(request(more), { signal, progress: (data) => progress.push(data) }).then((result) => ({ result, progress }))
}

test('an answer is paid for once; the second one says that it is kept, that it cost nothing, and streams its text', async () => {
  const { cache } = given()
  const provider = counting((call) => said(`answer ${call}`))
  const kept = wrapCache(provider, cache)
  const first = await ask(kept)
  const second = await ask(kept, { key: 'run/e2', agent: 'reviewer', item: null, turn: 7, attempt: 3 })
  expect([first.result, second.result, second.progress, provider.calls]).toEqual([
    said('answer 1'),
    { ...said('answer 1'), usage: { inputTokens: 0, outputTokens: 0, costUsd: 0 }, cached: true },
    [{ text: 'answer 1' }],
    1,
  ])
})

test('a call that has had its answer is asked anew when it comes back: it could not use it; after a crash it is given the one that was paid for', async () => {
  const { cache } = given()
  const provider = counting((call) => said(`answer ${call}`))
  const kept = wrapCache(provider, cache)
  await ask(kept)
  expect((await ask(kept, { attempt: 2 })).result).toEqual(said('answer 2'))
  // Another process: what it knows is on the disk.
  const later = wrapCache(provider, cache)
  expect((await ask(later, { attempt: 3 })).result).toMatchObject({ message: { content: 'answer 2' }, cached: true })
  expect((await ask(later, { attempt: 4 })).result).toEqual(said('answer 3'))
  expect(provider.calls).toBe(3)
})

test('only what ended well is kept', async () => {
  const failure: GenerateResult = { ok: false, code: 'E_PROVIDER_TIMEOUT', message: 'late', retry: 'backoff' }
  for (const result of [failure, said('cut', 'length'), said('no', 'refusal')]) {
    const { root, cache } = given()
    const provider = counting(() => result)
    const kept = wrapCache(provider, cache)
    expect([(await ask(kept)).result, (await ask(kept, { key: 'run/e2' })).result, provider.calls]).toEqual([result, result, 2])
    expect((await inspectCache(root, NOW, true)).entries).toBe(0)
  }
})

test.each([
  ['off', [2, 0]],
  ['read', [2, 0]],
  ['write', [2, 1]],
  ['readwrite', [1, 1]],
] as const)('mode %s: calls and entries after the same question twice', async (mode, wanted) => {
  const { root, cache } = given(mode)
  const provider = counting(() => said('x'))
  const kept = wrapCache(provider, cache)
  for (const key of ['run/e1', 'run/e2']) await ask(kept, { key })
  expect([provider.calls, (await inspectCache(root, NOW, true)).entries]).toEqual(wanted)
})

test('a simulated provider is left as it is, and one that fails is not hidden by a cache that cannot write', async () => {
  const simulated = counting(() => said('x'), true)
  expect(wrapCache(simulated, given().cache)).toBe(simulated)
  const nowhere: ResponseCache = diskCache({ root: '/dev/null/cache', mode: 'readwrite', bytesMax: 1, clock })
  expect(
    (
      await ask(
        wrapCache(
          counting(() => said('x')),
          nowhere,
        ),
      )
    ).result,
  ).toEqual(said('x'))
})

test('the key is what decides an answer: provider, model, parameters, messages, tools, schema; nothing else', () => {
  const key = (more: Partial<GenerateRequest> = {}, provider = 'ollama') => cacheKey(provider, request(more))
  const same = [
    key({ agent: 'x', item: null, turn: 9, attempt: 4, key: 'k' }),
    key({ model: { ...model, alias: 'b', quotaGroup: 'g', keepAliveMs: 1, price: { input: 1, output: 1, basis: 'priced' } } }),
  ]
  const others = [
    key({}, 'anthropic'),
    key({ model: { ...model, model: 'other' } }),
    key({ model: { ...model, temperature: 0 } }),
    key({ model: { ...model, thinkingTokens: 5 } }),
    key({ model: { ...model, contextTokens: 9_000 } }),
    key({ outputTokensMax: 65 }),
    key({ messages: [{ role: 'user', content: 'hello ' }] }),
    key({ tools: [] }),
    key({ schema: { type: 'object' } }),
  ]
  expect(same).toEqual([key(), key()])
  expect(new Set([key(), ...others]).size).toBe(others.length + 1)
})
