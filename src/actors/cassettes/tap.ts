/**
 * A body that is passed on as it comes, and kept.
 *
 *   server --chunks--> Tap --chunks--> client
 *                       |    the last word (last-word.ts) waits here until the server has ended, at most {@link HOLD_MS}
 *                       '--end--> `write`, and only then the client has its end
 *
 * The server is read to its end also where the client stops before. One that goes away, by its signal or by closing the body, is let go at once.
 */
import { CASSETTE_BODY_BYTES_MAX } from '../../limits.ts'
import type { Exchange } from './exchange.ts'
import { lastWordIn } from './last-word.ts'

/** How long the last word of a body waits for a server that does not end it. */
const HOLD_MS = 250
/** How far a client may lag behind its server, bytes. */
const LAG_BYTES_MAX = 8_000_000

/** How a body ended, with what came of it. `thrown`: why it broke; null where it did not. */
export interface Ending {
  readonly end: Exchange['end']
  readonly chunks: readonly Uint8Array[]
  readonly thrown: unknown
}

type Bytes = Uint8Array<ArrayBuffer>

/** One body on its way. */
export class Tap {
  /** For the client. */
  readonly stream: ReadableStream<Bytes>
  /** Resolves when its ending was written. */
  readonly ended: Promise<void>
  readonly #reader: ReadableStreamDefaultReader<Bytes>
  readonly #signal: AbortSignal | null
  readonly #write: (ending: Ending) => Promise<void>
  readonly #said = lastWordIn()
  readonly #kept: Bytes[] = []
  readonly #held: Bytes[] = []
  #bytes = 0
  #isSaid = false
  #isGone = false
  #timer: NodeJS.Timeout | undefined
  #client!: ReadableStreamDefaultController<Bytes>
  #pulled = Promise.withResolvers<void>()

  /** @param write  takes the ending; never rejects. */
  constructor(body: ReadableStream<Bytes>, signal: AbortSignal | null, write: (ending: Ending) => Promise<void>) {
    this.#reader = body.getReader()
    this.#signal = signal
    this.#write = write
    this.stream = new ReadableStream<Bytes>(
      {
        start: (controller) => {
          this.#client = controller
        },
        pull: () => {
          this.#pulled.resolve()
          this.#pulled = Promise.withResolvers()
        },
        cancel: (reason) => this.leave(reason),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: LAG_BYTES_MAX }),
    )
    this.ended = this.#drain()
  }

  /** Nobody wants it any more. Resolves when what came of it was written. */
  async leave(reason?: unknown): Promise<void> {
    this.#isGone = true
    this.#pulled.resolve()
    await this.#reader.cancel(reason).catch(() => {})
    await this.ended
  }

  async #drain(): Promise<void> {
    let thrown: unknown = null
    try {
      for (let next = await this.#reader.read(); !next.done; next = await this.#reader.read()) await this.#pass(next.value)
    } catch (error) {
      thrown = error
    }
    const written = this.#write(this.#ending(thrown))
    if (this.#signal?.aborted !== true) await written
    this.#release()
    if (!this.#isGone && thrown === null) this.#client.close()
    else if (!this.#isGone) this.#client.error(thrown)
    await written
  }

  async #pass(chunk: Bytes): Promise<void> {
    this.#bytes += chunk.length
    if (this.#bytes > CASSETTE_BODY_BYTES_MAX) this.#kept.length = 0
    else this.#kept.push(chunk)
    this.#held.push(chunk)
    const wasSaid = this.#isSaid
    this.#isSaid = this.#said(chunk)
    if (!this.#isSaid) this.#release()
    else if (!wasSaid) this.#timer = setTimeout(() => this.#release(), HOLD_MS)
    while (!this.#isGone && (this.#client.desiredSize ?? 1) <= 0) await this.#pulled.promise
  }

  #release(): void {
    clearTimeout(this.#timer)
    if (!this.#isGone) for (const chunk of this.#held) this.#client.enqueue(chunk)
    this.#held.length = 0
  }

  #ending(thrown: unknown): Ending {
    const chunks = this.#kept
    if (this.#bytes > CASSETTE_BODY_BYTES_MAX) return { end: 'too_large', chunks: [], thrown: null }
    // A client that has heard the last word and leaves has all that it wanted.
    if (this.#isGone || this.#signal?.aborted === true) return { end: this.#isSaid ? 'whole' : 'aborted', chunks, thrown: null }
    return thrown === null ? { end: 'whole', chunks, thrown } : { end: 'cut', chunks, thrown }
  }
}
