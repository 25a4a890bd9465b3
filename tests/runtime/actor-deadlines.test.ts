/** Deadlines of actors: a life that is not done in time ends at its instant, with what it has so far, and whoever waited for it is told. */
import { expect, test } from 'vitest'
import { type AnyActorRef, assign, sendTo, setup } from 'xstate'
import type { TreeSpec } from '../../src/protocol.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Store } from '../../src/runtime/store.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { hang, worker } from './worker.ts'

const replyTo = ({ event }: { event: { replyTo: AnyActorRef } }): AnyActorRef => event.replyTo

/** Collects pages, and answers a question when it is quick enough; dies when it is told to. */
const reader = setup({
  types: {
    context: {} as { partial: readonly string[] },
    events: {} as
      | { type: 'page'; text: string }
      | { type: 'boom' | 'end' | 'last.breath' }
      | { type: 'summary'; in: number; replyTo: AnyActorRef },
  },
}).createMachine({
  id: 'reader',
  context: { partial: [] },
  initial: 'reading',
  states: { reading: {}, done: { type: 'final' } },
  on: {
    page: { actions: assign({ partial: ({ context, event }) => [...context.partial, event.text] }) },
    summary: {
      actions: sendTo(
        replyTo as never,
        (({ context }: { context: { partial: readonly string[] } }) => ({ type: 'summed', pages: context.partial })) as never,
        { delay: (({ event }: { event: { in: number } }) => event.in) as never },
      ),
    },
    boom: {
      actions: assign(() => {
        throw new Error('boom')
      }),
    },
    end: '.done',
  },
})

interface Heard {
  readonly type: string
  readonly id: string
}
/** Asks three readers at once, and keeps what it hears of each. */
const parent = setup({
  types: {
    context: {} as { heard: Record<string, Heard> },
    events: {} as { type: 'ask.answered' | 'ask.down' | 'ask.timed_out'; id: string } | { type: 'go' },
  },
  actions: { ask: (_, _params: { id: string; to: string; event: { type: string; in: number }; timeoutMs: number }) => {} },
}).createMachine({
  id: 'parent',
  context: { heard: {} },
  on: {
    go: {
      actions: [100, 900, 5_000].map((ms, n) => ({
        type: 'ask' as const,
        params: { id: `q${n}`, to: `/top/r${n}`, event: { type: 'summary', in: ms }, timeoutMs: 1_000 },
      })),
    },
    'ask.*': { actions: assign({ heard: ({ context, event }) => ({ ...context.heard, [event.id]: event as Heard }) }) },
  },
})

const heardBy = (session: RunSession): Record<string, Heard> =>
  (session.snapshot('/top/parent')!.context as unknown as { heard: Record<string, Heard> }).heard

test("P8: of three children that are asked one hangs: the parent gets what it has so far at the deadline, and keeps its siblings' results", async () => {
  const clock = new VirtualClock()
  const { troupe } = openLife(temporaryFolder(), { machines: { reader, parent }, clock })
  const readers = ['r0', 'r1', 'r2'].map((id) => ({ id, src: 'reader' }))
  const session = await troupe.start({ id: 'top', children: [...readers, { id: 'parent', src: 'parent' }] })
  await clock.settled()
  for (const { id } of readers) await session.send(`/top/${id}`, { type: 'page', text: `page of ${id}` })
  await session.send('/top/parent', { type: 'go' })
  await clock.advance(999)
  const answered = (n: number) => ({ type: 'ask.answered', id: `q${n}`, answer: { type: 'summed', pages: [`page of r${n}`] } })
  expect(heardBy(session)).toEqual({ q0: answered(0), q1: answered(1) })
  await clock.advance(1)
  const late = { type: 'ask.timed_out', id: 'q2', to: '/top/r2', status: 'timed_out', partial: ['page of r2'] }
  expect(heardBy(session)).toEqual({ q0: answered(0), q1: answered(1), q2: late })
  await clock.advance(60_000)
  expect(heardBy(session)).toEqual({ q0: answered(0), q1: answered(1), q2: late })
})

