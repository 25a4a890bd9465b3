/**
 * Cassettes and the response cache: what `cassette` and `cache` say.
 *
 *   tapes/csv.jsonl  ok  42 exchanges, ollama qwen3:14b, 0 secrets, 42 of 42 match today's requests
 *   1,204 entries, 18.2 MB, 71% hits in 7d
 *   1,203 ok, 1 invalid (4be1f20: sha256 differs)   remove: troupe cache purge --invalid
 */
import type { Json, JsonObject } from '../json.ts'
import { bytes, plural, printable, shortHash } from './format.ts'
import type { Look } from './look.ts'
import { tableLines } from './table.ts'

/** A tape, as `cassette` shows it. */
export interface TapeFacts {
  readonly file: string
  readonly ok: boolean
  readonly bytes: number
  readonly exchanges: number
  readonly models: readonly string[]
  readonly recordedAt: string | null
  readonly secrets: number
  readonly drift: readonly { readonly exchange: number; readonly at: string; readonly tape: string; readonly now: string }[]
  /** Line 0: the file as a whole. */
  readonly problems: readonly { readonly line: number; readonly cause: string }[]
}

const FOUND_SHOWN = 20

/** The line of `cassette verify`. */
export function tapeLine({ file, ok, exchanges, models, secrets, drift }: TapeFacts): string {
  const parts = [
    plural(exchanges, 'exchange'),
    ...(models.length === 0 ? [] : [models.map(printable).join(', ')]),
    plural(secrets, 'secret'),
    `${exchanges - drift.length} of ${exchanges} match today's requests`,
  ]
  return `${file}  ${ok ? 'ok' : 'invalid'}  ${parts.join(', ')}`
}

/** What is wrong with a tape, one line each, and what mends it. */
export function tapeFindings({ file, secrets, drift, problems }: TapeFacts): readonly string[] {
  const found = [
    ...problems.map(({ line, cause }) => `error[E_CASSETTE_INVALID] ${line === 0 ? file : `${file}:${line}`}  ${printable(cause)}`),
    ...drift.map(
      ({ exchange, at, tape, now }) =>
        `warning ${file}:${exchange}  its ${at} was ${shortHash(tape)} by the rules of its release, and is ${shortHash(now)} by today's`,
    ),
  ]
  const more = found.length - FOUND_SHOWN
  return [
    ...found.slice(0, FOUND_SHOWN),
    ...(more > 0 ? [`and ${more} more; all of them: --json`] : []),
    ...(secrets > 0 ? [`error[E_CASSETTE_INVALID] ${file}  holds ${plural(secrets, 'secret')}`] : []),
    ...(found.length > 0 || secrets > 0 ? [`  fix: troupe cassette scrub ${file}, or record it again`] : []),
  ]
}

/** The table of `cassette ls`. */
export function tapeTable(tapes: readonly TapeFacts[], look: Look, tabs: boolean): readonly string[] {
  const columns = [
    { title: 'FILE', cut: 'middle' as const },
    { title: 'EXCHANGES', align: 'right' as const },
    { title: 'SIZE', align: 'right' as const },
    { title: 'RECORDED' },
    { title: 'MODELS', cut: 'end' as const },
    { title: 'STATE' },
  ]
  const rows = tapes.map((tape) => [
    { text: tape.file },
    { text: String(tape.exchanges) },
    { text: bytes(tape.bytes) },
    { text: tape.recordedAt?.slice(0, 10) ?? '-' },
    { text: tape.models.map(printable).join(', ') || '-' },
    { text: tape.ok ? 'ok' : 'invalid', tone: tape.ok ? ('good' as const) : ('bad' as const) },
  ])
  return tableLines(columns, rows, look, tabs)
}

/** `troupe.cassettes/1`. */
export function tapesObject(tapes: readonly TapeFacts[], more: JsonObject = {}): JsonObject {
  return { schema: 'troupe.cassettes/1', type: 'result', items: tapes as unknown as Json, truncated: false, ...more }
}

/** A tape that was scrubbed. */
export interface ScrubFacts {
  readonly file: string
  readonly exchanges: number
  readonly secrets: number
  readonly resealed: readonly number[]
  readonly torn: number | null
}

/** The line of `cassette scrub`. */
export function scrubLine({ file, exchanges, secrets, resealed, torn }: ScrubFacts): string {
  const parts = [
    `${plural(secrets, 'secret')} taken out of ${plural(exchanges, 'exchange')}`,
    ...(resealed.length === 0 ? [] : [`sealed again, changed by hand: ${resealed.join(', ')}`]),
    ...(torn === null ? [] : [`the torn line ${torn} is cut off`]),
  ]
  return `${file}  ${parts.join('; ')}`
}

/** The response cache, as `cache` shows it. Hits, misses and `skipped` are of the last seven days. */
export interface CacheFacts {
  readonly entries: number
  readonly bytes: number
  readonly hits: number
  readonly misses: number
  /** Entries that are invalid now; null where nobody has looked. */
  readonly invalid: readonly { readonly key: string; readonly cause: string }[] | null
  /** Entries that were found invalid when they were asked for. */
  readonly skipped: number
  readonly removed: number
}

const whole = (n: number): string => n.toLocaleString('en-US')

/** The line of `cache stats`. */
export function cacheLine({ entries, bytes: size, hits, misses, skipped }: CacheFacts): string {
  const asked = hits + misses
  const rate = asked === 0 ? 'nothing asked in 7d' : `${Math.round((100 * hits) / asked)}% hits in 7d`
  const parts = [`${whole(entries)} ${entries === 1 ? 'entry' : 'entries'}`, bytes(size), rate]
  return [...parts, ...(skipped === 0 ? [] : [`${whole(skipped)} skipped as invalid in 7d`])].join(', ')
}

/** The line of `cache validate`. */
export function validLine({ entries, invalid }: CacheFacts): string {
  const bad = invalid ?? []
  if (bad.length === 0) return `${whole(entries)} ok, 0 invalid`
  const [first] = bad
  const shown = `${shortHash(first?.key ?? '')}: ${first?.cause}${bad.length > 1 ? `, and ${whole(bad.length - 1)} more` : ''}`
  return `${whole(entries - bad.length)} ok, ${whole(bad.length)} invalid (${shown})   remove: troupe cache purge --invalid`
}

/** The line of `cache purge`. */
export const purgedLine = ({ removed, entries, bytes: size }: CacheFacts): string =>
  `removed ${whole(removed)} ${removed === 1 ? 'entry' : 'entries'}, ${whole(entries)} left (${bytes(size)})`

/** `troupe.cache/1`. */
export function cacheObject({ entries, bytes: size, hits, misses, invalid, skipped, removed }: CacheFacts): JsonObject {
  const items = (invalid ?? []).map((one) => ({ ...one }))
  return {
    schema: 'troupe.cache/1',
    type: 'result',
    entries,
    bytes: size,
    hits,
    misses,
    invalid: invalid === null ? skipped : invalid.length,
    removed,
    items,
  }
}
