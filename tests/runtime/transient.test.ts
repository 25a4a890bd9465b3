/** Which plain errors of handlers are tried again: connections, timeouts and the statuses that say so. Everything else never. */
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { classify } from '../../src/runtime/transient.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const of = (thrown: unknown) => classify(thrown, NOW)
const error = (message: string, more: object = {}): Error => Object.assign(new Error(message), more)
const status = (n: number, headers?: unknown) => error('http', { status: n, headers })
const caused = (cause: unknown): Error => new TypeError('fetch failed', { cause })

test.each([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_SOCKET',
])('%s is transient, thrown as it is, as a cause, and as the cause of a cause', (code) => {
  const thrown = error('no', { code })
  expect([of(thrown), of(caused(thrown)), of(error('publish', { cause: caused(thrown) }))]).toEqual([
    { retry: 'backoff' },
    { retry: 'backoff' },
    { retry: 'backoff' },
  ])
})

test.each([408, 425, 429, 500, 502, 503, 504, 529])('status %i is transient, as `status` and as `statusCode`', (n) => {
  expect([of(status(n)), of(error('http', { statusCode: n }))]).toEqual([
    { retry: 'backoff', status: n },
    { retry: 'backoff', status: n },
  ])
})

test.each<[string, unknown]>([
  ['an error of its own', new Error('no')],
  ['a type error', new TypeError('x is undefined')],
  ['a fetch that failed and does not say why', caused(undefined)],
  ['a fetch of a wrong address', caused(error('bad', { code: 'ERR_INVALID_URL' }))],
  ['a name that there is not', error('dns', { code: 'ENOTFOUND' })],
  ['a mistake in the call of fetch', error('bad', { code: 'UND_ERR_INVALID_ARG' })],
  ['a file that is not there', error('no file', { code: 'ENOENT' })],
  ['an abort', new DOMException('aborted', 'AbortError')],
  ['a status as text', { status: '503' }],
  ['a process that ended with 500', { status: 700 }],
  ['a string', 'socket hang up'],
  ['nothing', undefined],
  ['null', null],
  [
    'an object that defends itself',
    Object.defineProperty({}, 'status', {
      get: () => {
        throw new Error('hands off')
      },
    }),
  ],
])('%s is not transient', (_, thrown) => {
  expect(of(thrown)).toEqual({ retry: 'never' })
})

test('a status that refuses is final, whatever lies below it', () => {
  const below = { cause: error('reset', { code: 'ECONNRESET' }) }
  expect([400, 401, 404, 422, 501].map((n) => of(Object.assign(status(n), below)))).toEqual(
    [400, 401, 404, 422, 501].map((n) => ({ retry: 'never', status: n })),
  )
})

test('a connection that was tried at several addresses is transient when each of them was', () => {
  const [refused, missing] = [error('no', { code: 'ECONNREFUSED' }), error('no', { code: 'ENOENT' })]
  expect([of(new AggregateError([refused, refused])), of(new AggregateError([refused, missing])), of(new AggregateError([]))]).toEqual([
    { retry: 'backoff' },
    { retry: 'never' },
    { retry: 'never' },
  ])
})

test('causes that form a ring are looked at once around, and no more', () => {
  const ring = error('a')
  ring.cause = error('b', { cause: ring })
  expect(of(ring)).toEqual({ retry: 'never' })
})

test.each<[string, unknown, number | null]>([
  ['seconds', { 'retry-after': '7' }, 7_000],
  ['parts of a second', { 'retry-after': '0.5' }, 500],
  ['a number', { 'retry-after': 3 }, 3_000],
  ['a date', { 'retry-after': 'Sun, 01 Mar 2026 12:00:09 GMT' }, 9_000],
  ['a date that has passed', { 'retry-after': 'Sun, 01 Mar 2026 11:00:00 GMT' }, 0],
  ['milliseconds', { 'retry-after-ms': '1234' }, 1_234],
  ['milliseconds and seconds', { 'retry-after': '9', 'retry-after-ms': '1234' }, 1_234],
  ['other letters', { 'Retry-After': '7' }, 7_000],
  ['a Headers', new Headers({ 'Retry-After': '7' }), 7_000],
  ['what cannot be read', { 'retry-after': 'soon' }, null],
  ['less than nothing', { 'retry-after': '-5' }, null],
  ['nothing', {}, null],
  ['no headers', undefined, null],
])('a Retry-After in the form of %s is read', (_, headers, ms) => {
  expect(of(status(429, headers))).toEqual(
    ms === null ? { retry: 'backoff', status: 429 } : { retry: 'after', retryAfterMs: ms, status: 429 },
  )
})

test('what the fetch of this Node throws at a closed port, and at a connection that is cut, is transient', async () => {
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const cut: unknown = await fetch(`http://127.0.0.1:${port}/`).catch((thrown: unknown) => thrown)
  await new Promise((resolve) => server.close(resolve))
  const closed: unknown = await fetch(`http://127.0.0.1:${port}/`).catch((thrown: unknown) => thrown)
  const late: unknown = await Promise.reject(AbortSignal.timeout(0)).catch((signal: AbortSignal) => {
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))
  })
  expect([of(cut), of(closed), of(late)]).toEqual([{ retry: 'backoff' }, { retry: 'backoff' }, { retry: 'backoff' }])
})
