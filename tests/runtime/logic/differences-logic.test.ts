/** Differences from `createActor`, each with its row in section 9 of docs/SEMANTICS.md under the number in its title: time, events, and logic that is no machine */
import { expect, test } from 'vitest'
import { type AnyActorRef, type AnyStateMachine, assign, cancel, fromCallback, fromPromise, fromTransition, raise, sendTo } from 'xstate'
import { EFFECTS_IN_FLIGHT_MAX } from '../../../src/limits.ts'
import { boom, code, GO, here, m, on, passes, there } from './both-sides.ts'

const kid = m({ context: { n: 1 }, initial: 'up', states: { up: {} } })

test('D16: errors arrive as data: a code, a message, and a plain reason beside it', async () => {
  const error = { actions: assign({ kept: ({ event }: { event: { error: unknown } }) => event.error } as never) }
  const machine = m(
    { context: { kept: null }, invoke: { src: 'job', onError: error } },
    { job: fromPromise(() => Promise.reject(new TypeError('no'))) },
  )
  expect(((await there(machine, [1])).context as { kept: unknown }).kept).toBeInstanceOf(TypeError)
  expect((await here(machine, [1])).context).toEqual({
    kept: { code: 'E_DEFECT', message: 'no', name: 'TypeError', path: '/top/one', effect: 'e1', retry: 'never' },
  })
})

test('D17: contexts are frozen: a change in place crashes the step', async () => {
  const pushed = assign(({ context }: { context: { list: number[] } }) => {
    context.list.push(2)
    return { list: context.list }
  })
  const machine = (): AnyStateMachine => m({ context: { list: [1] }, on: { go: { actions: pushed } } })
  expect([(await there(machine(), [GO])).context, await code(machine())]).toEqual([{ list: [1, 2] }, 'E_CONTEXT_MUTATED'])
})

test('D19: a delay that is no finite number crashes the step; one that is longer than a host timer is waited for', async () => {
  const after = (delay: number): AnyStateMachine => m(on(raise({ type: 'x' } as never, { delay })))
  for (const delay of [Number.NaN, Number.POSITIVE_INFINITY])
    expect([await passes(after(delay), [GO]), await code(after(delay))]).toEqual(['active', 'E_DELAY_INVALID'])
  const long = 30 * 24 * 3_600_000
  expect([(await here(after(long), [GO, long - 1])).context, (await here(after(long), [GO, long])).context]).toEqual([
    { kept: null },
    { kept: 'x' },
  ])
})

test('D20: a timer id that is set twice keeps both, and cancel takes both; there it takes the later one', async () => {
  const machine = m({
    context: { n: 0 },
    on: {
      go: { actions: raise({ type: 'x' } as never, { delay: 100, id: 'same' }) },
      off: { actions: cancel('same') },
      x: { actions: assign({ n: ({ context }: { context: { n: number } }) => context.n + 1 } as never) },
    },
  })
  expect([(await there(machine, [GO, GO, 200])).context, (await here(machine, [GO, GO, 200])).context]).toEqual([{ n: 2 }, { n: 2 }])
  const script = [GO, GO, { type: 'off' }, 200]
  expect([(await there(machine, script)).context, (await here(machine, script)).context]).toEqual([{ n: 1 }, { n: 0 }])
})

test("D23: events whose types are the engine's are refused from outside and from machines", async () => {
  const machine = m({ context: { kept: null }, on: { '*': { actions: assign({ kept: 'any' }) } } })
  expect([
    (await there(machine, [{ type: 'xstate.done.actor.x' }])).context,
    (await here(machine, [{ type: 'xstate.done.actor.x' }])).context,
  ]).toEqual([{ kept: 'any' }, { kept: null }])
  const forging = m(on(sendTo(({ self }) => self, { type: 'xstate.done.actor.x' } as never)))
  expect([await passes(forging), await code(forging)]).toEqual(['active', 'E_EVENT_REFUSED'])
})

test('D26: a callback is cleaned up when it throws, too; a cleanup that throws ends nobody', async () => {
  const log_: string[] = []
  const rough = () =>
    fromCallback(({ receive }) => {
      receive(boom)
      return () => void log_.push('clean')
    })
  const told = {
    context: { kept: null },
    initial: 'a',
    states: {
      a: {
        invoke: { src: 'line', id: 'line', onError: { actions: assign({ kept: 'failed' }) } },
        on: { go: { actions: sendTo('line', { type: 'x' }) }, leave: 'b' },
      },
      b: {},
    },
  }
  expect([(await there(m(told, { line: rough() }), [GO])).context, log_.splice(0)]).toEqual([{ kept: 'failed' }, []])
  expect([(await here(m(told, { line: rough() }), [GO])).context, log_]).toEqual([{ kept: 'failed' }, ['clean']])
  const stuck = () => fromCallback(() => () => boom())
  expect(await there(m(told, { line: stuck() }), [{ type: 'leave' }])).toMatchObject({ status: 'error', error: 'boom' })
  expect(await here(m(told, { line: stuck() }), [{ type: 'leave' }])).toMatchObject({ status: 'active', value: 'b' })
})

