/**
 * A real HTTP server on a port of the loopback, with a log of all that it was asked. The wire formats are in ollama.ts, anthropic.ts and openai.ts.
 *
 *   listen(answer) -> { url, log, close() }        log[0] = { method, path, headers, body, atMs, ended }
 *
 * `ended` says who ended the exchange: the server, by a whole answer or on purpose; or the client, by closing its connection before.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it came. */
export interface Seen {
  /** Of all requests to this server, from 1. */
  readonly number: number
  readonly method: string
  /** Without its query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Parsed JSON, or the text where it is none; undefined without a body. */
  readonly body: unknown
  /** `performance.now()` when it was complete. */
  readonly atMs: number
  /** Aborted when the client has closed its connection before the answer was complete. */
  readonly gone: AbortSignal
  /** Null as long as it goes on. */
  ended: 'server' | 'client' | null
}

export interface WireServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  readonly log: readonly Seen[]
  /** Ends all connections. Rejects with what went wrong inside the server, so that a mistake of a script fails its test. */
  readonly close: () => Promise<void>
}

/** Starts a server. What `answer` throws is answered by 500 and kept for `close`. */
export async function listen(answer: (request: Seen, response: ServerResponse) => Promise<void>): Promise<WireServer> {
  const log: Seen[] = []
  const mistakes: unknown[] = []
  const server = createServer((request, response) => {
    serve(request, response).catch((mistake: unknown) => {
      mistakes.push(mistake)
      if (!response.headersSent) response.writeHead(500)
      response.end(String(mistake))
    })
  })
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = await read(request, response, log.length + 1)
    if (seen === null) return
    log.push(seen)
    await answer(seen, response)
  }
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    log,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      if (mistakes.length > 0) throw mistakes[0]
    },
  }
}

/** A port on which nobody listens: what connects is refused. */
export async function closedPort(): Promise<number> {
  const server = await listen(async () => undefined)
  await server.close()
  return server.port
}

/** Null where the client went away while it spoke. */
async function read(request: IncomingMessage, response: ServerResponse, number: number): Promise<Seen | null> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk)
  } catch {
    return null
  }
  const gone = new AbortController()
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const seen: Seen = {
    number,
    method: request.method ?? '',
    path: pathname,
    query: searchParams,
    headers: request.headers,
    body: parsed(Buffer.concat(chunks).toString('utf8')),
    atMs: performance.now(),
    gone: gone.signal,
    ended: null,
  }
  response.on('finish', () => {
    seen.ended ??= 'server'
  })
  response.on('close', () => {
    seen.ended ??= 'client'
    if (seen.ended === 'client') gone.abort()
  })
  return seen
}

function parsed(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
