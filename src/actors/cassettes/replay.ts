/**
 * A `fetch` that has no network: it answers from a tape, or it fails. What it promises:
 *
 *   - an exchange answers the requests that have its key (normal.ts), in the pieces in which it came, errors and cut streams included
 *   - several exchanges with one key are given in their order. When they are used up, the last one that was good is given again: a run that was resumed, an
 *     actor that was restarted and a poll ask once more what was asked before. With `strict` that is a miss, but for GET: how a server stands is asked as
 *     often as time allows
 *   - what the client went away from before it had all of it counts as not given
 *   - what the client went away from in the recording is no answer, and is passed over
 *   - everything else is a {@link ReplayMiss}. No clock is read, and nothing waits
 *
 * Keys are computed from the requests on the tape by today's rules, so a tape of an older normaliser is still of use.
 */
import { nearestTo } from './difference.ts'
import { bytesOf, isGiven, isGood } from './exchange.ts'
import { ReplayMiss } from './miss.ts'
import { keyOf, normal } from './normal.ts'
import { readRequest, type SentRequest } from './request.ts'
import { scrubber } from './secrets.ts'
import { invalid, readTape, type Taped } from './tape.ts'

export interface ReplayOptions {
  readonly file: string
  /** An exchange is given once. Default false: see the head of this file. */
  readonly strict?: boolean | undefined
  /** Values that were scrubbed when the tape was recorded. Needed only where a request holds one. */
  readonly secrets?: readonly string[] | undefined
}

/** A tape that answers. */
export interface Replay {
  readonly fetch: typeof fetch
  /** How many exchanges are on it. */
  readonly exchanges: number
  /** Numbers of exchanges that were never given, of those that could be. */
  readonly unused: () => readonly number[]
}

/** Exchanges of one key. */
interface Reel {
  readonly all: readonly Taped[]
  /** Those that are still to be given, in order. */
  readonly open: Taped[]
}

/** @throws {UserError} `E_CASSETTE_INVALID` naming the line, where the file is missing, torn, changed or of another format. */
export async function replayFetch({ file, strict = false, secrets = [] }: ReplayOptions): Promise<Replay> {
  const exchanges = await soundTape(file)
  const reels = reelsOf(exchanges)
  const given = new Set<number>()
  let asked = 0
  const choose = (request: SentRequest): Taped => {
    const number = ++asked
    const wanted = normal(request.taped)
    const reel = reels.get(keyOf(wanted))
    const next = reel?.open.shift() ?? (strict && wanted.method !== 'GET' ? undefined : reel?.all.findLast(isGood))
    if (next !== undefined) return next
    const nearest = nearestTo(
      wanted,
      exchanges.map((exchange) => [exchange.exchange, normal(exchange.request)]),
    )
    throw new ReplayMiss({ file, asked: number, nearest, why: reel === undefined ? undefined : usedUp(reel) })
  }
  return {
    exchanges: exchanges.length,
    unused: () => exchanges.filter((one) => isGiven(one) && !given.has(one.exchange)).map(({ exchange }) => exchange),
    fetch: async (input, init) => {
      const request = await readRequest(input, init, scrubber(secrets))
      request.signal?.throwIfAborted()
      const exchange = choose(request)
      given.add(exchange.exchange)
      return responseOf(exchange, request.signal, () => {
        const reel = reels.get(keyOf(normal(exchange.request)))
        if (reel !== undefined && !reel.open.includes(exchange)) reel.open.unshift(exchange)
      })
    },
  }
}

async function soundTape(file: string): Promise<readonly Taped[]> {
  const { exchanges, problems, torn } = await readTape(file)
  const [problem] = problems
  if (problem !== undefined) throw invalid(file, problem.line, problem.cause)
  const changed = exchanges.find(({ isSealed }) => !isSealed)
  if (changed !== undefined) throw invalid(file, changed.exchange, 'its sum does not fit: it was changed or is damaged')
  if (torn !== null) throw invalid(file, torn.line, 'is torn: a recording ended in the middle of it')
  return exchanges
}

function reelsOf(exchanges: readonly Taped[]): ReadonlyMap<string, Reel> {
  const grouped = Map.groupBy(exchanges, ({ request }) => keyOf(normal(request)))
  return new Map([...grouped].map(([key, all]) => [key, { all: all.filter(isGiven), open: all.filter(isGiven) }]))
}

function usedUp({ all }: Reel): string {
  if (all.length === 0) return 'the recording went away from it before its answer was there'
  return `it was given as often as it was recorded (${all.length === 1 ? 'once' : `${all.length} times`})`
}

/** The answer of an exchange as a client would see it. @param goneFrom  called where the client goes away before it has all of it. */
function responseOf(exchange: Taped, signal: AbortSignal | null, goneFrom: () => void): Response {
  const { status, headers, end } = exchange
  if (status === null) throw broken('fetch failed', exchange)
  const pieces = exchange.body.map(bytesOf).filter(({ length }) => length > 0)
  let at = 0
  let isOver = false
  const leave = (): void => {
    if (!isOver && at < pieces.length) goneFrom()
    isOver = true
  }
  // A piece is given when it is asked for, not before: so it is known how much of it the client had.
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start: (controller) => {
        const abort = (): void => {
          if (isOver) return
          leave()
          controller.error(signal?.reason)
        }
        signal?.addEventListener('abort', abort, { once: true })
      },
      pull: (controller) => {
        const piece = pieces[at++]
        if (piece !== undefined) return controller.enqueue(piece)
        isOver = true
        if (end === 'cut') controller.error(broken('terminated', exchange))
        else controller.close()
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  )
  return new Response([204, 205, 304].includes(status) ? null : body, { status, headers })
}

/** What `fetch` of Node says where a connection breaks; the reason is its cause. */
function broken(message: string, { error }: Taped): TypeError {
  const cause = new Error(error?.message ?? 'the connection broke')
  return new TypeError(message, { cause: error?.code == null ? cause : Object.assign(cause, { code: error.code }) })
}
