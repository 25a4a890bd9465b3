/**
 * One attempt at one answer, for every API that answers with a stream of events: the key, the socket, the end, and never a rejection.
 *
 *   key ── open ── event ── event ── event ── last event ── result
 *    |      |        |                           |             |
 *    |      |        +-- progress, alive         |             +-- strict: a broken tool call is no answer
 *    |      +-- started (headers)                +-- without it the stream was cut: no answer
 *    +-- none: E_CREDENTIALS_MISSING
 *
 * What the stream had said of its cost is part of a failure too. The key lives in the closure of one call.
 */
import { Failure } from '../../effect.ts'
import type { Finish, GenerateOptions, GenerateRequest, GenerateResult, GenerateUsage, Message } from '../provider.ts'
import { type Asked, type Refusal, refusalOf, unusable } from './failures.ts'
import { type Telling, telling } from './telling.ts'
import { type Seen, type Watch, watchedFetch } from './watched-fetch.ts'

/** Whom the calls go to. */
export interface Server {
  readonly name: string
  readonly baseUrl: string
  readonly apiKey: () => Promise<string | null>
  /** It answers without a key too. */
  readonly isKeyless: boolean
  readonly fetch: typeof globalThis.fetch | undefined
}

/** What a client is made with, for one call. */
export interface Seam {
  readonly key: string | null
  readonly fetch: typeof globalThis.fetch
  readonly signal: AbortSignal
}

/** What has been heard of an answer. */
export interface Answer<Event> {
  /** Takes an event in. Throws a {@link Failure} where no answer can come of it. */
  readonly hear: (event: Event) => void
  /** The cost as far as it was said; null: nothing was. */
  readonly usage: () => GenerateUsage | null
  /** The whole of it; null: it has not ended. Throws a {@link Failure} where it is not usable. */
  readonly result: () => Said | null
}

/** A whole answer. */
export interface Said {
  readonly message: Message
  readonly finish: Finish
  readonly usage: GenerateUsage
}

/** How one API is asked. */
export interface Asking<Event> {
  readonly answer: (told: Telling) => Answer<Event>
  readonly open: (seam: Seam) => Promise<AsyncIterable<Event>>
  /** Finds the last event of a stream. */
  readonly last: RegExp
}

/** Never rejects. */
export async function exchange<Event>(
  server: Server,
  request: GenerateRequest,
  options: GenerateOptions,
  asking: Asking<Event>,
): Promise<GenerateResult> {
  const { signal } = options
  if (request.model === undefined)
    return { ok: false, code: 'E_MODEL_UNKNOWN', message: `no model of ${server.name} is named`, retry: 'never' }
  const held = await keyOf(server)
  if (signal.aborted) return aborted()
  if (held.refusal !== null) return { ok: false, ...held.refusal }
  const { key } = held
  const { fetch, seen } = watchedFetch(server.fetch ?? globalThis.fetch, watchOf(options, asking.last))
  const told = telling(options)
  const answer = asking.answer(told)
  try {
    for await (const event of await asking.open({ key, fetch, signal })) answer.hear(event)
    if (signal.aborted) return { ...aborted(), ...costOf(answer) }
    return ended(server, answer, seen, told)
  } catch (thrown) {
    // A deadline ends an attempt by its signal: what was said until then is paid for.
    if (signal.aborted) return { ...aborted(), ...costOf(answer) }
    return { ok: false, ...refusalOf(causeOf(thrown, seen), askedOf(server, request, key)), ...costOf(answer) }
  }
}

