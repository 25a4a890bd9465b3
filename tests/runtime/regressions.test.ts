/** Faults that others have reported and that must not come back here, and the numbered requirements on checkpoints, by name. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { assign, sendTo, setup, spawnChild } from 'xstate'
import { z } from 'zod'
import { createTroupe } from '../../src/actors/troupe.ts'
import { effect } from '../../src/effect.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import type { Commit, RunStatus, Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { factsOf, Killed, only, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'
import { counter } from './counter.ts'

/** Counts what its timers bring: an `after` of one second, and a send to itself half a second later. */
const waiter = setup({
  types: { context: {} as { fired: readonly string[] }, events: {} as { type: 'wait' | 'note' | 'last.breath' } },
}).createMachine({
  id: 'waiter',
  context: { fired: [] },
  on: { note: { actions: assign({ fired: ({ context }) => [...context.fired, 'send'] }) } },
  initial: 'idle',
  states: {
    idle: { on: { wait: { target: 'waiting', actions: sendTo(({ self }) => self, { type: 'note' }, { delay: 1_500, id: 'note' }) } } },
    waiting: { after: { 1000: { target: 'idle', actions: assign({ fired: ({ context }) => [...context.fired, 'after'] }) } } },
  },
})

test.each([
  { downMs: 0, restMs: [600, 500] },
  { downMs: 300, restMs: [300, 500] },
  { downMs: 900, restMs: [0, 200] },
  { downMs: 60_000, restMs: [0, 0] },
])(
  'timers on restore (xstate#5331, xstate#4860): after a death of $downMs ms they fire after $restMs ms more, each once',
  async ({ downMs, restMs }) => {
    const [untilAfter = 0, untilSend = 0] = restMs
    const folder = temporaryFolder()
    const clock = new VirtualClock()
    const first = openLife(folder, { machines: { waiter }, clock })
    const session = await first.troupe.start(only('waiter'))
    await clock.settled()
    await session.send('/top/one', { type: 'wait' })
    await clock.advance(400)
    await first.kill(session)
    const later = new VirtualClock(clock.wallMs() + downMs)
    const second = openLife(folder, { machines: { waiter }, clock: later })
    const again = await second.troupe.resume(session.id)
    const fired = (): unknown => (again.snapshot('/top/one')!.context as { fired: unknown }).fired
    if (untilAfter > 0) {
      await later.advance(untilAfter - 1)
      expect(fired()).toEqual([])
      await later.advance(1)
    } else await later.settled()
    if (untilSend > 0) {
      expect(fired()).toEqual(['after'])
      await later.advance(untilSend - 1)
      expect(fired()).toEqual(['after'])
      await later.advance(1)
    }
    expect(fired()).toEqual(['after', 'send'])
    await second.kill(again)
    const last = new VirtualClock(later.wallMs() + 120_000)
    const third = openLife(folder, { machines: { waiter }, clock: last })
    const end = await third.troupe.resume(session.id)
    await last.advance(120_000)
    const { fired: inTheEnd } = end.snapshot('/top/one')!.context as { fired: unknown }
    expect({ inTheEnd, lateMs: factsOf(third.store, session.id, 'timer.fired').map(({ data }) => data['lateMs']) }).toEqual({
      inTheEnd: ['after', 'send'],
      lateMs: [Math.max(0, downMs - 600), Math.max(0, downMs - 1_100)],
    })
  },
)

const work = effect({ kind: 'work.do', input: z.undefined(), output: z.number(), repeat: 'repeat' })
const worker = setup({
  types: { context: {} as { result: number | null }, events: {} as { type: 'end' | 'last.breath' } },
  actors: { work },
}).createMachine({
  id: 'worker',
  context: { result: null },
  initial: 'working',
  states: {
    working: { invoke: { src: 'work', onDone: { target: 'rested', actions: assign({ result: ({ event }) => event.output }) } } },
    rested: { on: { end: 'ended' } },
    ended: { type: 'final' },
  },
  output: ({ context }) => context.result,
})

