/**
 * An event stream between the network and an official client: the same bytes, cut where events end, bounded, and ended with the last event.
 *
 *   chunks of TCP     da|ta: {"a":1}\n|\ndata: [DO|NE]\n\n|: late
 *   passed on         data: {"a":1}\n\n | data: [DONE]\n\n | end
 *
 * The clients keep what has no end yet and look at all of it again with each chunk, so a server that dribbles one long event would cost the square of its
 * length. They also go on after the last event until the server closes. Neither can happen behind this.
 */
import { Failure } from '../../effect.ts'
import { ANSWER_BYTES_MAX, ANSWER_EVENT_BYTES_MAX } from '../../limits.ts'

export interface EventStreamOptions {
  /** Finds the last event; it matches at the beginning of a line. */
  readonly last: RegExp
  /** Called for each chunk. */
  readonly alive: () => void
  /** The last event has come. */
  readonly ended: () => void
  /** What it ends with where it is not usable. */
  readonly failed: (thrown: unknown) => void
}

/** How long the rest after the last event is waited for, so that the connection can be used again; then it is closed. */
const LINGER_MS = 1_000
/** A blank line is at most this long: `\n\r\n`. */
const BLANK_CHARS = 3

/** The body as whole events. It errors with {@link Failure} `E_PROVIDER_OUTPUT` past a bound, and as the network does. */
export const eventStream = (body: ReadableStream<Uint8Array>, options: EventStreamOptions): ReadableStream<Uint8Array> =>
  ReadableStream.from(events(body.getReader(), options))

async function* events(reader: ReadableStreamDefaultReader<Uint8Array>, options: EventStreamOptions): AsyncGenerator<Uint8Array> {
  const { last, alive, ended, failed } = options
  let isEnded = false
  try {
    // Text of one character a byte: it is searched faster than bytes are, and nothing is lost.
    let open = ''
    let tail = ''
    let bytes = 0
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      alive()
      const chunk = Buffer.from(next.value).toString('latin1')
      const end = endIn(tail, chunk)
      // A rope: it is looked into only where an event ends, for that makes one string of it.
      const whole = end === 0 ? '' : open + chunk.slice(0, end)
      open = end === 0 ? open + chunk : chunk.slice(end)
      tail = (end === 0 ? tail + chunk : open).slice(-BLANK_CHARS + 1)
      bytes += chunk.length
      check(bytes, open.length)
      isEnded = last.test(whole)
      if (isEnded) ended()
      if (whole !== '') yield Buffer.from(isEnded ? upToLast(whole, last) : whole, 'latin1')
      if (isEnded) return
    }
    if (last.test(open)) ended()
    if (open !== '') yield Buffer.from(open, 'latin1')
  } catch (thrown) {
    failed(thrown)
    throw thrown
  } finally {
    if (isEnded) void linger(reader)
    else await reader.cancel().catch(() => undefined)
  }
}

/** Index in the chunk after its last blank line, which may have begun in what came before; 0: no event ends here. */
function endIn(before: string, chunk: string): number {
  const text = before + chunk
  const ends = ['\n\n', '\n\r\n'].map((blank) => (text.includes(blank) ? text.lastIndexOf(blank) + blank.length : 0))
  return Math.max(0, ...ends.map((end) => end - before.length))
}

function check(bytes: number, eventBytes: number): void {
  if (eventBytes > ANSWER_EVENT_BYTES_MAX) throw tooLarge(`an event of more than ${ANSWER_EVENT_BYTES_MAX} bytes`)
  if (bytes > ANSWER_BYTES_MAX) throw tooLarge(`more than ${ANSWER_BYTES_MAX} bytes`)
}

const tooLarge = (what: string): Failure => new Failure('E_PROVIDER_OUTPUT', `the answer has ${what}`, { retry: 'backoff' })

/** Events without those that follow the last one of the stream. */
function upToLast(whole: string, last: RegExp): string {
  const at = whole.search(last)
  const blank = /\n\r?\n/.exec(whole.slice(at))
  return blank === null ? whole : whole.slice(0, at + blank.index + blank[0].length)
}

async function linger(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), LINGER_MS)
  timer.unref()
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer is complete: how its connection ends does not matter.
  } finally {
    clearTimeout(timer)
  }
}
