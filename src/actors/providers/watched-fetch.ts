/**
 * A `fetch` between an official client and the network. It changes nothing that is sent. Of what comes back it sees to it that
 *
 *   redirects     are refused by the clients' own option: the prompt would be sent on to whoever the answer names
 *   an error      has a short body: no more of it is read
 *   an answer     is what was asked for (a stream of events, or JSON), not the page of a proxy
 *   a stream      is whole events within bounds (event-stream.ts)
 *
 * The clients wrap what a fetch throws, and lose its cause on the way. It is kept here.
 */
import { Failure } from '../../effect.ts'
import { ANSWER_BYTES_MAX } from '../../limits.ts'
import { eventStream } from './event-stream.ts'

/** What was seen of one exchange so far. */
export interface Seen {
  /** The answer of the server, without its body. */
  headers: Headers | null
  status: number | null
  /** The last event of the stream has come: nothing was cut off. */
  isWhole: boolean
  /** What went wrong below the client, as it was thrown. */
  thrown: unknown
}

/** What the watcher is for. */
export interface Watch {
  readonly expects: 'text/event-stream' | 'application/json'
  /** Finds the last event of a stream. */
  readonly last: RegExp
  /** The server has answered. */
  readonly started: () => void
  /** Bytes have come. */
  readonly alive: () => void
}

type Fetch = typeof globalThis.fetch

/** Of an error of the server, this much is read. */
const ERROR_BODY_BYTES_MAX = 64_000

/** The fetch for one exchange, and what it sees. */
export function watchedFetch(fetch: Fetch, watch: Watch): { readonly fetch: Fetch; readonly seen: Seen } {
  const seen: Seen = { headers: null, status: null, isWhole: false, thrown: undefined }
  const watched: Fetch = async (input, init) => {
    try {
      const response = await fetch(input, init)
      seen.headers = response.headers
      seen.status = response.status
      watch.alive()
      return response.ok ? answered(response, watch, seen) : await refused(response)
    } catch (thrown) {
      note(seen, thrown)
      throw thrown
    }
  }
  return { fetch: watched, seen }
}

function answered(response: Response, watch: Watch, seen: Seen): Response {
  const { expects, last, alive } = watch
  const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  const { body } = response
  if (body === null) throw new Failure('E_PROVIDER_OUTPUT', 'answered without a body', { retry: 'backoff' })
  if (type !== expects) {
    void body.cancel().catch(() => undefined)
    throw new Failure('E_PROVIDER_OUTPUT', `answered with ${nameOf(type)} instead of ${expects}`, { retry: 'backoff' })
  }
  watch.started()
  const failed = (thrown: unknown): void => note(seen, thrown)
  const ended = (): void => {
    seen.isWhole = true
  }
  const passed =
    expects === 'text/event-stream' ? eventStream(body, { last, alive, ended, failed }) : bounded(body, ANSWER_BYTES_MAX, failed)
  return new Response(passed, { status: response.status, headers: response.headers })
}

/** Who aborts knows why: a client that has thrown, or whoever does not want the answer any more. */
function note(seen: Seen, thrown: unknown): void {
  if (!(thrown instanceof Error && thrown.name === 'AbortError')) seen.thrown ??= thrown
}

/** A content type is text of the server: only a plain one is repeated. */
const nameOf = (type: string): string => (/^[\w.+-]{1,40}\/[\w.+-]{1,40}$/.test(type) ? type : 'something without a type')

/** The status counts; of the body only its beginning is kept. */
async function refused(response: Response): Promise<Response> {
  if (response.body === null) return response
  const { status, headers } = response
  return new Response(await beginning(response.body), { status, headers })
}

async function beginning(body: ReadableStream<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > ERROR_BODY_BYTES_MAX) break
  }
  return Buffer.concat(pieces).subarray(0, ERROR_BODY_BYTES_MAX).toString('utf8')
}

/** A body that errors where it is larger. */
function bounded(body: ReadableStream<Uint8Array>, bytesMax: number, failed: (thrown: unknown) => void): ReadableStream<Uint8Array> {
  let bytes = 0
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        bytes += piece.length
        if (bytes <= bytesMax) return controller.enqueue(piece)
        const thrown = new Failure('E_PROVIDER_OUTPUT', `the answer has more than ${bytesMax} bytes`, { retry: 'backoff' })
        failed(thrown)
        controller.error(thrown)
      },
    }),
  )
}
