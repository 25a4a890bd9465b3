/** A step is a pure function from plain data to plain data: twice the same input, twice the same result; and what throws has not happened. */
import { assert, property } from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import { assign, emit, enqueueActions, raise, sendTo, setup, spawnChild } from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'
import type { StepResult } from '../../src/runtime/cell.ts'
import { inputOf, registryOf, START } from './one-step.ts'
import { machineOf, outside, plans } from './random-tree.ts'

/** Without inline actions, which are functions and are never stored. */
const plain = (result: StepResult): StepResult => ({ ...result, actions: result.actions.map(({ run: _, ...action }) => action) })

const work = effect({
  kind: 'work.do',
  input: z.object({ n: z.number() }),
  output: z.number(),
  repeat: 'ask',
  reserve: () => ({ tokens: 5 }),
})
const child = setup({}).createMachine({ id: 'child' })
const busy = setup({
  types: { context: {} as { n: number; kid?: unknown }, events: {} as { type: 'go' } },
  actors: { work, child },
  actions: { remember: (_, _params: { n: number }) => {}, 'thread.append': (_, _params: { thread: string; items: string[] }) => {} },
}).createMachine({
  id: 'busy',
  context: { n: 0 },
  initial: 'idle',
  states: {
    idle: {
      after: { 500: 'late' },
      on: {
        go: {
          target: 'working',
          actions: [
            assign({ n: 1, kid: ({ spawn }) => spawn('child', { id: 'kid', systemId: 'the-kid' }) }),
            spawnChild('child', { id: 'other' }),
            sendTo('kid', { type: 'hello' }),
            sendTo(({ self }) => self, { type: 'later' } as never, { delay: 90, id: 'later' }),
            raise({ type: 'again' } as never, { delay: 30 }),
            { type: 'remember', params: { n: 2 } },
            { type: 'thread.append', params: { thread: 'talk', items: ['one'] } },
            emit({ type: 'work.accepted', item: 'w1' } as never),
            enqueueActions(({ enqueue }) => enqueue.stopChild('other')),
          ],
        },
      },
    },
    working: { tags: 'busy', invoke: { src: 'work', id: 'job', input: ({ context }) => ({ n: context.n }) } },
    late: {},
  },
})

test('a step gives all that it wants done as plain data, in source order', () => {
  const host = registryOf(busy)
  const result = host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))
  const kid = { id: 'kid', kind: 'cell', address: '/top/one/kid', incarnation: 3, src: 'child', systemId: 'the-kid' }
  const { snapshot, ...rest } = result
  if (snapshot === 'unchanged') throw new Error('nothing happened')
  expect({ ...JSON.parse(snapshot.json), tags: snapshot.tags }).toEqual({
    status: 'active',
    value: 'working',
    context: { n: 1, kid: { '@troupe.ref': '/top/one/kid', incarnation: 3, id: 'kid' } },
    tags: ['busy'],
  })
  expect({
    ...rest,
    effectsOwed: rest.effectsOwed.map(({ src, policy, input, reserve, answer }) => ({ src, policy, input, reserve, answer })),
  }).toEqual({
    children: [kid, { id: 'job', kind: 'effect', address: '/top/one/job', incarnation: 4, src: 'work' }],
    exit: null,
    consumed: 7,
    handled: true,
    sends: [{ op: expect.any(Number), to: '/top/one/kid', incarnation: 3, kind: 'mail', event: { type: 'hello' } }],
    timersSet: [
      { op: expect.any(Number), id: 'later', to: '/top/one', incarnation: null, event: { type: 'later' }, delayMs: 90 },
      { op: expect.any(Number), id: expect.any(String), to: '/top/one', incarnation: null, event: { type: 'again' }, delayMs: 30 },
    ],
    timersCleared: [{ op: expect.any(Number), id: 'xstate.after.500.busy.idle' }],
    effectsOwed: [
      { src: 'work', policy: 'ask', input: { n: 1 }, reserve: { tokens: 5 }, answer: true },
      {
        src: 'remember',
        policy: 'repeat',
        input: expect.objectContaining({ params: { n: 2 }, event: { type: 'go' } }),
        reserve: null,
        answer: false,
      },
    ],
    effectsCancelled: [],
    actions: [],
    emits: [{ type: 'work.accepted', item: 'w1' }],
    logs: [],
    cellsStarted: [{ op: expect.any(Number), link: kid, machine: 'm/child', input: undefined }],
    cellsStopped: [],
    systemIdsSet: [{ systemId: 'the-kid', ref: { address: '/top/one/kid', incarnation: 3 } }],
    systemIdsFreed: [],
    threadAppends: [{ thread: 'talk', items: ['one'] }],
    nextId: 6,
    journal: [],
  })
})

beforeEach(() => void vi.spyOn(console, 'warn').mockReturnValue())

test('the same input gives the same result, from a snapshot in memory and from one that was stored, and the result can be stored', () => {
  let steps = 0
  assert(
    property(plans, outside, (plan, events) => {
      const host = registryOf(machineOf(plan, []))
      let input = inputOf({ type: START, input: { path: '/top/one', fuel: 3, nth: 0 } })
      for (const event of [null, ...events]) {
        const before = structuredClone(input)
        const first = host.step(input)
        expect(input).toEqual(before)
        expect(plain(host.step(before))).toEqual(plain(first))
        expect(structuredClone(plain(first))).toEqual(plain(first))
        steps++
        if (first.exit !== null || event === null) continue
        input = { ...inputOf(event, first), snapshot: first.snapshot === 'unchanged' ? input.snapshot : first.snapshot }
      }
    }),
    { numRuns: 200 },
  )
  expect(steps).toBeGreaterThan(600)
})

