/** A key never reaches a tape, wherever it stands in an exchange; a tape that has one is found and scrubbed. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { recordingFetch } from '../../../src/actors/cassettes/record.ts'
import { replayFetch } from '../../../src/actors/cassettes/replay.ts'
import { SCRUBBED, scrubber } from '../../../src/actors/cassettes/secrets.ts'
import { inspectTape, scrubTape } from '../../../src/actors/cassettes/upkeep.ts'
import { temporaryFolder } from '../../harness.ts'
import { serve } from './server.ts'

/** Looks like no key: only the list knows it. */
const KNOWN = 'plain "canary" of ours/é'
const SHAPED = 'sk-ant-api03-Canary0Canary1Canary2'
const everyForm = [KNOWN, JSON.stringify(KNOWN).slice(1, -1), encodeURIComponent(KNOWN), Buffer.from(KNOWN).toString('base64'), SHAPED]
const leaks = (file: string, secrets = everyForm) => secrets.filter((secret) => readFileSync(file, 'utf8').includes(secret))

test('canary: a key in headers, URL, body, answer, its headers and over pieces of a stream is never in the file', async () => {
  const file = join(temporaryFolder(), 'tape.jsonl')
  const [head, tail] = [SHAPED.slice(0, 9), SHAPED.slice(9)]
  const known = Buffer.from(KNOWN)
  const server = await serve(({ path }) => ({
    status: path.startsWith('/error') ? 401 : 200,
    headers: { 'request-id': `req ${SHAPED}`, 'x-api-key': SHAPED, 'set-cookie': `k=${SHAPED}` },
    body: [`{"echo":"${head}`, `${tail}","known":"`, known.subarray(0, known.length - 1), known.subarray(known.length - 1), `"}`],
  }))
  const secrets = [KNOWN]
  const recording = await recordingFetch({ file, secrets })
  const ask = async (by: typeof fetch, url: string) => {
    const init = {
      method: 'POST',
      headers: { authorization: `Bearer ${SHAPED}`, 'x-api-key': KNOWN.replace('é', 'e'), cookie: SHAPED, 'anthropic-version': SHAPED },
      body: JSON.stringify({
        api_key: 'short',
        messages: [{ content: `use ${SHAPED} and ${KNOWN}, and "${KNOWN}"`, [SHAPED]: { password: 'hunter2-canary' } }],
      }),
    }
    return (await by(`${url}/v1/x?key=hidden-canary&q=${encodeURIComponent(KNOWN)}&u=1`, init)).text()
  }
  expect(await ask(recording.fetch, server.url)).toContain(SHAPED)
  await (await recording.fetch(`${server.url}/error/${SHAPED}`)).text()
  await recording.close()
  expect(leaks(file, [...everyForm, SHAPED.slice(8), 'hidden-canary', 'hunter2-canary', '"short"'])).toEqual([])
  expect(await inspectTape(file, secrets)).toMatchObject({ ok: true, exchanges: 2, secrets: 0, problems: [] })
  // The request is still found, by somebody who knows the secret and by its shape alone.
  expect(await ask((await replayFetch({ file, secrets, strict: true })).fetch, 'http://127.0.0.1:1')).toBe(
    `{"echo":"${SCRUBBED}","known":"${SCRUBBED}"}`,
  )
})

test('scrub takes out of a tape what was recorded before it was known as a secret', async () => {
  const file = join(temporaryFolder(), 'tape.jsonl')
  const server = await serve(() => ({ body: ['{"you said":"', JSON.stringify(KNOWN).slice(1, -1), '"}'] }))
  const recording = await recordingFetch({ file })
  await (await recording.fetch(`${server.url}/x`, { method: 'POST', body: JSON.stringify({ say: KNOWN }) })).text()
  await recording.close()
  expect(leaks(file).length).toBeGreaterThan(0)
  expect(await inspectTape(file, [KNOWN])).toMatchObject({ ok: false, secrets: 2, problems: [] })
  const to = `${file}.clean`
  expect(await scrubTape(file, to, [KNOWN])).toEqual({ file: to, exchanges: 1, secrets: 2, resealed: [], torn: null })
  expect([leaks(to), await inspectTape(to, [KNOWN])]).toMatchObject([[], { ok: true, secrets: 0 }])
  expect(leaks(file).length).toBeGreaterThan(0)
  expect(await scrubTape(file, file, [KNOWN])).toMatchObject({ secrets: 2 })
  expect(readFileSync(file, 'utf8')).toBe(readFileSync(to, 'utf8'))
})

test.each([
  'sk-proj-abcdefghijklmnop1234',
  'ghp_0123456789abcdefghijABCDEFGHIJ012345',
  'AKIAIOSFODNN7EXAMPLE',
  'AIzaSyA-1234567890abcdefghijklmnopqrstu',
  'xoxb-123456789012-abcdefghij',
  'hf_abcdefghijklmnopqrstuvwxyz0123',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
  '-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----',
])('%s looks like a key', (key) => {
  expect(scrubber().text(`before ${key} after`)).toBe(`before ${SCRUBBED} after`)
})

test('what only resembles a key stays', () => {
  const plain =
    'task-management-for-teams-of-12, risk-0-based, sk-short1, bearer of news, AKIA, 4be1f20aa0d2, {"max_tokens":12,"token":"x"}'
  expect([scrubber().text(plain), scrubber().path('/v1/x?alt=sse')]).toEqual([plain, '/v1/x?alt=sse'])
})

test('however a body is cut into pieces, a secret in it is gone and the rest is what it was', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(200), { maxLength: 8 }),
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'grapheme' }),
      (cuts, before, after) => {
        fc.pre(!/sk-|bearer|known/i.test(before + after))
        const bytes = Buffer.from(`${before}|${SHAPED}|known-secret|${after}`)
        const places = [...new Set([0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length])].sort((a, b) => a - b)
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
        const scrub = scrubber(['known-secret'])
        const rest = Buffer.concat(scrub.chunks(chunks)).toString()
        expect([rest, scrub.found()]).toEqual([`${before}|${SCRUBBED}|${SCRUBBED}|${after}`, 2])
      },
    ),
    { numRuns: 200 },
  )
})

test('a long text costs linear time', () => {
  const started = performance.now()
  for (const piece of ['sk-', 'eyJa.', '-----BEGIN PRIVATE KEY-----', 'bearer ', 'a/', 'sk-a1'])
    scrubber(['secret']).text(piece.repeat(Math.ceil(200_000 / piece.length)))
  expect(performance.now() - started).toBeLessThan(5_000)
})
