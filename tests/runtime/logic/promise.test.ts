/** `fromPromise` is an effect that may be done again: on record before it starts, its outcome on record when it ends, repeated where nobody knows. */
import { expect, test } from 'vitest'
import { type AnyActorRef, assign, fromPromise, setup } from 'xstate'
import type { Json } from '../../../src/json.ts'
import type { RunSession } from '../../../src/runtime/engine.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock, waitUntil } from '../../harness.ts'

interface Call {
  readonly input: { readonly n: number; readonly parent: AnyActorRef }
  readonly self: AnyActorRef
  readonly system: { get(id: string): AnyActorRef | undefined }
  readonly signal: AbortSignal
  readonly emit: (event: { type: 'progress'; done: number }) => void
}

/** A machine `/top/one` that asks `job` when it is told to, and what `job` is. */
const asking = (job: (call: Call) => PromiseLike<unknown>, handles = true) =>
  setup({
    types: {
      context: {} as { got: unknown; heard: unknown[] },
      events: {} as { type: 'go' | 'leave' | 'end' | 'last.breath' } | { type: 'half'; of: number },
    },
    actors: { job: fromPromise(job as never) },
  }).createMachine({
    id: 'asking',
    context: { got: null, heard: [] },
    initial: 'idle',
    on: { half: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.of] }) } },
    states: {
      idle: { on: { go: 'asking', end: 'over' } },
      asking: {
        invoke: {
          src: 'job',
          id: 'job',
          systemId: 'the-job',
          input: ({ self }) => ({ n: 1, parent: self }) as never,
          onDone: { target: 'idle', actions: assign({ got: ({ event }) => event.output }) },
          ...(handles ? { onError: { target: 'idle', actions: assign({ got: ({ event }) => event.error }) } } : {}),
        },
        on: { leave: 'idle' },
      },
      over: { type: 'final' },
    },
  })

const contextOf = (session: RunSession) => session.snapshot('/top/one')?.context as { got: Json; heard: Json }
const data = (facts: ReturnType<typeof factsOf>): unknown =>
  facts.map(({ type, data: { id: _, durationMs: __, ...data } }) => ({ type, ...data }))

test('its intent and its start are on record when it is called, its outcome when its machine has it', async () => {
  let seen: unknown
  const life = openLife(temporaryFolder(), {
    machines: {
      m: asking(async () => {
        seen = data(factsOf(life.store, 'r', 'effect.owed', 'effect.started'))
        return { answer: 42 }
      }),
    },
  })
  const session = await life.troupe.start(only('m'), { id: 'r' })
  await session.send('/top/one', { type: 'go' })
  await waitUntil('there is an answer', () => contextOf(session).got !== null)
  const parent = { '@troupe.ref': '/top/one', incarnation: 1, id: 'one' }
  expect(seen).toEqual([
    { type: 'effect.owed', kind: 'promise', src: 'job', policy: 'repeat', input: { n: 1, parent }, timeoutMs: null, reserve: null },
    { type: 'effect.started', kind: 'promise', attempt: 1, epoch: 1 },
  ])
  expect({ got: contextOf(session).got, facts: data(factsOf(life.store, 'r', 'effect.succeeded')) }).toEqual({
    got: { answer: 42 },
    facts: [{ type: 'effect.succeeded', kind: 'promise', output: { answer: 42 }, usage: null }],
  })
  await session.send('/top/one', { type: 'end' })
  expect({ ...(await session.done()).usage, promises: (await session.done()).promises }).toMatchObject({ effects: 1, promises: 1 })
})

test('one that was started when its process died is performed again, with its input; one that had ended is not', async () => {
  const folder = temporaryFolder()
  const calls: unknown[] = []
  const machines = (answers: boolean) => ({
    m: asking(({ input }) => {
      calls.push(input.n)
      return answers ? Promise.resolve('late') : new Promise(() => {})
    }),
  })
  const first = openLife(folder, { machines: machines(false) })
  const session = await first.troupe.start(only('m'), { id: 'r' })
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it is called', () => calls.length === 1)
  await first.kill(session)
  const second = openLife(folder, { machines: machines(true) })
  const again = await second.troupe.resume('r')
  await waitUntil('there is an answer', () => contextOf(again)?.got === 'late')
  expect(again.recovery?.effects).toEqual([
    { id: 'e1', kind: 'promise', path: '/top/one', policy: 'repeat', what: '', verdict: 'repeat', evidence: null },
  ])
  await second.kill(again)
  const third = await openLife(folder, { machines: machines(true) }).troupe.resume('r')
  expect({ calls, effects: third.recovery?.effects, got: contextOf(third).got }).toEqual({ calls: [1, 1], effects: [], got: 'late' })
  await third.send('/top/one', { type: 'end' })
  expect(await third.done()).toMatchObject({ status: 'succeeded', repeated: 1, promises: 1 })
})

