/**
 * What stays of a text when only the fact counts that it came up again: a hash of it, and a sketch for texts that are nearly the same. Pure, also in a browser.
 *
 *   normalised   without what differs between two runs of the same thing: times, addresses, folders of checkouts, case, white space
 *   hash         SHA-256 (FIPS 180-4) of UTF-8, in hexadecimal
 *   sketch       the smallest 64 hashes of its runs of three words, 8 hexadecimal digits each. Of up to 64 runs it is all of them, and the comparison exact
 *   names        hash of what tells one failure from another: lines about failures, and words that are names, paths or numbers
 */
import { NESTING_MAX } from '../limits.ts'

const WORD_COUNT = 3

const SKETCH_SIZE = 64
const SKETCH_DIGITS = 8

/** Round constants: the first 32 bits of the fractional parts of the cube roots of the first 64 primes, and (initially) of the square roots of the first 8. */
const PRIMES = primes(64)
const ROUND = Uint32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)))
const INITIAL = Uint32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))

function primes(count: number): readonly number[] {
  const found: number[] = []
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate)
  }
  return found
}

function fraction(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) >>> 0
}

/** SHA-256 of a text as 64 hexadecimal digits. What is no valid UTF-16 counts as U+FFFD, as everywhere. */
export function sha256(text: string): string {
  const message = padded(new TextEncoder().encode(text))
  const state = Uint32Array.from(INITIAL)
  const schedule = new Uint32Array(64)
  for (let offset = 0; offset < message.byteLength; offset += 64) {
    for (let i = 0; i < 16; i++) schedule[i] = message.getUint32(offset + i * 4)
    compress(state, schedule)
  }
  return Array.from(state, hex).join('')
}

/** The bytes, a one bit, zeros, and the length in bits in the last 8 of a multiple of 64 bytes. */
function padded(bytes: Uint8Array): DataView {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29))
  view.setUint32(padded.length - 4, (bytes.length << 3) >>> 0)
  return view
}

/** One block. Sums wrap at 32 bits because they are stored into typed arrays or cut by `| 0`. */
function compress(state: Uint32Array, w: Uint32Array): void {
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!
    const y = w[i - 2]!
    w[i] = w[i - 16]! + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[i - 7]! + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
  for (let i = 0; i < 64; i++) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[i]! + w[i]!) | 0
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + one) | 0
    d = c
    c = b
    b = a
    a = (one + two) | 0
  }
  for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] = state[i]! + value
}

const turn = (word: number, by: number): number => (word >>> by) | (word << (32 - by))
const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')

/** A short hash, for what is kept in numbers: the first 16 digits. */
export const shortHash = (text: string): string => sha256(text).slice(0, 16)

/** Quantifiers are bounded, so no text takes more than linear time. */
const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/\/\S{0,300}?\/gate-[\w-]+/g, '<checkout>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<id>'],
  [/\b\d{4}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/\b\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?\b/g, '<time>'],
  [/\bduration_ms:?\s{1,9}\d{1,15}(?:\.\d{1,15})?/g, '<time>'],
  [/\b\d{1,15}(?:\.\d{1,15})?\s{0,9}(?:ms|s|sec|seconds|min|minutes)\b/g, '<time>'],
  [/\b(?:localhost|127\.0\.0\.1):\d{2,5}\b/g, '<port>'],
  [/\bpid[ =:]{1,3}\d{1,9}\b/g, '<pid>'],
  [/\b0x[0-9a-f]{6,16}\b/g, '<address>'],
]

/**
 * A text without what differs between two runs of the same thing: times and durations, process ids, ports and addresses, the folder of the gate's checkout,
 * case and white space (R1). Other numbers stay: three failed tests are not two.
 */
export function normalised(text: string): string {
  return VOLATILE.reduce((rest, [pattern, instead]) => rest.replaceAll(pattern, instead), text.toLowerCase())
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** A text as far as it is compared with one that is nearly the same: its words, whatever the punctuation. */
const wordsOf = (text: string): readonly string[] => normalised(text).match(/[\p{L}\p{N}_<>]+/gu) ?? []

/** The sketch of a text: see the head of this file. Empty where it has no words. */
export function sketchOf(text: string): string {
  const words = wordsOf(text)
  if (words.length === 0) return ''
  const hashes = new Set<number>()
  const last = Math.max(0, words.length - WORD_COUNT)
  for (let start = 0; start <= last; start++) hashes.add(quick(words.slice(start, start + WORD_COUNT).join(' ')))
  return [...hashes]
    .sort((a, b) => a - b)
    .slice(0, SKETCH_SIZE)
    .map(hex)
    .join('')
}

/** FNV-1a with a last mix, so that the smallest hashes are as good as drawn. */
function quick(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** How much two texts have in common by their sketches: 0 to 1 (Jaccard; estimated for texts of more than 64 runs of words). */
export function similarity(one: string, other: string): number {
  const [a, b] = [partsOf(one), partsOf(other)]
  const all = [...new Set([...a, ...b])].sort().slice(0, SKETCH_SIZE)
  if (all.length === 0) return 1
  return all.filter((part) => a.has(part) && b.has(part)).length / all.length
}

const partsOf = (sketch: string): ReadonlySet<string> => new Set(sketch.match(new RegExp(`.{${SKETCH_DIGITS}}`, 'g')))

const FAILURE = /fail|error|not ok|[✗✘✖×]|expected|assert/i

/**
 * Hash of what tells one failure from another, in whatever order: lines that speak of a failure, and words with a digit or a sign of a path or a name in them.
 * Two texts that differ in it are about different things, however alike their words. Line numbers do not count: they move with each edit.
 */
export function namesIn(text: string): string {
  const names = new Set<string>()
  for (const line of text.split('\n')) {
    const plain = normalised(line).replaceAll(/:\d{1,7}(?::\d{1,7})?\b/g, '')
    if (FAILURE.test(plain)) names.add(plain)
    for (const word of plain.split(' ')) if (/\d|\w[./_#-]\w/.test(word)) names.add(word.replaceAll(/^[^\w<]+|[^\w>]+$/g, ''))
  }
  return shortHash([...names].sort().join('\n'))
}

/** Lines that say something. */
export const linesIn = (text: string): number => text.split('\n').filter((line) => line.trim() !== '').length

/**
 * JSON with the names of each object in order: the same data gives the same text.
 * @throws {RangeError} where it is nested deeper than `NESTING_MAX`: how deep the stack of this process happens to be is no answer.
 */
export function canonical(value: unknown, depth = 0): string {
  if (depth > NESTING_MAX) throw new RangeError(`nested deeper than ${NESTING_MAX} levels`)
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field, depth + 1)}`)
    .join(',')}}`
}
