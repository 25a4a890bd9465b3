/** What a run keeps when it is stopped, suspended, resumed late or cut short: outcomes that are known, costs, and the way back from doubt. */
import { expect, test } from 'vitest'
import { type AnyStateMachine, assign, enqueueActions, setup } from 'xstate'
import { z } from 'zod'
import { effect, Failure, type Verdict } from '../../src/effect.ts'
import { INTAKE_MAX, XSTATE_CHILDREN_MAX } from '../../src/limits.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { codeOf, factsOf, only, openLife, temporaryFolder, VirtualClock, waitUntil } from '../harness.ts'
import { type Call, type Handler, hang, worker } from './worker.ts'

const resultOf = (session: RunSession): unknown => (session.snapshot('/top/one')!.context as { result: unknown }).result

test('stop: an effect that ends well within the grace has its outcome on record, and is not done again', async () => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ repeat: 'ask' }) }
  const perform: Handler['perform'] = ({ signal, spent }) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        spent({ inputTokens: 7, outputTokens: 0, costUsd: null })
        resolve(42)
      })
    })
  const { troupe, store } = openLife(folder, { machines, effects: { work: { perform } } })
  const session = await troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has started', () => store.effects(session.id)[0]?.status === 'started')
  expect((await session.stop()).usage.inputTokens).toBe(7)
  expect(store.effects(session.id).map(({ status, output }) => [status, output])).toEqual([['succeeded', 42]])
  const again = await troupe.resume(session.id)
  await waitUntil('it knows', () => resultOf(again) === 42)
  expect(again.recovery?.effects).toEqual([])
  await again.stop()
})

test('stop: an effect that is cut off stays open for the next resume, and what it used is counted', async () => {
  const machines = { worker: worker() }
  const perform: Handler['perform'] = ({ signal, spent }) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        spent({ inputTokens: 5, outputTokens: 0, costUsd: null })
        reject(new Error('aborted'))
      })
    })
  const { troupe, store } = openLife(temporaryFolder(), { machines, effects: { work: { perform } } })
  const session = await troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has started', () => store.effects(session.id)[0]?.status === 'started')
  await session.stop()
  expect(store.effects(session.id).map(({ status, usage }) => [status, usage?.inputTokens])).toEqual([['started', 5]])
})

test('what a cancelled effect has used is still used after a resume', async () => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ tokens: 60 }) }
  const perform: Handler['perform'] = async ({ signal, spent }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    spent({ inputTokens: 60, outputTokens: 0, costUsd: null })
    return 1
  }
  const { troupe, store } = openLife(folder, { machines, effects: { work: { perform } } })
  const session = await troupe.start(only('worker'), { budget: { tokensMax: 100 } })
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has started', () => store.effects(session.id)[0]?.status === 'started')
  await session.send('/top/one', { type: 'leave' })
  await waitUntil('its cost is on its row', () => store.effects(session.id)[0]?.usage?.inputTokens === 60)
  await session.stop()
  const again = await troupe.resume(session.id)
  await again.send('/top/one', { type: 'go' })
  await waitUntil('the next is refused', () => resultOf(again) === 'E_LIMIT_TOKENS')
  expect((await again.stop()).usage.inputTokens).toBe(60)
})

test('a call that is cancelled and still at work keeps its reservation', async () => {
  const machines = { worker: worker({ tokens: 60 }) }
  let begun = 0
  const { troupe, store } = openLife(temporaryFolder(), { machines, effects: { work: { perform: () => hang(++begun) } } })
  const session = await troupe.start(only('worker'), { budget: { tokensMax: 100 } })
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has started', () => begun === 1)
  await session.send('/top/one', { type: 'leave' })
  await session.send('/top/one', { type: 'go' })
  await waitUntil('the next is refused', () => factsOf(store, session.id, 'limit.reached').length === 1)
  expect(begun).toBe(1)
  await session.stop({ graceMs: 1 })
})

