/**
 * How an actor stands, and the proof in words and data: what follows from a ledger. The first that holds, from the top:
 *
 *   wedged     a suspect effect, and from none of the actor's effects a sign of life for wedgedMs
 *   stopped    its life is over
 *   suspect    an effect in flight without a sign of life for suspectMs, and its processes have been looked at
 *   degraded   degradedErrors errors within the window, until it is empty; or a provider or tool is missing, until a call of that kind succeeds
 *   busy       an effect in flight          loading_model   ... all of which load
 *   waiting    on a person (in doubt), a rate limit or a provider (its gate, the next attempt, or room), a child (an open ask)
 *   healthy    nothing is open
 */

import type { Health, HealthState, ProcessVitals } from '../health.ts'
import type { Json } from '../json.ts'
import { HEALTH_WINDOW_MS } from '../limits.ts'
import type { Flight, Ledger } from './health-ledger.ts'

type Proof = Health['proof']

/** A verdict: where the actor stands and why. */
export type Standing = Pick<Health, 'state' | 'on' | 'evidence' | 'proof'>

/** Where the actor stands: the first that holds. */
export function standingOf(ledger: Ledger): Standing {
  const { wedged, ended, now } = ledger
  if (wedged !== null) return about('wedged', [wedged.effect, wedged.flight], silence(wedged.effect, wedged.flight, wedged.at), wedged.at)
  if (ended !== null) return { state: 'stopped', on: ended, evidence: ended, proof: { reason: ended } }
  const flying = Object.entries(ledger.flights).filter(([, { phase }]) => phase === 'flying')
  const silent = flying.find(([, { suspect }]) => suspect)
  if (silent !== undefined) return about('suspect', silent, silence(...silent, now), now)
  const current = working(ledger, flying) ?? waiting(ledger)
  return degraded(ledger, current) ?? current ?? { state: 'healthy', on: null, evidence: 'nothing open', proof: {} }
}

function degraded({ degraded: many, errors, lastCode, missing }: Ledger, current: Standing | null): Standing | null {
  const beside = current === null ? '' : `; ${current.state}: ${current.evidence}`
  const proof = current === null ? {} : { beside: { state: current.state, on: current.on, ...current.proof } }
  if (missing !== null) {
    const { code, kind, effect } = missing
    return { state: 'degraded', on: code, evidence: `${code} of ${effect} ${kind}${beside}`, proof: { code, kind, effect, ...proof } }
  }
  if (!many) return null
  const words = `${errors.length} errors in ${spanWords(HEALTH_WINDOW_MS)}, last ${lastCode}${beside}`
  return { state: 'degraded', on: 'errors', evidence: words, proof: { errors: errors.length, last: lastCode, ...proof } }
}

function working({ now }: Ledger, flying: readonly [string, Flight][]): Standing | null {
  const at = flying.find(([, { loading }]) => !loading) ?? flying[0]
  if (at === undefined) return null
  const [effect, flight] = at
  if (flight.loading) return about('loading_model', at, `${labelOf(effect, flight)}, loading for ${spanWords(now - flight.startedAt)}`, now)
  return about('busy', at, `${labelOf(effect, flight)}, ${signWords(flight, now)}`, now)
}

function waiting(ledger: Ledger): Standing | null {
  const { now } = ledger
  const flights = Object.entries(ledger.flights)
  const on = (what: string, [effect, flight]: [string, Flight], words: string): Standing => ({
    state: 'waiting',
    on: what,
    evidence: `${labelOf(effect, flight)}${words}`,
    proof: { ...proofOf(effect, flight, now), ...(flight.retry === null ? {} : { nextAt: flight.retry.at, code: flight.retry.code }) },
  })
  const parked = flights.find(([, { phase }]) => phase === 'parked')
  if (parked !== undefined) return on('person', parked, ' is in doubt')
  const gated = flights.find(([, { held }]) => held !== null)
  if (gated !== undefined) return heldBack(gated, now)
  const retrying = flights.find(([, { retry }]) => retry !== null)
  if (retrying !== undefined) {
    const { at, code, limited } = retrying[1].retry!
    const words = ` failed with ${code}, attempt ${retrying[1].attempt + 1} in ${spanWords(at - now)}`
    return on(limited ? 'rate_limit' : 'provider', retrying, words)
  }
  if (flights[0] !== undefined) return on('provider', flights[0], ' waits to start')
  const ask = Object.entries(ledger.asks)[0]
  if (ask === undefined) return null
  const [id, { to, until }] = ask
  const left = until === null ? '' : `, ${spanWords(until - now)} left`
  return { state: 'waiting', on: 'child', evidence: `${to}${left}`, proof: { ask: Number(id), to, until } }
}

/** Its gate does not let it start, and says why. */
function heldBack([effect, flight]: [string, Flight], now: number): Standing {
  const { on, until, why } = flight.held!
  const left = until === null ? '' : `, ${spanWords(until - now)} left`
  const proof = { ...proofOf(effect, flight, now), why, until }
  return { state: 'waiting', on, evidence: `${labelOf(effect, flight)} waits to start: ${why}${left}`, proof }
}

function about(state: HealthState, [effect, flight]: [string, Flight], evidence: string, now: number): Standing {
  return { state, on: effect, evidence, proof: proofOf(effect, flight, now) }
}

function proofOf(effect: string, { kind, attempt, startedAt, signAt, sign, process }: Flight, now: number): Proof {
  const seen = process === null ? {} : { process: { ...process } as unknown as Json }
  return { effect, kind, attempt, startedAt, sign, signAt, silentMs: now - signAt, ...seen }
}

const labelOf = (effect: string, { kind, attempt, phase }: Flight): string =>
  `${effect} ${kind}${attempt > 1 && phase === 'flying' ? `, attempt ${attempt}` : ''}`

function signWords({ sign, signAt, startedAt, process }: Flight, now: number): string {
  if (sign === 'process' && process !== null) return processWords(process)
  return sign === 'start' ? spanWords(now - startedAt) : `last ${sign} ${spanWords(now - signAt)} ago`
}

function silence(effect: string, flight: Flight, now: number): string {
  const process = flight.process === null ? '' : `, ${processWords(flight.process)}`
  return `${labelOf(effect, flight)}: no sign of life for ${spanWords(now - flight.signAt)}${process}`
}

const processWords = ({ pid, cpu, command }: ProcessVitals): string =>
  `process ${pid} at ${Math.round(cpu)}% cpu${command === '' ? '' : `, \`${command.slice(0, 80)}\``}`

/** A length of time in one unit: `840ms`, `4.0s`, `5m`. */
function spanWords(ms: number): string {
  const whole = Math.max(0, Math.round(ms))
  if (whole < 1_000) return `${whole}ms`
  if (whole < 60_000) return `${(whole / 1_000).toFixed(1)}s`
  return whole % 60_000 === 0 ? `${whole / 60_000}m` : `${Math.floor(whole / 60_000)}m${Math.round((whole % 60_000) / 1_000)}s`
}
