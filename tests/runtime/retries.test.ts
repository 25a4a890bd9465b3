/** Retries are data on the effect's row, decided in one place: the given policy is the one applied, waits end with the state, the last error stands. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { z } from 'zod'
import { effect, Failure, type RepeatPolicy, type RetryPolicy } from '../../src/effect.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { type Handler, worker } from './worker.ts'

const reset = (): Error => new TypeError('fetch failed', { cause: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }) })
const http = (status: number, headers?: object): Error => Object.assign(new Error(`status ${status}`), { status, headers })

/** Fails each attempt with the next of these, the last one for ever, and says when it was called. */
function failing(clock: VirtualClock, ...thrown: readonly unknown[]): { readonly at: number[]; readonly handler: Handler } {
  const at: number[] = []
  const perform = ({ attempt }: { readonly attempt: number }): never => {
    at.push(clock.monotonicMs())
    throw thrown[Math.min(attempt, thrown.length) - 1]
  }
  return { at, handler: { perform } }
}

async function run(retry: RetryPolicy, repeat: RepeatPolicy, ...thrown: readonly unknown[]) {
  const clock = new VirtualClock()
  const { at, handler } = failing(clock, ...thrown)
  const machines = { worker: worker({ retry, repeat }) }
  const { troupe, store } = openLife(temporaryFolder(), { machines, clock, effects: { work: handler } })
  const session = await troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.settled()
  return { at, clock, session, store, facts: (...types: string[]) => factsOf(store, session.id, ...types).map(({ data }) => data) }
}

const policy = (maxAttempts: number, baseDelayMs: number, maxDelayMs: number, exponentialBase = 2): RetryPolicy => ({
  maxAttempts,
  baseDelayMs,
  maxDelayMs,
  exponentialBase,
})

/** Two effects of one machine, each with a policy of its own; both fail for ever. */
const both = ((retries: { readonly quick: RetryPolicy; readonly slow: RetryPolicy }) => {
  const make = (kind: string, retry: RetryPolicy) => effect({ kind, input: z.unknown(), output: z.number(), repeat: 'repeat', retry })
  return setup({ actors: { quick: make('quick.try', retries.quick), slow: make('slow.try', retries.slow) } }).createMachine({
    id: 'both',
    type: 'parallel',
    on: { 'xstate.error.actor.*': {} },
    states: {
      left: { invoke: { src: 'quick' } },
      right: { invoke: { src: 'slow' } },
    },
  })
})({ quick: policy(5, 100, 250), slow: policy(3, 1_000, 30_000, 3) })

test('S4: of two effects with different policies in one run each is tried as its own policy says, and not as another one', async () => {
  const clock = new VirtualClock()
  const [quick, slow] = [failing(clock, reset()), failing(clock, http(503))]
  const { troupe, store } = openLife(temporaryFolder(), {
    machines: { both },
    clock,
    effects: { 'quick.try': quick.handler, 'slow.try': slow.handler },
  })
  const session = await troupe.start(only('both', { restart: 'temporary' }))
  await clock.advance(60_000)
  expect({ quick: quick.at, slow: slow.at }).toEqual({ quick: [0, 100, 300, 550, 800], slow: [0, 1_000, 4_000] })
  const scheduled = factsOf(store, session.id, 'retry.scheduled').map(({ data }) => [
    data['kind'],
    data['attempt'],
    data['maxAttempts'],
    data['delayMs'],
  ])
  expect(scheduled.sort()).toEqual([
    ['quick.try', 1, 5, 100],
    ['quick.try', 2, 5, 200],
    ['quick.try', 3, 5, 250],
    ['quick.try', 4, 5, 250],
    ['slow.try', 1, 3, 1_000],
    ['slow.try', 2, 3, 3_000],
  ])
})

test('S3: no wait follows the last attempt: the machine hears of it at once, with the last error', async () => {
  const { at, clock, session, facts } = await run(policy(3, 100, 1_000), 'repeat', reset())
  await clock.advance(300)
  expect({ at, waits: facts('retry.scheduled').map(({ delayMs }) => delayMs) }).toEqual({ at: [0, 100, 300], waits: [100, 200] })
  expect(facts('effect.failed')).toEqual([
    expect.objectContaining({ code: 'E_DEFECT', message: 'fetch failed', attempts: 3, retry: 'backoff' }),
  ])
  expect(session.snapshot('/top/one')?.value).toBe('idle')
})

test('F3: waits double up to their cap', async () => {
  const { clock, at } = await run(policy(8, 100, 1_000), 'repeat', http(529))
  await clock.advance(60_000)
  expect(at.map((ms, n) => ms - (at[n - 1] ?? 0))).toEqual([0, 100, 200, 400, 800, 1_000, 1_000, 1_000])
})

test('F3: a wait is over when the state that invoked the effect is left: nothing is performed any more', async () => {
  const { clock, at, session, store, facts } = await run(policy(8, 1_000, 1_000), 'repeat', reset())
  await clock.advance(1_500)
  await session.send('/top/one', { type: 'leave' })
  await clock.advance(60_000)
  expect({ at, row: store.effects(session.id)[0], facts: facts('effect.cancelled') }).toEqual({
    at: [0, 1_000],
    row: expect.objectContaining({ status: 'cancelled', attempt: 2 }),
    facts: [{ id: 'e1', kind: 'work.do', was: 'started' }],
  })
})

test('a Retry-After is waited for to the millisecond, in place of the own delay', async () => {
  const { clock, at } = await run(
    policy(3, 100, 1_000),
    'repeat',
    http(429, { 'retry-after': '7' }),
    http(429, { 'retry-after-ms': '1234' }),
  )
  await clock.advance(60_000)
  expect(at).toEqual([0, 7_000, 8_234])
})

test('a mistake is not tried again, however often the policy would', async () => {
  const { clock, at, facts } = await run(policy(8, 100, 1_000), 'repeat', new TypeError('x is undefined'))
  await clock.advance(60_000)
  expect({ at, failed: facts('effect.failed') }).toEqual({ at: [0], failed: [expect.objectContaining({ attempts: 1, retry: 'never' })] })
})

test.each<[RepeatPolicy, number]>([
  ['repeat', 3],
  ['prove', 3],
  ['ask', 1],
])('a connection that breaks under an effect of policy %s is performed %i times', async (repeat, times) => {
  const { clock, at } = await run(policy(3, 100, 1_000), repeat, reset())
  await clock.advance(60_000)
  expect(at).toHaveLength(times)
})

test('what the handler itself says holds, for policy ask too', async () => {
  const { clock, at } = await run(policy(3, 100, 1_000), 'ask', new Failure('E_BUSY', 'busy', { retry: 'backoff' }))
  await clock.advance(60_000)
  expect(at).toHaveLength(3)
})

test('the last error stands, and one of another kind before it is its cause', async () => {
  const { clock, facts } = await run(policy(3, 100, 1_000), 'repeat', http(503), reset(), http(404))
  await clock.advance(60_000)
  const [failed] = facts('effect.failed')
  expect(failed).toEqual(
    expect.objectContaining({
      message: 'status 404',
      status: 404,
      retry: 'never',
      attempts: 3,
      cause: expect.objectContaining({ message: 'fetch failed', retry: 'backoff' }),
    }),
  )
})

test('an error of the same kind as the one before is not told twice', async () => {
  const { clock, facts } = await run(policy(3, 100, 1_000), 'repeat', http(503))
  await clock.advance(60_000)
  expect(facts('effect.failed').map((data) => [data['status'], data['attempts'], 'cause' in data])).toEqual([[503, 3, false]])
})
