/** Health under the engine: silence is judged exactly when it is due, evidence first; only who is wedged is ended; counts survive the process. */
import assert from 'node:assert/strict'
import { expect, test } from 'vitest'
import { assign, sendTo, setup } from 'xstate'
import { Failure, type RetryPolicy } from '../../src/effect.ts'
import type { ChildSpec } from '../../src/protocol.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Store } from '../../src/runtime/store.ts'
import { treeView } from '../../src/runtime/views.ts'
import { factsOf, type Life, only, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { type Call, hang, worker } from './worker.ts'

const RETRY: RetryPolicy = { maxAttempts: 5, baseDelayMs: 4_000, maxDelayMs: 30_000, exponentialBase: 1 }

interface Scene {
  readonly life: Life
  readonly clock: VirtualClock
  readonly session: RunSession
  readonly calls: Call[]
}

async function scene(perform: (call: Call) => unknown, child: Partial<ChildSpec> = {}, retry?: RetryPolicy): Promise<Scene> {
  const clock = new VirtualClock()
  const calls: Call[] = []
  const seen = (call: Call): Promise<number> => {
    calls.push(call)
    return perform(call) as Promise<number>
  }
  const life = openLife(temporaryFolder(), {
    machines: { worker: worker(retry === undefined ? {} : { retry }) },
    effects: { work: { perform: seen } },
    clock,
  })
  const session = await life.troupe.start(only('worker', child))
  await clock.advance(0)
  return { life, clock, session, calls }
}

const go = async ({ session, clock }: Pick<Scene, 'session' | 'clock'>): Promise<void> => {
  await session.send('/top/one', { type: 'go' })
  await clock.advance(0)
}

/** What went on record, without the proof. */
const changes = (store: Store, run: string) =>
  factsOf(store, run, 'health.changed').map(({ data: { from, to, on, evidence } }) => [`${from} -> ${to}`, on, evidence])
const shown = (store: Store, run: string) => {
  const health = treeView(store, run).children[0]?.health
  return [health?.state, health?.on]
}

test('a hanging effect is suspect exactly at suspectMs and wedged exactly at wedgedMs; its life ends and its supervisor restarts it from the beginning', async () => {
  const { life, clock, session, calls } = await scene(() => hang(1))
  await go({ session, clock })
  const store = life.store
  await clock.advance(59_999)
  expect([changes(store, session.id), shown(store, session.id)]).toEqual([[], ['busy', 'e1']])
  await clock.advance(1)
  const suspect = ['busy -> suspect', 'e1', 'e1 work.do: no sign of life for 1m']
  expect([changes(store, session.id), shown(store, session.id)]).toEqual([[suspect], ['suspect', 'e1']])
  await clock.advance(239_999)
  expect(calls[0]?.signal.aborted).toBe(false)
  expect(changes(store, session.id)).toEqual([suspect])
  await clock.advance(1)
  expect(changes(store, session.id)).toEqual([
    suspect,
    ['suspect -> wedged', 'e1', 'e1 work.do: no sign of life for 5m'],
    ['wedged -> healthy', null, 'nothing open'],
  ])
  const [crash] = factsOf(store, session.id, 'actor.crashed')
  expect(crash?.data).toMatchObject({
    code: 'E_WEDGED',
    message: 'e1 work.do: no sign of life for 5m',
    path: '/top/one',
    state: 'working',
    proof: { effect: 'e1', silentMs: 300_000 },
  })
  const decided = factsOf(store, session.id).find(({ pos, path, type }) => pos > crash!.pos && path === '/top' && type === 'step.committed')
  const [cancelled] = factsOf(store, session.id, 'effect.cancelled')
  expect(cancelled!.pos, 'aborted with its life, whenever its supervisor decides').toBeLessThan(decided!.pos)
  expect(
    factsOf(store, session.id, 'actor.restarted').map(({ data }) => [data['from'], (data['reason'] as { kind: string }).kind]),
  ).toEqual([['initial', 'error']])
  expect([calls[0]?.signal.aborted, session.snapshot('/top/one')?.value, session.snapshot('/top/one')?.incarnation]).toEqual([
    true,
    'idle',
    2,
  ])
  expect(store.effects(session.id).map(({ id, status }) => [id, status])).toEqual([['e1', 'cancelled']])
  expect(treeView(store, session.id).children[0]?.health).toMatchObject({ state: 'healthy', errors: { total: 1, window: 1 } })
})

test('an effect that reports progress is not suspect, however long it takes; one that says that it loads is loading, and that is no silence', async () => {
  const { life, clock, session, calls } = await scene(() => hang(1))
  await go({ session, clock })
  for (let minutes = 0; minutes < 20; minutes++) {
    calls[0]?.progress({ text: 'word' })
    await clock.advance(50_000)
  }
  expect([changes(life.store, session.id), session.tree().children[0]?.health?.state]).toEqual([[], 'busy'])
  calls[0]?.progress({ loading: true })
  await clock.advance(3_600_000)
  expect(changes(life.store, session.id)).toEqual([['busy -> loading_model', 'e1', 'e1 work.do, loading for 16m40s']])
  calls[0]?.progress({ text: 'first' })
  await clock.advance(2_000)
  expect(changes(life.store, session.id)[1]).toEqual(['loading_model -> busy', 'e1', 'e1 work.do, last token 0ms ago'])
  await clock.advance(58_000)
  expect(changes(life.store, session.id)[2]).toEqual(['busy -> suspect', 'e1', 'e1 work.do: no sign of life for 1m'])
  calls[0]?.progress({ done: 3 })
  await clock.advance(0)
  expect(changes(life.store, session.id)[3]).toEqual(['suspect -> busy', 'e1', 'e1 work.do, last progress 0ms ago'])
})

test('silence is judged by the spec of the child, and never where the spec says so', async () => {
  const early = await scene(() => hang(1), { health: { suspectMs: 500, wedgedMs: 2_000 } })
  await go(early)
  await early.clock.advance(500)
  expect(changes(early.life.store, early.session.id)).toEqual([['busy -> suspect', 'e1', 'e1 work.do: no sign of life for 500ms']])
  const never = await scene(() => hang(1), { health: false })
  await go(never)
  await never.clock.advance(10_000_000)
  expect([changes(never.life.store, never.session.id), factsOf(never.life.store, never.session.id, 'actor.crashed')]).toEqual([[], []])
})

test('between two attempts an actor waits: on its rate limit where the provider has said how long, else on the provider', async () => {
  const limited = new Failure('E_PROVIDER_OVERLOADED', 'slow down', { retry: 'after', retryAfterMs: 400_000 })
  const { life, clock, session } = await scene(
    ({ attempt }) => Promise.reject(attempt === 1 ? limited : new Failure('E_PROVIDER_TIMEOUT', 'late', { retry: 'backoff' })),
    {},
    RETRY,
  )
  await go({ session, clock })
  expect(session.tree().children[0]?.health).toMatchObject({
    state: 'waiting',
    on: 'rate_limit',
    evidence: 'e1 work.do failed with E_PROVIDER_OVERLOADED, attempt 2 in 6m40s',
    errors: { total: 0 },
  })
  expect(shown(life.store, session.id)).toEqual(['waiting', 'rate_limit'])
  await clock.advance(400_000)
  expect(session.tree().children[0]?.health).toMatchObject({ state: 'waiting', on: 'provider', errors: { total: 1, window: 1 } })
  expect([changes(life.store, session.id), shown(life.store, session.id)]).toEqual([[], ['waiting', 'provider']])
})

test('an actor with too many errors is degraded until the last of them is five minutes old', async () => {
  const { life, clock, session } = await scene(() => Promise.reject(new Failure('E_BROKEN', 'no')))
  for (const _ of [1, 2, 3]) {
    await go({ session, clock })
    await clock.advance(1_000)
  }
  const degraded = ['busy -> degraded', 'errors', '3 errors in 5m, last E_BROKEN']
  expect(changes(life.store, session.id)).toEqual([degraded])
  await clock.advance(298_999)
  expect(changes(life.store, session.id)).toEqual([degraded])
  await clock.advance(1)
  expect(changes(life.store, session.id)).toEqual([degraded, ['degraded -> healthy', null, 'nothing open']])
  expect(shown(life.store, session.id)).toEqual(['healthy', null])
})

test('an actor whose provider cannot be reached is degraded by the first error, and back with the first call that succeeds', async () => {
  let isUp = false
  const { life, clock, session } = await scene(() =>
    isUp ? 7 : Promise.reject(new Failure('E_PROVIDER_UNREACHABLE', 'nobody there', { retry: 'never' })),
  )
  await go({ session, clock })
  isUp = true
  await go({ session, clock })
  expect(changes(life.store, session.id)).toEqual([
    ['busy -> degraded', 'E_PROVIDER_UNREACHABLE', 'E_PROVIDER_UNREACHABLE of e1 work.do'],
    ['degraded -> healthy', null, 'nothing open'],
  ])
})

test('counts, and what is on record, survive a kill and a resume; silence begins anew', async () => {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const machines = { worker: worker() }
  let isBroken = true
  const perform = () => (isBroken ? Promise.reject(new Failure('E_BROKEN', 'no')) : hang(1))
  const first = openLife(folder, { machines, effects: { work: { perform } }, clock })
  const session = await first.troupe.start(only('worker'))
  for (const _ of [1, 2]) await go({ session, clock })
  isBroken = false
  await go({ session, clock })
  await clock.advance(60_000)
  expect(changes(first.store, session.id)).toHaveLength(1)
  await first.kill(session)
  const { troupe, store } = openLife(folder, { machines, effects: { work: { perform } }, clock })
  const again = await troupe.resume(session.id)
  await clock.advance(59_999)
  expect(changes(store, session.id).map(([change]) => change)).toEqual(['busy -> suspect', 'suspect -> busy'])
  expect(again.tree().children[0]?.health).toMatchObject({ state: 'busy', errors: { total: 2, window: 2 } })
  await clock.advance(1)
  expect(changes(store, session.id)[2]?.[0]).toBe('busy -> suspect')
  await clock.advance(240_000)
  expect(
    changes(store, session.id)
      .map(([change]) => change)
      .slice(3),
  ).toEqual(['suspect -> wedged', 'wedged -> healthy'])
  expect(treeView(store, session.id).children[0]?.health?.errors).toEqual({
    total: 3,
    window: expect.any(Number),
    perMinute: expect.any(Number),
  })
})

test('an idle actor costs nothing: no fact, no row and no timer of its health', async () => {
  const { life, clock, session } = await scene(() => 7)
  const before = factsOf(life.store, session.id).length
  await clock.advance(1_000_000)
  expect(factsOf(life.store, session.id)).toHaveLength(before)
  await go({ session, clock })
  await clock.advance(1_000_000)
  expect(factsOf(life.store, session.id, 'health.changed')).toEqual([])
  expect(life.store.cell(session.id, '/top/one')?.judged).toBeUndefined()
})

test('an effect of a child that XState made counts for the supervised actor above it, which is restarted with it', async () => {
  const clock = new VirtualClock()
  const below = worker()
  const parent = setup({ actors: { below } }).createMachine({
    id: 'parent',
    initial: 'up',
    states: { up: { on: { go: { actions: sendTo('kid', { type: 'go' }) } }, invoke: { src: 'below', id: 'kid' } } },
  })
  const signals: AbortSignal[] = []
  const perform = ({ signal }: Call): Promise<number> => {
    signals.push(signal)
    return hang(1)
  }
  const life = openLife(temporaryFolder(), { machines: { parent }, effects: { 'work.do': { perform } }, clock })
  const session = await life.troupe.start(only('parent'))
  await go({ session, clock })
  await clock.advance(300_000)
  expect(changes(life.store, session.id).map(([change]) => change)).toEqual(['busy -> suspect', 'suspect -> wedged', 'wedged -> healthy'])
  expect(factsOf(life.store, session.id, 'health.changed').map(({ path }) => path)).toEqual(['/top/one', '/top/one', '/top/one'])
  expect([signals[0]?.aborted, session.snapshot('/top/one')?.incarnation, session.snapshot('/top/one/kid')?.value]).toEqual([
    true,
    2,
    'idle',
  ])
})

test('an actor that has asked waits on a child; whoever reads the store sees the same as the judge, at any position', async () => {
  const clock = new VirtualClock()
  const asking = setup({ types: { events: {} as { type: string } } }).createMachine({
    id: 'asking',
    initial: 'idle',
    states: {
      idle: {
        on: {
          go: {
            target: 'asked',
            actions: { type: 'ask', params: { id: 'q', to: '/top/deaf', event: { type: 'q' }, timeoutMs: 9_000 } } as never,
          },
        },
      },
      asked: { on: { 'ask.timed_out': 'idle' } },
    },
  })
  const deaf = setup({}).createMachine({ id: 'deaf' })
  const life = openLife(temporaryFolder(), { machines: { asking, deaf }, clock })
  const session = await life.troupe.start({
    id: 'top',
    children: [
      { id: 'one', src: 'asking' },
      { id: 'deaf', src: 'deaf' },
    ],
  })
  await clock.advance(0)
  await go({ session, clock })
  const at = life.store.run(session.id)!.position
  const [judged, stored] = [session.tree(), treeView(life.store, session.id)].map(
    (tree) => tree.children.find(({ id }) => id === 'one')?.health,
  )
  expect([judged?.state, judged?.on, judged?.evidence]).toEqual(['waiting', 'child', '/top/deaf, 9.0s left'])
  expect([stored?.state, stored?.on, stored?.evidence]).toEqual(['waiting', 'child', '/top/deaf'])
  await clock.advance(9_000)
  expect(shownOf(life.store, session.id, 'one')).toEqual(['healthy', null])
  expect(shownOf(life.store, session.id, 'one', at)).toEqual(['waiting', 'child'])
  expect(changes(life.store, session.id)).toEqual([])
})

const shownOf = (store: Store, run: string, id: string, at?: number) => {
  const health = treeView(store, run, at).children.find((child) => child.id === id)?.health
  return [health?.state, health?.on]
}

test('an actor that crashed and was restarted from the checkpoint is healthy, with one error; a child that crashed below it is an error, and no end', async () => {
  const clock = new VirtualClock()
  const kid = setup({}).createMachine({ id: 'kid', on: { boom: { actions: assign(() => assert.fail('kid')) } } })
  const touchy = setup({ actors: { kid } }).createMachine({
    id: 'touchy',
    initial: 'up',
    states: {
      up: {
        invoke: { src: 'kid', id: 'kid', onError: 'alone' },
        on: { boom: { actions: assign(() => assert.fail('touchy')) }, pass: { actions: sendTo('kid', { type: 'boom' }) } },
      },
      alone: {},
    },
  })
  const life = openLife(temporaryFolder(), { machines: { touchy }, clock })
  const session = await life.troupe.start(only('touchy'))
  const seen = async (type: string) => {
    await session.send('/top/one', { type })
    await clock.advance(0)
    const health = session.tree().children[0]?.health
    return [session.snapshot('/top/one')?.value, session.snapshot('/top/one')?.incarnation, health?.state, health?.errors.total]
  }
  expect(await seen('boom')).toEqual(['up', 2, 'healthy', 1])
  await clock.advance(1)
  expect(await seen('pass')).toEqual(['alone', 2, 'healthy', 2])
})
