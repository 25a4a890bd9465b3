/** A request as a client hands it to `fetch`, in any of its forms, read once: as the tape holds it, and as it goes on. */
import { REQUEST_HEADERS, requestBody } from './exchange.ts'
import type { TapedRequest } from './normal.ts'
import type { Scrubber } from './secrets.ts'

/** What `fetch` takes first. */
export type FetchInput = Parameters<typeof fetch>[0]

export interface SentRequest {
  /** Without secrets. */
  readonly taped: TapedRequest
  readonly signal: AbortSignal | null
  /** The arguments for the `fetch` that does it. */
  readonly forward: readonly [url: string, init: RequestInit]
}

/** Reads it. A body that streams is read to its end. */
export async function readRequest(input: FetchInput, init: RequestInit | undefined, scrub: Scrubber): Promise<SentRequest> {
  const isStream = init?.body instanceof ReadableStream
  const request = new Request(input, isStream ? { ...init, duplex: 'half' } : init)
  const bytes = new Uint8Array(await request.arrayBuffer())
  const { pathname, search } = new URL(request.url)
  const { json, text, base64 } = requestBody(bytes)
  const taped: TapedRequest = {
    method: request.method,
    path: scrub.path(pathname + search),
    headers: keptHeaders(request.headers, REQUEST_HEADERS, scrub),
    ...(json === undefined ? {} : { json: scrub.json(json) }),
    ...(text === undefined ? {} : { text: scrub.text(text) }),
    ...(base64 === undefined ? {} : { base64: base64Of(scrub, base64) }),
  }
  const { method, headers, redirect } = request
  const signal = init?.signal ?? (input instanceof Request ? input.signal : null)
  // A text goes on as it was: not every `fetch` takes bytes.
  const body = typeof init?.body === 'string' ? init.body : bytes.length === 0 ? null : bytes
  return { taped, signal, forward: [request.url, { ...init, method, headers, redirect, body, signal }] }
}

/** Headers that may be on a tape, without secrets. */
export function keptHeaders(headers: Headers, kept: RegExp, scrub: Scrubber): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => kept.test(name)).map(([name, value]) => [name, scrub.text(value)]))
}

const base64Of = (scrub: Scrubber, base64: string): string =>
  Buffer.concat(scrub.chunks([Buffer.from(base64, 'base64')])).toString('base64')
