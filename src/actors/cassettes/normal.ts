/**
 * A request as far as it says what is asked, and nothing of who asks, when and from where: two requests with the same key get the same answer.
 *
 *   key = SHA-256 of { method, path, body } as JSON with sorted names, after secrets are out
 *
 *   path    with its query, sorted; without scheme, host and port. The prefix of a base URL counts: `/v1/messages`
 *   body    JSON without what names the user or the call: `metadata`, `user`, `safety_identifier`, `prompt_cache_key`. Else its text, or its bytes
 *   texts   what differs between two runs of the same thing has a name in its place: run ids and the folder before them, checkouts of gates, UUIDs, times
 *           of ISO 8601, durations, process ids, ports of this machine
 *   left out   all headers (keys, idempotency keys, user agents, request ids, dates, versions of a client)
 *
 * A change of any of this is another {@link NORMALISER}: tapes carry the number they were made with, and are read with today's.
 */
import { createHash } from 'node:crypto'
import type { Json, JsonObject } from '../../json.ts'
import { canonical } from '../../machines/fingerprint.ts'

/** Which rules these are. */
export const NORMALISER = 1

/** A request as it is on tape: scrubbed, otherwise as it was sent. Of `json`, `text` and `base64` there is one at most. */
export interface TapedRequest {
  readonly method: string
  /** With its query, without a host. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly json?: Json | undefined
  readonly text?: string | undefined
  readonly base64?: string | undefined
}

/** What a key is made of. */
export interface NormalRequest {
  readonly method: string
  readonly path: string
  readonly body: Json
}

const WITHOUT: ReadonlySet<string> = new Set(['metadata', 'user', 'safety_identifier', 'prompt_cache_key'])

/** Quantifiers are bounded, so no text takes more than linear time. */
const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/(?:file:\/\/)?\/[^\s"'`]{0,300}?\/(?=[0-9A-HJKMNP-TV-Z]{26}\b)/g, ''],
  [/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, '<run>'],
  [/\bgate-e\d{1,9}-[\w-]{1,40}/g, '<checkout>'],
  [/\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b/g, '<id>'],
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/\bduration_ms:?\s{1,9}\d{1,15}(?:\.\d{1,15})?/g, '<duration>'],
  [/\b\d{1,15}(?:\.\d{1,15})?\s?ms\b|\b\d{1,15}\.\d{1,15}\s?s\b/g, '<duration>'],
  [/\b(?:localhost|127\.0\.0\.1|\[::1\]):\d{2,5}\b/g, '<here>'],
  [/\bpid[ =:]{1,3}\d{1,9}\b/g, '<pid>'],
]

const stable = (text: string): string => VOLATILE.reduce((rest, [pattern, instead]) => rest.replaceAll(pattern, instead), text)

/** A request without what does not count. */
export function normal({ method, path, json, text, base64 }: TapedRequest): NormalRequest {
  const body = json !== undefined ? plain(json) : text !== undefined ? stable(text) : base64 !== undefined ? { base64 } : null
  return { method: method.toUpperCase(), path: sortedPath(path), body }
}

/** SHA-256 of a normal request, in hexadecimal. */
export const keyOf = (request: NormalRequest): string => sha256(canonical(request))

/** SHA-256 of a text, in hexadecimal. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

function plain(body: Json): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return stableJson(body)
  return stableJson(Object.fromEntries(Object.entries(body as JsonObject).filter(([name]) => !WITHOUT.has(name))) as Json)
}

function stableJson(value: Json): Json {
  if (typeof value === 'string') return stable(value)
  if (Array.isArray(value)) return value.map(stableJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, stableJson(member ?? null)]))
}

function sortedPath(path: string): string {
  const [before = '', query] = path.split(/\?(.*)/s)
  return query === undefined || query === '' ? before : `${before}?${query.split('&').sort().join('&')}`
}
