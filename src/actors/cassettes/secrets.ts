/**
 * What must not be on a tape, found and taken out: values that are known to be secret, and whatever looks like a key.
 *
 *   known    given by the program: keys of providers. Also as JSON, a URL or base64 would write them. From 6 characters on: a shorter one is in every text
 *   shaped   `sk-...`, `ghp_...`, `AKIA...`, `Bearer ...`, a JWT, a private key in PEM
 *   named    the value of a field or of a query parameter such as `api_key`
 *
 * A body that streams is searched as a whole: where a secret begins in one piece and ends in the next, it goes from both. What a model spells over several
 * events of a stream is not found: no piece of it is a secret.
 */
import type { Json } from '../../json.ts'

/** What stands where a secret was. */
export const SCRUBBED = '[scrubbed]'

const KNOWN_CHARS_MIN = 6

/** Quantifiers are bounded, so no text takes more than linear time. */
const SHAPES: readonly RegExp[] = [
  /\bsk-(?=[\w-]{0,200}\d)[\w-]{16,200}/g,
  /\b(?:gh[pousr]_|github_pat_|glpat-|hf_|gsk_|r8_|xai-|pplx-)\w{20,255}/g,
  /\bxox[abeprs]-[\w-]{10,255}/g,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\bAIza[\w-]{30,100}/g,
  /(?<=\bbearer\s{1,4})[\w.~+/-]{16,2000}=*/gi,
  /\beyJ[\w-]{8,2000}\.eyJ[\w-]{8,4000}\.[\w-]{8,2000}/g,
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{1,10000}?-----END [A-Z ]{0,30}PRIVATE KEY-----/g,
]

const FIELD =
  /^(?:x-)?(?:api[-_]?key|(?:proxy-)?authorization|auth[-_]?token|access[-_]?token|refresh[-_]?token|client[-_]?secret|secret|password|(?:set-)?cookie)$/i
const PARAMETER = /^(?:key|token|sig|signature|code|x-amz-.*)$/i

/** Takes secrets out, and counts them. */
export interface Scrubber {
  /** How many were taken out so far. */
  readonly found: () => number
  text(text: string): string
  /** `/v1/x?key=...`: a path with its query. */
  path(path: string): string
  json(value: Json): Json
  /** The pieces of one body; each stays where it is, without what was a secret in it. */
  chunks(chunks: readonly Uint8Array[]): readonly Uint8Array[]
}

type Span = readonly [start: number, end: number]

/** @param known  values that are secret. */
export function scrubber(known: readonly string[] = []): Scrubber {
  const needles = known.filter((secret) => secret.length >= KNOWN_CHARS_MIN).flatMap(spellings)
  const bytewise = needles.map((needle) => Buffer.from(needle, 'utf8').toString('latin1'))
  let found = 0
  const hide = (value: string): string => {
    if (value === '' || value === SCRUBBED) return value
    found++
    return SCRUBBED
  }
  const text = (value: string): string => {
    const spans = spansIn(value, needles)
    found += spans.length
    return without(value, 0, spans)
  }
  const json = (value: Json, name = ''): Json => {
    if (typeof value === 'string') return FIELD.test(name) ? hide(value) : text(value)
    if (Array.isArray(value)) return value.map((member: Json) => json(member, name))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [text(key), json(member ?? null, key)]))
  }
  return {
    found: () => found,
    text,
    json: (value) => json(value),
    path: (path) => {
      const [before = '', query] = path.split(/\?(.*)/s)
      if (query === undefined) return text(before)
      const parameters = query.split('&').map((parameter) => {
        const [name = '', value] = parameter.split(/=(.*)/s)
        const isSecret = value !== undefined && (FIELD.test(name) || PARAMETER.test(name))
        return isSecret ? `${name}=${hide(value)}` : text(parameter)
      })
      return `${text(before)}?${parameters.join('&')}`
    },
    chunks: (chunks) => {
      const whole = Buffer.concat(chunks).toString('latin1')
      const spans = spansIn(whole, bytewise)
      found += spans.length
      if (spans.length === 0) return chunks
      let at = 0
      return chunks.map(({ length }) => {
        const piece = without(whole.slice(at, at + length), at, spans)
        at += length
        return Buffer.from(piece, 'latin1')
      })
    },
  }
}

/** As it is, and as others would write it into a text. */
function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret, 'utf8')
  return [...new Set([secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), bytes.toString('base64')])]
}

/** Where the secrets of a text are: in order, and none touches another. */
function spansIn(text: string, needles: readonly string[]): readonly Span[] {
  const spans: Span[] = []
  for (const needle of needles) {
    for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at + needle.length)) spans.push([at, at + needle.length])
  }
  for (const shape of SHAPES) for (const match of text.matchAll(shape)) spans.push([match.index, match.index + match[0].length])
  const merged: [number, number][] = []
  for (const [start, end] of spans.sort(([a], [b]) => a - b)) {
    const last = merged.at(-1)
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end)
    else merged.push([start, end])
  }
  return merged
}

/** A piece of a text that begins `offset` characters into it, without these spans of the text. The mark stands where a span begins. */
function without(piece: string, offset: number, spans: readonly Span[]): string {
  let rest = ''
  let at = 0
  for (const [start, end] of spans) {
    const [from, to] = [start - offset, end - offset]
    if (to <= at || from >= piece.length) continue
    rest += piece.slice(at, Math.max(at, from)) + (from >= 0 ? SCRUBBED : '')
    at = Math.min(piece.length, to)
  }
  return rest + piece.slice(at)
}