/** A call beside the answers, such as a list of models. Rejects with a {@link Failure}. */
export async function asked<Result>(
  server: Server,
  signal: AbortSignal,
  ask: (seam: Seam) => Promise<Result>,
  model?: string,
): Promise<Result> {
  const held = await keyOf(server)
  if (held.refusal !== null) throw failure(held.refusal)
  const { key } = held
  const watch: Watch = { expects: 'application/json', last: NONE, started: () => {}, alive: () => {} }
  const { fetch, seen } = watchedFetch(server.fetch ?? globalThis.fetch, watch)
  try {
    return await ask({ key, fetch, signal })
  } catch (thrown) {
    if (signal.aborted) throw failure(aborted())
    throw failure(refusalOf(causeOf(thrown, seen), { server: labelOf(server), model: model ?? null, key, prompt: () => '' }))
  }
}

const NONE = /(?!)/

const failure = ({ code, message, retry, retryAfterMs, details }: Refusal): Failure =>
  new Failure(code, message, {
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(details === undefined ? {} : { details }),
  })

const watchOf = ({ started, alive }: GenerateOptions, last: RegExp): Watch => ({
  expects: 'text/event-stream',
  last,
  started: () => started?.(),
  alive: () => alive?.(),
})

type Held = { readonly key: string | null; readonly refusal: null } | { readonly refusal: Refusal }

/** The key, or why there is none. What a keychain says of itself is not repeated. */
async function keyOf(server: Server): Promise<Held> {
  const { name, apiKey, isKeyless } = server
  const key = await apiKey().then(
    (found) => found?.trim() ?? '',
    () => null,
  )
  if (key === null) return { refusal: { code: 'E_CREDENTIALS_MISSING', message: `the key of ${name} cannot be read`, retry: 'never' } }
  if (key === '') {
    return isKeyless
      ? { key: null, refusal: null }
      : { refusal: { code: 'E_CREDENTIALS_MISSING', message: `no key of ${name}`, retry: 'never' } }
  }
  if (/^[\x21-\x7e]+$/.test(key)) return { key, refusal: null }
  return {
    refusal: { code: 'E_CREDENTIALS_REJECTED', message: `the key of ${name} has characters that no header may hold`, retry: 'never' },
  }
}

/** The end of the stream: a whole answer, or one that was cut off without a word. */
function ended<Event>(server: Server, answer: Answer<Event>, seen: Seen, told: Telling): GenerateResult {
  const said = seen.isWhole ? answer.result() : null
  const firstTokenMs = told.firstTokenMs()
  if (said === null) {
    const where = firstTokenMs === null ? 'before its first word' : 'in the middle'
    return { ok: false, ...unusable(`${labelOf(server)} ended the stream ${where}`), ...costOf(answer) }
  }
  return { ok: true, ...said, ...requestIdOf(seen), ...(firstTokenMs === null ? {} : { firstTokenMs }) }
}

/** What was thrown below the client says more than what the client made of it. */
const causeOf = (thrown: unknown, seen: Seen): unknown => (thrown instanceof Failure ? thrown : (seen.thrown ?? thrown))

const askedOf = (server: Server, request: GenerateRequest, key: string | null): Asked => ({
  server: labelOf(server),
  model: request.model?.model ?? null,
  key,
  prompt: () => JSON.stringify([request.messages, request.tools]),
})

function costOf<Event>(answer: Answer<Event>): { readonly usage?: GenerateUsage } {
  const usage = answer.usage()
  return usage === null ? {} : { usage }
}

/** An id is text of the server: only a plain one is kept. */
function requestIdOf({ headers }: Seen): { readonly requestId?: string } {
  const id = headers?.get('request-id') ?? headers?.get('x-request-id') ?? ''
  return /^[\w.:-]{1,128}$/.test(id) ? { requestId: id } : {}
}

/** For people, without path and credentials: `anthropic at api.anthropic.com`. */
function labelOf({ name, baseUrl }: Server): string {
  return URL.canParse(baseUrl) ? `${name} at ${new URL(baseUrl).host}` : name
}

const aborted = (): Refusal & { readonly ok: false } => ({
  ok: false,
  code: 'E_ABORTED',
  message: 'nobody wants the answer any more',
  retry: 'never',
})
