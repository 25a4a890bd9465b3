/** The companion of a supervised actor: each state with its proof, by facts alone. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { initialTransition, transition } from 'xstate'
import type { HealthFact } from '../../src/health.ts'
import { HEALTH_STATES, healthMachine } from '../../src/machines/health.ts'
import { nextAt } from '../../src/machines/health-ledger.ts'
import type { HealthSpec } from '../../src/protocol.ts'

const WINDOW_MS = 300_000

function after(facts: readonly HealthFact[], spec: HealthSpec = {}) {
  let [snapshot] = initialTransition(healthMachine, { spec, memory: null, was: null, now: 0 })
  for (const fact of facts) [snapshot] = transition(healthMachine, snapshot, fact)
  return snapshot
}

const run = { effect: 'e12', kind: 'command.run' }
const owed: HealthFact = { now: 0, type: 'effect.owed', ...run }
const started: HealthFact = { now: 1_000, type: 'effect.started', ...run, attempt: 1 }
const looked = (now: number, cpu: number | null = null, cpuMs = 0): HealthFact => ({
  now,
  type: 'looked',
  processes: cpu === null ? [] : [{ effect: 'e12', pid: 4121, cpu, cpuMs, command: 'npm test' }],
})
const failed = (now: number, code: string, kind = 'command.run'): HealthFact => ({ now, type: 'effect.failed', effect: 'e12', kind, code })
const retry = (now: number, code: string, limited: boolean): HealthFact => ({
  now,
  type: 'retry.scheduled',
  ...run,
  attempt: 1,
  nextAt: now + 4_000,
  code,
  limited,
})
const word = (now: number): HealthFact => ({ now, type: 'progress', effect: 'e12', loading: false, words: 'token' })
const loading: HealthFact = { now: 3_000, type: 'progress', effect: 'e12', loading: true, words: 'progress' }
const asked: HealthFact = { now: 1_000, type: 'ask.opened', ask: 7, to: '/team/coder-1', until: 31_000 }
const succeeded = (now: number): HealthFact => ({ now, type: 'effect.succeeded', ...run })

describe('each state has its proof', () => {
  test.each<[string, HealthFact[], string, string | null, string]>([
    ['nothing', [], 'healthy', null, 'nothing open'],
    ['an effect is owed', [owed], 'waiting', 'provider', 'e12 command.run waits to start'],
    ['it is in flight', [owed, started], 'busy', 'e12', 'e12 command.run, 0ms'],
    ['tokens come', [owed, started, word(3_000), { ...asked, now: 5_000 }], 'busy', 'e12', 'e12 command.run, last token 2.0s ago'],
    ['its model loads', [owed, started, loading], 'loading_model', 'e12', 'e12 command.run, loading for 2.0s'],
    ['it has loaded', [owed, started, loading, word(4_000)], 'busy', 'e12', 'e12 command.run, last token 0ms ago'],
    ['it loads for ever', [owed, started, loading, looked(9_000_000)], 'loading_model', 'e12', 'e12 command.run, loading for 149m59s'],
    ['it is done', [owed, started, succeeded(2_000)], 'healthy', null, 'nothing open'],
    ['it was cancelled', [owed, started, { now: 2_000, type: 'effect.cancelled', ...run }], 'healthy', null, 'nothing open'],
    ['it is in doubt', [owed, started, { now: 2_000, type: 'effect.parked', ...run }], 'waiting', 'person', 'e12 command.run is in doubt'],
    [
      'the provider says how long to wait',
      [owed, started, retry(2_000, 'E_HTTP', true)],
      'waiting',
      'rate_limit',
      'e12 command.run failed with E_HTTP, attempt 2 in 4.0s',
    ],
    [
      'it failed and is tried again',
      [owed, started, retry(2_000, 'E_HTTP', false)],
      'waiting',
      'provider',
      'e12 command.run failed with E_HTTP, attempt 2 in 4.0s',
    ],
    [
      'the next attempt runs',
      [owed, started, retry(2_000, 'E_HTTP', false), { ...started, now: 6_000, attempt: 2 } as HealthFact],
      'busy',
      'e12',
      'e12 command.run, attempt 2, 0ms',
    ],
    ['it has asked', [asked], 'waiting', 'child', '/team/coder-1, 30.0s left'],
    ['it has its answer', [asked, { now: 2_000, type: 'ask.settled', ask: 7 }], 'healthy', null, 'nothing open'],
    [
      'its process is busy',
      [owed, started, looked(61_000, 94, 60_000)],
      'busy',
      'e12',
      'e12 command.run, process 4121 at 94% cpu, `npm test`',
    ],
    [
      'its process was busy between two looks',
      [owed, started, looked(61_000, 0, 700)],
      'busy',
      'e12',
      'e12 command.run, process 4121 at 0% cpu, `npm test`',
    ],
    [
      'its process sleeps',
      [owed, started, looked(61_000, 0, 10)],
      'suspect',
      'e12',
      'e12 command.run: no sign of life for 1m, process 4121 at 0% cpu, `npm test`',
    ],
    ['it is silent', [owed, started, looked(61_000)], 'suspect', 'e12', 'e12 command.run: no sign of life for 1m'],
    ['it speaks again', [owed, started, looked(61_000), word(62_000)], 'busy', 'e12', 'e12 command.run, last token 0ms ago'],
    ['it stays silent', [owed, started, looked(61_000), looked(301_000)], 'wedged', 'e12', 'e12 command.run: no sign of life for 5m'],
    ['three errors', [failed(1, 'E_A'), failed(2, 'E_A'), failed(3, 'E_B')], 'degraded', 'errors', '3 errors in 5m, last E_B'],
    [
      'a provider is missing',
      [failed(1, 'E_PROVIDER_UNREACHABLE')],
      'degraded',
      'E_PROVIDER_UNREACHABLE',
      'E_PROVIDER_UNREACHABLE of e12 command.run',
    ],
    ['a tool is missing', [failed(1, 'E_TOOL_MISSING')], 'degraded', 'E_TOOL_MISSING', 'E_TOOL_MISSING of e12 command.run'],
    [
      'a key is missing',
      [failed(1, 'E_CREDENTIALS_MISSING')],
      'degraded',
      'E_CREDENTIALS_MISSING',
      'E_CREDENTIALS_MISSING of e12 command.run',
    ],
    ['it is there again', [failed(1, 'E_TOOL_MISSING'), owed, started, succeeded(2_000)], 'healthy', null, 'nothing open'],
    ['it crashed', [{ now: 1, type: 'actor.crashed', code: 'E_DEFECT' }], 'stopped', 'E_DEFECT', 'E_DEFECT'],
    [
      'it was restarted',
      [owed, started, { now: 1, type: 'actor.crashed', code: 'E_DEFECT' }, { now: 2, type: 'actor.restarted' }],
      'healthy',
      null,
      'nothing open',
    ],
    ['it was stopped', [owed, started, { now: 9, type: 'actor.stopped', reason: 'shutdown' }], 'stopped', 'shutdown', 'shutdown'],
  ])('%s', (_, facts, state, on, evidence) => {
    const { value, context } = after(facts)
    expect([value, context.health.state, context.health.on, context.health.evidence]).toEqual([state, state, on, evidence])
  })
})

test('what it is busy with beside being degraded is told', () => {
  const { health } = after([failed(1, 'E_TOOL_MISSING'), { ...owed, effect: 'e13' }, { ...started, effect: 'e13' }]).context
  expect(health.evidence).toBe('E_TOOL_MISSING of e12 command.run; busy: e13 command.run, 0ms')
})

test('without a look nothing is suspect: any other fact after the time may come before the look', () => {
  expect(after([owed, started, { ...asked, now: 900_000 }]).value).toBe('busy')
})

test('what an actor hears of one effect keeps another one from being wedged, not from being suspect', () => {
  const other: HealthFact = { now: 1_000, type: 'effect.started', effect: 'e13', kind: 'llm.generate', attempt: 1 }
  const chat = [61_000, 161_000, 261_000].map(
    (now): HealthFact => ({ now, type: 'progress', effect: 'e13', loading: false, words: 'token' }),
  )
  const facts = [owed, started, other, ...chat.flatMap((sign) => [sign, looked(sign.now)])]
  expect(after([...facts, looked(301_000)]).context.health).toMatchObject({ state: 'suspect', on: 'e12' })
  expect(after([...facts, looked(560_999)]).value).toBe('suspect')
  expect(after([...facts, looked(561_000)]).value).toBe('wedged')
})

test('errors are counted in all, within five minutes, and by the minute; they leave the window to the millisecond', () => {
  const facts = [failed(0, 'E_A'), failed(1_000, 'E_A'), failed(2_000, 'E_A')]
  expect(after(facts).context.health.errors).toEqual({ total: 3, window: 3, perMinute: 0.6 })
  expect(after([...facts, looked(WINDOW_MS - 1)]).context.health.errors.window).toBe(3)
  expect(after([...facts, looked(WINDOW_MS)]).context.health.errors).toEqual({ total: 3, window: 2, perMinute: 0.4 })
  expect(after([...facts, looked(WINDOW_MS + 1_999)]).value).toBe('degraded')
  expect(after([...facts, looked(WINDOW_MS + 2_000)])).toMatchObject({ value: 'healthy' })
})

test('it says when to look: at the end of patience, at the end of the window, and never where nothing is in flight', () => {
  const at = (facts: readonly HealthFact[]) => nextAt(after(facts).context.ledger)
  expect({
    idle: at([]),
    asked: at([asked]),
    flying: at([owed, started]),
    spoken: at([owed, started, word(5_000)]),
    suspect: at([owed, started, looked(61_000)]),
    loading: at([owed, started, loading]),
    retrying: at([owed, started, retry(2_000, 'E_A', true)]),
    degraded: at([failed(0, 'E_A'), failed(1, 'E_A'), failed(2, 'E_A')]),
    wedged: at([owed, started, looked(61_000), looked(301_000)]),
  }).toEqual({
    idle: null,
    asked: null,
    flying: 61_000,
    spoken: 65_000,
    suspect: 301_000,
    loading: null,
    retrying: null,
    degraded: 300_002,
    wedged: null,
  })
})

const effect = fc.constantFrom('e1', 'e2', 'e3')
const kind = fc.constantFrom('a.b', 'c.d')
const code = fc.constantFrom('E_A', 'E_TOOL_MISSING', 'E_PROVIDER_OVERLOADED', 'E_CREDENTIALS_REJECTED')
const vitals = fc.record({ effect, pid: fc.nat(), cpu: fc.nat(100), cpuMs: fc.nat(400_000), command: fc.string() })
/** Any fact, with the time that has passed before it. */
const anyFact: fc.Arbitrary<{ byMs: number; fact: Omit<HealthFact, 'now'> }> = fc.record({
  byMs: fc.oneof(fc.nat(400_000), fc.constant(0)),
  fact: fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constantFrom('effect.owed', 'effect.parked', 'effect.succeeded', 'effect.cancelled'), effect, kind }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('effect.started'), effect, kind, attempt: fc.integer({ min: 1, max: 3 }) }) },
    fc.record({ type: fc.constant('effect.failed'), effect, kind, code }),
    fc.record({ type: fc.constant('retry.scheduled'), effect, kind, code, attempt: fc.nat(3), nextAt: fc.nat(), limited: fc.boolean() }),
    fc.record({ type: fc.constant('ask.opened'), ask: fc.nat(3), to: fc.constant('/a'), until: fc.option(fc.nat()) }),
    fc.record({ type: fc.constant('ask.settled'), ask: fc.nat(3) }),
    fc.record({ type: fc.constant('actor.crashed'), code }),
    fc.record({ type: fc.constant('actor.restarted') }),
    fc.record({ type: fc.constant('actor.stopped'), reason: fc.constant('killed') }),
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('progress'), effect, loading: fc.boolean(), words: fc.constantFrom('token', 'progress') }),
    },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('looked'), processes: fc.array(vitals, { maxLength: 2 }) }) },
  ),
}) as never