test('in doubt is no dead end: a probe that failed once is asked again at the next resume', async () => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ repeat: 'prove' }) }
  const first = openLife(folder, { machines, effects: { work: { perform: () => hang(0) } } })
  const session = await first.troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has started', () => first.store.effects(session.id)[0]?.status === 'started')
  await first.kill(session)
  let answers: (() => Verdict<number>)[] = []
  const prove = (): Verdict<number> => answers.shift()!()
  const second = openLife(folder, { machines, effects: { work: { perform: () => hang(0), prove } } })
  answers = [
    () => {
      throw new Error('no network')
    },
    () => ({ verdict: 'applied', output: 9 }),
  ]
  const doubtful = await second.troupe.resume(session.id)
  expect((await doubtful.done()).status).toBe('suspended')
  const sure = await second.troupe.resume(session.id)
  await waitUntil('it knows', () => resultOf(sure) === 9)
  await sure.stop()
})

test.each([
  ['nothing', undefined],
  ['a verdict that does not exist', { verdict: 'perhaps' }],
  ['an output that its schema refuses', { verdict: 'applied', output: 'nine' }],
  ['what cannot be stored', { verdict: 'applied', output: 9n }],
])('a probe that says %s leaves its effect in doubt and the run alive', async (_, said) => {
  const folder = temporaryFolder()
  const machines = { worker: worker({ repeat: 'prove' }) }
  const first = openLife(folder, { machines, effects: { work: { perform: () => hang(0) } } })
  const session = await first.troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has started', () => first.store.effects(session.id)[0]?.status === 'started')
  await first.kill(session)
  const { troupe } = openLife(folder, { machines, effects: { work: { perform: () => hang(0), prove: () => said as never } } })
  const again = await troupe.resume(session.id)
  expect(await again.done()).toEqual(expect.objectContaining({ status: 'suspended', inDoubt: [expect.objectContaining({ id: 'e1' })] }))
})

test('a run with a timer that is still to fire is not suspended for an effect in doubt', async () => {
  const folder = temporaryFolder()
  const asked = effect({ kind: 'world.touch', input: z.unknown(), output: z.unknown(), repeat: 'ask' })
  const machine = setup({ actors: { asked } }).createMachine({
    id: 'm',
    initial: 'waiting',
    states: { waiting: { invoke: { src: 'asked' }, after: { 1000: 'over' } }, over: { type: 'final' } },
    output: 'by the timer',
  })
  const clock = new VirtualClock()
  const first = openLife(folder, { machines: { machine }, clock, effects: { asked: { perform: () => hang(0) } } })
  const session = await first.troupe.start(only('machine'))
  await clock.advance(10)
  await first.kill(session)
  const later = new VirtualClock(clock.wallMs())
  const { troupe } = openLife(folder, { machines: { machine }, clock: later, effects: { asked: { perform: () => hang(0) } } })
  const again = await troupe.resume(session.id)
  await later.advance(2000)
  expect(await again.done()).toEqual(expect.objectContaining({ status: 'succeeded', output: 'by the timer' }))
})

test('an `ask` effect whose time is up is in doubt, not tried again', async () => {
  const clock = new VirtualClock()
  let begun = 0
  const machines = {
    worker: worker({ repeat: 'ask', timeoutMs: 100, retry: { maxAttempts: 3, baseDelayMs: 1, maxDelayMs: 1, exponentialBase: 1 } }),
  }
  const { troupe } = openLife(temporaryFolder(), { machines, clock, effects: { work: { perform: () => hang(++begun) } } })
  const session = await troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.advance(20_000)
  expect([(await session.done()).status, begun]).toEqual(['suspended', 1])
})

test('a Retry-After that is no number is tried again by the policy', async () => {
  const clock = new VirtualClock()
  let attempts = 0
  const machines = { worker: worker({ retry: { maxAttempts: 2, baseDelayMs: 50, maxDelayMs: 50, exponentialBase: 1 } }) }
  const perform: Handler['perform'] = () => {
    if (++attempts === 1) throw new Failure('E_BUSY', 'later', { retry: 'after', retryAfterMs: Number.NaN })
    return 3
  }
  const { troupe } = openLife(temporaryFolder(), { machines, clock, effects: { work: { perform } } })
  const session = await troupe.start(only('worker'))
  await clock.settled()
  await session.send('/top/one', { type: 'go' })
  await clock.advance(100)
  expect(session.snapshot('/top/one')?.context).toEqual({ result: 3 })
  expect(await codeOf(session.ask('/top/one', { type: 'go' }, { timeoutMs: Number.NaN }))).toBe('E_USAGE')
})

