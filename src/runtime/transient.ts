/**
 * Is what a handler threw plainly transient? Only then is a plain error tried again (S4); a {@link Failure} says so itself and is never asked about here.
 *
 *   an HTTP status      408 425 429 500 502 503 504 529 are; any other is not, whatever lies below it
 *   a connection error  by its code, also as the cause of another error (`fetch failed`)
 *   anything else       is not: to repeat a mistake helps nobody
 */

/** What may help, and when, in the words of a failure. `status`: the HTTP status that was found. */
export interface Classified {
  readonly retry: 'never' | 'backoff' | 'after'
  readonly retryAfterMs?: number
  readonly status?: number
}

const STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504, 529])

/** Connections and timeouts, of Node and of its fetch. Its other `UND_ERR_*` are mistakes of the caller. */
const CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'ENETDOWN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
])

/** Errors wrap each other. Deeper than this nobody does on purpose, and a chain may be a ring. */
const CAUSES_MAX = 8

const NEVER: Classified = { retry: 'never' }

/**
 * Total: what defends itself against being looked at is not transient.
 * @param wallMs  the wall clock, for a `Retry-After` that names a date.
 */
export function classify(thrown: unknown, wallMs: number): Classified {
  try {
    let error: unknown = thrown
    for (let depth = 0; depth < CAUSES_MAX && typeof error === 'object' && error !== null; depth++) {
      const found = classifyOne(error as Looked, wallMs)
      if (found !== null) return found
      error = (error as Looked).cause
    }
    return NEVER
  } catch {
    return NEVER
  }
}

interface Looked {
  readonly status?: unknown
  readonly statusCode?: unknown
  readonly code?: unknown
  readonly name?: unknown
  readonly message?: unknown
  readonly headers?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
}

/** Null: it does not say, its cause may. */
function classifyOne(error: Looked, wallMs: number): Classified | null {
  const status = statusOf(error.status) ?? statusOf(error.statusCode)
  if (status !== null) {
    if (!STATUSES.has(status)) return { ...NEVER, status }
    const retryAfterMs = retryAfter(error.headers, wallMs)
    return retryAfterMs === null ? { retry: 'backoff', status } : { retry: 'after', retryAfterMs, status }
  }
  const isTransient =
    (typeof error.code === 'string' && CODES.has(error.code)) || error.name === 'TimeoutError' || error.message === 'socket hang up'
  if (isTransient) return { retry: 'backoff' }
  return isEveryOneTransient(error.errors, wallMs) ? { retry: 'backoff' } : null
}

/** One connection was tried at several addresses, and none worked. */
function isEveryOneTransient(errors: unknown, wallMs: number): boolean {
  if (!Array.isArray(errors) || errors.length === 0) return false
  return errors.every((one) => typeof one === 'object' && one !== null && classifyOne(one as Looked, wallMs)?.retry === 'backoff')
}

const statusOf = (value: unknown): number | null =>
  Number.isInteger(value) && Number(value) >= 400 && Number(value) <= 599 ? Number(value) : null

/** Milliseconds from now, from 0; null where no header says so in a form that can be read: milliseconds, seconds, an HTTP date. */
function retryAfter(headers: unknown, wallMs: number): number | null {
  const exact = headerOf(headers, 'retry-after-ms')
  if (exact !== null && isCount(exact)) return Number(exact)
  const said = headerOf(headers, 'retry-after')
  if (said === null) return null
  if (isCount(said)) return Math.round(Number(said) * 1_000)
  const at = /[a-z]{3}/i.test(said) ? Date.parse(said) : Number.NaN
  return Number.isNaN(at) ? null : Math.max(0, at - wallMs)
}

const isCount = (text: string): boolean => /^\d+(\.\d+)?$/.test(text)

/** Of a `Headers`, or of a plain object in any case of letters. */
function headerOf(headers: unknown, name: string): string | null {
  if (typeof headers !== 'object' || headers === null) return null
  const { get } = headers as { get?: unknown }
  const value: unknown =
    typeof get === 'function' ? get.call(headers, name) : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : null
}
