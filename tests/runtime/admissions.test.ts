/** The gate of a handler under the engine: who waits there is owed and costs nothing, and each place that was asked for is given back once. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AdmissionRequest, type Deadlines, Failure, type RetryPolicy } from '../../src/effect.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { factsOf, type Life, only, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { type Call, hang, worker } from './worker.ts'

/** One that has asked, as the gate remembers it. */
interface Guest {
  readonly ticket: string
  readonly attempt: number
  readonly path: string
  isOpen: boolean
  closed: number
  looks: number
  opened(): void
}

/** A gate that opens for whom the test says. */
function openGate(options: { isOpen?: boolean; untilMs?: number } = {}) {
  const guests: Guest[] = []
  const admit = ({ ticket, attempt, path, opened }: AdmissionRequest<{ n: number }>) => {
    const guest: Guest = { ticket, attempt, path, isOpen: options.isOpen ?? false, closed: 0, looks: 0, opened }
    guests.push(guest)
    return {
      isOpen: () => {
        guest.looks++
        return guest.isOpen
      },
      waiting: () =>
        guest.isOpen ? null : { on: 'rate_limit' as const, untilMs: options.untilMs ?? null, why: 'the provider asks to wait' },
      close: () => {
        guest.closed++
      },
    }
  }
  const letIn = (guest: Guest | undefined): void => {
    guest!.isOpen = true
    guest!.opened()
  }
  return { guests, admit, letIn }
}

interface Scene {
  readonly life: Life
  readonly clock: VirtualClock
  readonly session: RunSession
  readonly gate: ReturnType<typeof openGate>
  readonly calls: Call[]
}

const RETRY: RetryPolicy = { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 1_000, exponentialBase: 1 }

async function scene(
  perform: (call: Call) => unknown,
  options: { deadlines?: Deadlines; folder?: string; untilMs?: number; isOpen?: boolean } = {},
): Promise<Scene & { readonly open: (folder: string) => Life }> {
  const { deadlines, folder = temporaryFolder(), ...gateOptions } = options
  const clock = new VirtualClock()
  const gate = openGate(gateOptions)
  const calls: Call[] = []
  const seen = (call: Call): Promise<number> => {
    calls.push(call)
    return perform(call) as Promise<number>
  }
  const machines = { worker: worker({ retry: RETRY, ...(deadlines === undefined ? {} : { deadlines }) }) }
  const open = (where: string): Life => openLife(where, { machines, clock, effects: { work: { perform: seen, admit: gate.admit } } })
  const life = open(folder)
  const session = await life.troupe.start(only('worker'))
  await clock.advance(0)
  await session.send('/top/one', { type: 'go' })
  await clock.advance(0)
  return { life, clock, session, gate, calls, open }
}

const rowOf = (life: Life, session: RunSession) => life.store.effects(session.id)[0]
const closings = ({ gate }: Scene) => gate.guests.map(({ closed }) => closed)

test('an attempt starts when its gate lets it in and not before; until then it is owed, and nobody looks again and again', async () => {
  const at = await scene(() => 7)
  await at.clock.advance(3_600_000)
  expect([rowOf(at.life, at.session)?.status, at.calls.length, closings(at)]).toEqual(['owed', 0, [0]])
  expect(at.gate.guests[0]).toMatchObject({ ticket: `${at.session.id}/e1#1`, attempt: 1, path: '/top/one' })
  expect(at.gate.guests[0]!.looks, 'no polling').toBeLessThan(5)
  at.gate.letIn(at.gate.guests[0])
  await at.clock.advance(0)
  expect([rowOf(at.life, at.session)?.status, at.calls.length, closings(at)]).toEqual(['succeeded', 1, [1]])
})

test('who is let in keeps the place until the attempt has ended, and the next attempt asks for one of its own', async () => {
  const first = Promise.withResolvers<number>()
  const at = await scene(({ attempt }) => (attempt === 1 ? first.promise : 7))
  at.gate.letIn(at.gate.guests[0])
  await at.clock.advance(10_000)
  expect(closings(at)).toEqual([0])
  first.reject(new Failure('E_BUSY', 'busy', { retry: 'backoff' }))
  await at.clock.advance(0)
  expect([closings(at), rowOf(at.life, at.session)]).toEqual([
    [1],
    expect.objectContaining({ status: 'started', nextAt: expect.anything() }),
  ])
  await at.clock.advance(60_000)
  expect(at.gate.guests.map(({ ticket, closed }) => [ticket, closed])).toEqual([
    [`${at.session.id}/e1#1`, 1],
    [`${at.session.id}/e1#2`, 0],
  ])
  expect([at.calls.length, at.gate.guests[1]!.looks < 5]).toEqual([1, true])
  at.gate.letIn(at.gate.guests[1])
  await at.clock.advance(0)
  expect([rowOf(at.life, at.session)?.status, at.calls.length, closings(at)]).toEqual(['succeeded', 2, [1, 1]])
})