test('a caller outside who asks in vain gets what there is so far with the error', async () => {
  const clock = new VirtualClock()
  const { troupe } = openLife(temporaryFolder(), { machines: { reader }, clock })
  const session = await troupe.start(only('reader'))
  await clock.settled()
  await session.send('/top/one', { type: 'page', text: 'one' })
  const asked = session.ask('/top/one', { type: 'summary', in: 9_000 }, { timeoutMs: 500 }).catch((error: unknown) => error)
  await clock.advance(500)
  expect(await asked).toMatchObject({ code: 'E_ASK_TIMED_OUT', details: { status: 'timed_out', partial: ['one'] } })
})

test('a partial that is larger than an event may be is left out, and its size is said', async () => {
  const clock = new VirtualClock()
  const { troupe } = openLife(temporaryFolder(), { machines: { reader }, clock })
  const session = await troupe.start(only('reader'))
  await clock.settled()
  for (let n = 0; n < 2; n++) await session.send('/top/one', { type: 'page', text: 'x'.repeat(2_100_000) })
  const asked = session.ask('/top/one', { type: 'last.breath' }, { timeoutMs: 500 }).catch((error: unknown) => error)
  await clock.advance(500)
  expect(await asked).toMatchObject({ details: { status: 'timed_out', partial: null, partialChars: 4_200_007 } })
})

const TIMED_OUT = (partial: unknown, ms = 5_000) => ({
  kind: 'shutdown',
  detail: 'timeout',
  output: { status: 'timed_out', partial },
  failure: { code: 'E_ACTOR_TIMEOUT', message: `/top/one was not done within ${ms} ms`, path: '/top/one' },
})
const ends = (store: Store, run: string) =>
  factsOf(store, run, 'actor.stopped', 'actor.restarted')
    .filter(({ path }) => path === '/top/one')
    .map(({ type, inc, data }) => [type, inc, type === 'actor.stopped' ? data['reason'] : data['from']])

const limited = (child: object, top: object = {}): TreeSpec => ({
  id: 'top',
  intensity: 3,
  periodMs: 60_000,
  ...top,
  children: [
    { id: 'one', src: 'reader', restart: 'transient', limits: { deadlineMs: 5_000 }, ...child },
    { id: 'r2', src: 'reader' },
  ],
})

async function live(tree: TreeSpec, folder = temporaryFolder(), clock = new VirtualClock()) {
  const life = openLife(folder, {
    machines: { reader, worker: worker({ repeat: 'ask' }) },
    clock,
    effects: { work: { perform: () => hang(0) } },
  })
  const session = await life.troupe.start(tree)
  await clock.settled()
  return { ...life, clock, session, folder }
}

test('a life ends at its deadline and not before: its transient child is not started again, and who asked it is told why', async () => {
  const { store, clock, session } = await live(limited({}))
  await session.send('/top/one', { type: 'page', text: 'one' })
  const asked = session.ask('/top/one', { type: 'summary', in: 90_000 }, { timeoutMs: 80_000 }).catch((error: unknown) => error)
  await clock.advance(4_999)
  expect(session.snapshot('/top/one')?.value).toBe('reading')
  await clock.advance(1)
  expect(ends(store, session.id)).toEqual([['actor.stopped', 1, TIMED_OUT(['one'])]])
  expect(await asked).toMatchObject({ code: 'E_ASK_DOWN', details: { hint: JSON.stringify(TIMED_OUT(['one'])) } })
  await clock.advance(100_000)
  expect(ends(store, session.id)).toHaveLength(1)
  const told = factsOf(store, session.id, 'step.committed').filter(
    ({ path, data }) => path === '/top' && /exited/.test(JSON.stringify(data['event'])),
  )
  expect(told.map(({ data }) => (data['event'] as { reason: unknown }).reason)).toEqual([TIMED_OUT(['one'])])
})

test('a run whose significant child ran out of time has failed, with its code', async () => {
  const { clock, session } = await live(limited({ significant: true }, { autoShutdown: 'any_significant' }))
  await clock.advance(5_000)
  expect(await session.done()).toMatchObject({ status: 'failed', reason: { code: 'E_ACTOR_TIMEOUT' } })
})

