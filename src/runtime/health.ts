/**
 * The port of health: who judges how an actor stands. The engine tells facts and signs of life and asks again when it is told to; what follows from them is
 * the judge's. The program gives one (`createTroupe` a machine, see machines/health.ts); without one nothing is judged.
 *
 *   facts of a turn --hear--> judged --notable?--> health.changed, in the same commit
 *   nextAt has come --> vitals of `look` --hear `looked`--> judged --wedged?--> the life ends
 *
 * A judge is pure: the same facts give the same verdict.
 */

import type { Health, HealthErrors, HealthFact, HealthState, ProcessVitals } from '../health.ts'
import type { Json } from '../json.ts'
import type { HealthSpec } from '../protocol.ts'
import type { AskRow, CellRow, EffectRow } from './store.ts'

export interface HealthJudge {
  /** @param remembered  `memory` of the last verdict on this actor, from the store. */
  begin(spec: HealthSpec, remembered: Json | undefined, now: number): Judged
  hear(judged: Judged, fact: HealthFact): Judged
}

/** A verdict, and what it takes to go on from there. */
export interface Judged {
  readonly health: Health
  /** The judge's own. */
  readonly state: unknown
  /** Run clock, milliseconds: when it is to be told `looked`. Null: only facts change it. */
  readonly nextAt: number | null
  /** The effects whose processes are to be looked at then. */
  readonly look: readonly string[]
  /** What is kept with the actor's row; null where there is nothing to remember. The same object as long as it says the same. */
  readonly memory: HealthMemory | null
}

/** What a row keeps of a judge. */
export interface HealthMemory {
  /** For the judge alone. */
  readonly counts: Json
  readonly errors: HealthErrors
  /** The standing, where it is one that is on record. */
  readonly health: Health | null
  /** Run clock: when that ends by itself, should nobody be there to say so. Null: not by itself. */
  readonly until: number | null
}

/** Looks at the processes of an effect for a moment. Never rejects for want of them. */
export type Vitals = (run: string, effect: string) => Promise<readonly ProcessVitals[]>

/** Standings whose coming and going is on record. The others can be read off open effects and asks at any position. */
export const isOnRecord = (state: HealthState): boolean =>
  state === 'loading_model' || state === 'degraded' || state === 'suspect' || state === 'wedged'

const NO_ERRORS: HealthErrors = { total: 0, window: 0, perMinute: 0 }

/** How an actor stands by its rows: what is on record, else what is open. `now` is the run clock at the position of the rows. */
export function standingOf(row: CellRow, effects: readonly EffectRow[], asks: readonly AskRow[], now: number): Health {
  const memory = (row.judged ?? null) as unknown as HealthMemory | null
  const known = { since: null, proof: {}, errors: memory?.errors ?? NO_ERRORS }
  if (row.status === 'ended') return ended(row, memory)
  const open = effects.filter(isOpen)
  if (memory?.health != null && memory.health.state !== 'wedged' && (memory.until ?? now + 1) > now) return memory.health
  const flying = open.find(({ status, nextAt }) => status === 'started' && nextAt === null)
  if (flying !== undefined) return { ...known, state: 'busy', on: flying.id, since: flying.startedAt, evidence: labelOf(flying) }
  return { ...known, ...(waiting(open, asks, now) ?? { state: 'healthy', on: null, evidence: 'nothing open' }) }
}

const isOpen = ({ status, answer }: EffectRow): boolean => answer && (status === 'owed' || status === 'started' || status === 'in_doubt')

const labelOf = ({ id, kind, attempt }: EffectRow): string => `${id} ${kind}${attempt > 1 ? `, attempt ${attempt}` : ''}`

type Words = Pick<Health, 'state' | 'on' | 'evidence'>

function waiting(open: readonly EffectRow[], asks: readonly AskRow[], now: number): Words | null {
  const on = (what: string, evidence: string): Words => ({ state: 'waiting', on: what, evidence })
  const doubtful = open.find(({ status }) => status === 'in_doubt')
  if (doubtful !== undefined) return on('person', `${labelOf(doubtful)} is in doubt`)
  const retrying = open.find(({ nextAt }) => nextAt !== null)
  if (retrying !== undefined) {
    const { id, kind, attempt, nextAt, error } = retrying
    const left = Math.max(0, (nextAt ?? now) - now)
    return on(
      isLimited(retrying) ? 'rate_limit' : 'provider',
      `${id} ${kind} failed with ${error?.code ?? '?'}, attempt ${attempt + 1} in ${left} ms`,
    )
  }
  if (open[0] !== undefined) return on('provider', `${labelOf(open[0])} waits to start`)
  return asks[0] === undefined ? null : on('child', asks[0].to)
}

/** The provider itself has said how long to wait. */
export const isLimited = ({ error }: Pick<EffectRow, 'error'>): boolean =>
  error?.['retry'] === 'after' || error?.code === 'E_PROVIDER_OVERLOADED'

function ended({ exit }: CellRow, memory: HealthMemory | null): Health {
  const { kind, error } = (exit ?? { kind: 'killed' }) as { readonly kind: string; readonly error?: { code: string; message: string } }
  const errors = memory?.errors ?? NO_ERRORS
  if (memory?.health?.state === 'wedged') return { ...memory.health, errors }
  const words = kind === 'error' ? `${error?.code}: ${error?.message}` : kind
  return { state: 'stopped', on: error?.code ?? kind, since: null, evidence: words, proof: { reason: exit ?? null }, errors }
}
