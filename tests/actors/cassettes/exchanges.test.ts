/** What a tape gives back: the same pieces, the same errors, in the same order; and what it does where it has no answer. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOf } from '../../../src/actors/cassettes/exchange.ts'
import { replayMissOf } from '../../../src/actors/cassettes/miss.ts'
import { recordingFetch } from '../../../src/actors/cassettes/record.ts'
import { replayFetch } from '../../../src/actors/cassettes/replay.ts'
import { readTape } from '../../../src/actors/cassettes/tape.ts'
import { temporaryFolder } from '../../harness.ts'
import { type Answer, ollamaLines, serve } from './server.ts'

type Fetch = typeof fetch
const tapeFile = (): string => join(temporaryFolder(), 'tapes', 'tape.jsonl')
const post = (body: unknown, more: RequestInit = {}): RequestInit => ({ method: 'POST', body: JSON.stringify(body), ...more })
const NOWHERE = 'http://127.0.0.1:1'

/** A body as its client gets it: piece by piece, then how it ended. */
async function pieces(response: Response): Promise<{ status: number; got: string[]; end: string }> {
  const got: string[] = []
  const reader = response.body?.getReader()
  try {
    for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read())
      got.push(Buffer.from(next.value).toString('hex'))
    return { status: response.status, got, end: 'whole' }
  } catch (error) {
    return { status: response.status, got, end: (error as Error).message }
  }
}
const missOf = async (call: Promise<unknown>) => replayMissOf(await call.catch((error: unknown) => error))?.message ?? 'no miss'
const endsOf = async (file: string) => (await readTape(file)).exchanges.map(({ status, end }) => [status, end])

test('any bytes in any pieces are recorded and given again as they came, and the client of the recording sees nothing else', async () => {
  const rounds = Number(process.env['TROUPE_NIGHTLY'] ?? 0) > 0 ? 1_000 : 60
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 }), fc.string(), async (body, prompt) => {
      const file = tapeFile()
      const source = async (): Promise<Response> => {
        const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
          start: (controller) => {
            for (const piece of body) controller.enqueue(Uint8Array.from(piece))
            controller.close()
          },
        })
        return new Response(stream, { headers: { 'content-type': 'application/x-ndjson' } })
      }
      const recording = await recordingFetch({ file, fetch: source as Fetch })
      const live = await pieces(await recording.fetch(`${NOWHERE}/api/chat`, post({ prompt })))
      await recording.close()
      const replay = await replayFetch({ file, strict: true })
      const again = await pieces(await replay.fetch(`${NOWHERE}/api/chat`, post({ prompt })))
      const wanted = { status: 200, got: body.map((piece) => Buffer.from(piece).toString('hex')), end: 'whole' }
      expect({ live, again }).toEqual({ live: wanted, again: wanted })
    }),
    { numRuns: rounds },
  )
})

test('exchanges of one key are given in their order: the error first, then the answer', async () => {
  const file = tapeFile()
  const answers: readonly Answer[] = [
    { status: 429, headers: { 'retry-after': '7', 'set-cookie': 'a=b' }, body: ['{"error":"slow down"}'] },
    { body: ['{"n":1}'] },
    { body: ['{"n":2}'] },
  ]
  const server = await serve((_, number) => answers[number - 1]!)
  const recording = await recordingFetch({ file, clock: { wallMs: () => 1_700_000_000_000 } })
  const call = (by: Fetch, url: string) => by(`${url}/v1/chat`, post({ a: 1, b: 2 }))
  for (const _ of answers) await (await call(recording.fetch, server.url)).text()
  await recording.close()
  await server.stop()
  const replay = await replayFetch({ file })
  const got: unknown[] = []
  for (const _ of [...answers, 'once more']) {
    // The names of a body in another order are the same body; another host is the same server.
    const response = await replay.fetch(`${NOWHERE}/v1/chat`, post({ b: 2, a: 1 }, { headers: { 'idempotency-key': String(got.length) } }))
    got.push([response.status, response.headers.get('retry-after'), await response.text()])
  }
  expect(got).toEqual([
    [429, '7', '{"error":"slow down"}'],
    [200, null, '{"n":1}'],
    [200, null, '{"n":2}'],
    [200, null, '{"n":2}'],
  ])
  expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[0]!)).toMatchObject({
    v: 1,
    normaliser: 1,
    at: '2023-11-14T22:13:20.000Z',
    headers: { 'content-type': 'application/json', 'retry-after': '7' },
    request: { method: 'POST', path: '/v1/chat', json: { a: 1, b: 2 } },
  })
})

