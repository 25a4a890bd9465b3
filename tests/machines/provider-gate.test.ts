/** The gate of one provider, step by step: who is let in, in which order, how fast, and whom a limit or an outage stops. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GATE_QUEUE_MAX } from '../../src/limits.ts'
import { dueAt, heldBy } from '../../src/machines/gate-rules.ts'
import { standingOf } from '../../src/machines/provider-gate.ts'
import { GatePlay } from './gate-play.ts'

const numRuns = process.env['TROUPE_NIGHTLY'] === undefined ? 40 : 3_000
const breakerOf = ({ snapshot }: GatePlay) => snapshot.value.breaker

test('A15: never more calls are in flight than there are permits, and each that ends lets the next one in', () => {
  const play = new GatePlay({ concurrency: 3 })
  const ids = [1, 2, 3, 4, 5, 6, 7].map((n) => play.ask(`/a${n}`))
  expect([play.inFlight, play.standing]).toEqual([ids.slice(0, 3), { admitting: 'queueing', pausing: 'flowing', breaker: 'closed' }])
  play.succeed(ids[1]!)
  expect(play.inFlight).toEqual([ids[0], ids[2], ids[3]])
  for (const id of ids) if (play.inFlight.includes(id)) play.succeed(id)
  expect([play.admitted, play.inFlight, play.snapshot.value.admitting]).toEqual([ids, [], 'free'])
  expect([play.snapshot.context.submitted, play.snapshot.context.completed]).toEqual([7, 7])
})

test('who is not wanted any more leaves the queue, and takes nobody else with it', () => {
  const play = new GatePlay({ concurrency: 1 })
  const [a, b, c] = ['/a', '/b', '/c'].map((path) => play.ask(path))
  play.leave(b!)
  play.succeed(a!)
  expect([play.admitted, play.snapshot.context.completed]).toEqual([[a, c], 1])
})

test('an actor that asks a hundred times waits behind one that asks once', () => {
  const play = new GatePlay({ concurrency: 1 })
  for (let n = 0; n < 100; n++) play.ask('/greedy', { id: `g${n}` })
  play.ask('/modest', { id: 'm' })
  for (let n = 0; n < 3; n++) play.succeed(play.inFlight[0]!)
  expect(play.admitted).toEqual(['g0', 'g1', 'm', 'g2'])
})

test('P21: nobody starves: however others ask, each is let in after at most one call of every other actor that waits', () => {
  const asks = fc.array(fc.record({ path: fc.nat({ max: 7 }), ends: fc.boolean() }), { minLength: 20, maxLength: 120 })
  fc.assert(
    fc.property(asks, fc.integer({ min: 1, max: 3 }), (steps, concurrency) => {
      const play = new GatePlay({ concurrency })
      const pathOf = new Map<string, string>()
      const waits = new Map<string, Map<string, number>>()
      const note = (count: number): void => {
        for (const id of play.admitted.slice(count)) {
          const path = pathOf.get(id)!
          for (const [other, served] of waits) if (other !== path) served.set(path, (served.get(path) ?? 0) + 1)
          for (const [other, served] of waits)
            expect(Math.max(0, ...served.values()), `${other} waits for ${JSON.stringify([...served])}`).toBeLessThanOrEqual(1)
          waits.delete(path)
          if ([...pathOf].some(([one, at]) => at === path && !play.admitted.includes(one))) waits.set(path, new Map())
        }
      }
      for (const { path, ends } of steps) {
        const count = play.admitted.length
        if (ends && play.inFlight.length > 0) play.succeed(play.inFlight[0]!)
        else {
          const id = `t${pathOf.size}`
          pathOf.set(id, `/${path}`)
          if (!waits.has(`/${path}`)) waits.set(`/${path}`, new Map())
          play.ask(`/${path}`, { id })
        }
        note(count)
      }
    }),
    { numRuns },
  )
})

test('a full queue turns away, and its state says so until there is room', () => {
  const play = new GatePlay({ concurrency: 1 })
  for (let n = 0; n <= GATE_QUEUE_MAX; n++) play.ask(`/a${n % 10}`)
  expect(play.snapshot.value.admitting).toBe('full')
  const late = play.ask('/late')
  expect([play.said.at(-1), play.snapshot.context.queue.size]).toEqual([{ type: 'turned_away', id: late }, GATE_QUEUE_MAX])
  play.succeed(play.inFlight[0]!)
  expect(play.snapshot.value.admitting).toBe('queueing')
})

test('requests_per_minute holds in any minute, whatever is asked when', () => {
  const plan = fc.array(fc.record({ ms: fc.nat({ max: 20_000 }), asks: fc.nat({ max: 12 }) }), { minLength: 5, maxLength: 25 })
  fc.assert(
    fc.property(plan, fc.integer({ min: 1, max: 90 }), (steps, requestsPerMinute) => {
      const play = new GatePlay({ concurrency: 1_000, requestsPerMinute })
      const starts: number[] = []
      let seen = 0
      const note = (): void => {
        for (; seen < play.admitted.length; seen++) starts.push(play.snapshot.context.now)
      }
      const tell = play.tell.bind(play)
      play.tell = (event) => {
        const said = tell(event)
        note()
        return said
      }
      for (const { ms, asks } of steps) {
        play.goTo(play.now + ms)
        for (let n = 0; n < asks; n++) play.ask(`/a${n}`)
      }
      for (const [n, at] of starts.entries())
        expect((starts[n + requestsPerMinute] ?? Number.POSITIVE_INFINITY) - at).toBeGreaterThanOrEqual(60_000 - 1)
      const wanted = steps.reduce((sum, { asks }) => sum + asks, 0)
      play.goTo(play.now + (wanted / requestsPerMinute + 2) * 120_000)
      expect(starts).toHaveLength(wanted)
    }),
    { numRuns },
  )
})

test('a rate limit pauses its quota group and no other, as long as it asks; after it calls come one by one, at the rate that was seen', () => {
  const play = new GatePlay({ concurrency: 20 })
  const ids = Array.from({ length: 10 }, (_, n) => play.ask(`/a${n}`))
  play.now = 1_000
  for (const id of ids.slice(0, 9)) play.succeed(id)
  play.limit(ids[9]!, 9_000)
  expect([play.standing, play.said.at(-1)]).toEqual([
    { admitting: 'free', pausing: 'paused', breaker: 'closed' },
    { type: 'paused', reason: 'rate_limit', group: 'p', until: 10_000, by: ids[9] },
  ])
  const before = play.admitted.length
  const waiting = Array.from({ length: 8 }, (_, n) => play.ask(`/b${n}`))
  const other = play.ask('/c', { group: 'q' })
  expect(play.admitted.slice(before)).toEqual([other])
  expect(heldBy(play.snapshot.context, 'closed', { group: 'p' })).toEqual({ on: 'rate_limit', until: 10_000, why: 'p asks to wait' })
  const starts: number[] = []
  const tell = play.tell.bind(play)
  play.tell = (event) => {
    const said = tell(event)
    for (const one of said) if (one.type === 'admitted') starts.push(play.now)
    return said
  }
  play.goTo(60_000)
  expect(play.admitted.slice(before + 1)).toEqual(waiting)
  // 9 were accepted in 10 s: one each 1.11 s, and a tenth more for safety.
  const intervals = starts.slice(1).map((at, n) => Math.round(at - starts[n]!))
  expect([Math.min(...starts) >= 10_000, intervals]).toEqual([true, Array(7).fill(1_222)])
})

test('those that were in flight together slow the group down once, and the longest pause counts', () => {
  const play = new GatePlay({ concurrency: 4 })
  const ids = [1, 2, 3, 4].map((n) => play.ask(`/a${n}`))
  play.now = 100
  for (const [n, id] of ids.entries()) play.limit(id, 1_000 * (n + 1))
  expect(play.snapshot.context.paces['p']).toMatchObject({ until: 4_100, concurrency: 2, strikes: 1 })
})

test('a provider that does not say how long is waited for twice as long each time, and an absurd wait is cut', () => {
  const play = new GatePlay({ concurrency: 1 })
  const pauses: number[] = []
  for (let n = 0; n < 4; n++) {
    const id = play.ask('/a')
    play.goTo(play.now + 1_000_000)
    play.fail(id, 'E_PROVIDER_OVERLOADED')
    pauses.push(play.snapshot.context.paces['p']!.until - play.now)
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000])
  const id = play.ask('/a')
  play.goTo(play.now + 1_000_000)
  play.limit(id, 1e15)
  expect(play.snapshot.context.paces['p']!.until - play.now).toBe(3_600_000)
})

test('a group that is accepted again comes back to full speed, step by step', () => {
  const play = new GatePlay({ concurrency: 4 })
  play.limit(play.ask('/a'), 400)
  play.goTo(1_000)
  expect(play.snapshot.value.pausing).toBe('paused')
  const seen: unknown[] = []
  for (let n = 0; n < 400; n++) {
    const id = play.ask('/a')
    play.goTo(play.now + 2_000)
    play.succeed(id)
    if (seen.at(-1) !== play.snapshot.value.pausing) seen.push(play.snapshot.value.pausing)
  }
  expect([seen, play.snapshot.context.paces['p']]).toEqual([
    ['slowed', 'flowing'],
    expect.objectContaining({ intervalMs: 0, concurrency: 4 }),
  ])
})

test('failures in a row open the breaker, an answer between them begins the row anew, and a refusal is an answer', () => {
  const play = new GatePlay({ breaker: { failures: 3, openMs: 30_000 } })
  for (const code of [
    'E_PROVIDER_UNREACHABLE',
    'E_PROVIDER_TIMEOUT',
    'E_PROVIDER_REFUSED',
    'E_EFFECT_TIMEOUT',
    'E_CANCELLED',
    'E_PROVIDER_UNREACHABLE',
  ])
    play.fail(play.ask('/a'), code)
  expect([breakerOf(play), play.snapshot.context.failures]).toEqual(['closed', 2])
  const last = play.ask('/a')
  play.fail(last)
  expect([breakerOf(play), play.said.at(-1)]).toEqual(['open', { type: 'paused', reason: 'breaker', group: null, until: 31_500, by: last }])
})

/** Opened at 0; its time is over at 31,500. */
function opened(concurrency = 4): GatePlay {
  const play = new GatePlay({ concurrency, breaker: { failures: 1, openMs: 30_000 } })
  play.fail(play.ask('/a'))
  return play
}