test('D28: snapshots that a parent hears of are plain data without methods', async () => {
  const hear = { actions: assign({ kept: ({ event }: { event: { snapshot: object } }) => Object.keys(event.snapshot).sort() } as never) }
  const machine = m({ context: { kept: null }, invoke: { src: 'kid', onSnapshot: hear } }, { kid })
  expect(((await there(machine, [1])).context as { kept: string[] }).kept).toEqual(
    expect.arrayContaining(['children', 'machine', 'matches']),
  )
  expect((await here(machine, [1])).context).toEqual({ kept: ['context', 'status', 'value'] })
})

test('D29: an input of null reaches a promise, a callback or an observable as undefined', async () => {
  const machine = (): AnyStateMachine =>
    m(
      {
        context: { kept: 'nothing' },
        invoke: {
          src: 'job',
          input: () => null,
          onDone: { actions: assign({ kept: ({ event }: { event: { output: unknown } }) => event.output } as never) },
        },
      },
      { job: fromPromise(async ({ input }) => String(input)) },
    )
  expect([(await there(machine(), [1])).context, (await here(machine(), [1])).context]).toEqual([{ kept: 'null' }, { kept: 'undefined' }])
})

test('D30: a reducer must give a context, and may not act through its scope', async () => {
  const failing = (reducer: (state: number, event: { type: string }, scope: { self: AnyActorRef }) => unknown): AnyStateMachine =>
    m(
      {
        context: { kept: null },
        invoke: {
          src: 'sum',
          id: 'sum',
          onError: { actions: assign({ kept: ({ event }: { event: { error: { code: string } } }) => event.error.code } as never) },
        },
        on: { go: { actions: sendTo('sum', { type: 'x' }) } },
      },
      { sum: fromTransition(reducer as never, 0) },
    )
  const silent = failing(() => undefined)
  const acting = failing((state, _, { self }) => {
    self._parent!.send({ type: 'x' })
    return state
  })
  expect([(await there(silent, [GO])).context, (await there(acting, [GO])).context]).toEqual([{ kept: null }, { kept: null }])
  expect([(await here(silent, [GO])).context, (await here(acting, [GO])).context]).toEqual([
    { kept: 'E_NOT_JSON' },
    { kept: 'E_IMPERATIVE_REF' },
  ])
})

test('D31: mail to a promise is dropped on record; there without a word', async () => {
  const machine = m(
    { context: { kept: null }, invoke: { src: 'job', id: 'job' }, on: { go: { actions: sendTo('job', { type: 'hello' }) } } },
    { job: fromPromise(() => new Promise(() => {})) },
  )
  expect(await passes(machine)).toBe('active')
  const side = await here(machine, [GO])
  expect([side.status, side.facts('message.dropped').map(({ to, event }) => [to, event])]).toEqual(['active', [['/top/one/job', 'hello']]])
})

test('D33: so many promises are performed at once, and no more; the others wait for their turn', async () => {
  const calls: PromiseWithResolvers<void>[] = []
  const machine = (): AnyStateMachine =>
    m(
      {
        context: ({ spawn }: { spawn: (src: string, options: object) => unknown }) => {
          for (let nth = 0; nth < EFFECTS_IN_FLIGHT_MAX + 6; nth++) spawn('job', { id: `job-${nth}` })
          return {}
        },
        on: { 'xstate.done.actor.*': {}, go: { actions: () => calls[0]?.resolve() } },
      },
      {
        job: fromPromise(() => {
          const call = Promise.withResolvers<void>()
          calls.push(call)
          return call.promise
        }),
      },
    )
  await there(machine(), [])
  expect(calls.splice(0).length).toBe(EFFECTS_IN_FLIGHT_MAX + 6)
  await here(machine(), [])
  expect(calls.splice(0).length).toBe(EFFECTS_IN_FLIGHT_MAX)
  await here(machine(), [GO])
  expect(calls.length).toBe(EFFECTS_IN_FLIGHT_MAX + 1)
})