const boom = (): never => {
  throw Object.assign(new Error('boom'), { code: 'E_BOOM' })
}
const base = setup({ types: { context: {} as { n: number; bad?: unknown }, events: {} as { type: 'go' } }, actors: { child, work } })
const raising = base.raise({ type: 'go' }, { delay: 5 })
type Config = Readonly<Record<string, unknown>>

test.each<[string, Config]>([
  ['an assign', { on: { go: { actions: [raising, base.assign({ n: boom })] } } } as Config],
  ['a guard', { on: { go: { guard: boom, actions: raising } } } as Config],
  ['a delay', { on: { go: { actions: [raising, sendTo(({ self }) => self, { type: 'x' } as never, { delay: boom })] } } } as Config],
  ['an event creator', { on: { go: { actions: [raising, sendTo(({ self }) => self, boom)] } } } as Config],
  ['an input', { initial: 'a', states: { a: { on: { go: 'b' } }, b: { entry: raising, invoke: { src: 'child', input: boom } } } }],
  ['an output', { initial: 'a', states: { a: { on: { go: 'b' } }, b: { type: 'final', entry: raising } }, output: boom } as Config],
  ['a spawn after others', { on: { go: { actions: [raising, spawnChild('child', { id: 'kid' }), base.assign({ n: boom })] } } } as Config],
])('%s that throws leaves nothing behind but the crash', (_, config) => {
  const host = registryOf(base.createMachine({ id: 'm', context: { n: 0 }, ...config } as never))
  const before = host.step(inputOf({ type: START }))
  const result = host.step(inputOf({ type: 'go' }, before))
  expect(result).toEqual({
    snapshot: 'unchanged',
    children: before.children,
    exit: {
      kind: 'error',
      error: expect.objectContaining({ message: expect.stringContaining('boom'), path: '/top/one', event: 'go' }),
    },
    consumed: 7,
    handled: false,
    sends: [],
    timersSet: [],
    timersCleared: [],
    effectsOwed: [],
    effectsCancelled: [],
    actions: [],
    emits: [],
    logs: [],
    cellsStarted: [],
    cellsStopped: [],
    systemIdsSet: [],
    systemIdsFreed: [],
    threadAppends: [],
    nextId: before.nextId,
    journal: [],
  })
})

const cycle: { self?: unknown } = {}
cycle.self = cycle

test.each<[string, unknown, string]>([
  ['a Map', new Map(), 'context.bad holds a Map'],
  ['a Date', new Date(0), 'context.bad holds a Date'],
  ['a function', { deep: [() => 1] }, 'context.bad.deep[0] holds a function'],
  ['a cycle', cycle, 'context.bad.self holds a cycle'],
  ['NaN', { rate: Number.NaN }, 'context.bad.rate holds NaN'],
  ['a negative zero', [-0], 'context.bad[0] holds -0'],
  ['a BigInt', { n: 1n }, 'context.bad.n holds a bigint'],
  ['undefined in a list', [undefined], 'context.bad[0] holds a undefined'],
])('a context that gets %s crashes the actor, and the error names the path', (_, bad, message) => {
  const host = registryOf(base.createMachine({ id: 'm', context: { n: 0 }, on: { go: { actions: base.assign({ bad: () => bad }) } } }))
  const result = host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))
  expect(result.exit).toEqual({
    kind: 'error',
    error: expect.objectContaining({ code: 'E_NOT_JSON', message: expect.stringContaining(message), path: '/top/one', event: 'go' }),
  })
})

test.each<[string, Config, string]>([
  ['a delay that is NaN', { on: { go: { actions: base.raise({ type: 'go' }, { delay: Number.NaN }) } } }, 'E_DELAY_INVALID'],
  ['a delay without end', { on: { go: { actions: base.raise({ type: 'go' }, { delay: Number.POSITIVE_INFINITY }) } } }, 'E_DELAY_INVALID'],
  ['a loop of microsteps', { on: { go: { actions: base.raise({ type: 'go' }) } } }, 'E_DEFECT'],
  [
    'a child of nobody',
    { on: { go: { actions: enqueueActions(({ enqueue }) => enqueue.spawnChild('missing' as never, { id: 'kid' })) } } },
    'E_ACTOR_MISSING',
  ],
  ['a spawn without an id', { on: { go: { actions: spawnChild('child') } } }, 'E_CHILD_WITHOUT_ID'],
  [
    'an id that is taken',
    { entry: spawnChild('child', { id: 'kid' }), on: { go: { actions: spawnChild('child', { id: 'kid' }) } } },
    'E_CHILD_EXISTS',
  ],
  [
    'an inline child',
    { on: { go: { actions: enqueueActions(({ enqueue }) => enqueue.spawnChild(child as never, { id: 'kid' } as never)) } } },
    'E_ACTOR_INLINE',
  ],
  ['an input that its effect refuses', { on: { go: { actions: spawnChild('work', { id: 'job', input: { n: 'x' } }) } } }, 'E_EFFECT_INPUT'],
  [
    'an order that only a supervisor may give',
    { on: { go: { actions: { type: 'cell.kill', params: { id: 'x' } } } } },
    'E_ACTION_RESERVED',
  ],
  ['a message to a child that is not there', { on: { go: { actions: sendTo('nobody', { type: 'x' }) } } }, 'E_DEFECT'],
])('%s crashes the actor with its own code', (_, config, code) => {
  const host = registryOf(base.createMachine({ id: 'm', context: { n: 0 }, ...config } as never))
  const result = host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))
  expect(result.exit).toEqual({ kind: 'error', error: expect.objectContaining({ code, path: '/top/one', event: 'go' }) })
})