test.each([
  { dies: 'before the outcome is on record', performances: 2 },
  { dies: 'after it', performances: 1 },
])(
  're-run invokes (xstate#1476): an effect whose process dies $dies is performed $performances times in all',
  async ({ dies, performances }) => {
    const folder = temporaryFolder()
    let performed = 0
    let isThere = false
    const options = { machines: { worker }, effects: { work: { perform: () => ++performed } }, turnStepsMax: 1 }
    const onCommit = (commit: Commit): void => {
      isThere ||= commit.journal.some(({ type }) => type === 'effect.succeeded')
      if (isThere && dies === 'before the outcome is on record') throw new Killed('here')
    }
    const first = openLife(folder, { ...options, onCommit })
    const session = await first.troupe.start(only('worker'))
    await waitUntil('the outcome is there', () => isThere)
    await first.kill(session)
    const { troupe } = openLife(folder, options)
    const again = await troupe.resume(session.id)
    await waitUntil('it has rested', () => again.snapshot('/top/one')?.value === 'rested')
    await again.send('/top/one', { type: 'end' })
    expect({ output: (await again.done()).output, performed }).toEqual({ output: performances, performed: performances })
  },
)

const grandchild = setup({ actors: { hold: work } }).createMachine({
  id: 'grandchild',
  invoke: { src: 'hold' },
  initial: 'a',
  states: { a: { after: { 100: 'b' } }, b: {} },
})
const child = setup({ types: { events: {} as { type: 'boom' } }, actors: { grandchild } }).createMachine({
  id: 'child',
  entry: spawnChild('grandchild', { id: 'grandchild' }),
  on: {
    boom: {
      actions: assign(() => {
        throw new Error('boom')
      }),
    },
  },
})
const parent = setup({
  types: { context: {} as { errors: number }, events: {} as { type: 'boom' | 'forward' } },
  actors: { child },
}).createMachine({
  id: 'parent',
  context: { errors: 0 },
  entry: spawnChild('child', { id: 'child' }),
  on: {
    forward: { actions: sendTo('child', { type: 'boom' }) },
    boom: {
      actions: assign(() => {
        throw new Error('boom')
      }),
    },
    '*': { actions: assign({ errors: ({ context }) => context.errors + 1 }) },
  },
})

test.each([
  ['spawned child', 'forward', 'permanent', { context: { errors: 1 }, incarnation: 1 }, ['/top/one']],
  ['supervised actor that is not restarted', 'boom', 'temporary', null, []],
  [
    'supervised actor that starts afresh',
    'boom',
    'permanent',
    { context: { errors: 0 }, incarnation: 2 },
    ['/top/one', '/top/one/child', '/top/one/child/grandchild'],
  ],
] as const)(
  'orphans of a crashed parent (xstate#5153): when a %s crashes, nothing below it goes on',
  async (_, event, restart, expected, addresses) => {
    const clock = new VirtualClock()
    const aborted: string[] = []
    const hold = {
      perform: ({ id, signal }: { id: string; signal: AbortSignal }) =>
        new Promise<never>(() => signal.addEventListener('abort', () => aborted.push(id))),
    }
    const { troupe, store } = openLife(temporaryFolder(), { machines: { parent }, effects: { 'work.do': hold }, clock })
    const session = await troupe.start(only('parent', { from: 'initial', restart, significant: false }))
    await clock.advance(50)
    await session.send('/top/one', { type: event })
    await clock.settled()
    const image = store.image(session.id)
    const one = session.snapshot('/top/one')
    const lives = addresses.length > 1 ? 1 : 0
    expect({
      one: one === null ? null : { context: one.context, incarnation: one.incarnation },
      cells: store
        .cells(session.id)
        .map(({ address }) => address)
        .filter((address) => address !== '/top'),
      aborted,
      effects: store.effects(session.id).map(({ status }) => status),
      timers: image.timers.map(({ dueAt }) => dueAt),
    }).toEqual({
      one: expected,
      cells: addresses,
      aborted: ['e1'],
      effects: ['cancelled', 'started'].slice(0, 1 + lives),
      timers: [150].slice(0, lives),
    })
  },
)

