/**
 * What cannot be durable is refused: at registration where it can be seen, with the machine, the state and the fix; else in the step where it shows,
 * as the crash of that actor alone, with the machine, the state, the event and which of its functions it was.
 */
import { expect, test } from 'vitest'
import {
  type AnyStateMachine,
  assign,
  createMachine,
  emit,
  enqueueActions,
  fromCallback,
  fromPromise,
  log,
  raise,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import { z } from 'zod'
import { effect } from '../../../src/effect.ts'
import { createRegistry } from '../../../src/runtime/registry.ts'
import { inputOf, registryOf, START } from '../one-step.ts'

const lone = (config: object): AnyStateMachine => createMachine({ id: 'm', ...config } as never) as AnyStateMachine
const line = fromCallback(() => {})
const NAME_IT = 'name it in setup({ actors })'
const ADD_IT = "add 'missing' to setup({ actors }); those given to .extend() are dropped by XState"
const PLAIN = 'keep contexts plain JSON: an array for a Set, an object for a Map, milliseconds for a Date, a name for a function'
const inState = (state: object): object => ({ initial: 'a', states: { a: state, b: {} } })

test.each<[string, unknown, string, string]>([
  ['an invoke with inline logic', lone(inState({ invoke: { src: line } })), '`m.a`: an invoke has inline logic', NAME_IT],
  [
    'an invoke of an unknown name',
    lone(inState({ invoke: { src: 'missing' } })),
    "`m.a`: invoke names 'missing', which is not in setup({ actors })",
    ADD_IT,
  ],
  [
    'an actor that only .extend() was given',
    (setup({}) as never as { extend(more: object): { createMachine(config: object): AnyStateMachine } })
      .extend({ actors: { missing: line } })
      .createMachine({ id: 'm', invoke: { src: 'missing' } }),
    "`m`: invoke names 'missing', which is not in setup({ actors })",
    ADD_IT,
  ],
  [
    'an entry action that spawns inline logic',
    lone(inState({ entry: spawnChild(line as never, { id: 'x' }) })),
    '`m.a`: an entry action spawns inline logic',
    NAME_IT,
  ],
  [
    'an exit action that spawns an unknown name',
    lone(inState({ exit: spawnChild('missing', { id: 'x' }) })),
    "`m.a`: an exit action spawns 'missing', which is not in setup({ actors })",
    ADD_IT,
  ],
  [
    'a transition that spawns an unknown name',
    lone(inState({ on: { go: { actions: [log('x'), spawnChild('missing', { id: 'x' })] } } })),
    "`m.a`: an action of 'go' spawns 'missing', which is not in setup({ actors })",
    ADD_IT,
  ],
  [
    'a delayed transition that spawns an unknown name',
    lone(inState({ after: { 10: { actions: spawnChild('missing', { id: 'x' }) } } })),
    "`m.a`: an action of 'xstate.after.10.m.a' spawns 'missing', which is not in setup({ actors })",
    ADD_IT,
  ],
  [
    'an eventless transition that spawns an unknown name',
    lone(inState({ always: { target: 'b', actions: spawnChild('missing', { id: 'x' }) } })),
    "`m.a`: an action of always spawns 'missing', which is not in setup({ actors })",
    ADD_IT,
  ],
  [
    'a named action that spawns an unknown name',
    setup({ actions: { grow: spawnChild('missing' as never, { id: 'x' } as never) } }).createMachine({ id: 'm' }),
    "`(actions)`: the action 'grow' spawns 'missing', which is not in setup({ actors })",
    ADD_IT,
  ],
  [
    'a Map in a literal context',
    lone({ context: { a: { items: new Map() } } }),
    '`(root)`: context.a.items holds a Map: turn it into plain data first',
    PLAIN,
  ],
  [
    'a function in a literal context',
    lone({ context: { list: [() => 1] } }),
    '`(root)`: context.list[0] holds a function: only plain data can be stored',
    PLAIN,
  ],
  [
    'a Date in a literal context',
    lone({ context: { at: new Date(0) } }),
    '`(root)`: context.at holds a Date: turn it into plain data first',
    PLAIN,
  ],
  [
    'logic that was made by hand',
    setup({
      actors: {
        odd: { transition: () => ({}), getInitialSnapshot: () => ({}), getPersistedSnapshot: () => ({}), start: () => {} } as never,
      },
    }).createMachine({ id: 'm' }),
    "`(actors)`: 'odd' is no logic that is known here",
    'make it with setup(...).createMachine, effect, fromPromise, fromTransition, fromCallback or fromObservable',
  ],
  [
    'an effect of a kind that is taken',
    setup({ actors: { job: effect({ kind: 'promise', input: z.any(), output: z.any(), repeat: 'repeat' }) } }).createMachine({ id: 'm' }),
    "`(actors)`: the effect 'job' is of kind 'promise', which is taken",
    "name its kind 'noun.verb'",
  ],
])('a registry refuses %s, with the place and the fix', (_, machine, message, fix) => {
  const register = (): unknown => createRegistry({ machines: { m: machine as AnyStateMachine } })
  expect(register).toThrow(
    expect.objectContaining({
      code: 'E_MACHINE_INVALID',
      message: `machine m, ${message}`,
      options: expect.objectContaining({ where: 'm', fix, exit: 3 }),
    }),
  )
})

test('what a machine invokes is checked like the machine itself', () => {
  const below = setup({ actors: { kid: lone({ context: { at: new Date(0) } }) } }).createMachine({ id: 'p', invoke: { src: 'kid' } })
  expect(() => registryOf(below)).toThrow('machine m/kid, `(root)`: context.at holds a Date')
})

const boom = (): never => {
  throw new Error('boom')
}
const base = setup({
  types: { context: {} as { n: number; [key: string]: unknown }, events: {} as { type: 'go' } },
  actors: { promise: fromPromise(async () => 1) },
  guards: { isReady: boom },
  delays: { slow: () => boom() },
  actions: { add: assign({ n: boom }) },
})
const on = (actions: unknown, transition: object = {}): object => ({ on: { go: { actions, ...transition } } })

test.each<[string, object, string]>([
  ['a named guard', { on: { go: { guard: 'isReady', target: '.a' } }, initial: 'a', states: { a: {} } }, 'guard isReady'],
  ['an inline guard', { on: { go: { guard: boom } } }, 'guard'],
  ['an assigner of one key', on(assign({ n: boom })), 'assign boom'],
  ['an assigner of all keys', on(assign(() => boom())), 'assign'],
  ['a named action that assigns', on('add'), 'assign boom'],
  ['a named delay', on(raise({ type: 'go' }, { delay: 'slow' as never })), 'delay slow'],
  ['a named delay of after', { initial: 'a', states: { a: { on: { go: 'b' } }, b: { after: { slow: 'a' } } } }, 'delay slow'],
  ['an inline delay', on(sendTo(({ self }) => self, { type: 'go' }, { delay: () => boom() })), 'delay'],
  [
    'the event of a send',
    on(
      sendTo(
        ({ self }) => self,
        () => boom(),
      ),
    ),
    'sendTo',
  ],
  ['the target of a send', on(sendTo(() => boom() as never, { type: 'go' } as never)), 'sendTo'],
  ['a list of actions', on(enqueueActions(() => boom())), 'enqueueActions'],
  ['what is logged', on(log(() => boom())), 'log'],
  ['what is emitted', on(emit(() => boom())), 'emit'],
  ['who is stopped', on(stopChild(() => boom())), 'stopChild'],
  ['parameters of an action', on({ type: 'add', params: () => boom() }), 'params'],
  [
    'the input of an invoke',
    { initial: 'a', states: { a: { on: { go: 'b' } }, b: { invoke: { src: 'promise', input: () => boom() } } } },
    'input',
  ],
  ['the output of the machine', { initial: 'a', states: { a: { on: { go: 'b' } }, b: { type: 'final' } }, output: () => boom() }, 'output'],
  [
    'the output of a state',
    { initial: 'a', states: { a: { initial: 'x', states: { x: { on: { go: 'y' } }, y: { type: 'final', output: () => boom() } } } } },
    'output',
  ],
])('%s that throws crashes its actor alone, and the error says what it was', (_, config, part) => {
  const host = registryOf(base.createMachine({ id: 'm', context: { n: 0 }, ...config } as never))
  const first = host.step(inputOf({ type: START }))
  const { exit } = host.step(inputOf({ type: 'go' }, first))
  const error = (exit as unknown as { error: { part: string; message: string } }).error
  expect(error).toMatchObject({ code: 'E_DEFECT', message: expect.stringContaining('boom'), path: '/top/one', machine: 'm', event: 'go' })
  expect(error.part).toBe(part)
})

test('an actor at the deepest level that is allowed has no children', () => {
  const host = registryOf(
    base.createMachine({ id: 'm', context: { n: 0 }, on: { go: { actions: spawnChild('promise', { id: 'x' }) } } } as never),
  )
  const first = host.step(inputOf({ type: START }))
  const deepest = { ...inputOf({ type: 'go' }, first), allowance: { children: 500, depth: 0 } }
  expect(host.step(deepest).exit).toEqual({ kind: 'error', error: expect.objectContaining({ code: 'E_LIMIT_SPAWN', path: '/top/one' }) })
})
