/**
 * A `fetch` over a plain socket, for servers that may be silent for minutes.
 *
 *   Node's own fetch    cuts an answer whose headers take longer than 5 minutes, and a body that pauses for as long. A model that is being loaded sends no
 *                       headers until it is there (P19). Its limits belong to a dispatcher of undici, which is no dependency of ours, and to set the global
 *                       one would change every other fetch of the program.
 *   this one            has no time of its own: deadlines are the engine's, through the signal, and an abort closes the socket at once.
 *
 * It follows no redirect, whatever `init.redirect` says: the answer is an error, so that no prompt is sent to an address that an answer names. Each request has
 * a connection of its own: one that was kept open and is closed by the server in the same moment would look like a failure.
 */
import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { Readable } from 'node:stream'

/** Statuses of which an answer has no body. */
const BODILESS: readonly number[] = [204, 205, 304]

/** Bodies are text; `init.signal` is obeyed to the end of the answer. */
export const socketFetch: typeof globalThis.fetch = (input, init = {}) => {
  const { signal, method = 'GET', body } = init
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  if (signal?.aborted) return Promise.reject(signal.reason)
  const url = new URL(input instanceof Request ? input.url : input)
  const headers = Object.fromEntries(new Headers(init.headers))
  const ask = url.protocol === 'https:' ? overHttps : overHttp
  const request = ask(url, { method, headers, agent: false }, (answer) => {
    const { statusCode = 0 } = answer
    if (statusCode >= 300 && statusCode < 400 && statusCode !== 304) {
      request.destroy()
      reject(new TypeError('unexpected redirect'))
    } else resolve(responseOf(answer, statusCode))
  })
  const abort = (): void => void request.destroy(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  request.on('close', () => signal?.removeEventListener('abort', abort))
  request.on('error', reject)
  request.end(typeof body === 'string' ? body : undefined)
  return promise
}

function responseOf(answer: IncomingMessage, status: number): Response {
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) if (value !== undefined) headers.set(name, String(value))
  const body = BODILESS.includes(status) ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>)
  return new Response(body, { status, statusText: answer.statusMessage ?? '', headers })
}