test('an actor that leaves the state while it waits gives its place up, and nothing is performed', async () => {
  const at = await scene(() => 7)
  await at.session.send('/top/one', { type: 'leave' })
  await at.clock.advance(0)
  expect([rowOf(at.life, at.session)?.status, at.calls.length, closings(at)]).toEqual(['cancelled', 0, [1]])
  at.gate.letIn(at.gate.guests[0])
  await at.clock.advance(1_000)
  expect([at.calls.length, closings(at)]).toEqual([0, [1]])
})

test('the total time of an effect runs on while it waits at the gate', async () => {
  const at = await scene(() => 7, { deadlines: { totalMs: 5_000 } })
  await at.clock.advance(4_999)
  expect(closings(at)).toEqual([0])
  await at.clock.advance(1)
  expect([rowOf(at.life, at.session), at.calls.length, closings(at)]).toEqual([
    expect.objectContaining({ status: 'failed', error: expect.objectContaining({ code: 'E_EFFECT_TIMEOUT', which: 'total' }) }),
    0,
    [1],
  ])
})

test('a run that is stopped leaves the gate at once; who is in flight leaves it when it has ended', async () => {
  const waits = await scene(() => 7)
  await waits.session.stop()
  expect([rowOf(waits.life, waits.session)?.status, waits.calls.length, closings(waits)]).toEqual(['owed', 0, [1]])
  const flies = await scene(({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))), {
    isOpen: true,
  })
  expect(closings(flies)).toEqual([0])
  await flies.session.stop()
  expect(closings(flies)).toEqual([1])
})

test('a handler that does not hear its abort keeps its place for the grace, and no longer', async () => {
  const at = await scene(() => hang(1), { isOpen: true })
  await at.session.send('/top/one', { type: 'leave' })
  await at.clock.advance(1_999)
  expect(closings(at)).toEqual([0])
  await at.clock.advance(1)
  expect(closings(at)).toEqual([1])
  const stopped = at.session.stop()
  await at.clock.advance(10_000)
  await stopped
  expect(closings(at)).toEqual([1])
})

test.each([1, 2])(
  'a process that dies while attempt %i waits has cost nothing: nothing is in doubt, and the same attempt is asked for again',
  async (attempt) => {
    const folder = temporaryFolder()
    const at = await scene((call) => (call.attempt < attempt ? Promise.reject(new Failure('E_BUSY', 'busy', { retry: 'backoff' })) : 7), {
      folder,
    })
    if (attempt === 2) at.gate.letIn(at.gate.guests[0])
    await at.clock.advance(10_000)
    await at.life.kill(at.session)
    await at.clock.advance(10_000)
    expect(closings(at)).toEqual(Array(attempt).fill(1))
    const life = at.open(folder)
    const again = await life.troupe.resume(at.session.id)
    await at.clock.advance(0)
    expect(again.recovery?.effects).toMatchObject([{ id: 'e1', verdict: 'not_started' }])
    expect(at.gate.guests.slice(attempt).map(({ ticket }) => ticket)).toEqual([`${at.session.id}/e1#${attempt}`])
    at.gate.letIn(at.gate.guests.at(-1))
    await at.clock.advance(0)
    expect(rowOf(life, again)).toMatchObject({ status: 'succeeded', attempt })
    expect(factsOf(life.store, again.id, 'effect.started').map(({ data }) => data['attempt'])).toEqual([1, 2].slice(0, attempt))
    expect([at.calls.length, closings(at).every((times) => times === 1)]).toEqual([attempt, true])
  },
)

