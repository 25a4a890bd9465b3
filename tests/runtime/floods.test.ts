/**
 * Actors that do not stop by themselves: loops, floods, and what both cost the others. What is bounded is a number of steps (src/limits.ts), never a time.
 *
 *   loop inside a step     MICROSTEPS_MAX       the actor crashes, its state and event named
 *   cascade of steps       CASCADE_STEPS_MAX    it is cut, and the actor that is next crashes
 *   more than a mailbox    MAILBOX_DEPTH_MAX    who sends it crashes; from outside the send is refused
 */
import { expect, test } from 'vitest'
import { type AnyStateMachine, assign, enqueueActions, raise, sendParent, sendTo, setup, spawnChild } from 'xstate'
import { CASCADE_STEPS_MAX, INTAKE_MAX, MAILBOX_DEPTH_MAX, TURN_EXTERNALS_MAX } from '../../src/limits.ts'
import type { Store } from '../../src/runtime/store.ts'
import { codeOf, factsOf, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'
import { counter } from './counter.ts'

// biome-ignore lint/suspicious/noExplicitAny: machines here are given as bare configurations.
type Loose = any
const bare = (config: object, implementations: object = {}): AnyStateMachine =>
  setup({ types: { context: {} as Loose, events: {} as Loose }, ...implementations } as Loose).createMachine(config as Loose) as Loose

const self = ({ self: own }: Loose): Loose => own
const kid = bare({
  id: 'kid',
  context: { n: 0 },
  on: { ping: { actions: [sendParent({ type: 'pong' }), assign({ n: ({ context }: Loose) => context.n + 1 })] } },
})
const burst = (to: Loose) =>
  enqueueActions(({ enqueue, self: own }: Loose) => {
    for (let n = 0; n <= MAILBOX_DEPTH_MAX; n++) enqueue.sendTo(to === 'self' ? own : to, { type: 'noted' })
  })
const restless = bare(
  {
    id: 'restless',
    context: { n: 0 },
    initial: 'calm',
    entry: spawnChild('kid' as Loose, { id: 'kid' } as Loose),
    states: {
      calm: {
        on: {
          loop: 'looping.there',
          raising: { actions: raise({ type: 'raising' }) },
          again: { actions: sendTo(self, { type: 'again' }) },
          pong: { actions: sendTo('kid' as Loose, { type: 'ping' }) },
          burstToSelf: { actions: burst('self') },
          burstToKid: { actions: burst('kid') },
          noted: {},
        },
      },
      looping: {
        initial: 'there',
        states: {
          there: { entry: assign({ n: ({ context }: Loose) => context.n + 1 }), always: 'back' },
          back: { always: 'there' },
        },
      },
    },
  },
  { actors: { kid } },
)

const LOOP = {
  code: 'E_DEFECT',
  name: 'Error',
  message:
    'Infinite loop detected: the machine has processed more than 1000 microsteps without reaching a stable state. This usually happens when ' +
    "there's a cycle of transitions (e.g., eventless transitions or raised events causing state A -> B -> C -> A).",
}
const HINT = { hint: 'a machine answers its own events without end: look at what it sends in this state' }
test.each([
  {
    event: 'loop',
    crash: LOOP,
  },
  {
    event: 'raising',
    crash: LOOP,
  },
  {
    event: 'again',
    crash: { code: 'E_CASCADE', message: `one event has led to ${CASCADE_STEPS_MAX} steps; again to /top/one is not delivered`, ...HINT },
  },
  {
    event: 'pong',
    crash: { code: 'E_CASCADE', message: `one event has led to ${CASCADE_STEPS_MAX} steps; pong to /top/one is not delivered`, ...HINT },
  },
  {
    event: 'burstToSelf',
    crash: {
      code: 'E_MAILBOX_FULL',
      message: `noted from /top/one does not fit: ${MAILBOX_DEPTH_MAX} events wait for /top/one`,
      hint: 'send less, or wait for answers before sending more',
    },
  },
  {
    event: 'burstToKid',
    crash: {
      code: 'E_MAILBOX_FULL',
      message: `noted from /top/one does not fit: ${MAILBOX_DEPTH_MAX} events wait for /top/one/kid`,
      hint: 'send less, or wait for answers before sending more',
    },
  },
])(
  'an actor that does not end what `$event` begins is stopped, its state and event named; the others go on',
  { timeout: 60_000 },
  async ({ event, crash }) => {
    const clock = new VirtualClock()
    const { troupe, store } = openLife(temporaryFolder(), { machines: { restless, counter }, clock })
    const session = await troupe.start({
      id: 'top',
      children: [
        { id: 'one', src: 'restless', restart: 'temporary' },
        { id: 'two', src: 'counter', restart: 'temporary' },
      ],
    })
    const sent = [
      session.send('/top/two', { type: 'add', n: 1 }),
      session.send('/top/one', { type: event }),
      session.send('/top/two', { type: 'add', n: 1 }),
    ]
    await Promise.all(sent)
    await waitUntil('it has crashed', () => factsOf(store, session.id, 'actor.crashed').length > 0)
    await clock.settled()
    await session.send('/top/two', { type: 'add', n: 1 })
    const [{ data: { deadLetter, seq: _, machine: __, kind: ___, sender: ____, ...data } = {} } = {}, ...more] = factsOf(
      store,
      session.id,
      'actor.crashed',
    )
    expect({
      data,
      type: (deadLetter as { type: string }).type,
      more,
      two: session.snapshot('/top/two')?.context,
      one: session.snapshot('/top/one'),
    }).toEqual({
      data: { ...crash, path: '/top/one', state: 'calm', event },
      type: event,
      more: [],
      two: { n: 3 },
      one: null,
    })
    await session.stop()
  },
)

test('a flood from outside is refused where it would wait for ever: what was accepted is handled, and the others are served meanwhile', {
  timeout: 60_000,
}, async () => {
  const clock = new VirtualClock()
  const { troupe } = openLife(temporaryFolder(), { machines: { counter }, clock })
  const session = await troupe.start({ id: 'top', children: ['one', 'two'].map((id) => ({ id, src: 'counter' })) })
  await clock.settled()
  const over = 50
  const sent = Array.from({ length: INTAKE_MAX + over }, () => codeOf(session.send('/top/one', { type: 'add', n: 1 })))
  const codes = Map.groupBy(await Promise.all(sent), (code) => code)
  await session.send('/top/two', { type: 'add', n: 1 })
  expect({
    codes: Object.fromEntries([...codes].map(([code, all]) => [code, all.length])),
    one: session.snapshot('/top/one')?.context,
    two: session.snapshot('/top/two')?.context,
  }).toEqual({ codes: { none: INTAKE_MAX, E_MAILBOX_FULL: over }, one: { n: INTAKE_MAX }, two: { n: 1 } })
  await session.stop()
})

/** Steps that others were given between two positions of the journal. */
function stepsBetween(store: Store, run: string, from: number, to: number, except: string): number {
  return store.journal(run, from, to - from).filter(({ type, path }) => type === 'step.committed' && path !== except).length
}

test('while 5,000 sends to one actor wait, a send to another is taken in the very next turn', { timeout: 60_000 }, async () => {
  const clock = new VirtualClock()
  let commits = 0
  const onCommit = (): void => void commits++
  const { troupe, store } = openLife(temporaryFolder(), { machines: { counter }, clock, onCommit })
  const session = await troupe.start({ id: 'top', children: ['one', 'two'].map((id) => ({ id, src: 'counter' })) })
  await clock.settled()
  const flood = Array.from({ length: 5_000 }, () => session.send('/top/one', { type: 'add', n: 1 }))
  await flood[0]
  const waits: object[] = []
  for (let round = 0; round < 5; round++) {
    const before = { commits, position: store.run(session.id)!.position }
    const { position } = await session.send('/top/two', { type: 'add', n: 1 })
    waits.push({
      turns: commits - before.commits,
      inTime: stepsBetween(store, session.id, before.position, position, '/top/two') <= TURN_EXTERNALS_MAX,
    })
  }
  const isOver = (session.snapshot('/top/one')!.context as { n: number }).n === 5_000
  expect({ waits, isOver }).toEqual({ waits: waits.map(() => ({ turns: 1, inTime: true })), isOver: false }) // The flood was still there all the time.
  await Promise.all(flood)
  expect([session.snapshot('/top/one')?.context, session.snapshot('/top/two')?.context]).toEqual([{ n: 5_000 }, { n: 5 }])
  await session.stop()
})

/** Answers each event with three of its own, as a busy actor does. */
const busy = bare({
  id: 'busy',
  context: { n: 0 },
  on: {
    work: { actions: [sendTo(self, { type: 'part' }), sendTo(self, { type: 'part' }), sendTo(self, { type: 'part' })] },
    part: { actions: assign({ n: ({ context }: Loose) => context.n + 1 }) },
  },
})

test('beside an actor that floods itself and one that is busy all the time, nobody waits for more than one cascade', {
  timeout: 120_000,
}, async () => {
  const others = Array.from({ length: 62 }, (_, index) => `quiet-${index}`)
  const clock = new VirtualClock()
  const { troupe, store } = openLife(temporaryFolder(), { machines: { restless, busy, counter }, clock })
  const session = await troupe.start({
    id: 'top',
    children: [
      { id: 'flood', src: 'restless', restart: 'temporary' },
      { id: 'busy', src: 'busy' },
      ...others.map((id) => ({ id, src: 'counter' })),
    ],
  })
  await clock.settled()
  const work = Array.from({ length: 3_000 }, () => session.send('/top/busy', { type: 'work' }))
  void session.send('/top/flood', { type: 'again' })
  await work[0]
  const from = store.run(session.id)!.position
  for (let round = 0; round < 3; round++) await Promise.all(others.map((id) => session.send(`/top/${id}`, { type: 'add', n: 1 })))
  await Promise.all(work)
  const waits = waited(store, session.id, from, others)
  process.stderr.write(`fairness: 62 actors beside a flood and a busy one waited for ${describeWaits(waits)} steps of others\n`)
  // One cascade may be under way, and is cut; then each of the others has its turn, and the busy one four steps in each round.
  const most = CASCADE_STEPS_MAX + others.length + 2 * 4
  expect({
    served: waits.length,
    inBounds: waits.every((steps) => steps <= most),
    afterTheCut: waits.slice(others.length).every((steps) => steps <= others.length + 2 * 4),
    busy: session.snapshot('/top/busy')?.context,
    cut: factsOf(store, session.id, 'actor.crashed').map(({ path, data }) => [path, data['code']]),
  }).toEqual({ served: 3 * others.length, inBounds: true, afterTheCut: true, busy: { n: 9_000 }, cut: [['/top/flood', 'E_CASCADE']] })
  await session.stop()
})

/** For each event of these actors: steps of others since the round before was answered, in the order in which they were served. */
function waited(store: Store, run: string, from: number, actors: readonly string[]): number[] {
  const paths = new Set(actors.map((id) => `/top/${id}`))
  const waits: number[] = []
  let since = 0
  for (const { type, path } of store.journal(run, from, 1_000_000)) {
    if (type !== 'step.committed') continue
    if (path !== null && paths.has(path)) {
      waits.push(since)
      if (waits.length % actors.length === 0) since = 0
    } else since++
  }
  return waits
}

function describeWaits(waits: readonly number[]): string {
  const sorted = waits.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return `${at(0.5)} (half of them), ${at(0.95)} (19 of 20), ${at(1)} (at most)`
}

test('a watcher that throws, one that never reads and one that goes away cost the run nothing', async () => {
  const clock = new VirtualClock()
  const { troupe, store } = openLife(temporaryFolder(), { machines: { counter }, clock })
  const session = await troupe.start({ id: 'top', children: [{ id: 'one', src: 'counter' }] })
  await clock.settled()
  const thrown = codeOf(async () => {
    for await (const frame of session.watch()) if (frame.type === 'step.committed') throw new Error('boom in a watcher')
  })
  const never = session.watch()[Symbol.asyncIterator]()
  const gone = session.watch()[Symbol.asyncIterator]()
  await Promise.all([never.next(), gone.next()])
  await gone.return?.()
  for (let n = 0; n < 300; n++) await session.send('/top/one', { type: 'add', n: 1 })
  expect(await thrown).toBe('Error: boom in a watcher')
  expect({ one: session.snapshot('/top/one')?.context, crashes: factsOf(store, session.id, 'actor.crashed', 'action.failed') }).toEqual({
    one: { n: 300 },
    crashes: [],
  })
  const { status } = await session.stop()
  expect({ status, next: (await never.next()).done }).toEqual({ status: 'interrupted', next: false }) // What it has not read yet is still there for it.
})
