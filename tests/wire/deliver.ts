/**
 * Sends an answer over the wire, whole or with a fault. A dialect says what the bytes are, this says which of them arrive.
 *
 *   pieces   [ p1 | p2 | p3 | p4 | end ]        one line or event each
 *   half      p1   p2  ^ here hang, cut, reset, garbage, huge, error
 *   twice     p1   p2   p3   p4   end  end
 */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextRound, setTimeout as pause } from 'node:timers/promises'
import type { Fault } from './exchange.ts'
import type { Seen } from './server.ts'

/** One answer in the bytes of a dialect. */
export interface Spoken {
  readonly contentType: string
  readonly headers: { readonly [name: string]: string }
  /** As they are written, one after the other. */
  readonly pieces: readonly string[]
  /** How many of the last pieces say that the answer is complete. */
  readonly closing: number
  /** A line that is no JSON. */
  readonly garbage: string
  /** A sound line of at least so many bytes. */
  readonly huge: (bytes: number) => string
  /** An error after the headers. */
  readonly error: string
  /** A body of another shape. */
  readonly schema: readonly string[]
}

/** Body of an error status in a dialect. */
export type ErrorBody = (status: number, message?: string) => unknown

/** What was sent has surely been read after this. */
const RESET_MS = 50
const PAGE = '<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in to the network.</body></html>\n'

/** A JSON answer. */
export function sendJson(response: ServerResponse, body: unknown, status = 200, headers: { readonly [name: string]: string } = {}): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text), ...headers })
  response.end(text)
}

/** Faults that need no answer to spoil. False: it is none of these. */
export function refuse(response: ServerResponse, fault: Fault, body: ErrorBody, headers: { readonly [name: string]: string }): boolean {
  switch (fault.kind) {
    case 'status': {
      const { status, retryAfter, retryAfterMs, message } = fault
      const wait = {
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
        ...(retryAfterMs === undefined ? {} : { 'retry-after-ms': `${retryAfterMs}` }),
      }
      sendJson(response, body(status, message), status, { ...headers, ...wait })
      return true
    }
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE)
      return true
    case 'redirect':
      response.writeHead(fault.status, { location: fault.to }).end()
      return true
    case 'hang':
      return fault.after === 0
    default:
      return false
  }
}

/** Sends the answer as the fault has it. Resolves when nothing more is sent; a connection that hangs stays open. */
export async function deliver(seen: Seen, response: ServerResponse, spoken: Spoken, fault: Fault | undefined): Promise<void> {
  response.writeHead(200, { 'content-type': spoken.contentType, ...spoken.headers })
  response.flushHeaders()
  const { before, middle, after, end } = planOf(spoken, fault)
  if (fault?.kind === 'drip') return drip(seen, response, spoken.pieces.join(''), fault)
  for (const piece of before) await write(response, piece)
  if (middle !== '') await write(response, middle)
  for (const piece of after) await write(response, piece)
  if (end === 'end') response.end()
  if (end === 'reset') {
    // A reset throws away what the other side has not read yet.
    await pause(RESET_MS)
    seen.ended = 'server'
    response.socket?.resetAndDestroy()
  }
}

interface Plan {
  readonly before: readonly (string | Uint8Array)[]
  readonly middle: string
  readonly after: readonly string[]
  readonly end: 'end' | 'reset' | 'never'
}

function planOf(spoken: Spoken, fault: Fault | undefined): Plan {
  const { pieces } = spoken
  const whole: Plan = { before: pieces, middle: '', after: [], end: 'end' }
  if (fault === undefined) return whole
  const at = 'after' in fault && fault.after !== undefined ? fault.after : Math.ceil(pieces.length / 2)
  const half: Plan = { ...whole, before: firstOf(pieces, at, fault) }
  const rest = pieces.slice(half.before.length)
  switch (fault.kind) {
    case 'hang':
      return { ...half, end: 'never' }
    case 'cut':
      return half
    case 'reset':
      return { ...half, end: 'reset' }
    case 'error':
      return { ...half, middle: spoken.error }
    case 'garbage':
      return { ...half, middle: spoken.garbage, after: rest }
    case 'huge':
      return { ...half, middle: spoken.huge(fault.bytes), after: rest }
    case 'twice':
      return { ...whole, after: pieces.slice(pieces.length - spoken.closing) }
    case 'empty':
      return { ...whole, before: [] }
    case 'schema':
      return { ...whole, before: spoken.schema }
    default:
      return whole
  }
}

function firstOf(pieces: readonly string[], at: number, fault: Fault): readonly (string | Uint8Array)[] {
  if (!('afterBytes' in fault) || fault.afterBytes === undefined) return pieces.slice(0, at)
  return [Buffer.from(pieces.join('')).subarray(0, fault.afterBytes)]
}

/** Each piece in a round of its own, and never faster than the client reads. */
async function write(response: ServerResponse, piece: string | Uint8Array): Promise<void> {
  if (response.destroyed) return
  if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
  await nextRound()
}

const once = (response: ServerResponse, event: string): Promise<void> => new Promise((resolve) => response.once(event, () => resolve()))

async function drip(
  seen: Seen,
  response: ServerResponse,
  text: string,
  { everyMs, bytes }: { everyMs: number; bytes: number },
): Promise<void> {
  const whole = Buffer.from(text)
  for (let at = 0; at < whole.length && !response.destroyed; at += bytes) {
    response.write(whole.subarray(at, at + bytes))
    await pause(everyMs, undefined, { signal: seen.gone }).catch(() => undefined)
  }
  response.end()
}

/** Waits before the headers; false when the client has gone meanwhile. */
export async function waited(seen: Seen, delayMs = 0): Promise<boolean> {
  if (delayMs > 0) await pause(delayMs, undefined, { signal: seen.gone }).catch(() => undefined)
  return !seen.gone.aborted
}