const UNFINISHED: readonly RunStatus[] = ['running', 'suspended', 'limited', 'interrupted']

test('R4.1, R4.2, R4.3: a checkpoint follows every step, a resume goes on at the next one, and success takes the run from the unfinished', async () => {
  const folder = temporaryFolder()
  let life = openLife(folder, { machines: { counter }, turnStepsMax: 1 })
  let session = await life.troupe.start(only('counter'))
  for (let n = 1; n <= 5; n++) {
    await session.send('/top/one', { type: 'add', n })
    const stored = life.store.snapshot(session.id, '/top/one', 1)!
    expect(JSON.parse(stored.json).context).toEqual({ n: (n * (n + 1)) / 2 })
    expect(life.store.runs({ status: UNFINISHED }).map(({ run }) => run)).toEqual([session.id])
    await life.kill(session)
    life = openLife(folder, { machines: { counter }, turnStepsMax: 1 })
    session = await life.troupe.resume(session.id)
  }
  const steps = factsOf(life.store, session.id, 'step.committed').filter(({ path }) => path === '/top/one')
  expect(steps.map(({ data }) => (data['event'] as { n?: number }).n)).toEqual([undefined, 1, 2, 3, 4, 5])
  await session.send('/top/one', { type: 'end' })
  expect((await session.done()).output).toBe(15)
  expect({ unfinished: life.store.runs({ status: UNFINISHED }), all: life.store.runs().map(({ status }) => status) }).toEqual({
    unfinished: [],
    all: ['succeeded'],
  })
})

test('R7.1: a commit that breaks in its last row leaves nothing of itself, and the same commit whole is there entirely', async () => {
  const inner = sqliteStore({ path: join(temporaryFolder(), 'troupe.db') })
  let broken = 0
  const stand = (run: string): unknown => ({ run: inner.run(run), image: inner.image(run), journal: inner.journal(run, 0) })
  const store: Store = {
    ...inner,
    own: (run, owner, how) => {
      const owned = inner.own(run, owner, how)
      const commit = (rows: Commit): void => {
        const before = stand(run)
        const unstorable = { thread: 't', items: [null as never], born: rows.expectedPosition + 1 }
        expect(() => owned.commit({ ...rows, threadAppends: [...rows.threadAppends, unstorable] })).toThrow()
        expect(stand(run)).toEqual(before)
        broken++
        owned.commit(rows)
        expect(inner.run(run)?.position).toBe(rows.expectedPosition + rows.journal.length)
      }
      return { run: owned.run, epoch: owned.epoch, commit, check: () => owned.check(), release: () => owned.release() }
    },
  }
  const troupe = createTroupe({ store, machines: { counter }, reap: async () => [] })
  const session = await troupe.start(only('counter'))
  for (let n = 1; n <= 3; n++) await session.send('/top/one', { type: 'add', n })
  await session.send('/top/one', { type: 'end' })
  expect({ output: (await session.done()).output, tried: broken > 3 }).toEqual({ output: 6, tried: true })
  troupe.close()
})

test('AC2, resumes after crash: a run that dies again and again, before the second commit of each life, ends as one that never died', async () => {
  const folder = temporaryFolder()
  let run: string | null = null
  for (let deaths = 0; deaths < 60; deaths++) {
    let left = 2
    const onCommit = (): void => {
      if (--left === 0) throw new Killed('here')
    }
    const life = openLife(folder, { machines: { counter }, onCommit, turnStepsMax: 1 })
    const row = run === null ? null : life.store.run(run)
    if (row?.status === 'succeeded') {
      expect({ output: row.output, diedOften: deaths > 4 }).toEqual({ output: 5, diedOften: true })
      return
    }
    const session: RunSession = await (run === null ? life.troupe.start(only('counter')) : life.troupe.resume(run))
    run = session.id
    const { n } = (session.snapshot('/top/one')?.context ?? { n: 0 }) as { n: number }
    await session.send('/top/one', n < 5 ? { type: 'add', n: 1 } : { type: 'end' }).catch(() => {})
    await life.kill(session)
  }
  throw new Error('it never ended')
})

