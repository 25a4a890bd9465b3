/**
 * What a scripted server says to one request, in words that all three wire formats share: an answer, and what goes wrong with it.
 *
 *   script:  [ exchange, exchange, ... ]   one for each generating request, in the order of arrival
 *            or (request, nth) => exchange
 *
 *   fault      on the wire
 *   status     an error status with the dialect's own body; `retryAfter` is the header as it is, seconds or a date
 *   hang       nothing more is ever sent; `after: 0`: not even headers
 *   cut        the body ends properly, but the answer is not complete
 *   reset      the connection is torn down
 *   garbage    a line that is no JSON, in the middle of a sound answer
 *   huge       one line of many bytes, in the middle of a sound answer
 *   tool_json  the arguments of tool calls are broken JSON
 *   error      an error event after status 200
 *   html       a page of a proxy, status 200
 *   redirect   to somebody else
 *   empty      status 200 and no byte
 *   schema     sound JSON of another shape
 *   twice      what ends the answer is sent twice
 *   drip       the bytes come slowly, in slices that respect no line and no character
 */
import type { Seen } from './server.ts'

/** JSON as it travels. */
export type Data = { readonly [key: string]: unknown }

interface WireCall {
  readonly id?: string
  readonly name: string
  readonly args: Data
}

/** Tokens. `input` is the whole prompt, cached tokens included; `output` the whole answer, reasoning included. Left out: a fourth of the characters. */
export interface WireUsage {
  readonly input?: number
  readonly output?: number
  readonly cacheRead?: number
  readonly cacheWrite?: number
  readonly reasoning?: number
}

export type Fault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly retryAfter?: string
      readonly retryAfterMs?: number
      /** Instead of the dialect's own words. */
      readonly message?: string
    }
  | { readonly kind: 'hang' | 'garbage' | 'error'; readonly after?: number }
  | { readonly kind: 'cut' | 'reset'; readonly after?: number; readonly afterBytes?: number }
  | { readonly kind: 'huge'; readonly bytes: number; readonly after?: number }
  | { readonly kind: 'redirect'; readonly status: number; readonly to: string }
  | { readonly kind: 'drip'; readonly everyMs: number; readonly bytes: number }
  | { readonly kind: 'tool_json' | 'html' | 'empty' | 'schema' | 'twice' }

/** One answer. `after` of a fault counts pieces of the body, below 0 from its end; left out: half of them. `afterBytes` cuts anywhere. */
export interface Exchange {
  /** In pieces, as it streams. */
  readonly text?: string | readonly string[]
  readonly toolCalls?: readonly WireCall[]
  readonly thinking?: string
  readonly usage?: WireUsage
  readonly finish?: 'stop' | 'tool_calls' | 'length' | 'refusal'
  /** Before the headers, milliseconds of real time. */
  readonly delayMs?: number
  /** More headers of the answer, e.g. `anthropic-ratelimit-requests-remaining`. */
  readonly headers?: { readonly [name: string]: string }
  readonly fault?: Fault
}

export type Script = readonly Exchange[] | ((request: Seen, nth: number) => Exchange | Promise<Exchange>)

/** Gives each generating request its exchange, and its number from 1. A list that is used up is a mistake of the test. */
export function exchanges(script: Script): (request: Seen) => Promise<{ readonly nth: number; readonly exchange: Exchange }> {
  let count = 0
  return async (request) => {
    const nth = ++count
    const exchange = typeof script === 'function' ? await script(request, nth) : script[nth - 1]
    if (exchange === undefined) throw new Error(`the script has ${script.length} exchanges and is asked for number ${nth}`)
    return { nth, exchange }
  }
}

/** The text in pieces. */
export const piecesOf = ({ text }: Exchange): readonly string[] => (text === undefined ? [] : typeof text === 'string' ? [text] : text)

/** Its tokens, counted where the exchange counts none. */
export function usageOf(exchange: Exchange, request: unknown): Required<WireUsage> {
  const said = `${piecesOf(exchange).join('')}${exchange.thinking ?? ''}${JSON.stringify(exchange.toolCalls ?? '')}`
  const { input, output, cacheRead = 0, cacheWrite = 0, reasoning = 0 } = exchange.usage ?? {}
  return {
    input: input ?? Math.ceil((JSON.stringify(request)?.length ?? 0) / 4),
    output: output ?? Math.ceil(said.length / 4),
    cacheRead,
    cacheWrite,
    reasoning,
  }
}

/** Is it data with names? */
export const isData = (value: unknown): value is Data => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The list that is there, or none. */
export const listOf = (value: unknown): readonly Data[] => (Array.isArray(value) ? value.filter(isData) : [])
