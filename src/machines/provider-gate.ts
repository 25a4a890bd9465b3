/**
 * The gate of one provider (A13): it only admits. Retries are the engine's, on the row of the effect. One for all runs of a process.
 *
 *   admitting  free | queueing | full      who asks waits in a fair queue, and is let in by gate-rules.ts; a full queue turns away: back-pressure
 *   pausing    flowing | slowed | paused   each quota group at its own pace, learned from its rate limits by pacing.ts
 *   breaker    closed | open | half_open   breaker.ts
 *
 *   request, left, succeeded, failed, tick --> each region takes it in --settle--> admitted, refused      said to whoever hosts it
 *
 * It has no timers: `dueAt` says when it wants a `tick`. Its context is plain JSON, for the inspector.
 */
import { not, type SnapshotFrom } from 'xstate'
import { breaker } from './breaker.ts'
import { dueAt, heldBy, type Standing, type Ticket } from './gate-rules.ts'
import { contextOf, gate } from './gate-setup.ts'

export { type GateSettings, gateSettings, type Ticket } from './gate-rules.ts'
export type { GateEvent, GateFailure, GateSaid, Refusal } from './gate-setup.ts'

const passing = { actions: ['look', 'settle'] as const }

const admitting = gate.createStateConfig({
  initial: 'free',
  on: {
    request: [{ guard: 'isFull', actions: ['look', 'turnAway', 'settle'] }, { actions: ['enter', 'settle'] }],
    left: { actions: ['leave', 'settle'] },
    succeeded: passing,
    failed: passing,
    tick: passing,
    settle: [
      { guard: 'isClosed', actions: ['refusePaused', 'admit'] },
      { guard: 'mayProbe', actions: ['refusePaused', 'probe'] },
      { actions: 'refuse' },
    ],
  },
  states: {
    free: { always: { guard: 'someWait', target: 'queueing' } },
    queueing: {
      always: [
        { guard: not('someWait'), target: 'free' },
        { guard: 'isFull', target: 'full' },
      ],
    },
    full: { always: { guard: not('isFull'), target: 'queueing' } },
  },
})

const pausing = gate.createStateConfig({
  initial: 'flowing',
  on: { failed: { guard: 'isLimit', actions: 'slowDown' }, succeeded: { actions: 'speedUp' } },
  states: {
    flowing: {
      always: [
        { guard: 'somePause', target: 'paused' },
        { guard: 'someSlow', target: 'slowed' },
      ],
    },
    slowed: {
      always: [
        { guard: 'somePause', target: 'paused' },
        { guard: not('someSlow'), target: 'flowing' },
      ],
    },
    paused: { always: { guard: not('somePause'), target: 'slowed' } },
  },
})

export const providerGate = gate.createMachine({
  id: 'troupe.provider-gate',
  version: '1',
  context: ({ input }) => contextOf(input),
  type: 'parallel',
  states: { admitting, pausing, breaker },
})

export type GateSnapshot = SnapshotFrom<typeof providerGate>

/** How the breaker stands. */
export function standingOf(snapshot: GateSnapshot): Standing {
  const { breaker } = snapshot.value
  return typeof breaker === 'string' ? (breaker as Standing) : 'half_open'
}

/** When it wants a `tick`, on the clock of its events; null: time alone changes nothing for anybody. */
export const tickAt = (snapshot: GateSnapshot): number | null => dueAt(snapshot.context, standingOf(snapshot))

/** What one that was not let in waits for. */
export const reasonOf = (snapshot: GateSnapshot, ticket: Ticket) => heldBy(snapshot.context, standingOf(snapshot), ticket)