const SPEC = { suspectMs: 60_000, wedgedMs: 300_000, degradedErrors: 3 }

test('any facts in any order end in a known state with a proof, and nobody is wedged within wedgedMs of a sign of life', () => {
  let wedges = 0
  fc.assert(
    fc.property(fc.array(anyFact, { minLength: 1, maxLength: 40 }), (steps) => {
      let now = 0
      let signAt = 0
      const flying = new Set<string>()
      let [snapshot] = initialTransition(healthMachine, { spec: SPEC, memory: null, was: null, now })
      for (const { byMs, fact } of steps) {
        now += byMs
        const before = snapshot.value
        const told = { now, ...fact } as HealthFact
        ;[snapshot] = transition(healthMachine, snapshot, told)
        if (isSign(told, flying)) signAt = now
        keep(told, flying)
        const { health, ledger } = snapshot.context
        expect(HEALTH_STATES).toContain(health.state)
        expect([snapshot.value, health.evidence === '', (health.since ?? 0) <= now]).toEqual([health.state, false, true])
        expect((nextAt(ledger) ?? now) >= now).toBe(true)
        expect(health.errors.window <= health.errors.total).toBe(true)
        if (snapshot.value !== 'wedged' || before === 'wedged') continue
        wedges++
        expect({ fact: told.type, silent: now - signAt >= SPEC.wedgedMs, flying: flying.size > 0 }).toEqual({
          fact: 'looked',
          silent: true,
          flying: true,
        })
      }
    }),
    { numRuns: 1000 },
  )
  expect(wedges).toBeGreaterThan(5)
})

/** Known without the machine: what shows that something lives. */
function isSign(fact: HealthFact, flying: ReadonlySet<string>): boolean {
  if (fact.type === 'effect.started' || fact.type === 'actor.restarted') return true
  if (fact.type === 'progress') return flying.has(fact.effect)
  return fact.type === 'looked' && fact.processes.some((each) => flying.has(each.effect) && each.cpu >= 5)
}

function keep(fact: HealthFact, flying: Set<string>): void {
  if (fact.type === 'effect.started') flying.add(fact.effect)
  else if (fact.type === 'actor.stopped' || fact.type === 'actor.restarted') flying.clear()
  else if ('effect' in fact && fact.type !== 'progress') flying.delete(fact.effect)
}