test('strict: what was given as often as it was recorded is a miss; what a client went away from is given again', async () => {
  const file = tapeFile()
  const server = await serve(() => ({ body: ['one', 'two', 'three'] }))
  const recording = await recordingFetch({ file })
  await (await recording.fetch(`${server.url}/x`, post({}))).text()
  await recording.close()
  const replay = await replayFetch({ file, strict: true })
  const stop = new AbortController()
  const left = await replay.fetch(`${NOWHERE}/x`, post({}, { signal: stop.signal }))
  const reading = left.body!.getReader()
  await reading.read()
  stop.abort(new Error('enough'))
  await expect(reading.read()).rejects.toThrow('enough')
  expect(await (await replay.fetch(`${NOWHERE}/x`, post({}))).text()).toBe('onetwothree')
  expect(await missOf(replay.fetch(`${NOWHERE}/x`, post({})))).toBe(
    `request 3 is not on the tape ${file}; it was given as often as it was recorded (once)`,
  )
})

test('a connection that breaks and a server that is not there are on the tape, and break again', async () => {
  const file = tapeFile()
  const server = await serve(() => ({ body: ['{"half":', null] }))
  const recording = await recordingFetch({ file })
  const live = await pieces(await recording.fetch(`${server.url}/a`, post({})))
  await server.stop()
  const refused = await recording.fetch(`${server.url}/b`, post({})).catch((error: Error) => error)
  await recording.close()
  expect(await endsOf(file)).toEqual([
    [200, 'cut'],
    [null, 'refused'],
  ])
  const replay = await replayFetch({ file })
  const again = await pieces(await replay.fetch(`${NOWHERE}/a`, post({})))
  const refusedAgain = await replay.fetch(`${NOWHERE}/b`, post({})).catch((error: Error) => error)
  const told = (error: unknown) => {
    const { name, message, cause } = error as Error & { cause: { code: string } }
    return { name, message, code: cause.code }
  }
  expect({ again, refusedAgain: told(refusedAgain) }).toEqual({ again: live, refusedAgain: told(refused) })
  expect([live.end, told(refused)]).toEqual(['terminated', { name: 'TypeError', message: 'fetch failed', code: 'ECONNREFUSED' }])
})

test('what the recording went away from is on the tape as such, and is never taken for an answer', async () => {
  const file = tapeFile()
  const server = await serve(({ path }) => ({ body: path === '/slow' ? ['{"text":"once', 'hang'] : ['hang'] }))
  const recording = await recordingFetch({ file })
  for (const path of ['/slow', '/never']) {
    const stop = new AbortController()
    const response = await recording.fetch(`${server.url}${path}`, post({}, { signal: stop.signal }))
    const reading = response.body!.getReader()
    const next = reading.read()
    if (path === '/slow') await next
    stop.abort()
    await expect(path === '/slow' ? reading.read() : next).rejects.toThrow()
  }
  await recording.close()
  expect(await endsOf(file)).toEqual([
    [200, 'aborted'],
    [200, 'aborted'],
  ])
  const replay = await replayFetch({ file })
  expect(await missOf(replay.fetch(`${NOWHERE}/slow`, post({})))).toContain('the recording went away from it')
})

test.each([
  ['the end of a body', ['{"n":1}'], '{"n":1}'],
  ['the last word of a stream', [...ollamaLines(['hi']), '\n'], '"done":true'],
])('%s reaches the client only when the exchange is on the disk', async (_, body, last) => {
  const file = tapeFile()
  const server = await serve(() => ({ body }))
  const recording = await recordingFetch({ file })
  const response = await recording.fetch(`${server.url}/api/chat`, post({}))
  const reading = response.body!.getReader()
  let got = ''
  for (let next = await reading.read(); !next.done; next = await reading.read()) {
    got += Buffer.from(next.value).toString()
    if (got.includes('"done":true')) break
  }
  // At once, without a round in between: a process that is killed now has used the answer.
  expect([got.includes(last), readFileSync(file, 'utf8').split('\n').length]).toEqual([true, 2])
  await recording.close()
})