test('of all that wait for a provider that was down exactly one tries it, and its answer lets the others in, not all at once', () => {
  const play = opened()
  const ids = Array.from({ length: 10 }, (_, n) => play.ask(`/b${n}`))
  expect(heldBy(play.snapshot.context, 'open', { group: 'p' })).toMatchObject({ on: 'provider', until: 31_500 })
  play.goTo(31_499)
  expect(play.inFlight).toEqual([])
  play.goTo(40_000)
  expect([breakerOf(play), play.inFlight]).toEqual([{ half_open: 'probing' }, [ids[0]]])
  play.goTo(400_000)
  expect([play.inFlight, dueAt(play.snapshot.context, 'half_open')]).toEqual([[ids[0]], null])
  play.succeed(ids[0]!)
  expect([breakerOf(play), play.inFlight]).toEqual(['closed', [ids[1]]])
  play.succeed(ids[1]!)
  expect(play.inFlight).toHaveLength(2)
})

test('a probe that fails opens the breaker again; one that ends without a word gives its turn to the next; a rate limit is an answer', () => {
  const failing = opened()
  const [first] = ['/b', '/c'].map((path) => failing.ask(path))
  failing.goTo(31_500)
  failing.fail(first!)
  expect([breakerOf(failing), failing.inFlight, failing.snapshot.context.openUntil]).toEqual(['open', [], 63_000])
  const silent = opened()
  const [one, two] = ['/b', '/c'].map((path) => silent.ask(path))
  silent.goTo(31_500)
  silent.leave(one!)
  expect([breakerOf(silent), silent.inFlight]).toEqual([{ half_open: 'probing' }, [two]])
  silent.limit(two!, 5_000)
  expect([breakerOf(silent), silent.snapshot.value.pausing]).toEqual(['closed', 'paused'])
})

