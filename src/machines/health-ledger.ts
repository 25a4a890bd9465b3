/**
 * What is known of one actor's health: open effects with their signs of life, asks, errors. Facts go in, one after the other; time alone changes nothing
 * but what a fact or a look finds.
 *
 *   learn(ledger, fact) -> ledger       nextAt(ledger): when to look, and whose processes (inFlight)
 *
 * Silence counts only in flight: not while a model loads, nor between attempts, nor where nothing is open. Who is silent for `suspectMs` is looked at
 * first: a busy process is a sign of life. Pure; what follows from a ledger is in health-rules.ts.
 */

import type { HealthErrors, HealthFact, Held, ProcessVitals } from '../health.ts'
import { HEALTH_ERRORS_MAX, HEALTH_WINDOW_MS } from '../limits.ts'
import type { HealthSpec } from '../protocol.ts'

/** One open effect. Times are of the run clock, milliseconds. */
export interface Flight {
  readonly kind: string
  readonly attempt: number
  readonly phase: 'owed' | 'flying' | 'retrying' | 'parked'
  /** Of this attempt. */
  readonly startedAt: number
  /** Its latest sign of life; its start is one. */
  readonly signAt: number
  readonly sign: 'start' | 'token' | 'progress' | 'process'
  readonly loading: boolean
  /** It has been looked at, in vain. */
  readonly suspect: boolean
  /** The busiest of its processes, when it was last looked at, and what all of them had used by then. */
  readonly process: ProcessVitals | null
  readonly cpuMs: number
  readonly lookedAt: number
  /** Of the next attempt, and why. */
  readonly retry: { readonly at: number; readonly code: string; readonly limited: boolean } | null
  /** What it waits for at its gate. */
  readonly held: Held | null
}

/** Everything that is known of one actor. Plain JSON. */
export interface Ledger {
  readonly spec: Required<{ [field in keyof HealthSpec]: number }>
  readonly now: number
  readonly total: number
  /** Times of the errors within the window, oldest first. */
  readonly errors: readonly number[]
  /** Code of the newest. */
  readonly lastCode: string | null
  /** Too many errors; holds until the window is empty. */
  readonly degraded: boolean
  /** What could not be reached or found. */
  readonly missing: { readonly code: string; readonly kind: string; readonly effect: string } | null
  readonly flights: { readonly [effect: string]: Flight }
  readonly asks: { readonly [ask: string]: { readonly to: string; readonly until: number | null } }
  /** The latest sign of life of any effect, of those that have ended too. */
  readonly signAt: number
  /** The effect that gave no sign of life, as it was then. */
  readonly wedged: { readonly effect: string; readonly flight: Flight; readonly at: number } | null
  readonly ended: string | null
}

/** What outlives the process: error counts and what follows from them. */
export type Memory = Pick<Ledger, 'total' | 'errors' | 'lastCode' | 'degraded' | 'missing'>

const DEFAULTS: Ledger['spec'] = { suspectMs: 60_000, wedgedMs: 300_000, degradedErrors: 3 }
/** Of one processor: a clock tick within the moment of a look. Below it a process sleeps. */
const BUSY_CPU = 5
/** Part of the time between two looks that its processes must have computed to have been at work. */
const BUSY_PART = 0.01

/** A ledger of an actor of which nothing is open. */
export function emptyLedger(spec: HealthSpec, memory: Memory | null, now: number): Ledger {
  const { suspectMs, wedgedMs, degradedErrors } = spec
  const given = Object.fromEntries(Object.entries({ suspectMs, wedgedMs, degradedErrors }).filter(([, value]) => value !== undefined))
  const counts = memory ?? { total: 0, errors: [], lastCode: null, degraded: false, missing: null }
  const bare = { flights: {}, asks: {}, signAt: now, wedged: null, ended: null }
  return aged({ spec: { ...DEFAULTS, ...given }, ...counts, ...bare, now })
}

/** What is known after one more fact. */
export function learn(before: Ledger, fact: HealthFact): Ledger {
  return aged(taken({ ...before, now: Math.max(before.now, fact.now) }, fact))
}