test('a client that leaves after the last word has had its answer, also where the server does not end it', async () => {
  const file = tapeFile()
  const lines = ollamaLines(['hi'])
  const server = await serve(() => ({ body: [...lines, 'hang'] }))
  const recording = await recordingFetch({ file })
  const stop = new AbortController()
  const response = await recording.fetch(`${server.url}/api/chat`, post({}, { signal: stop.signal }))
  const reading = response.body!.getReader()
  let got = ''
  while (!got.includes('"done":true')) got += Buffer.from((await reading.read()).value ?? []).toString()
  stop.abort()
  await recording.close()
  expect(await endsOf(file)).toEqual([[200, 'whole']])
  const replay = await replayFetch({ file, strict: true })
  expect(await (await replay.fetch(`${NOWHERE}/api/chat`, post({}))).text()).toBe(lines.join(''))
})

test('fifty exchanges at once are fifty whole lines, and each request gets its own answer again', async () => {
  const file = tapeFile()
  const server = await serve(({ body }) => ({ body: ['{"echo":', body, '}'] }))
  const recording = await recordingFetch({ file })
  const all = Array.from({ length: 50 }, (_, n) => n)
  const ask = (by: Fetch, url: string) =>
    Promise.all(all.map(async (n) => (await by(`${url}/e`, post({ n, text: 'x'.repeat(n * 50) }))).json()))
  const live = await ask(recording.fetch, server.url)
  await recording.close()
  const { exchanges, problems, torn } = await readTape(file)
  expect([exchanges.length, problems, torn]).toEqual([50, [], null])
  expect(await ask((await replayFetch({ file, strict: true })).fetch, NOWHERE)).toEqual(live)
})

test('a tape that cannot be written takes no answer away, and says so at its end', async () => {
  const server = await serve(() => ({ body: ['{}'] }))
  const recording = await recordingFetch({ file: '/dev/full' })
  expect(await (await recording.fetch(`${server.url}/x`, post({}))).text()).toBe('{}')
  await expect(recording.close()).rejects.toMatchObject({ code: 'E_DISK_FULL' })
})

test('a tape that is missing, torn, changed or of another format is refused before anything is asked', async () => {
  const file = tapeFile()
  const server = await serve(() => ({ body: ['{"n":1}'] }))
  const recording = await recordingFetch({ file })
  await (await recording.fetch(`${server.url}/x`, post({ n: 1 }))).text()
  await recording.close()
  const line = readFileSync(file, 'utf8')
  const refusal = async (text: string) => {
    writeFileSync(file, text)
    return replayFetch({ file }).catch(
      (error) => `${error.code} ${error.options.exit} ${error.options.where.replace(file, 'F')} ${error.message}`,
    )
  }
  expect([
    await replayFetch({ file: `${file}.none` }).catch((error) => error.message),
    await refusal(line + line.slice(0, 90)),
    await refusal(`${line}garbage\n`),
    await refusal(line.replace('"v":1', '"v":2')),
    await refusal(line.replace('{\\"n\\":1}', '{\\"n\\":2}')),
    await refusal(`${line}{"v":1}\n`),
  ]).toEqual([
    'no such file',
    'E_CASSETTE_INVALID 8 F:2 is torn: a recording ended in the middle of it',
    'E_CASSETTE_INVALID 8 F:2 is no JSON',
    'E_CASSETTE_INVALID 8 F:1 has format 2, this release reads 1',
    'E_CASSETTE_INVALID 8 F:1 its sum does not fit: it was changed or is damaged',
    expect.stringMatching(/^E_CASSETTE_INVALID 8 F:2 is no exchange: normaliser: /),
  ])
})

test('pieces that are UTF-8 are readable on the tape; the others are base64', async () => {
  const file = tapeFile()
  const [first, second] = [Buffer.from('ä').subarray(0, 1), Buffer.from('ä').subarray(1)]
  const queue = [Buffer.from('plain\n'), first, second]
  const source = async () =>
    new Response(
      new ReadableStream({
        pull: (c) => {
          const next = queue.shift()
          if (next === undefined) c.close()
          else c.enqueue(next)
        },
      }),
    )
  const recording = await recordingFetch({ file, fetch: source as Fetch })
  await (await recording.fetch(`${NOWHERE}/x`)).text()
  await recording.close()
  const [exchange] = (await readTape(file)).exchanges
  expect(exchange!.body).toEqual(['plain\n', { base64: 'ww==' }, { base64: 'pA==' }])
  expect(Buffer.concat(exchange!.body.map(bytesOf)).toString()).toBe('plain\nä')
})
