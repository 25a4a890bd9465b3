/**
 * Where a request leaves the tape: the nearest exchange, and the first thing in which they differ, in words that a person can act on.
 *
 *   nearest: exchange 16, differs at messages[4].content: "6 tests" / "7 tests"          the tape's / today's
 */
import type { Json, JsonObject } from '../../json.ts'
import type { NormalRequest } from './normal.ts'

/** One place in which two requests differ. `tape` and `now` are short texts, JSON where they are data. */
interface Difference {
  /** `messages[4].content`. */
  readonly at: string
  readonly tape: string
  readonly now: string
}

export interface Nearest extends Difference {
  /** Its line on the tape, from 1. */
  readonly exchange: number
}

/** What another method or another path weighs, in leaves of a body. */
const ELSEWHERE = 1_000
const SHOWN_CHARS = 48
const BEFORE_CHARS = 16

interface Found extends Difference {
  /** Leaves that are not the same. */
  readonly weight: number
}

/** The exchange with the fewest differences, the earliest of several; null where the tape has none, or where nothing differs. */
export function nearestTo(now: NormalRequest, tape: Iterable<readonly [exchange: number, request: NormalRequest]>): Nearest | null {
  let best: { weight: number; nearest: Nearest } | null = null
  for (const [exchange, request] of tape) {
    const found = differences(request, now)
    const first = found[0]
    if (first === undefined) continue
    const weight = found.reduce((sum, one) => sum + one.weight, 0)
    if (best === null || weight < best.weight) best = { weight, nearest: { exchange, at: first.at, tape: first.tape, now: first.now } }
  }
  return best?.nearest ?? null
}

function differences(tape: NormalRequest, now: NormalRequest): readonly Found[] {
  const found: Found[] = []
  for (const at of ['method', 'path'] as const) {
    if (tape[at] !== now[at]) found.push({ at, ...sides(tape[at], now[at]), weight: ELSEWHERE })
  }
  compare(tape.body, now.body, '', found)
  return found
}

function compare(tape: Json | undefined, now: Json | undefined, at: string, found: Found[]): void {
  if (Array.isArray(tape) && Array.isArray(now)) {
    for (let index = 0; index < Math.max(tape.length, now.length); index++) compare(tape[index], now[index], `${at}[${index}]`, found)
  } else if (isObject(tape) && isObject(now)) {
    const names = [...new Set([...Object.keys(tape), ...Object.keys(now)])].sort()
    for (const name of names) compare(tape[name], now[name], at === '' ? name : `${at}.${name}`, found)
  } else if (tape !== now) {
    found.push({ at: at === '' ? 'body' : at, ...sides(tape, now), weight: Math.max(leaves(tape), leaves(now)) })
  }
}

const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)

function leaves(value: Json | undefined): number {
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce<number>((sum, member) => sum + leaves(member), 1)
}

/** Long texts are shown from shortly before where they part. */
function sides(tape: Json | undefined, now: Json | undefined): { readonly tape: string; readonly now: string } {
  if (typeof tape !== 'string' || typeof now !== 'string') return { tape: shown(tape), now: shown(now) }
  let same = 0
  while (same < tape.length && tape[same] === now[same]) same++
  const from = Math.max(tape.length, now.length) <= SHOWN_CHARS ? 0 : Math.max(0, same - BEFORE_CHARS)
  return { tape: shown(tape.slice(from), from > 0), now: shown(now.slice(from), from > 0) }
}

function shown(value: Json | undefined, isCut = false): string {
  if (value === undefined) return 'nothing'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const short = text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS).toWellFormed()}...` : text.toWellFormed()
  return typeof value === 'string' ? JSON.stringify(isCut ? `...${short}` : short) : short
}