test.each([
  ['a usage that is none', (call: Call) => call.spent(undefined as never)],
  ['a usage of nonsense', (call: Call) => call.spent({ inputTokens: Number.NaN, outputTokens: -3, costUsd: Number.POSITIVE_INFINITY })],
])('%s harms nobody', async (_, spend) => {
  const machines = { worker: worker() }
  const perform: Handler['perform'] = (call) => {
    spend(call)
    return 4
  }
  const { troupe } = openLife(temporaryFolder(), { machines, effects: { work: { perform } } })
  const session = await troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it is done', () => resultOf(session) === 4)
  expect((await session.stop()).usage).toEqual(expect.objectContaining({ inputTokens: 0, outputTokens: 0 }))
})

test('details of a failure that cannot be stored are left out, the failure is not', async () => {
  const machines = { worker: worker() }
  const circle: { self?: unknown } = {}
  circle.self = circle
  const perform: Handler['perform'] = () => {
    throw new Failure('E_ODD', 'odd', { details: { response: circle } as never })
  }
  const { troupe } = openLife(temporaryFolder(), { machines, effects: { work: { perform } } })
  const session = await troupe.start(only('worker'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it is told', () => resultOf(session) === 'E_ODD')
  await session.stop()
})

test('after a commit that failed, what is shown is what the store has', async () => {
  const machine = setup({ types: { context: {} as { n: number } } }).createMachine({
    id: 'counter',
    context: { n: 0 },
    on: { more: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
  })
  let broken = false
  const onCommit = (): void => {
    if (broken) throw new Error('the disk is gone')
  }
  const { troupe } = openLife(temporaryFolder(), { machines: { machine }, onCommit })
  const session = await troupe.start(only('machine'))
  await session.send('/top/one', { type: 'more' })
  broken = true
  expect(await codeOf(session.send('/top/one', { type: 'more' }))).toContain('the disk is gone')
  expect(session.snapshot('/top/one')?.context).toEqual({ n: 1 })
  expect(session.tree().children.map(({ address }) => address)).toEqual(['/top/one'])
})

test('an inline action that rejects is on record, and ends nothing', async () => {
  const machine = setup({}).createMachine({ id: 'm', on: { go: { actions: async () => Promise.reject(new Error('too late')) } } })
  const { troupe, store } = openLife(temporaryFolder(), { machines: { machine } })
  const session = await troupe.start(only('machine'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it is on record', () => factsOf(store, session.id, 'action.failed').length === 1)
  expect(factsOf(store, session.id, 'action.failed')[0]?.data).toEqual({ code: 'E_DEFECT', message: 'too late' })
  await session.stop()
})

test.each([
  ['a timer whose action throws', { states: { waiting: { after: { 50: { target: 'over', actions: 'once' } } }, over: { type: 'final' } } }],
  [
    'an effect that fails and is not handled',
    { states: { waiting: { invoke: { src: 'fails', onDone: 'over' } }, over: { type: 'final' } } },
  ],
] as const)('%s: the restart is from the beginning, so nothing waits for ever', async (_, { states }) => {
  let times = 0
  const fails = effect({ kind: 'work.fail', input: z.unknown(), output: z.unknown(), repeat: 'repeat' })
  const machine = setup({
    actors: { fails },
    actions: {
      once: assign(() => {
        if (++times === 1) throw new Error('once')
        return {}
      }),
    },
  }).createMachine({ id: 'm', context: {}, initial: 'waiting', states: states as never }) as unknown as AnyStateMachine
  const perform = (): null => {
    if (++times === 1) throw new Error('once')
    return null
  }
  const clock = new VirtualClock()
  const { troupe, store } = openLife(temporaryFolder(), { machines: { machine }, clock, effects: { 'work.fail': { perform } } })
  const session = await troupe.start(only('machine'))
  await clock.advance(1000)
  expect((await session.done()).status).toBe('succeeded')
  expect(factsOf(store, session.id, 'actor.restarted').map(({ data }) => data['from'])).toEqual(['initial'])
})

test.each([
  ['none', undefined],
  ['no number', { tokens: Number.NaN }],
  ['what is no count', { tokens: 5n }],
])('a worst case that is %s crashes its actor, not the run', async (_, given) => {
  const work = effect({ kind: 'work.reserve', input: z.unknown(), output: z.unknown(), repeat: 'repeat', reserve: () => given as never })
  const machine = setup({ actors: { work } }).createMachine({
    id: 'm',
    initial: 'a',
    states: { a: { on: { go: 'b' } }, b: { invoke: { src: 'work' } } },
  })
  const { troupe, store } = openLife(temporaryFolder(), { machines: { machine }, effects: { work: { perform: () => null } } })
  const session = await troupe.start(only('machine'), { budget: { tokensMax: 10 } })
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has crashed', () => factsOf(store, session.id, 'actor.crashed').length === 1)
  expect(factsOf(store, session.id, 'actor.crashed')[0]?.data['code']).toBe('E_RESERVE_INVALID')
  await session.stop()
})

test('who sends faster than the disk is told so; what was accepted is kept', async () => {
  const machine = setup({ types: { context: {} as { n: number } } }).createMachine({
    id: 'counter',
    context: { n: 0 },
    on: { more: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
  })
  const { troupe } = openLife(temporaryFolder(), { machines: { machine } })
  const session = await troupe.start(only('machine'))
  await waitUntil('it is there', () => session.snapshot('/top/one') !== null)
  const sends = Array.from({ length: INTAKE_MAX + 3 }, () => codeOf(session.send('/top/one', { type: 'more' })))
  const codes = await Promise.all(sends)
  expect(codes.filter((code) => code === 'E_MAILBOX_FULL').length).toBe(3)
  expect(session.snapshot('/top/one')?.context).toEqual({ n: INTAKE_MAX })
  await session.stop()
})

test('a named action without an implementation is on record; XState lets it pass without a word', async () => {
  const machine = setup({ actions: { known: () => {} } }).createMachine({
    id: 'm',
    on: { go: { actions: ['known', 'forgotten' as never] } },
  })
  const { troupe, store } = openLife(temporaryFolder(), { machines: { machine } })
  const session = await troupe.start(only('machine'))
  await session.send('/top/one', { type: 'go' })
  expect(factsOf(store, session.id, 'action.missing').map(({ path, data }) => [path, data])).toEqual([
    ['/top/one', { action: 'forgotten' }],
  ])
  await session.stop()
})

test('an actor may have so many living children and no more; it crashes, the run does not', async () => {
  const kid = setup({}).createMachine({ id: 'kid' })
  const machine = setup({ actors: { kid }, types: { context: {} as { n: number } } }).createMachine({
    id: 'm',
    context: { n: 0 },
    on: {
      go: {
        actions: enqueueActions(({ enqueue, context }) => {
          enqueue.spawnChild('kid', { id: `kid-${context.n}` })
          enqueue.assign({ n: context.n + 1 })
        }),
      },
    },
  })
  const { troupe, store } = openLife(temporaryFolder(), { machines: { machine } })
  const session = await troupe.start(only('machine'))
  await waitUntil('it is there', () => session.snapshot('/top/one') !== null)
  await Promise.all(Array.from({ length: XSTATE_CHILDREN_MAX + 1 }, () => session.send('/top/one', { type: 'go' })))
  expect(factsOf(store, session.id, 'actor.crashed').map(({ data }) => data['code'])).toEqual(['E_LIMIT_SPAWN'])
  expect(session.tree().children[0]?.children.length).toBe(XSTATE_CHILDREN_MAX)
  await session.stop()
})
