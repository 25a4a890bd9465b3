/** The judge of health that a program gives to the engine: the companion machine of machines/health.ts, stepped by hand. */
import { initialTransition, type SnapshotFrom, transition } from 'xstate'
import type { Health, HealthFact } from '../health.ts'
import type { Json } from '../json.ts'
import { HEALTH_WINDOW_MS } from '../limits.ts'
import { healthMachine } from '../machines/health.ts'
import { inFlight, type Ledger, type Memory, nextAt } from '../machines/health-ledger.ts'
import type { HealthSpec } from '../protocol.ts'
import { type HealthJudge, type HealthMemory, isOnRecord, type Judged } from '../runtime/health.ts'

type Snapshot = SnapshotFrom<typeof healthMachine>

/** Judges by the machine. Pure, so one is enough for all actors. */
export const healthJudge: HealthJudge = {
  begin: (spec: HealthSpec, remembered: Json | undefined, now: number): Judged => {
    const memory = (remembered ?? null) as HealthMemory | null
    const input = { spec, memory: (memory?.counts ?? null) as unknown as Memory | null, was: memory?.health ?? null, now }
    const [snapshot] = initialTransition(healthMachine, input)
    return judgedOf(snapshot, memory)
  },
  hear: ({ state, memory }: Judged, fact: HealthFact): Judged => {
    const [snapshot] = transition(healthMachine, state as Snapshot, fact)
    return judgedOf(snapshot, memory)
  },
}

function judgedOf(snapshot: Snapshot, before: HealthMemory | null): Judged {
  const { ledger, health } = snapshot.context
  return { health, state: snapshot, nextAt: nextAt(ledger), look: inFlight(ledger), memory: memoryOf(ledger, health, before) }
}

function memoryOf(
  { total, errors, lastCode, degraded, missing }: Ledger,
  health: Health,
  before: HealthMemory | null,
): HealthMemory | null {
  const kept = isOnRecord(health.state) ? health : null
  if (total === 0 && kept === null) return null
  const counts = before?.counts as unknown as Memory | undefined
  // Its words go on changing while it stands as it stands; what is on record is how it came to it.
  const isSame = counts?.total === total && counts.degraded === degraded && counts.missing?.code === missing?.code
  if (before !== null && isSame && before.health?.state === kept?.state && before.health?.since === kept?.since) return before
  const until = degraded && missing === null && errors.length > 0 ? errors.at(-1)! + HEALTH_WINDOW_MS : null
  return { counts: { total, errors, lastCode, degraded, missing } as unknown as Json, errors: health.errors, health: kept, until }
}