function taken(ledger: Ledger, fact: HealthFact): Ledger {
  switch (fact.type) {
    case 'effect.owed':
      return withFlight(ledger, fact.effect, begun(fact.kind, 'owed', 0, ledger.now))
    case 'effect.started':
      return alive(withFlight(ledger, fact.effect, begun(fact.kind, 'flying', fact.attempt, ledger.now)), ledger.now)
    case 'effect.parked':
      return withFlight(ledger, fact.effect, {
        ...begun(fact.kind, 'parked', 0, ledger.now),
        ...ledger.flights[fact.effect],
        phase: 'parked',
      })
    case 'effect.succeeded':
      return reached(alive(withoutFlight(ledger, fact.effect), ledger.now), fact.kind)
    case 'effect.cancelled':
      return withoutFlight(ledger, fact.effect)
    case 'effect.failed':
      return failed(alive(withoutFlight(ledger, fact.effect), ledger.now), fact)
    case 'effect.held': {
      const flight = ledger.flights[fact.effect]
      return flight === undefined ? ledger : withFlight(ledger, fact.effect, { ...flight, held: fact.held })
    }
    case 'retry.scheduled':
      return retried(ledger, fact)
    case 'ask.opened':
      return { ...ledger, asks: { ...ledger.asks, [fact.ask]: { to: fact.to, until: fact.until } } }
    case 'ask.settled': {
      const { [fact.ask]: _, ...asks } = ledger.asks
      return { ...ledger, asks }
    }
    case 'actor.crashed':
      return { ...counted(ledger, fact.code), ended: fact.code }
    case 'actor.restarted':
      return { ...ledger, flights: {}, asks: {}, signAt: ledger.now, wedged: null, ended: null }
    case 'actor.stopped':
      return { ...ledger, flights: {}, asks: {}, ended: fact.reason }
    case 'progress':
      return progressed(ledger, fact)
    case 'looked':
      return looked(ledger, fact.processes)
  }
}

function begun(kind: string, phase: Flight['phase'], attempt: number, now: number): Flight {
  const times = { startedAt: now, signAt: now, lookedAt: now, cpuMs: 0 }
  return { kind, attempt, phase, ...times, sign: 'start', loading: false, suspect: false, process: null, retry: null, held: null }
}

const withFlight = (ledger: Ledger, effect: string, flight: Flight): Ledger => ({
  ...ledger,
  flights: { ...ledger.flights, [effect]: flight },
})

function withoutFlight(ledger: Ledger, effect: string): Ledger {
  const { [effect]: _, ...flights } = ledger.flights
  return { ...ledger, flights }
}

const alive = (ledger: Ledger, at: number): Ledger => ({ ...ledger, signAt: Math.max(ledger.signAt, at) })

function retried(ledger: Ledger, fact: Extract<HealthFact, { type: 'retry.scheduled' }>): Ledger {
  const { effect, kind, attempt, nextAt, code } = fact
  const limited = fact.limited || code === 'E_PROVIDER_OVERLOADED'
  const retry = { at: nextAt, code, limited }
  const next = alive(withFlight(ledger, effect, { ...begun(kind, 'retrying', attempt, ledger.now), retry }), ledger.now)
  return limited || fact.known === true ? next : failed(next, { code, kind, effect })
}

/** A failed attempt. A code that says that something is missing is kept until something of that kind works. */
function failed(ledger: Ledger, { code, kind, effect }: { code: string; kind: string; effect: string }): Ledger {
  return { ...counted(ledger, code), missing: isMissing(code) ? { code, kind, effect } : ledger.missing }
}

function counted(ledger: Ledger, code: string): Ledger {
  const errors = [...ledger.errors, ledger.now].slice(-HEALTH_ERRORS_MAX)
  const within = errors.filter((at) => counts(at, ledger.now)).length
  return {
    ...ledger,
    total: ledger.total + 1,
    errors,
    lastCode: code,
    degraded: ledger.degraded || within >= ledger.spec.degradedErrors,
  }
}

const isMissing = (code: string): boolean => code === 'E_PROVIDER_UNREACHABLE' || code === 'E_TOOL_MISSING' || /^E_CREDENTIALS_/.test(code)