test('a poison event is kept as a dead letter with its cause, and is delivered once in all the lives of its run', async () => {
  const folder = temporaryFolder()
  const first = openLife(folder, { machines: { counter } })
  const session = await first.troupe.start(only('counter'))
  await session.send('/top/one', { type: 'add', n: 2 })
  const { position } = await session.send('/top/one', { type: 'boom' })
  await first.kill(session)
  const { troupe, store } = openLife(folder, { machines: { counter } })
  const again = await troupe.resume(session.id)
  expect(await again.ask('/top/one', { type: 'get' })).toEqual({ type: 'got', n: 2 })
  expect(factsOf(store, session.id, 'actor.crashed')).toEqual([
    {
      pos: position + 1,
      type: 'actor.crashed',
      path: '/top/one',
      inc: 1,
      cause: position,
      data: {
        code: 'E_DEFECT',
        message: 'boom',
        name: 'Error',
        path: '/top/one',
        state: 'idle',
        event: 'boom',
        machine: 'counter',
        part: 'assign',
        deadLetter: { type: 'boom' },
        seq: expect.any(Number),
      },
    },
  ])
})

test('a context that cannot be stored crashes its actor before anything of it is stored, and the journal names the path', async () => {
  const hoarder = setup({ types: { context: {} as { kept: unknown }, events: {} as { type: 'keep' | 'last.breath' } } }).createMachine({
    id: 'hoarder',
    context: { kept: null },
    on: { keep: { actions: assign({ kept: () => ({ list: [new Map()] }) }) } },
  })
  const { troupe, store } = openLife(temporaryFolder(), { machines: { hoarder } })
  const session = await troupe.start(only('hoarder'))
  await session.send('/top/one', { type: 'keep' })
  await waitUntil('it is restarted', () => session.snapshot('/top/one')?.incarnation === 2)
  expect(session.snapshot('/top/one')?.context).toEqual({ kept: null })
  expect(factsOf(store, session.id, 'actor.crashed').map(({ data }) => [data['code'], data['message']])).toEqual([
    ['E_NOT_JSON', 'context.kept.list[0] holds a Map: turn it into plain data first'],
  ])
})

test('a child that is invoked again under the same id is another one: the first is ended, its effect aborted, its timers gone', async () => {
  const clock = new VirtualClock()
  const aborted: string[] = []
  const kid = setup({ actors: { hold: work } }).createMachine({
    id: 'kid',
    invoke: { src: 'hold' },
    initial: 'a',
    states: { a: { after: { 100: 'b' } }, b: {} },
  })
  const host = setup({ types: { events: {} as { type: 'again' } }, actors: { kid } }).createMachine({
    id: 'host',
    initial: 'on',
    states: { on: { invoke: { src: 'kid', id: 'kid' }, on: { again: { target: 'on', reenter: true } } } },
  })
  const hold = {
    perform: ({ id, signal }: { id: string; signal: AbortSignal }) =>
      new Promise<never>(() => signal.addEventListener('abort', () => aborted.push(id))),
  }
  const { troupe, store } = openLife(temporaryFolder(), { machines: { host }, effects: { 'work.do': hold }, clock })
  const session = await troupe.start(only('host'))
  await clock.advance(60)
  await session.send('/top/one', { type: 'again' })
  await clock.advance(60)
  const image = store.image(session.id)
  expect({
    aborted,
    effects: store.effects(session.id).map(({ status }) => status),
    timers: image.timers.map(({ dueAt }) => dueAt),
    kid: session.snapshot('/top/one/kid')?.value,
  }).toEqual({ aborted: ['e1'], effects: ['cancelled', 'started'], timers: [160], kid: 'a' })
  await clock.advance(40)
  expect(session.snapshot('/top/one/kid')?.value).toBe('b')
})