test('what was in flight when the breaker opened neither closes it nor opens it for longer', () => {
  const play = new GatePlay({ breaker: { failures: 1, openMs: 30_000 } })
  const [a, b, c, d] = ['/a', '/b', '/c', '/d'].map((path) => play.ask(path))
  play.fail(a!)
  play.now = 10_000
  play.succeed(b!)
  play.fail(c!)
  expect([breakerOf(play), play.snapshot.context.openUntil]).toEqual(['open', 31_500])
  const probe = play.ask('/e')
  play.goTo(32_000)
  expect(play.inFlight).toEqual([d, probe])
  play.fail(d!)
  expect(breakerOf(play)).toEqual({ half_open: 'probing' })
})

test('who has another model to ask is refused at once while the provider is down, and may be the one that tries it', () => {
  const play = opened()
  const patient = play.ask('/b')
  const quick = play.ask('/c', { failFast: true })
  expect([play.said.at(-1), play.inFlight]).toEqual([{ type: 'refused', id: quick, why: 'down' }, []])
  play.goTo(32_000)
  expect(play.inFlight).toEqual([patient])
  const second = play.ask('/d', { failFast: true })
  expect(play.said.at(-1)).toEqual({ type: 'refused', id: second, why: 'down' })
  const alone = opened()
  alone.now = 50_000
  const probe = alone.ask('/b', { failFast: true })
  expect(alone.inFlight).toEqual([probe])
})