test.each<[string, () => unknown, unknown]>([
  ['an error', () => Promise.reject(Object.assign(new Error('no'), { code: 'E_MINE' })), { code: 'E_MINE', message: 'no', name: 'Error' }],
  [
    'an error that is thrown before there is a promise',
    () => {
      throw new Error('at once')
    },
    { code: 'E_DEFECT', message: 'at once', name: 'Error' },
  ],
  [
    'a plain reason',
    () => Promise.reject({ status: 404 }),
    { code: 'E_DEFECT', message: '{"status":404}', status: 404, data: { status: 404 } },
  ],
  ['a word', () => Promise.reject('no'), { code: 'E_DEFECT', message: 'no', data: 'no' }],
  ['nothing', () => Promise.reject(undefined), { code: 'E_DEFECT', message: 'undefined' }],
  [
    'a result that is no JSON',
    async () => new Map(),
    { code: 'E_NOT_JSON', message: "output of promise 'job' holds a Map: turn it into plain data first", name: 'Defect' },
  ],
])('one that fails with %s gives its machine an error as data', async (_, job, error) => {
  const life = openLife(temporaryFolder(), { machines: { m: asking(job as never) } })
  const session = await life.troupe.start(only('m'))
  await session.send('/top/one', { type: 'go' })
  await waitUntil('it has failed', () => contextOf(session).got !== null)
  const { hint: _hint, ...got } = contextOf(session).got as { hint?: string }
  expect(got).toEqual({ ...(error as object), path: '/top/one', effect: 'e1', retry: 'never' })
  await session.stop()
})

test('one that fails where nobody handles it crashes its actor, as in XState', async () => {
  const life = openLife(temporaryFolder(), { machines: { m: asking(() => Promise.reject(new Error('nobody cares')), false) } })
  const session = await life.troupe.start({ id: 'top', intensity: 0, periodMs: 1_000, children: [{ id: 'one', src: 'm' }] })
  await session.send('/top/one', { type: 'go' })
  expect(await session.done()).toMatchObject({ status: 'failed', reason: { code: 'E_SUPERVISOR_GAVE_UP' } })
  expect(factsOf(life.store, session.id, 'actor.crashed').map((fact) => fact.data['message'])).toEqual(['nobody cares'])
})

test('it may send to its parent and to others and emit while it runs; leaving its state aborts its signal, and its result is not heard', async () => {
  const clock = new VirtualClock()
  const calls: Call[] = []
  const answer = Promise.withResolvers<string>()
  const life = openLife(temporaryFolder(), {
    machines: {
      m: asking((call) => {
        calls.push(call)
        return answer.promise
      }),
    },
    clock,
  })
  const session = await life.troupe.start(only('m'), { id: 'r' })
  await session.send('/top/one', { type: 'go' })
  await clock.settled()
  const [call] = calls
  const { input, self, system, emit, signal } = call!
  input.parent.send({ type: 'half', of: 1 })
  self._parent!.send({ type: 'half', of: 2 })
  emit({ type: 'progress', done: 3 })
  expect([self.id, system.get('the-job')?.id, system.get('nobody'), signal.aborted]).toEqual(['job', 'job', undefined, false])
  await clock.settled()
  expect(contextOf(session).heard).toEqual([1, 2])
  expect(factsOf(life.store, 'r', 'event.emitted').map((fact) => fact.data)).toEqual([
    { event: { type: 'progress', done: 3 }, actor: 'job' },
  ])
  await session.send('/top/one', { type: 'leave' })
  await clock.settled()
  input.parent.send({ type: 'half', of: 4 })
  answer.resolve('too late')
  await clock.settled()
  expect({
    aborted: signal.aborted,
    context: contextOf(session),
    facts: data(factsOf(life.store, 'r', 'effect.cancelled', 'effect.succeeded')),
  }).toEqual({
    aborted: true,
    context: { got: null, heard: [1, 2, 4] },
    facts: [{ type: 'effect.cancelled', kind: 'promise', was: 'started' }],
  })
  await session.stop()
})