const reached = (ledger: Ledger, kind: string): Ledger => (ledger.missing?.kind === kind ? { ...ledger, missing: null } : ledger)

const counts = (at: number, now: number): boolean => now - at < HEALTH_WINDOW_MS

/** Errors leave the window as time goes on. */
function aged(ledger: Ledger): Ledger {
  if (ledger.errors.length === 0 || counts(ledger.errors[0]!, ledger.now)) return ledger
  const errors = ledger.errors.filter((at) => counts(at, ledger.now))
  return { ...ledger, errors, degraded: ledger.degraded && errors.length > 0 }
}

function progressed(ledger: Ledger, { effect, loading, words, now }: Extract<HealthFact, { type: 'progress' }>): Ledger {
  const flight = ledger.flights[effect]
  if (flight?.phase !== 'flying') return ledger // It has ended meanwhile.
  const signAt = Math.max(flight.signAt, now)
  return alive(withFlight(ledger, effect, { ...flight, signAt, sign: words, loading, suspect: false }), signAt)
}

/** A busy process is a sign of life. Who gives none for long enough is suspect, and in the end wedged. */
function looked(ledger: Ledger, processes: readonly (ProcessVitals & { readonly effect: string })[]): Ledger {
  let next = ledger
  for (const [effect, flight] of Object.entries(ledger.flights)) {
    if (flight.phase !== 'flying') continue
    const own = processes.filter((each) => each.effect === effect)
    const seen = lookedAt(flight, own, ledger)
    // One that loads is not judged, but what its processes show counts for its actor.
    next = withFlight(next, effect, flight.loading ? { ...seen, suspect: flight.suspect } : seen)
    if (seen.signAt > flight.signAt) next = alive(next, seen.signAt)
  }
  const silent = Object.entries(next.flights).find(([, flight]) => isJudged(flight) && flight.suspect)
  if (silent === undefined || next.now - next.signAt < next.spec.wedgedMs) return next
  const [effect, flight] = silent
  return { ...next, wedged: { effect, flight, at: next.now } }
}

const isJudged = (flight: Flight): boolean => flight.phase === 'flying' && !flight.loading

function lookedAt(flight: Flight, own: readonly ProcessVitals[], { now, spec }: Ledger): Flight {
  const process = own.reduce<ProcessVitals | null>((most, { pid, cpu, cpuMs, command }) => {
    return most === null || cpu > most.cpu ? { pid, cpu, cpuMs, command } : most
  }, null)
  const cpuMs = own.reduce((sum, each) => sum + each.cpuMs, 0)
  const worked = cpuMs - flight.cpuMs > 0 && cpuMs - flight.cpuMs >= (now - flight.lookedAt) * BUSY_PART
  const seen = { ...flight, process, cpuMs, lookedAt: now }
  if ((process?.cpu ?? 0) >= BUSY_CPU || worked) return { ...seen, signAt: now, sign: 'process', suspect: false }
  return { ...seen, suspect: now - flight.signAt >= Math.min(spec.suspectMs, spec.wedgedMs) }
}

/** Errors as they are shown. */
export function errorsOf({ total, errors }: Ledger): HealthErrors {
  return { total, window: errors.length, perMinute: errors.length / (HEALTH_WINDOW_MS / 60_000) }
}

/** When it is to be asked next, on the run clock: something may be silent for too long by then, or the window empty. Null: only facts change it. */
export function nextAt(ledger: Ledger): number | null {
  if (ledger.wedged !== null || ledger.ended !== null) return null
  const { spec, errors } = ledger
  const times = Object.values(ledger.flights)
    .filter(isJudged)
    .map(({ suspect, signAt }) => (suspect ? ledger.signAt + spec.wedgedMs : signAt + Math.min(spec.suspectMs, spec.wedgedMs)))
  if (ledger.degraded && errors.length > 0) times.push(errors.at(-1)! + HEALTH_WINDOW_MS)
  return times.length === 0 ? null : Math.max(Math.min(...times), ledger.now)
}

/** Whose processes are looked at then. */
export const inFlight = (ledger: Ledger): readonly string[] =>
  Object.entries(ledger.flights).flatMap(([effect, flight]) => (isJudged(flight) ? [effect] : []))
