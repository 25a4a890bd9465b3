/**
 * One exchange with a server as one line of a tape (JSONL, UTF-8). The order of the lines is the order in which the exchanges ended; the number of an exchange
 * is the number of its line. A tape has no head and no end: two tapes in one file are a tape.
 *
 *   {"v":1,"normaliser":1,"at":"2026-11-20T09:12:04.118Z","key":"<sha256>",
 *    "request":{"method":"POST","path":"/v1/messages","headers":{...},"json":{...}},
 *    "status":200,"headers":{"content-type":"text/event-stream"},"body":["event: message_start\n",{"base64":"w6Q="}],"end":"whole","error":null,"sum":"<sha256>"}
 *
 *   v            of this format
 *   key          of the request by the rules `normaliser`: see normal.ts
 *   request      scrubbed; its body as `json`, else as `text`, else as `base64`; of its headers {@link REQUEST_HEADERS}
 *   status       null where no answer came
 *   headers      of the answer, {@link RESPONSE_HEADERS}; not its length and encoding: the body is as the client read it
 *   body         in the pieces in which it came; a piece that is no whole UTF-8 is base64
 *   end          whole | cut: the connection broke | aborted: the client went away | refused: no answer came | too_large: the body is not on the tape
 *   sum          SHA-256 of everything else of the line, as JSON with sorted names
 */
import { z } from 'zod'
import type { Json } from '../../json.ts'
import { canonical } from '../../machines/fingerprint.ts'
import { keyOf, NORMALISER, normal, sha256, type TapedRequest } from './normal.ts'

/** Of the format. */
const FORMAT = 1

/** Headers of a request that are kept: how it is meant, never who asks. */
export const REQUEST_HEADERS = /^(?:accept|content-type|anthropic-version|anthropic-beta|openai-beta)$/
/** Headers of an answer that are kept: what clients act on. */
export const RESPONSE_HEADERS =
  /^(?:content-type|retry-after|retry-after-ms|x-should-retry|request-id|x-request-id|location|(?:anthropic|x)-ratelimit-[\w-]+)$/

const headers = z.record(z.string(), z.string())
const line = z.strictObject({
  v: z.literal(FORMAT),
  normaliser: z.int().min(0),
  at: z.iso.datetime(),
  key: z.string().regex(/^[0-9a-f]{64}$/),
  request: z.strictObject({
    method: z.string(),
    path: z.string(),
    headers,
    json: z.json().optional(),
    text: z.string().optional(),
    base64: z.base64().optional(),
  }),
  status: z.int().min(200).max(599).nullable(),
  headers,
  body: z.array(z.union([z.string(), z.strictObject({ base64: z.base64() })])),
  end: z.enum(['whole', 'cut', 'aborted', 'refused', 'too_large']),
  error: z.strictObject({ message: z.string(), code: z.string().nullable() }).nullable(),
  sum: z.string(),
})

export interface Line extends Omit<z.infer<typeof line>, 'v' | 'request'> {
  readonly v: number
  readonly request: TapedRequest
}
/** A line but for what follows from the rest. */
export type Exchange = Omit<Line, 'v' | 'normaliser' | 'key' | 'sum'>

/** The line of an exchange by today's rules, without its line feed. */
export function lineOf({ at, request, status, headers, body, end, error }: Exchange): string {
  const rest = { v: FORMAT, normaliser: NORMALISER, at, key: keyOf(normal(request)), request, status, headers, body, end, error }
  return JSON.stringify({ ...rest, sum: sumOf(rest) })
}

/** What a line is: an exchange, perhaps with a wrong sum, or why it is none. */
export type Parsed =
  | { readonly line: Line; readonly isSealed: boolean; readonly cause: null }
  | { readonly line: null; readonly isSealed: false; readonly cause: string }

/** Reads a line. Never throws. */
export function parseLine(text: string): Parsed {
  const none = (cause: string): Parsed => ({ line: null, isSealed: false, cause })
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return none('is no JSON')
  }
  const version: unknown = (data as { v?: unknown } | null)?.v
  if (typeof version === 'number' && version !== FORMAT) return none(`has format ${version}, this release reads ${FORMAT}`)
  const parsed = line.safeParse(data)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return none(`is no exchange: ${[issue?.path.map(String).join('.'), issue?.message].filter(Boolean).join(': ')}`)
  }
  const { sum, ...rest } = parsed.data
  return { line: parsed.data, isSealed: sum === sumOf(rest), cause: null }
}

const sumOf = (rest: Omit<Line, 'sum'>): string => sha256(canonical(rest))

/** A piece of a body as the tape holds it. */
export function pieceOf(chunk: Uint8Array): Line['body'][number] {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(chunk)
  } catch {
    return { base64: Buffer.from(chunk).toString('base64') }
  }
}

/** The bytes of a piece. */
export const bytesOf = (piece: Line['body'][number]): Uint8Array<ArrayBuffer> =>
  typeof piece === 'string' ? new TextEncoder().encode(piece) : Uint8Array.from(Buffer.from(piece.base64, 'base64'))

/** The body of a request as the tape holds it. */
export function requestBody(bytes: Uint8Array): Pick<TapedRequest, 'json' | 'text' | 'base64'> {
  if (bytes.length === 0) return {}
  const piece = pieceOf(bytes)
  if (typeof piece !== 'string') return piece
  try {
    return { json: JSON.parse(piece) as Json }
  } catch {
    return { text: piece }
  }
}

/** An answer that is worth giving again: all of it came, and it was no error. */
export const isGood = ({ end, status }: Pick<Line, 'end' | 'status'>): boolean =>
  end === 'whole' && status !== null && status >= 200 && status < 300

/** Can it be given at all? What the client went away from, and what was too large, is no answer. */
export const isGiven = ({ end }: Pick<Line, 'end'>): boolean => end !== 'aborted' && end !== 'too_large'