test('a permanent child has the whole time again in its next life', async () => {
  const { store, clock, session } = await live(limited({ restart: 'permanent' }))
  await clock.advance(9_999)
  expect(ends(store, session.id)).toEqual([
    ['actor.stopped', 1, TIMED_OUT([])],
    ['actor.restarted', 2, 'initial'],
  ])
  await clock.advance(1)
  expect(ends(store, session.id)).toHaveLength(4)
})

test.each([
  ['checkpoint', 5_000],
  ['initial', 7_000],
])('an actor that crashes at 2 s and goes on from %s ends at %i ms', async (from, dueMs) => {
  const { store, clock, session } = await live(limited({ from }))
  await clock.advance(2_000)
  await session.send('/top/one', { type: 'boom' })
  await clock.advance(dueMs - 2_001)
  expect(ends(store, session.id)).toEqual([['actor.restarted', 2, from]])
  await clock.advance(1)
  expect(ends(store, session.id).slice(1)).toEqual([['actor.stopped', 2, TIMED_OUT([])]])
})

test('a deadline that passes while a crashed actor waits for its restart ends that life: the restart is from the beginning', async () => {
  const { store, clock, session } = await live(limited({ from: 'checkpoint' }, { backoff: { baseMs: 4_000, jitter: 0 } }))
  await session.send('/top/one', { type: 'page', text: 'one' })
  const asked = session.ask('/top/one', { type: 'summary', in: 90_000 }, { timeoutMs: 80_000 }).catch((error: unknown) => error)
  await clock.advance(2_000)
  await session.send('/top/one', { type: 'boom' })
  await clock.advance(3_000)
  expect(await asked).toMatchObject({ code: 'E_ASK_DOWN', details: { hint: JSON.stringify(TIMED_OUT(['one'])) } })
  expect(ends(store, session.id)).toEqual([])
  await clock.advance(1_000)
  expect(ends(store, session.id)).toEqual([['actor.restarted', 2, 'initial']])
  expect(session.snapshot('/top/one')?.context).toEqual({ partial: [] })
  await clock.advance(4_999)
  expect(ends(store, session.id)).toHaveLength(1)
  await clock.advance(1)
  expect(ends(store, session.id)).toHaveLength(2)
})

test.each([
  ['in time', 1_000, 2_000],
  ['too late', 60_000, 0],
])('the deadline of a life is the same after the process died and was resumed %s', async (_, downMs, leftMs) => {
  const { clock, session, folder, kill } = await live(limited({}))
  await clock.advance(2_000)
  await session.send('/top/one', { type: 'page', text: 'one' })
  await kill(session)
  const later = new VirtualClock(clock.wallMs() + downMs)
  const { troupe, store } = openLife(folder, { machines: { reader }, clock: later })
  await troupe.resume(session.id)
  await later.advance(Math.max(0, leftMs - 1))
  if (leftMs > 0) expect(ends(store, session.id)).toEqual([])
  await later.advance(leftMs > 0 ? 1 : 0)
  expect(ends(store, session.id)).toEqual([['actor.stopped', 1, TIMED_OUT(['one'])]])
})

test('a life that ends in time leaves no deadline behind', async () => {
  const { store, clock, session } = await live(limited({}))
  await session.send('/top/one', { type: 'end' })
  await clock.advance(60_000)
  expect(store.image(session.id).timers).toEqual([])
  expect(factsOf(store, session.id, 'timer.fired')).toEqual([])
})

test('a deadline of an actor is no work: a run that waits for a person is suspended before it', async () => {
  const { session, clock, folder, kill } = await live(limited({ src: 'worker' }))
  await session.send('/top/one', { type: 'go' })
  await clock.settled()
  await kill(session)
  const later = new VirtualClock(clock.wallMs())
  const { troupe } = openLife(folder, {
    machines: { reader, worker: worker({ repeat: 'ask' }) },
    clock: later,
    effects: { work: { perform: () => 1 } },
  })
  const again = await troupe.resume(session.id)
  await later.settled()
  expect(await again.done()).toMatchObject({ status: 'suspended', reason: { code: 'E_EFFECT_IN_DOUBT' } })
})
