/**
 * Tapes as files that are kept: what is on them, whether it is sound, and without what must not be there.
 *
 *   inspect   torn ends, lines that are no exchanges, wrong sums and keys, secrets, and drift: requests whose key is another one by today's rules
 *   scrub     everything again by today's rules, in one step: the file is the old one or the new one
 */
import { chmod, open, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { JsonObject } from '../../json.ts'
import { onDisk } from '../disk.ts'
import { bytesOf, lineOf, pieceOf } from './exchange.ts'
import { keyOf, NORMALISER, normal, type TapedRequest } from './normal.ts'
import { type Scrubber, scrubber } from './secrets.ts'
import { invalid, type Problem, readTape, type Taped } from './tape.ts'

/** A request whose key has changed since. Replay still finds it: it computes keys anew. */
interface Drift {
  readonly exchange: number
  readonly at: string
  readonly tape: string
  readonly now: string
}

export interface TapeReport {
  readonly file: string
  /** Nothing is wrong, no secret is on it, and all its requests match today's. */
  readonly ok: boolean
  readonly bytes: number
  readonly exchanges: number
  /** Who was asked: `ollama qwen3:14b`. */
  readonly models: readonly string[]
  /** When its newest exchange began, ISO 8601; null: there is none. */
  readonly recordedAt: string | null
  readonly secrets: number
  readonly drift: readonly Drift[]
  readonly problems: readonly Problem[]
}

/** Looks at a tape; changes nothing. @throws {UserError} `E_CASSETTE_INVALID` where the file cannot be read. */
export async function inspectTape(file: string, secrets: readonly string[] = []): Promise<TapeReport> {
  const { bytes, exchanges, problems, torn } = await readTape(file)
  const scrub = scrubber(secrets)
  for (const exchange of exchanges) scrubbed(exchange, scrub)
  const drift = exchanges.flatMap(driftOf)
  const found: Problem[] = [
    ...problems,
    ...exchanges.flatMap(problemOf),
    ...(torn === null ? [] : [{ line: torn.line, cause: `is torn after ${torn.bytes} bytes: a recording ended in the middle of it` }]),
  ].sort((a, b) => a.line - b.line)
  return {
    file,
    ok: found.length === 0 && scrub.found() === 0 && drift.length === 0,
    bytes,
    exchanges: exchanges.length,
    models: [...new Set(exchanges.map(({ request }) => modelOf(request)).filter((model) => model !== null))].sort(),
    recordedAt:
      exchanges
        .map(({ at }) => at)
        .sort()
        .at(-1) ?? null,
    secrets: scrub.found(),
    drift,
    problems: found,
  }
}

export interface Scrubbed {
  readonly file: string
  readonly exchanges: number
  /** Taken out. */
  readonly secrets: number
  /** Numbers of the exchanges whose sum did not fit and does now: somebody has changed them. */
  readonly resealed: readonly number[]
  /** The torn line that was cut off; null: there was none. */
  readonly torn: number | null
}

/**
 * Writes a tape anew without secrets, with the keys and sums of today. A line that somebody has changed by hand is sealed again.
 * @param to  where to; the tape itself by default. Replaced where it exists.
 * @throws {UserError} `E_CASSETTE_INVALID` where a line is no exchange; nothing is changed then.
 */
export async function scrubTape(file: string, to: string = file, secrets: readonly string[] = []): Promise<Scrubbed> {
  const { exchanges, problems, torn } = await readTape(file)
  const [problem] = problems
  if (problem !== undefined) throw invalid(file, problem.line, problem.cause)
  const scrub = scrubber(secrets)
  const text = exchanges.map((exchange) => `${lineOf(scrubbed(exchange, scrub))}\n`).join('')
  await replaceFile(resolve(to), text, (await stat(file)).mode)
  const resealed = exchanges.filter(({ isSealed }) => !isSealed).map(({ exchange }) => exchange)
  return { file: to, exchanges: exchanges.length, secrets: scrub.found(), resealed, torn: torn?.line ?? null }
}

function scrubbed(exchange: Taped, scrub: Scrubber): Taped {
  const { request, headers, body, error } = exchange
  const textOf = (texts: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, scrub.text(value)]))
  return {
    ...exchange,
    request: requestWithout(request, textOf(request.headers), scrub),
    headers: textOf(headers),
    body: scrub.chunks(body.map(bytesOf)).map(pieceOf),
    error: error === null ? null : { ...error, message: scrub.text(error.message) },
  }
}

function requestWithout(
  { method, path, json, text, base64 }: TapedRequest,
  headers: Record<string, string>,
  scrub: Scrubber,
): TapedRequest {
  return {
    method,
    path: scrub.path(path),
    headers,
    ...(json === undefined ? {} : { json: scrub.json(json) }),
    ...(text === undefined ? {} : { text: scrub.text(text) }),
    ...(base64 === undefined ? {} : { base64 }),
  }
}

function problemOf({ exchange, isSealed, key, normaliser, request }: Taped): readonly Problem[] {
  if (!isSealed) return [{ line: exchange, cause: 'its sum does not fit: it was changed or is damaged' }]
  if (normaliser > NORMALISER) return [{ line: exchange, cause: `was made by rules ${normaliser}, this release knows ${NORMALISER}` }]
  const isWrong = normaliser === NORMALISER && key !== keyOf(normal(request))
  return isWrong ? [{ line: exchange, cause: 'its key is not that of its request' }] : []
}

function driftOf({ exchange, key, normaliser, request }: Taped): readonly Drift[] {
  const now = keyOf(normal(request))
  return normaliser >= NORMALISER || key === now ? [] : [{ exchange, at: 'key', tape: key, now }]
}

const PROVIDERS: readonly (readonly [RegExp, string])[] = [
  [/\/api\/\w+/, 'ollama'],
  [/\/v1\/messages/, 'anthropic'],
  [/\/chat\/completions|\/responses|\/embeddings/, 'openai-compatible'],
]

/** Who was asked, as far as a request tells. */
function modelOf({ path, json }: TapedRequest): string | null {
  const model = (json as JsonObject | null | undefined)?.['model']
  if (typeof model !== 'string') return null
  return [PROVIDERS.find(([pattern]) => pattern.test(path))?.[1], model].filter(Boolean).join(' ')
}

async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  await onDisk(async () => {
    try {
      const handle = await open(temporary, 'w')
      await handle.writeFile(text)
      await handle.sync()
      await handle.close()
      await chmod(temporary, mode)
      await rename(temporary, path)
    } finally {
      await rm(temporary, { force: true })
    }
  })
}