test('a run whose commit fails gives back the place of an attempt that it could not start', async () => {
  const clock = new VirtualClock()
  const gate = openGate()
  const onCommit = (rows: { journal: readonly { type: string }[] }): void => {
    if (rows.journal.some(({ type }) => type === 'effect.started')) throw new Error('disk is gone')
  }
  const life = openLife(temporaryFolder(), {
    machines: { worker: worker() },
    clock,
    effects: { work: { perform: () => 7, admit: gate.admit } },
    onCommit,
  })
  const session = await life.troupe.start(only('worker'))
  const done = session.done().catch((error: Error) => error.message)
  await session.send('/top/one', { type: 'go' })
  await clock.advance(0)
  gate.letIn(gate.guests[0])
  await clock.advance(10_000)
  expect([await done, gate.guests.map(({ closed }) => closed)]).toEqual(['disk is gone', [1]])
})

test('an actor that waits at a gate shows what it waits for, with the proof; the gate is asked when somebody looks', async () => {
  const untilMs = 1_700_000_000_000 + 40_000
  const at = await scene(() => hang(1), { untilMs })
  const health = () => at.session.tree().children[0]?.health
  expect(health()).toMatchObject({
    state: 'waiting',
    on: 'rate_limit',
    evidence: 'e1 work.do waits to start: the provider asks to wait, 40.0s left',
    proof: { effect: 'e1', kind: 'work.do', why: 'the provider asks to wait', until: 40_000 },
    errors: { total: 0 },
  })
  await at.clock.advance(15_000)
  expect(health()).toMatchObject({ state: 'waiting', evidence: expect.stringContaining('25.0s left'), since: 0 })
  at.gate.letIn(at.gate.guests[0])
  await at.clock.advance(0)
  expect(health()).toMatchObject({ state: 'busy', on: 'e1' })
  expect(factsOf(at.life.store, at.session.id, 'health.changed'), 'waiting is not on record').toEqual([])
})

test('whatever happens to 5 actors at a gate, each place that was asked for is given back exactly once, and nobody starts without one', async () => {
  const step = fc.record({
    who: fc.nat({ max: 4 }),
    what: fc.constantFrom('go', 'leave', 'open', 'settle', 'refuse', 'wait', 'open', 'go'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.constantFrom('stop', 'kill'), async (steps, end) => {
      const clock = new VirtualClock()
      const gate = openGate()
      const calls: (Call & PromiseWithResolvers<number>)[] = []
      const perform = (call: Call): Promise<number> => {
        const answer = Promise.withResolvers<number>()
        const guest = gate.guests.find(({ ticket }) => ticket === `${call.key}#${call.attempt}`)
        expect(guest).toMatchObject({ isOpen: true, closed: 0 })
        call.signal.addEventListener('abort', () => answer.reject(call.signal.reason))
        calls.push({ ...call, ...answer })
        return answer.promise
      }
      const machines = { worker: worker({ retry: RETRY, deadlines: { totalMs: 30_000 } }) }
      const life = openLife(temporaryFolder(), { machines, clock, store: memoryStore(), effects: { work: { perform, admit: gate.admit } } })
      const children = [0, 1, 2, 3, 4].map((n) => ({ id: `w${n}`, src: 'worker' }))
      const session = await life.troupe.start({ id: 'top', intensity: 100, children })
      for (const { who, what } of steps) {
        const path = `/top/w${who}`
        if (what === 'go' || what === 'leave') await session.send(path, { type: what })
        if (what === 'open') for (const guest of gate.guests) if (guest.path === path && guest.closed === 0) gate.letIn(guest)
        for (const call of calls.filter((one) => one.path === path)) {
          if (what === 'settle') call.resolve(1)
          if (what === 'refuse') call.reject(new Failure('E_BUSY', 'busy', { retry: 'backoff' }))
        }
        await clock.advance(what === 'wait' ? 9_000 : 0)
      }
      const open = life.store.effects(session.id).filter(({ status }) => status === 'owed' || status === 'started')
      const places = gate.guests.filter(({ closed }) => closed === 0)
      expect(places.length, 'a place for each that waits or flies, and for nobody else').toBe(
        open.filter(({ nextAt }) => nextAt === null || nextAt <= clock.monotonicMs()).length,
      )
      const ended = end === 'stop' ? session.stop() : life.kill(session)
      await clock.advance(60_000)
      await ended
      expect(gate.guests.map(({ closed }) => closed)).toEqual(gate.guests.map(() => 1))
    }),
    { numRuns: process.env['TROUPE_NIGHTLY'] === undefined ? 20 : 500 },
  )
}, 30_000)
