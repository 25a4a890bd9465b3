/**
 * The `fetch` between the official client and a server of Ollama. The client has no deadlines, can abort only what streams, skips lines that are no JSON, prints
 * to stdout where an error is no JSON, and reads lines of any length. So nothing of that kind reaches it:
 *
 *   the signal of the call    goes with every request down to the socket: the server sees the abort, and ends its work
 *   an error status           is thrown here, with the words of the server
 *   a stream                  is whole lines that are JSON objects, each within bounds; empty lines are left out; `{"error"}` is thrown
 *   a single answer           is one JSON object within bounds
 *   a redirect                is refused: the prompt would go to whoever the answer names
 */
import { Failure } from '../../effect.ts'
import { ANSWER_BYTES_MAX, ANSWER_EVENT_BYTES_MAX } from '../../limits.ts'

type Fetch = typeof globalThis.fetch

/** What the server said with a status that is no success, in the form that failures.ts reads. */
export class OllamaError extends Error {
  override readonly name = 'OllamaError'
  readonly status: number
  readonly headers: Headers
  readonly error: { readonly message: string }
  constructor(status: number, headers: Headers, words: string) {
    super(`status ${status}`)
    this.status = status
    this.headers = headers
    this.error = { message: words }
  }
}

/** Of an error of the server, this much is read. */
const ERROR_BYTES_MAX = 64_000

/** How one request is looked at. */
export interface OllamaWatch {
  /** Aborted when nobody wants the answer any more. */
  readonly signal: AbortSignal
  /** The answer is a stream of lines. */
  readonly isStream: boolean
  /** Bytes of a stream have come. */
  readonly alive?: (() => void) | undefined
  /** A stream has ended by itself, whole or not. */
  readonly ended?: (() => void) | undefined
}

/** For one request. */
export function ollamaFetch(base: Fetch, watch: OllamaWatch): Fetch {
  const { signal, isStream } = watch
  return async (input, init = {}) => {
    const both = init.signal ? AbortSignal.any([signal, init.signal]) : signal
    const response = await base(input, { ...init, signal: both, redirect: 'error' })
    const { body, ok, status, headers } = response
    if (!ok) throw await refusal(response)
    if (body === null) throw unusable('answered without a body')
    const passed = isStream ? lines(body, watch) : await whole(body)
    return new Response(passed, { status, headers })
  }
}

const unusable = (message: string): Failure => new Failure('E_PROVIDER_OUTPUT', message, { retry: 'backoff' })

async function refusal({ status, headers, body }: Response): Promise<Error> {
  if (status >= 300 && status < 400) return new TypeError('unexpected redirect')
  let words = ''
  if (body !== null) {
    try {
      words = await text(body, ERROR_BYTES_MAX)
    } catch {
      // The status says enough; its words were too many, or were cut.
    }
  }
  return new OllamaError(status, headers, wordsIn(words))
}

/** The text under `error`; a page of a proxy has none. */
function wordsIn(body: string): string {
  const { error } = objectOf(body) ?? {}
  return typeof error === 'string' ? error : ''
}

async function whole(body: ReadableStream<Uint8Array>): Promise<string> {
  const answer = await text(body, ANSWER_BYTES_MAX)
  if (answer.trim() === '') throw unusable('sent an empty answer')
  if (objectOf(answer) === null) throw unusable('sent an answer that is no JSON object')
  return answer
}

async function text(body: ReadableStream<Uint8Array>, bytesMax: number): Promise<string> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    if (bytes > bytesMax) throw unusable(`the answer has more than ${bytesMax} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

const NEWLINE = 0x0a

/** A stream of whole, checked lines. */
function lines(body: ReadableStream<Uint8Array>, { alive, ended }: OllamaWatch): ReadableStream<Uint8Array> {
  const held: Uint8Array[] = []
  let lineBytes = 0
  let bytes = 0
  const end = (out: TransformStreamDefaultController<Uint8Array>): void => {
    const line = Buffer.concat(held)
    held.length = 0
    lineBytes = 0
    const said = line.toString('utf8')
    if (said.trim() === '') return
    check(said)
    out.enqueue(Buffer.concat([line, Buffer.of(NEWLINE)]))
  }
  const hold = (piece: Uint8Array): void => {
    lineBytes += piece.length
    if (lineBytes > ANSWER_EVENT_BYTES_MAX) throw unusable(`a line of the answer has more than ${ANSWER_EVENT_BYTES_MAX} bytes`)
    held.push(piece)
  }
  const transform = (chunk: Uint8Array, out: TransformStreamDefaultController<Uint8Array>): void => {
    alive?.()
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw unusable(`the answer has more than ${ANSWER_BYTES_MAX} bytes`)
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      hold(chunk.subarray(from, at))
      end(out)
      from = at + 1
    }
    hold(chunk.subarray(from))
  }
  const flush = (out: TransformStreamDefaultController<Uint8Array>): void => {
    end(out)
    ended?.()
  }
  return body.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({ transform, flush }))
}

/** @throws {Failure} where a line is no JSON object; {@link OllamaError} where it is an error of the server after its headers. */
function check(line: string): void {
  const said = objectOf(line)
  if (said === null) throw unusable('sent a line that is no JSON object')
  if (!Object.hasOwn(said, 'error')) return
  const { error, status } = said
  const isStatus = typeof status === 'number' && status >= 400 && status <= 599
  throw new OllamaError(isStatus ? status : 500, new Headers(), typeof error === 'string' ? error : '')
}

function objectOf(text: string): { readonly [key: string]: unknown } | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as { readonly [key: string]: unknown }) : null
  } catch {
    return null
  }
}