test('S9: models that do not fit in memory together are not in use together, and a large one is not kept waiting by small ones', () => {
  const play = new GatePlay({ concurrency: 10, vramGb: 16 })
  const model = (name: string, gb: number) => ({ id: name, needs: { key: name.slice(0, 1), gb } })
  play.ask('/1', model('a1', 6))
  play.ask('/2', model('b1', 10))
  play.ask('/3', model('c1', 12))
  play.ask('/4', model('a2', 6))
  expect(play.inFlight).toEqual(['a1', 'b1'])
  play.succeed('a1')
  expect(play.inFlight, 'the line stands: a2 would keep c1 out').toEqual(['b1'])
  play.succeed('b1')
  expect(play.inFlight).toEqual(['c1'])
  play.succeed('c1')
  expect(play.inFlight).toEqual(['a2'])
  const huge = new GatePlay({ vramGb: 16 })
  huge.ask('/1', model('x1', 40))
  expect(huge.inFlight, 'alone it is tried').toEqual(['x1'])
})

test('a gate is plain JSON, the same events give the same gate, and it never asks for a tick in the past', () => {
  const step = fc.record({
    what: fc.constantFrom('ask', 'ask', 'ask', 'succeed', 'fail', 'limit', 'leave', 'wait'),
    who: fc.nat({ max: 5 }),
    random: fc.double({ min: 0, max: 0.99, noNaN: true }),
    ms: fc.nat({ max: 40_000 }),
  })
  const played = (steps: readonly { what: string; who: number; random: number; ms: number }[]): GatePlay => {
    const play = new GatePlay({ concurrency: 2, requestsPerMinute: 40, breaker: { failures: 2, openMs: 5_000 } })
    for (const { what, who, random, ms } of steps) {
      play.random = random
      const id = play.inFlight[who % Math.max(1, play.inFlight.length)]
      if (what === 'ask') play.ask(`/a${who}`, { group: `g${who % 2}`, failFast: who === 5 })
      else if (what === 'wait') play.goTo(play.now + ms)
      else if (id === undefined) continue
      else if (what === 'succeed') play.succeed(id)
      else if (what === 'fail') play.fail(id)
      else if (what === 'limit') play.limit(id, ms)
      else play.leave(id)
      expect(play.inFlight.length).toBeLessThanOrEqual(2)
      if (standingOf(play.snapshot) === 'open') expect(play.snapshot.context.probe).toBeNull()
    }
    return play
  }
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { context } = played(steps).snapshot
      expect(JSON.parse(JSON.stringify(context))).toEqual(context)
      expect(played(steps).snapshot.context).toEqual(context)
      // Whatever has happened, everybody is served in the end.
      const play = played(steps)
      for (let rounds = 0; rounds < 2_000 && (play.inFlight.length > 0 || play.snapshot.context.queue.size > 0); rounds++) {
        for (const id of play.inFlight) play.succeed(id)
        play.goTo(play.now + 60_000)
      }
      expect([play.inFlight, play.snapshot.context.queue.size, play.snapshot.value.admitting]).toEqual([[], 0, 'free'])
    }),
    { numRuns },
  )
})
