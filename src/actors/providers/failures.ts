/**
 * What went wrong with a call, from whatever an official client threw: which code, and what may help.
 *
 *   thrown by us           a Failure: an answer that is not usable                       as it says
 *   an HTTP status         401 403 | 404 | 429 503 529 | other 4xx | other 5xx           table below
 *   an error in a stream   it has no status, only a type: overloaded_error ...           the status that this type stands for
 *   a broken connection    refused, reset, no such host                                  E_PROVIDER_UNREACHABLE
 *   silence                longer than Node's own fetch bears                            E_PROVIDER_TIMEOUT
 *   a line that is no JSON                                                               E_PROVIDER_OUTPUT
 *
 * What a person reads is ours. Words of the server are repeated only where a request was refused, and never what they quote of it: they may hold the prompt
 * or the key.
 */
import { Failure } from '../../effect.ts'
import type { Json } from '../../json.ts'
import { RETRY_AFTER_MS_MAX } from '../../limits.ts'
import { sanitised } from '../../machines/fallback.ts'
import { classify } from '../../runtime/transient.ts'
import type { GenerateResult } from '../provider.ts'

/** A failed call without its cost. */
export type Refusal = Omit<Extract<GenerateResult, { ok: false }>, 'ok' | 'usage'>

/** What is known about a call that failed. */
export interface Asked {
  /** For people: `anthropic at api.anthropic.com`. */
  readonly server: string
  readonly model: string | null
  /** Must not appear in a message. */
  readonly key: string | null
  /** All that was asked. Must not appear in a message. */
  readonly prompt: () => string
}

/** Types of errors, as Anthropic and OpenAI give them in a stream, and the status that a whole answer would have had. */
const STATUS_OF_TYPE: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  invalid_api_key: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  model_not_found: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
  api_error: 500,
  server_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
}

const TOO_LARGE = /prompt is too long|context_length_exceeded|exceed_context_size|maximum context length|exceeds?\b.{0,40}\bcontext\b/i
/** A model that is not there, in the words of those who say it with a 400. */
const NO_MODEL = /model_not_found|invalid_model|not a valid model/i
/** The account has no money: waiting does not help. */
const NO_MONEY = /insufficient_quota/
/** What a server repeats of the prompt in a row, from so many characters on, is a quote. */
const QUOTE_CHARS = 16

/** Times of Node's own fetch, 300 s each, which cannot be set from here: until the headers, and between two pieces of a body. */
const WHICH_TIME: Readonly<Record<string, string>> = { UND_ERR_HEADERS_TIMEOUT: 'first', UND_ERR_BODY_TIMEOUT: 'idle' }
const CODE = /^[A-Z0-9_]{3,40}$/

/** The failure in our words. Total. */
export function refusalOf(thrown: unknown, asked: Asked): Refusal {
  const failure = causes(thrown).find((cause) => cause instanceof Failure)
  if (failure instanceof Failure) return ofFailure(failure, asked)
  const told = toldBy(thrown)
  if (told.status !== null) return ofStatus(told.status, told, thrown, asked)
  if (told.type !== null || told.isEvent) return ofStatus(500, told, thrown, asked)
  if (thrown instanceof SyntaxError) return unusable(`${asked.server} sent a line that is no JSON`)
  return ofConnection(thrown, asked)
}

/** An answer came, and nothing can be made of it. */
export const unusable = (message: string): Refusal => ({ code: 'E_PROVIDER_OUTPUT', message, retry: 'backoff' })

function ofFailure({ code, message, retry, retryAfterMs, details }: Failure, { server }: Asked): Refusal {
  return { code, message: `${server}: ${message}`, retry, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), details }
}

/** What an error of a server says of itself. */
interface Told {
  readonly status: number | null
  readonly type: string | null
  readonly words: string
  /** It came as an event of a stream. */
  readonly isEvent: boolean
}

/** Both clients throw errors with `status`, `error` (the body, or what lies under `error` in it), `type` and `code`. */
function toldBy(thrown: unknown): Told {
  if (!isObject(thrown)) return { status: null, type: null, words: '', isEvent: false }
  const body = isObject(thrown['error']) ? thrown['error'] : {}
  const inner = isObject(body['error']) ? body['error'] : body
  const types = [thrown['code'], inner['code'], thrown['type'], inner['type']].filter((type) => isType(type))
  const type = types.find((one) => Object.hasOwn(STATUS_OF_TYPE, one)) ?? types[0] ?? null
  const numeric = [thrown['status'], inner['code'], inner['status']].find((value) => isStatus(value))
  const status = isStatus(numeric) ? numeric : type !== null && Object.hasOwn(STATUS_OF_TYPE, type) ? (STATUS_OF_TYPE[type] ?? null) : null
  return { status, type, words: typeof inner['message'] === 'string' ? inner['message'] : '', isEvent: thrown['error'] !== undefined }
}

