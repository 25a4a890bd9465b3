/** The attempts of one effect: how they are repeated, how they fail, how they are cut short, and how many there may be at a time. */
import { expect, test } from 'vitest'
import { Failure, type RetryPolicy } from '../../src/effect.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'
import { type Call, type Handler, worker } from './worker.ts'

const RETRY: RetryPolicy = { maxAttempts: 4, baseDelayMs: 100, maxDelayMs: 1_000, exponentialBase: 2 }

test('attempts before a death count, and the wait between two goes on through it', async () => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ retry: RETRY }) }
  const attempts: string[] = []
  const clock = new VirtualClock()
  const handler = (now: VirtualClock, since: number): Handler => ({
    perform: ({ attempt }) => {
      attempts.push(`${attempt} at ${now.wallMs() - since}`)
      throw new Failure('E_BUSY', 'busy', { retry: 'backoff' })
    },
  })
  const start = clock.wallMs()
  const first = openLife(folder, { machines, clock, effects: { work: handler(clock, start) } })
  const session = await first.troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.advance(150)
  await first.kill(session)
  const later = new VirtualClock(clock.wallMs() + 50)
  const { troupe, store } = openLife(folder, { machines, clock: later, effects: { work: handler(later, start) } })
  const again = await troupe.resume(session.id)
  await later.advance(10_000)
  expect(attempts).toEqual(['1 at 0', '2 at 100', '3 at 300', '4 at 700'])
  expect(again.snapshot('/top/one')?.context).toEqual({ result: 'E_BUSY' })
  expect(factsOf(store, session.id, 'retry.scheduled').map(({ data }) => [data['attempt'], data['delayMs']])).toEqual([
    [1, 100],
    [2, 200],
    [3, 400],
  ])
})

test.each<[string, Handler | undefined, string]>([
  [
    'throws something of its own',
    {
      perform: () => {
        throw new Error('no')
      },
    },
    'E_DEFECT',
  ],
  [
    'says that the world refused',
    {
      perform: () => {
        throw new Failure('E_REFUSED', 'no')
      },
    },
    'E_REFUSED',
  ],
  ['gives what its schema does not allow', { perform: () => 'seven' as never }, 'E_EFFECT_OUTPUT'],
  ['is not there', undefined, 'E_EFFECT_UNHANDLED'],
])('an effect whose handler %s fails with a code, and the machine hears of it once', async (_, handler, code) => {
  const effects = handler === undefined ? {} : { work: handler }
  const { troupe, store } = openLife(temporaryFolder(), { machines: { worker: worker({ retry: RETRY }) }, effects })
  const session = await troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('the machine has heard', () => session.snapshot('/top/one')?.value === 'idle')
  expect(session.snapshot('/top/one')?.context).toEqual({ result: code })
  expect(factsOf(store, session.id, 'effect.failed').map(({ data }) => data['code'])).toEqual([code])
})

test('an attempt that runs past its time is aborted with that reason', async () => {
  const clock = new VirtualClock()
  const reasons: unknown[] = []
  const perform: Handler['perform'] = ({ signal }) =>
    new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        reasons.push((signal.reason as Failure).code)
        reject(new Error('aborted'))
      }),
    )
  const { troupe } = openLife(temporaryFolder(), {
    machines: { worker: worker({ timeoutMs: 250 }) },
    clock,
    effects: { work: { perform } },
  })
  const session = await troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.advance(249)
  expect(reasons).toEqual([])
  await clock.advance(1)
  expect({ reasons, context: session.snapshot('/top/one')?.context }).toEqual({
    reasons: ['E_EFFECT_TIMEOUT'],
    context: { result: 'E_EFFECT_TIMEOUT' },
  })
})

test('leaving the state cancels: on record first, then aborted; what comes late changes nothing, and its cost is counted', async () => {
  const clock = new VirtualClock()
  const late = Promise.withResolvers<number>()
  const seen: string[] = []
  const { troupe, store } = openLife(temporaryFolder(), {
    machines: { worker: worker() },
    clock,
    onCommit: ({ effects }) => seen.push(...effects.map(({ effect }) => effect.status)),
    effects: {
      work: {
        perform: async ({ signal, spent }: Call) => {
          signal.addEventListener('abort', () => seen.push('aborted'))
          spent({ inputTokens: 10, outputTokens: 5, costUsd: null })
          return late.promise
        },
      },
    },
  })
  const session = await troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.settled()
  await session.send('/top/one', { type: 'leave' })
  late.resolve(1)
  await clock.settled()
  expect(seen).toEqual(['owed', 'started', 'cancelled', 'aborted', 'cancelled'])
  expect(session.snapshot('/top/one')).toEqual(expect.objectContaining({ value: 'idle', context: { result: null } }))
  expect(factsOf(store, session.id, 'message.dropped').map(({ data }) => [data['event'], data['reason'], data['usage']])).toEqual([
    ['outcome of e1', 'stale', { inputTokens: 10, outputTokens: 5, costUsd: null }],
  ])
})

test('a handler that allows one at a time gets one at a time', async () => {
  const clock = new VirtualClock()
  let [now, most, begun] = [0, 0, 0]
  const gates: (() => void)[] = []
  const perform: Handler['perform'] = async () => {
    begun++
    most = Math.max(most, ++now)
    await new Promise<void>((resolve) => gates.push(resolve))
    return --now
  }
  const { troupe } = openLife(temporaryFolder(), { machines: { worker: worker() }, clock, effects: { work: { perform, concurrency: 1 } } })
  const children = ['a', 'b', 'c'].map((id) => ({ id, src: 'worker' }))
  const session = await troupe.start({ id: 'top', children })
  await clock.settled()
  for (const { id } of children) await session.send(`/top/${id}`, { type: 'go' })
  for (let ended = 1; ended <= 3; ended++) {
    await clock.settled()
    expect({ begun, most, waiting: gates.length }).toEqual({ begun: ended, most: 1, waiting: ended })
    gates[ended - 1]!()
  }
})
