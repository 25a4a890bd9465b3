/**
 * The companion of a supervised actor: says how it stands, with the proof. A machine like any other, fed with facts and signs of life; the actor's own
 * machine stays as it is.
 *
 *   healthy  busy  loading_model  waiting  degraded  suspect      from each to each, as the facts say
 *        any --looked, and silent for wedgedMs--> wedged --actor.restarted--> healthy
 *        any --actor.crashed, actor.stopped--> stopped --actor.restarted--> healthy
 *
 * Each fact is taken in by health-ledger.ts; which state follows is decided in health-rules.ts. Only `wedged` is acted upon, by the engine.
 */
import { assign, setup } from 'xstate'
import type { Health, HealthFact } from '../health.ts'
import type { HealthSpec } from '../protocol.ts'
import { emptyLedger, errorsOf, type Ledger, learn, type Memory } from './health-ledger.ts'
import { standingOf } from './health-rules.ts'

/** The states, in no order. */
export const HEALTH_STATES = ['healthy', 'busy', 'loading_model', 'waiting', 'degraded', 'suspect', 'wedged', 'stopped'] as const

interface HealthInput {
  readonly spec: HealthSpec
  /** Of a process or a life before. */
  readonly memory: Memory | null
  /** How it stood when that was written, where this was on record. */
  readonly was: Health | null
  readonly now: number
}

export interface HealthContext {
  readonly ledger: Ledger
  readonly health: Health
}

/** What came of a fact: each guard asks, and then the action. */
const decided = new WeakMap<HealthFact, { readonly from: HealthContext; readonly to: HealthContext }>()

function after(context: HealthContext, fact: HealthFact): HealthContext {
  const known = decided.get(fact)
  if (known?.from === context) return known.to
  const to = follow(context, fact)
  decided.set(fact, { from: context, to })
  return to
}

/** How it stands after a fact. `since` is kept while state and subject are the same. */
function follow({ ledger, health }: HealthContext, fact: HealthFact): HealthContext {
  const next = learn(ledger, fact)
  const standing = standingOf(next)
  const isSame = standing.state === health.state && standing.on === health.on
  return { ledger: next, health: { ...standing, since: isSame ? health.since : next.now, errors: errorsOf(next) } }
}

function contextOf({ spec, memory, was, now }: HealthInput): HealthContext {
  const ledger = emptyLedger(spec, memory, now)
  return { ledger, health: was ?? { ...standingOf(ledger), since: now, errors: errorsOf(ledger) } }
}

/** XState makes a context without an input, too, each time that it is asked for a transition. */
const NOBODY = contextOf({ spec: {}, memory: null, was: null, now: 0 })

const machine = setup({
  types: { context: {} as HealthContext, events: {} as HealthFact, input: {} as HealthInput },
  actions: { learn: assign(({ context, event }) => after(context, event)) },
  guards: {
    leadsTo: ({ context, event }, { state }: { state: Health['state'] }) => after(context, event).health.state === state,
    stands: ({ context }, { state }: { state: Health['state'] }) => context.health.state === state,
  },
})

const moves = HEALTH_STATES.map((state) => ({
  guard: { type: 'leadsTo' as const, params: { state } },
  target: `.${state}` as const,
  actions: 'learn' as const,
}))

/** A process or a life before has left it there. */
const remembered = HEALTH_STATES.filter((state) => state !== 'healthy').map((state) => ({
  guard: { type: 'stands' as const, params: { state } },
  target: state,
}))

/** Its context is plain JSON: `health` is what is shown, `ledger` what it rests on. */
export const healthMachine = machine.createMachine({
  id: 'troupe.health',
  version: '1',
  context: ({ input }) => (input === undefined ? NOBODY : contextOf(input)),
  initial: 'healthy',
  states: {
    healthy: { always: remembered },
    busy: {},
    loading_model: {},
    waiting: {},
    degraded: {},
    suspect: {},
    wedged: {},
    stopped: {},
  },
  on: { '*': moves },
})