function ofStatus(status: number, told: Told, thrown: unknown, asked: Asked): Refusal {
  const about = `${told.type ?? ''} ${told.words}`
  const { server } = asked
  const data: { readonly [key: string]: Json } = { status, ...(told.type === null ? {} : { type: told.type }) }
  const never = (code: string, message: string): Refusal => ({ code, message, retry: 'never', details: { data } })
  if (status === 401 || status === 403) return never('E_CREDENTIALS_REJECTED', `${server} refused the key (${status})`)
  if (status < 500 && status !== 429 && TOO_LARGE.test(about)) {
    return never('E_CONTEXT_TOO_LARGE', `the prompt does not fit ${asked.model ?? 'the model'} (${status})`)
  }
  const isModel = status === 404 ? /\bmodels?\b|model_not_found/i.test(about) : status === 400 && NO_MODEL.test(about)
  if (isModel) return never('E_MODEL_UNKNOWN', `${server} has no model ${asked.model ?? 'of that name'} (${status})`)
  const again = againAfter(thrown)
  if (status === 429 || status === 503 || status === 529) {
    const why = NO_MONEY.test(about) ? 'the quota is used up' : 'it asks to wait'
    return {
      ...(NO_MONEY.test(about) ? { retry: 'never' } : again),
      code: 'E_PROVIDER_OVERLOADED',
      message: `${server}: ${why} (${status})`,
      details: { data },
    }
  }
  if (status >= 500 || status === 408 || status === 425) {
    return { ...again, code: 'E_PROVIDER_UNREACHABLE', message: `${server} failed (${told.type ?? status})`, details: { data } }
  }
  return never('E_PROVIDER_REFUSED', `${server} refused the request (${status})${quotable(told.words, asked)}`)
}

/** When it may be tried again: after the time that the server names, where it does. */
function againAfter(thrown: unknown): Pick<Refusal, 'retry' | 'retryAfterMs'> {
  const headers = isObject(thrown) ? thrown['headers'] : undefined
  const { retry, retryAfterMs = 0 } = classify({ status: 429, headers }, Date.now())
  return retry === 'after' ? { retry, retryAfterMs: Math.min(retryAfterMs, RETRY_AFTER_MS_MAX) } : { retry: 'backoff' }
}

function ofConnection(thrown: unknown, { server }: Asked): Refusal {
  const chain = causes(thrown)
  if (chain.some((cause) => cause instanceof Error && /redirect/.test(cause.message))) {
    const hint = 'set `baseUrl` to the address that the server sends to'
    return {
      code: 'E_PROVIDER_REFUSED',
      message: `${server} answered with a redirect, which is not followed`,
      retry: 'never',
      details: { hint },
    }
  }
  const code = chain.map((cause) => (isObject(cause) ? cause['code'] : null)).find((one) => typeof one === 'string' && CODE.test(one))
  const which = WHICH_TIME[String(code)]
  const { retry } = classify(thrown, 0)
  if (which !== undefined)
    return { code: 'E_PROVIDER_TIMEOUT', message: `${server} was silent (${code})`, retry: 'backoff', details: { data: { which } } }
  const how = typeof code === 'string' ? ` (${code})` : ''
  return { code: 'E_PROVIDER_UNREACHABLE', message: `no connection to ${server}${how}`, retry: retry === 'never' ? 'never' : 'backoff' }
}

/** The server's words, unless they repeat what was asked. */
function quotable(words: string, { key, prompt }: Asked): string {
  const line = sanitised(words.replace(/\p{Cc}/gu, ' '))
  const asked = prompt().replace(/\s+/g, ' ')
  if (line === '' || (key !== null && words.includes(key))) return ''
  for (let at = 0; at + QUOTE_CHARS <= line.length; at++) {
    if (asked.includes(line.slice(at, at + QUOTE_CHARS))) return ''
  }
  return `: ${line}`
}

/** Errors wrap each other, and a chain may be a ring. */
function causes(thrown: unknown): readonly unknown[] {
  const chain: unknown[] = []
  for (let cause = thrown; isObject(cause) && chain.length < 8; cause = cause['cause']) chain.push(cause)
  return chain
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null
const isType = (value: unknown): value is string => typeof value === 'string' && /^[\w.-]{1,64}$/.test(value)
const isStatus = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 300 && Number(value) <= 599
