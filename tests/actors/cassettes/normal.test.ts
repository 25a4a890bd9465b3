/** Which requests are the same, and how two that are not are told apart. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { nearestTo } from '../../../src/actors/cassettes/difference.ts'
import { lineOf, parseLine } from '../../../src/actors/cassettes/exchange.ts'
import { keyOf, normal, type TapedRequest } from '../../../src/actors/cassettes/normal.ts'
import { inspectTape, scrubTape } from '../../../src/actors/cassettes/upkeep.ts'
import type { Json } from '../../../src/json.ts'
import { temporaryFolder } from '../../harness.ts'

const request = (json: Json, more: Partial<TapedRequest> = {}): TapedRequest => ({
  method: 'POST',
  path: '/v1/messages',
  headers: {},
  json,
  ...more,
})
const key = (json: Json, more: Partial<TapedRequest> = {}): string => keyOf(normal(request(json, more)))
const said = (content: string): Json => ({ model: 'm', messages: [{ role: 'user', content }] })

test('the key of a request is a promise of the format: this one does not change within a normaliser', () => {
  expect(key(said('hello'), { path: '/v1/messages?b=2&a=1' })).toBe('629766d8dd7bd10a9bfd795c7f236d7aaa490daae67f0a03c5387ec9badb40d2')
})

test.each([
  ['names of a body in another order', { b: [1, { d: 1, c: 2 }], a: null }, { a: null, b: [1, { c: 2, d: 1 }] }],
  ['who the user is', { ...(said('x') as object), metadata: { user_id: 'u1' }, user: 'a' }, { ...(said('x') as object), user: 'b' }],
  ['times', said('at 2026-11-20T09:12:04.118Z it took 12.5ms'), said('at 2026-11-21 10:00:00 it took 9 ms')],
  ['durations of a test runner', said('  duration_ms: 1.25\n  1.2s'), said('  duration_ms: 883.5\n  11.8 s')],
  [
    'folders of a run and of its checkouts',
    said('at file:///data/a/.troupe/work/01M7W3MARPQ8Z2K5T9D3XVHE7B/gate-e12-0/test/x.js:3'),
    said('at file:///srv/ci/work/01M7W3MARPQ8Z2K5T9D3XVHE8C/gate-e14-1/test/x.js:3'),
  ],
  ['ids, processes and ports', said('pid 12 at 127.0.0.1:4000'), said('pid 9 at localhost:81')],
] as readonly [string, Json, Json][])('%s do not tell requests apart', (_, one, other) => {
  expect(key(one)).toBe(key(other))
})

test.each([
  ['a number in a text', said('6 tests'), said('7 tests')],
  ['case and white space', said('a  b'), said('A b')],
  ['the order of messages', { messages: ['a', 'b'] }, { messages: ['b', 'a'] }],
  ['a field that is null', { a: null }, {}],
  ['a number and its text', { a: 1 }, { a: '1' }],
  ['the model', { model: 'a' }, { model: 'b' }],
] as readonly [string, Json, Json][])('%s tells requests apart', (_, one, other) => {
  expect(key(one)).not.toBe(key(other))
})

test('method and path count, the order of a query and headers do not', () => {
  const one = key(null, { path: '/x?b=2&a=1', headers: { accept: 'a' } })
  expect(key(null, { path: '/x?a=1&b=2' })).toBe(one)
  expect([key(null, { path: '/x?a=2&b=2' }), key(null, { path: '/v1/x?a=1&b=2' }), key(null, { method: 'GET' })]).not.toContain(one)
})

const near = (now: TapedRequest, ...tape: TapedRequest[]) =>
  nearestTo(
    normal(now),
    tape.map((one, index) => [index + 1, normal(one)]),
  )
const chat = (...contents: string[]): TapedRequest =>
  request({ model: 'm', messages: contents.map((content) => ({ role: 'user', content })) })

test('the nearest exchange is the one with the fewest differences, and the first of them is named', () => {
  const long = 'word '.repeat(200)
  expect([
    near(chat('a', 'b', '7 tests'), chat('x', 'y', 'z'), chat('a', 'b', '6 tests'), request({ model: 'm' }, { path: '/other' })),
    near(chat(`${long}6 tests`), chat(`${long}7 tests`)),
    near(chat('a', 'b'), chat('a')),
    near(request({ model: 'm', n: 1 }), request({ model: 'm', n: 2 }, { path: '/other' })),
    near(request({ tools: [{ a: 1 }] }), request({})),
    near(chat('a')),
  ]).toEqual([
    { exchange: 2, at: 'messages[2].content', tape: '"6 tests"', now: '"7 tests"' },
    { exchange: 1, at: 'messages[0].content', tape: '"... word word word 7 tests"', now: '"... word word word 6 tests"' },
    { exchange: 1, at: 'messages[1]', tape: 'nothing', now: '{"role":"user","content":"b"}' },
    { exchange: 1, at: 'path', tape: '"/other"', now: '"/v1/messages"' },
    { exchange: 1, at: 'tools', tape: 'nothing', now: '[{"a":1}]' },
    null,
  ])
})

test('verify finds what another release normalised otherwise, keys that are wrong, and lines that somebody has changed; scrub mends them', async () => {
  const file = join(temporaryFolder(), 'tape.jsonl')
  const exchange = { at: '2026-11-20T09:12:04.118Z', status: 200, headers: {}, body: ['{}'], end: 'whole' as const, error: null }
  const line = (n: number): string => lineOf({ ...exchange, request: request({ model: 'claude', n }) })
  // Sealed, as a release that makes keys in its own way would have written it.
  const otherwise = (n: number, normaliser: number): string => {
    const { sum: _, ...rest } = { ...parseLine(line(n)).line!, normaliser, key: '0'.repeat(64) }
    return JSON.stringify({ ...rest, sum: keyOf(rest as never) })
  }
  const tape = [line(1), otherwise(2, 0), otherwise(3, 1), otherwise(4, 2), line(5).replace('"n":5', '"n":6'), '[]', '{"v":1']
  writeFileSync(file, tape.join('\n'))
  const report = await inspectTape(file)
  expect(report).toMatchObject({ ok: false, exchanges: 5, models: ['anthropic claude'], secrets: 0, recordedAt: exchange.at })
  expect(report.drift).toEqual([{ exchange: 2, at: 'key', tape: '0'.repeat(64), now: parseLine(line(2)).line!.key }])
  expect(report.problems).toEqual([
    { line: 3, cause: 'its key is not that of its request' },
    { line: 4, cause: 'was made by rules 2, this release knows 1' },
    { line: 5, cause: 'its sum does not fit: it was changed or is damaged' },
    { line: 6, cause: expect.stringMatching(/^is no exchange/) },
    { line: 7, cause: 'is torn after 6 bytes: a recording ended in the middle of it' },
  ])
  await expect(scrubTape(file)).rejects.toMatchObject({ code: 'E_CASSETTE_INVALID', options: { line: 6, exit: 8 } })
  expect(readFileSync(file, 'utf8')).toBe(tape.join('\n'))
  writeFileSync(file, tape.filter((text) => text !== '[]').join('\n'))
  expect(await scrubTape(file)).toEqual({ file, exchanges: 5, secrets: 0, resealed: [5], torn: 6 })
  expect(await inspectTape(file)).toMatchObject({ ok: true, exchanges: 5, problems: [], drift: [] })
})
