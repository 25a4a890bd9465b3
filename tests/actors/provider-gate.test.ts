/** The gates of one process: shared by its runs, told by its handlers, and never in the way of who is not wanted any more. */
import { expect, test } from 'vitest'
import type { GatePause } from '../../src/actors/hosted-gate.ts'
import type { GenerateResult } from '../../src/actors/provider.ts'
import { type GatesOptions, providerGates } from '../../src/actors/provider-gate.ts'
import type { Admission } from '../../src/effect.ts'
import { GATE_QUEUE_MAX } from '../../src/limits.ts'
import type { GenerateInput } from '../../src/machines/effects.ts'
import { factsOf, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { answer, caller, gatedHandler, model, toldBy } from './gated-calls.ts'

interface Asked extends Admission {
  readonly ticket: string
  opened: number
}

/** Gates that a test asks by hand. The virtual clock's chance is always 0. */
function open(settings: ReturnType<NonNullable<GatesOptions['settings']>> = {}) {
  const clock = new VirtualClock()
  const inspected: string[] = []
  const gates = providerGates({ clock, settings: () => settings, inspect: (event) => void inspected.push(event.type) })
  let count = 0
  const ask = (path = '/a', about: Partial<GenerateInput> = {}, ticket = `run1/e${++count}#1`): Asked => {
    const input = {
      agent: 'a',
      thread: 't',
      item: null,
      turn: 1,
      tools: [],
      format: 'text' as const,
      promptChars: 1,
      model: model(),
      ...about,
    }
    const asked = { ticket, opened: 0 }
    const opened = (): void => {
      asked.opened++
    }
    return Object.assign(asked, gates.admit({ input, ticket, path, attempt: 1, opened }))
  }
  return { clock, gates, ask, inspected }
}
const LIMIT = { code: 'E_PROVIDER_OVERLOADED', retry: 'after' as const, retryAfterMs: 5_000 }
const DOWN = { code: 'E_PROVIDER_UNREACHABLE', retry: 'backoff' as const }

test('A3, A15: who comes later waits until somebody has gone, and the figures of the gate say so', () => {
  const { gates, ask, inspected } = open({ concurrency: 2 })
  const [a, b, c] = ['/a', '/b', '/c'].map((path) => ask(path))
  expect([a, b, c].map((one) => one!.isOpen())).toEqual([true, true, false])
  expect(gates.metrics('limited')).toEqual({ depth: 1, inflight: 2, submitted: 3, completed: 0, breakerOpen: false })
  expect(c!.waiting()).toEqual({ on: 'provider', untilMs: null, why: '2 calls to limited are in flight, 1 wait' })
  gates.succeeded(a!.ticket)
  a!.close()
  expect([c!.isOpen(), c!.opened, c!.waiting()]).toEqual([true, 1, null])
  for (const one of [b, c]) one!.close()
  expect(gates.metrics('limited')).toEqual({ depth: 0, inflight: 0, submitted: 3, completed: 3, breakerOpen: false })
  expect([gates.providers(), inspected.includes('@xstate.snapshot')]).toEqual([['limited'], true])
})

test('each provider has a gate of its own, and so has who names no model; a queue that is not enabled lets everybody in', () => {
  const { gates, ask } = open({ concurrency: 1 })
  const others = [ask(), ask('/a', { model: model({ provider: 'other' }) }), ask('/a', { model: undefined })]
  expect([others.map((one) => one.isOpen()), gates.providers()]).toEqual([
    [true, true, true],
    ['limited', 'other', 'default'],
  ])
  const off = open({ queueEnabled: false, concurrency: 1 })
  expect([1, 2, 3].map(() => off.ask().isOpen())).toEqual([true, true, true])
  expect([off.gates.metrics('limited'), off.gates.snapshot('limited')]).toEqual([null, null])
})

test('a rate limit is told to who asked and to everybody who listens, with its end on the wall clock; a timer ends it', async () => {
  const { clock, gates, ask } = open({ concurrency: 2 })
  const heard: GatePause[] = []
  const end = gates.subscribe((pause) => heard.push(pause))
  const first = ask()
  const pause = gates.failed(first.ticket, LIMIT)
  first.close()
  const untilMs = clock.wallMs() + 5_000
  expect([pause, heard]).toEqual([{ provider: 'limited', reason: 'rate_limit', group: 'limited', untilMs, ticket: first.ticket }, [pause]])
  const [waits, other] = [ask('/b'), ask('/c', { model: model({ quotaGroup: 'elsewhere' }) })]
  expect([waits.isOpen(), waits.waiting(), other.isOpen()]).toEqual([
    false,
    { on: 'rate_limit', untilMs, why: 'limited asks to wait' },
    true,
  ])
  await clock.advance(4_999)
  expect(waits.opened).toBe(0)
  await clock.advance(1)
  expect([waits.opened, waits.isOpen()]).toEqual([1, true])
  end()
  gates.failed(waits.ticket, LIMIT)
  expect(heard).toHaveLength(1)
})

test('while a provider is down, who has another model is refused at once and who has none waits for the one that tries it', async () => {
  const { clock, gates, ask } = open({ breaker: { failures: 2, openMs: 10_000 } })
  const pauses = [1, 2].map(() => {
    const one = ask()
    const pause = gates.failed(one.ticket, DOWN)
    one.close()
    return pause?.reason ?? null
  })
  expect([pauses, gates.metrics('limited')?.breakerOpen]).toEqual([[null, 'breaker'], true])
  const quick = ask('/q', { failFast: true })
  expect([quick.isOpen(), gates.refusal(quick.ticket)]).toEqual([
    true,
    { code: 'E_PROVIDER_UNREACHABLE', message: 'limited is not asked: 2 calls in a row have failed' },
  ])
  quick.close()
  expect(gates.refusal(quick.ticket)).toBeNull()
  const [probe, next] = [ask('/a'), ask('/b')]
  expect([probe.isOpen(), probe.waiting()]).toEqual([
    false,
    { on: 'provider', untilMs: clock.wallMs() + 10_000, why: 'limited is not asked after 2 failures in a row' },
  ])
  await clock.advance(10_000)
  expect([probe.isOpen(), next.isOpen(), gates.refusal(probe.ticket), next.waiting()]).toEqual([
    true,
    false,
    null,
    { on: 'provider', untilMs: null, why: 'one call tries whether limited is back' },
  ])
  gates.succeeded(probe.ticket)
  probe.close()
  expect([next.isOpen(), gates.metrics('limited')?.breakerOpen]).toEqual([true, false])
})

test('a pause that is longer than anybody has patience for is not waited for by who has a model of another quota group to ask', async () => {
  const { clock, gates, ask } = open()
  const first = ask()
  gates.failed(first.ticket, { ...LIMIT, retryAfterMs: 3_600_000 })
  first.close()
  const impatient = ask('/q', { failFast: true, impatient: true })
  const same = ask('/s', { failFast: true })
  expect([impatient.isOpen(), gates.refusal(impatient.ticket), same.isOpen()]).toEqual([
    true,
    { code: 'E_PROVIDER_OVERLOADED', message: 'limited is not asked: it asks to wait for longer than another model takes' },
    false,
  ])
  impatient.close()
  await clock.advance(3_575_000)
  const patient = ask('/p', { failFast: true, impatient: true })
  expect([patient.isOpen(), patient.waiting()?.on, gates.metrics('limited')?.depth]).toEqual([false, 'rate_limit', 2])
  for (const one of [same, patient]) one.close()
})

test('a queue is bounded: who comes when it is full waits outside, and comes in by turn as others go', () => {
  const { gates, ask } = open({ concurrency: 1 })
  const flooding = Array.from({ length: GATE_QUEUE_MAX + 50 }, () => ask('/flood'))
  const late = ask('/late')
  const snapshot = () => gates.snapshot('limited')!
  expect([snapshot().context.queue.size, gates.metrics('limited')?.depth]).toEqual([GATE_QUEUE_MAX, GATE_QUEUE_MAX + 50])
  expect(late.waiting()?.why).toContain('the queue is full')
  flooding.at(-1)!.close()
  expect(gates.metrics('limited')?.depth).toBe(GATE_QUEUE_MAX + 49)
  const goes = (one: Asked): void => {
    expect(one.isOpen()).toBe(true)
    one.close()
  }
  goes(flooding[0]!)
  goes(flooding[1]!)
  expect([snapshot().context.queue.size, late.waiting()?.why]).toEqual([GATE_QUEUE_MAX, expect.not.stringContaining('full')])
  goes(flooding[2]!)
  goes(flooding[3]!)
  goes(late)
  for (const one of flooding.slice(4)) one.close()
  expect(gates.metrics('limited')).toMatchObject({ depth: 0, inflight: 0 })
})

test('nothing is timed while nobody waits, a word about an unknown ticket is no harm, and a ticket that is asked for again is the newer one', () => {
  const { clock, gates, ask } = open({ concurrency: 1 })
  let timers = 0
  const setTimer = clock.setTimer.bind(clock)
  clock.setTimer = (delayMs, callback) => {
    timers++
    return setTimer(delayMs, callback)
  }
  const one = ask('/a', {}, 'run1/e1#1')
  gates.failed(one.ticket, LIMIT)
  gates.failed(one.ticket, DOWN)
  one.close()
  one.close()
  expect([timers, gates.failed('gone', LIMIT), gates.refusal('gone')]).toEqual([0, null, null])
  gates.succeeded('gone')
  const old = ask('/a', {}, 'run1/e1#2')
  const young = ask('/a', {}, 'run1/e1#2')
  expect(timers).toBeGreaterThan(0)
  old.close()
  expect(gates.metrics('limited')?.depth).toBe(1)
  young.close()
  expect(gates.metrics('limited')).toMatchObject({ depth: 0, submitted: 3, completed: 1 })
})

test('M9, A15: of 20 actors of two runs at most 3 call at the same time, all are answered, and who waits says for what', async () => {
  const clock = new VirtualClock()
  const gates = providerGates({ clock, settings: () => ({ concurrency: 3 }) })
  let [inFlight, peak] = [0, 0]
  const generate = async ({ agent }: { agent: string }) => {
    peak = Math.max(peak, ++inFlight)
    await new Promise<void>((resolve) => void clock.setTimer(100, resolve))
    inFlight--
    return answer(`to ${agent}`)
  }
  const life = openLife(temporaryFolder(), { machines: { caller }, clock, effects: { 'llm.generate': gatedHandler({ generate }, gates) } })
  const children = Array.from({ length: 10 }, (_, n) => ({
    id: `c${n}`,
    src: 'caller',
    restart: 'transient' as const,
    significant: true,
    input: { name: `c${n}`, calls: 2 },
  }))
  const sessions = await Promise.all([1, 2].map(() => life.troupe.start({ id: 'top', autoShutdown: 'all_significant', children })))
  await clock.advance(50)
  const standings = sessions.flatMap((session) => session.tree().children.map(({ health }) => `${health?.state} ${health?.on}`))
  expect(standings.filter((standing) => standing === 'waiting provider')).toHaveLength(17)
  expect(gates.metrics('limited')).toMatchObject({ depth: 17, inflight: 3 })
  await clock.advance(60_000)
  const outputs = sessions.flatMap(({ id }) => factsOf(life.store, id, 'effect.succeeded'))
  expect([outputs.length, peak, gates.metrics('limited')]).toEqual([
    40,
    3,
    { depth: 0, inflight: 0, submitted: 40, completed: 40, breakerOpen: false },
  ])
})

test('a run that dies with calls in flight and in the queue leaves nothing at the gate, and its resume is let in', async () => {
  const clock = new VirtualClock()
  const gates = providerGates({ clock, settings: () => ({ concurrency: 2 }) })
  let isStuck = true
  const generate = ({ agent }: { agent: string }, { signal }: { signal: AbortSignal }) =>
    isStuck
      ? new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      : Promise.resolve(answer(`to ${agent}`))
  const folder = temporaryFolder()
  const effects = { 'llm.generate': gatedHandler({ generate }, gates) }
  const life = openLife(folder, { machines: { caller }, clock, effects })
  const children = Array.from({ length: 6 }, (_, n) => ({
    id: `c${n}`,
    src: 'caller',
    restart: 'transient' as const,
    significant: true,
    input: { name: `c${n}` },
  }))
  const session = await life.troupe.start({ id: 'top', autoShutdown: 'all_significant', children })
  await clock.advance(0)
  expect(gates.metrics('limited')).toMatchObject({ depth: 4, inflight: 2 })
  await life.kill(session)
  await clock.advance(10_000)
  expect(gates.metrics('limited')).toMatchObject({ depth: 0, inflight: 0 })
  isStuck = false
  const again = openLife(folder, { machines: { caller }, clock, effects })
  const resumed = await again.troupe.resume(session.id)
  expect(resumed.recovery?.effects.map(({ verdict }) => verdict).toSorted()).toEqual([...Array(4).fill('not_started'), 'repeat', 'repeat'])
  await clock.advance(10_000)
  const attempts = again.store.effects(session.id).map(({ status, attempt }) => `${status} ${attempt}`)
  expect(attempts.toSorted()).toEqual([...Array(4).fill('succeeded 1'), 'succeeded 2', 'succeeded 2'])
})

test('a provider that times out opens the breaker; a chain goes on at once, and one whose actor has left says nothing about it', async () => {
  const clock = new VirtualClock()
  const gates = providerGates({ clock, settings: () => ({ concurrency: 10, breaker: { failures: 2, openMs: 60_000 } }) })
  const asked: string[] = []
  // It hears its abort as a provider does: with a result, not with the reason.
  const generate = ({ agent }: { agent: string }, { signal }: { signal: AbortSignal }) => {
    asked.push(agent)
    return new Promise<GenerateResult>((resolve) =>
      signal.addEventListener('abort', () => resolve({ ok: false, code: 'E_PROVIDER_TIMEOUT', message: 'aborted', retry: 'never' })),
    )
  }
  const late = { timeouts: { firstTokenMs: 1_000 }, retry: { maxAttempts: 1 } }
  const of = (id: string, input: object = {}) => ({
    id,
    src: 'caller',
    restart: 'transient' as const,
    input: { name: id, model: late, ...input },
  })
  const life = openLife(temporaryFolder(), { machines: { caller }, clock, effects: { 'llm.generate': gatedHandler({ generate }, gates) } })
  const session = await life.troupe.start({ id: 'top', children: [of('leaves'), of('a')] })
  await clock.advance(500)
  await session.send('/top/leaves', { type: 'leave' })
  await clock.advance(500)
  expect([gates.snapshot('limited')?.context.failures, gates.metrics('limited')?.breakerOpen]).toEqual([1, false])
  const next = await life.troupe.start({ id: 'top', children: [of('b'), of('quick', { failFast: true })] })
  await clock.advance(1_000)
  expect(gates.metrics('limited')?.breakerOpen).toBe(true)
  const last = await life.troupe.start({ id: 'top', children: [of('patient'), of('chained', { failFast: true })] })
  await clock.advance(0)
  expect(toldBy(life.store, last.id)).toEqual({ '/top/patient': ['owed '], '/top/chained': ['failed E_PROVIDER_UNREACHABLE'] })
  expect(asked).toEqual(['leaves', 'a', 'b', 'quick'])
  const noted = factsOf(life.store, next.id, 'provider.paused').map(({ path, data }) => [path, data['reason'], data['untilAt']])
  expect(noted).toEqual([['/top/b', 'breaker', clock.wallMs() + 60_000]])
})
