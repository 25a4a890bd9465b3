/**
 * A `fetch` that writes down what was said: it does nothing else to it. What it promises:
 *
 *   - an exchange is on the tape when it has ended, as one line: errors, broken connections and answers that nobody waited for, too
 *   - what a client takes as a whole answer is on the disk before the client has its end: after a crash the tape holds each answer that the run has used
 *   - no secret is written: see secrets.ts, and of headers only those of a list
 *   - the client sees what it would see without it, in the same pieces; a tape that cannot be written does not take an answer away, and `close` says so
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../runtime/clock.ts'
import { type Exchange, lineOf, pieceOf, RESPONSE_HEADERS } from './exchange.ts'
import { type FetchInput, keptHeaders, readRequest } from './request.ts'
import { scrubber } from './secrets.ts'
import { Tap } from './tap.ts'
import { openTape, type Tape, type TapeWriter } from './tape.ts'

/** How long `close` waits for exchanges that are still open. */
const CLOSE_MS = 1_000

export interface RecordingOptions {
  readonly file: string
  /** Go on after what is on the tape; of a run that is resumed. Default false: the tape begins anew. */
  readonly append?: boolean | undefined
  /** Does it. Default: the network. */
  readonly fetch?: typeof fetch | undefined
  readonly clock?: Pick<Clock, 'wallMs'> | undefined
  /** Values that must not be on the tape. */
  readonly secrets?: readonly string[] | undefined
}

export interface Recording {
  readonly fetch: typeof fetch
  /** The same tape for another `fetch` that does it: one over a plain socket, where a server may be silent for minutes. */
  readonly over: (base: typeof fetch) => typeof fetch
  /** What was cut off the end of the tape: a process died while it recorded. */
  readonly torn: Tape['torn']
  /** Resolves when everything is on the tape. @throws {Failure} `E_DISK_FULL`, `E_FILE_REFUSED` where something could not be written. */
  close(): Promise<void>
}

/** @throws {UserError} `E_CASSETTE_INVALID` where the file is no tape. {Failure} `E_DISK_FULL`, `E_FILE_REFUSED`. */
export async function recordingFetch({ file, append = false, ...options }: RecordingOptions): Promise<Recording> {
  const recorder = new Recorder(await openTape(file, append), options)
  return {
    fetch: recorder.over(options.fetch ?? fetch),
    over: (base) => recorder.over(base),
    torn: recorder.tape.torn,
    close: () => recorder.close(),
  }
}

class Recorder {
  readonly tape: TapeWriter
  readonly #clock: Pick<Clock, 'wallMs'>
  readonly #secrets: readonly string[]
  readonly #open = new Set<Tap>()
  readonly #writing = new Set<Promise<void>>()
  #problem: unknown = null

  constructor(tape: TapeWriter, options: Pick<RecordingOptions, 'clock' | 'secrets'>) {
    this.tape = tape
    this.#clock = options.clock ?? { wallMs: () => Date.now() }
    this.#secrets = options.secrets ?? []
  }

  over(base: typeof fetch): typeof fetch {
    return (input, init) => this.#exchange(base, input, init)
  }

  async #exchange(base: typeof fetch, input: FetchInput, init: RequestInit | undefined): Promise<Response> {
    const { taped: request, signal, forward } = await readRequest(input, init, scrubber(this.#secrets))
    const asked = { at: new Date(this.#clock.wallMs()).toISOString(), request }
    const answer = await base(...forward).catch(async (error: unknown) => {
      const isLeft = signal?.aborted === true
      const none = { ...asked, status: null, headers: {}, body: [] }
      const written = this.#write({ ...none, end: isLeft ? 'aborted' : 'refused', error: isLeft ? null : this.#told(error) })
      if (!isLeft) await written
      throw error
    })
    const { status, statusText, headers, body } = answer
    const scrub = scrubber(this.#secrets)
    const answered = { ...asked, status, headers: keptHeaders(headers, RESPONSE_HEADERS, scrub) }
    if (body === null) {
      await this.#write({ ...answered, body: [], end: 'whole', error: null })
      return answer
    }
    const tap = new Tap(body, signal, ({ end, chunks, thrown }) =>
      this.#write({ ...answered, body: scrub.chunks(chunks).map(pieceOf), end, error: thrown === null ? null : this.#told(thrown) }),
    )
    this.#open.add(tap)
    void tap.ended.finally(() => this.#open.delete(tap))
    return new Response(tap.stream, { status, statusText, headers })
  }

  async close(): Promise<void> {
    const late = pause(CLOSE_MS, undefined, { ref: false })
    await Promise.race([Promise.all([...this.#open].map(({ ended }) => ended)), late])
    await Promise.all([...this.#open].map((tap) => tap.leave()))
    await Promise.all(this.#writing)
    await this.tape.close()
    if (this.#problem !== null) throw this.#problem
  }

  /** Never rejects: the first reason is told by `close`. */
  async #write(exchange: Exchange): Promise<void> {
    const done = this.tape.append(lineOf(exchange)).catch((error: unknown) => {
      this.#problem ??= error
    })
    this.#writing.add(done)
    await done
    this.#writing.delete(done)
  }

  /** What is kept of an error: its words and its code, of the cause where there is one: `fetch failed` says nothing. */
  #told(error: unknown): Exchange['error'] {
    const inner = (error as { cause?: unknown } | null)?.cause ?? error
    const { message, code } = Object(inner) as { message?: unknown; code?: unknown }
    return { message: scrubber(this.#secrets).text(String(message ?? inner)), code: typeof code === 'string' ? code : null }
  }
}
