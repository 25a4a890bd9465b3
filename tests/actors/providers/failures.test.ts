/** Failures that no server of the tests can play: types of errors in a stream, and what Node's own fetch says. */
import { expect, test } from 'vitest'
import { type Asked, refusalOf } from '../../../src/actors/providers/failures.ts'

const ASKED: Asked = {
  server: 'anthropic at example.org',
  model: 'm',
  key: 'sk-secret-key',
  prompt: () => 'mend the greeting\nin line seventeen',
}
/** As the client of Anthropic throws an error event: no status, the body under `error`. */
const event = (type: string, message = 'x') =>
  Object.assign(new Error(message), { error: { type: 'error', error: { type, message } }, type })
const fetchFailed = (code: string) => new TypeError('fetch failed', { cause: Object.assign(new Error('why'), { code }) })

test.each([
  ['overloaded_error', 'E_PROVIDER_OVERLOADED', 'backoff'],
  ['rate_limit_error', 'E_PROVIDER_OVERLOADED', 'backoff'],
  ['api_error', 'E_PROVIDER_UNREACHABLE', 'backoff'],
  ['timeout_error', 'E_PROVIDER_UNREACHABLE', 'backoff'],
  ['authentication_error', 'E_CREDENTIALS_REJECTED', 'never'],
  ['invalid_request_error', 'E_PROVIDER_REFUSED', 'never'],
  ['billing_error', 'E_PROVIDER_REFUSED', 'never'],
  ['a_new_error', 'E_PROVIDER_UNREACHABLE', 'backoff'],
  ['constructor', 'E_PROVIDER_UNREACHABLE', 'backoff'],
])('R3: an error event has no status, its type %s says what it is', (type, code, retry) => {
  expect(refusalOf(event(type), ASKED)).toMatchObject({ code, retry })
})

test.each([
  ['ECONNRESET', 'E_PROVIDER_UNREACHABLE', 'backoff'],
  ['UND_ERR_SOCKET', 'E_PROVIDER_UNREACHABLE', 'backoff'],
  ['ENOTFOUND', 'E_PROVIDER_UNREACHABLE', 'never'],
  ['CERT_HAS_EXPIRED', 'E_PROVIDER_UNREACHABLE', 'never'],
  ['UND_ERR_HEADERS_TIMEOUT', 'E_PROVIDER_TIMEOUT', 'backoff'],
  ['UND_ERR_BODY_TIMEOUT', 'E_PROVIDER_TIMEOUT', 'backoff'],
])('R3: %s of the network is told apart', (reason, code, retry) => {
  const refusal = refusalOf(fetchFailed(reason), ASKED)
  expect(refusal).toMatchObject({ code, retry })
  expect(refusal.message).toContain(reason)
})

test('words of a server are repeated where it refuses a request, in one line and without addresses', () => {
  const refused = (message: string) => refusalOf(Object.assign(event('invalid_request_error', message), { status: 400 }), ASKED).message
  expect(refused('temperature:\n \u001b[31m must be at most 1, see https://a:b@c.d/e?f')).toBe(
    'anthropic at example.org refused the request (400): temperature: [31m must be at most 1, see <address>',
  )
  for (const quote of ['you said: mend the greeting in line', 'key sk-secret-key is not', '']) {
    expect(refused(quote)).toBe('anthropic at example.org refused the request (400)')
  }
})

test('whatever is thrown has a code', () => {
  const ring: { cause?: unknown } = {}
  ring.cause = ring
  for (const thrown of [undefined, null, 'x', 0, {}, ring, new Error('x'), new RangeError('y')]) {
    expect(refusalOf(thrown, ASKED)).toMatchObject({ code: 'E_PROVIDER_UNREACHABLE', retry: 'never' })
  }
})
