/** What cannot be durable is refused when it is registered, with the machine, the place, the rule and the fix; nothing is started. */
import { expect, test } from 'vitest'
import { type AnyStateMachine, createMachine, fromPromise, setup, spawnChild } from 'xstate'
import { z } from 'zod'
import { createTroupe } from '../../src/actors/troupe.ts'
import { effect } from '../../src/effect.ts'
import { UserError } from '../../src/errors.ts'
import { createRegistry } from '../../src/runtime/registry.ts'
import { openLife, temporaryFolder, waitUntil } from '../harness.ts'
import { counter } from './counter.ts'

const child = setup({}).createMachine({ id: 'child' })
const lone = (config: object): AnyStateMachine => createMachine({ id: 'm', ...config } as never) as AnyStateMachine
const promise = fromPromise(async () => 1)
const MISSING = "add 'missing' to setup({ actors }); those given to .extend() are dropped by XState"

test.each<[string, unknown, string, string]>([
  [
    'an invoke with inline logic',
    lone({ initial: 'a', states: { a: { invoke: { src: promise } } } }),
    'machine m, `m.a`: an invoke has inline logic',
    'name it in setup({ actors })',
  ],
  [
    'an invoke of a name that nobody gave',
    lone({ initial: 'a', states: { a: {}, b: { invoke: { src: 'missing' } } } }),
    "machine m, `m.b`: invoke names 'missing', which is not in setup({ actors })",
    MISSING,
  ],
  [
    'an error in a machine that only it invokes',
    setup({ actors: { below: lone({ invoke: { src: 'missing' } }) } }).createMachine({ id: 'm', invoke: { src: 'below' } }),
    "machine m/below, `m`: invoke names 'missing', which is not in setup({ actors })",
    MISSING,
  ],
  [
    'something that is no machine',
    { id: 'm' },
    'machine m, `(root)`: it is not a machine of this copy of xstate',
    'make it with setup(...).createMachine(...), with one copy of xstate installed',
  ],
])('a registry refuses %s', (_, machine, message, fix) => {
  const register = (): unknown => createRegistry({ machines: { m: machine as AnyStateMachine } })
  expect(register).toThrow(UserError)
  expect(register).toThrow(
    expect.objectContaining({ code: 'E_MACHINE_INVALID', message, options: expect.objectContaining({ fix, exit: 3 }) }),
  )
})

test('a machine, what it invokes and its effects are registered, and everything else is unknown by name', () => {
  const work = effect({ kind: 'work.do', input: z.undefined(), output: z.null(), repeat: 'repeat' })
  const machine = setup({ actors: { work, child } }).createMachine({ id: 'm', version: '3', invoke: [{ src: 'work' }, { src: 'child' }] })
  const host = createRegistry({ machines: { m: machine as unknown as AnyStateMachine }, effects: { work: { perform: () => null } } })
  expect([
    host.machineVersion('m'),
    host.machineVersion('m/child'),
    host.handler({ kind: 'work.do', src: 'work' }).declaration.repeat,
  ]).toEqual(['3', '1', 'repeat'])
  expect(() => host.machineVersion('other')).toThrow(
    expect.objectContaining({ code: 'E_MACHINE_UNKNOWN', message: expect.stringContaining('m, m/child') }),
  )
  expect(() => host.handler({ kind: 'other.do', src: 'other' })).toThrow(expect.objectContaining({ code: 'E_EFFECT_UNKNOWN' }))
})

test('createTroupe refuses before it opens anything, and wants somewhere to keep runs', () => {
  const { store } = openLife(temporaryFolder(), { machines: {} })
  expect(() => createTroupe({ store, machines: { m: lone({ invoke: { src: 'missing' } }) } })).toThrow(
    expect.objectContaining({ code: 'E_MACHINE_INVALID' }),
  )
  expect(() => createTroupe({ machines: {} })).toThrow('a store or an engine')
})

test('the types of handlers come from the machines: a wrong name, input or output does not compile', () => {
  const work = effect({ kind: 'work.do', input: z.object({ n: z.number() }), output: z.number(), repeat: 'repeat' })
  const machines = { m: setup({ actors: { work } }).createMachine({ id: 'm' }) }
  const { store } = openLife(temporaryFolder(), { machines: {} })
  const troupes = [
    createTroupe({ store, machines, effects: { work: { perform: ({ input }) => input.n } } }),
    createTroupe({ store, machines, effects: { 'work.do': { perform: () => 1 } } }),
    // @ts-expect-error There is no such input.
    createTroupe({ store, machines, effects: { work: { perform: ({ input }) => input.m } } }),
    // @ts-expect-error The output is a number.
    createTroupe({ store, machines, effects: { work: { perform: () => 'one' } } }),
    // @ts-expect-error No machine invokes that.
    createTroupe({ store, machines, effects: { wrok: { perform: () => 1 } } }),
  ]
  expect(troupes.length).toBe(5) // What is checked here is checked by the compiler: see `npm run typecheck`.
})

test('an effect under plain createActor says where it runs', () => {
  const work = effect({ kind: 'work.do', input: z.undefined(), output: z.null(), repeat: 'repeat' })
  expect(() => work.getInitialSnapshot({} as never, undefined)).toThrow(expect.objectContaining({ code: 'E_EFFECT_UNHOSTED' }))
})

const passer = setup({ actors: { kid: child } }).createMachine({ id: 'passer' })
const asMachine = (machine: unknown): AnyStateMachine => machine as AnyStateMachine

test('a machine that stands in the registry and in another machine is found by each of its names, in any order', () => {
  const grand = asMachine(setup({ actors: { parent: passer } }).createMachine({ id: 'grand' }))
  for (const names of [
    ['grand', 'parent', 'kid', 'again'],
    ['again', 'kid', 'parent', 'grand'],
    ['kid', 'again', 'grand', 'parent'],
    ['parent', 'kid', 'again', 'grand'],
  ]) {
    const all: Record<string, AnyStateMachine> = { grand, parent: asMachine(passer), kid: asMachine(child), again: asMachine(child) }
    const host = createRegistry({ machines: Object.fromEntries(names.map((name) => [name, all[name]!])) })
    const ways = ['grand', 'grand/parent', 'grand/parent/kid', 'parent', 'parent/kid', 'kid', 'again']
    expect(ways.map((name) => host.machineVersion(name))).toEqual(ways.map(() => '1'))
    for (const name of ['grand/kid', 'parent/constructor', 'kid/', 'grand/parent/kid/kid'])
      expect(() => host.machineVersion(name)).toThrow(expect.objectContaining({ code: 'E_MACHINE_UNKNOWN' }))
  }
})

test('a run goes on where its machines are registered otherwise than before', async () => {
  const spawned = setup({ actors: { kid: counter } }).createMachine({ id: 'p', entry: spawnChild('kid', { id: 'k' }) })
  const parent = asMachine(spawned)
  const folder = temporaryFolder()
  const first = openLife(folder, { machines: { parent } })
  const session = await first.troupe.start({ id: 'top', children: [{ id: 'one', src: 'parent' }] })
  await waitUntil('the child lives', () => session.snapshot('/top/one/k') !== null)
  await session.send('/top/one/k', { type: 'add', n: 1 })
  await first.kill(session)
  const second = openLife(folder, { machines: { kid: asMachine(counter), parent } })
  const again = await second.troupe.resume(session.id)
  await again.send('/top/one/k', { type: 'add', n: 1 })
  expect(again.snapshot('/top/one/k')?.context).toEqual({ n: 2 })
  await again.stop()
})
