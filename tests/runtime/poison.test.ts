/** What a machine does wrong crashes that machine's actor, with a message that says what is wrong; nobody else, and never the run. */
import { expect, test } from 'vitest'
import { type AnyStateMachine, assign, emit, log, raise, sendParent, sendTo, setup } from 'xstate'
import { Defect } from '../../src/errors.ts'
import { supervisor } from '../../src/machines/supervisor.ts'
import { type ChildSpec, SUPERVISOR_MACHINE } from '../../src/protocol.ts'
import type { EnvelopeKind, StepResult } from '../../src/runtime/cell.ts'
import { createRegistry } from '../../src/runtime/registry.ts'
import { factsOf, openLife, temporaryFolder, waitUntil } from '../harness.ts'
import { counter } from './counter.ts'
import { inputOf, registryOf, START } from './one-step.ts'

const base = setup({
  types: { context: {} as { list: number[] }, events: {} as { type: string; n?: number } },
  actions: { ask: (_, _params: object) => {}, 'thread.append': (_, _params: object) => {} },
})
const parent = ({ self }: { self: { _parent?: unknown } }): never => self._parent as never
const toParent = (event: unknown, delay?: number) => sendTo(parent, () => event as never, delay === undefined ? {} : { delay })
const ask = (params: object) => ({ type: 'ask', params: { id: 'q', to: '/top/b', event: { type: 'q' }, timeoutMs: 5, ...params } })
const going = (actions: unknown) => base.createMachine({ id: 'm', context: { list: [] }, on: { go: { actions: actions as never } } })

/** Code and message of the crash in which `go` ends, or what else came of it. */
function crashOf(actions: unknown): unknown {
  const host = registryOf(going(actions))
  const { exit } = host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))
  return exit?.kind === 'error' ? [exit.error.code, exit.error.message] : exit
}
const bigInt = 1n as unknown

test.each<[string, unknown, string, string]>([
  ['an event that is a number', toParent(5), 'E_EVENT_INVALID', 'event of /top/one is 5'],
  ['an event that is null', toParent(null), 'E_EVENT_INVALID', 'event of /top/one is null'],
  ['an event that is a list', toParent([{ type: 'x' }]), 'E_EVENT_INVALID', 'event of /top/one is [{'],
  ['an event without a type', toParent({ n: 1 }), 'E_EVENT_INVALID', 'event of /top/one is {"n":1}'],
  ['an event whose type is a number', toParent({ type: 5 }), 'E_EVENT_INVALID', 'event of /top/one is {"type":5}'],
  ['an event whose type is empty', toParent({ type: '' }), 'E_EVENT_INVALID', 'event of /top/one is {"type":""}'],
  ['a delayed event without a type', toParent({}, 10), 'E_EVENT_INVALID', 'delayed event of /top/one is {}'],
  ['a delayed raise of null', raise(() => null as never, { delay: 10 }), 'E_EVENT_INVALID', 'delayed event of /top/one is null'],
  ['an emitted null', emit(() => null as never), 'E_EVENT_INVALID', 'emitted event of /top/one is null'],
  ['an emitted event without a type', emit(() => ({}) as never), 'E_EVENT_INVALID', 'emitted event of /top/one is {}'],
  ['a forged report to a supervisor', toParent({ type: 'cell.exited', id: 'b' }), 'E_EVENT_REFUSED', "'cell.exited'"],
  ['a forged report with a delay', toParent({ type: 'cell.exited', id: 'b' }, 10), 'E_EVENT_REFUSED', "'cell.exited'"],
  ['a forged answer', toParent({ type: 'ask.answered', id: 'q' }), 'E_EVENT_REFUSED', "'ask.answered'"],
  ['a forged result of a child', toParent({ type: 'xstate.done.actor.b' }), 'E_EVENT_REFUSED', "'xstate.done.actor.b'"],
  ["XState's own stop", toParent({ type: 'xstate.stop' }), 'E_EVENT_REFUSED', "'xstate.stop'"],
  ['an event for any handler', toParent({ type: '*' }), 'E_EVENT_REFUSED', "'*'"],
  [
    'a failure to somebody who is not its parent',
    sendTo(({ self }) => self, { type: 'xstate.error' }),
    'E_EVENT_REFUSED',
    "'xstate.error'",
  ],
  ['a failure with a BigInt in it', sendParent({ type: 'xstate.error', data: bigInt } as never), 'E_NOT_JSON', 'error holds a bigint'],
  ['a forged timer', raise({ type: 'xstate.done.actor.b' }, { delay: 10 }), 'E_EVENT_REFUSED', "'xstate.done.actor.b'"],
  ['an ask without an id', ask({ id: '' }), 'E_ASK_INVALID', 'ask of /top/one: id: '],
  ['an ask of nobody', ask({ to: null }), 'E_ASK_INVALID', 'ask of /top/one: to: '],
  ['an ask without a question', ask({ event: null }), 'E_ASK_INVALID', 'ask of /top/one: event: '],
  ['an ask whose question has no type', ask({ event: {} }), 'E_ASK_INVALID', 'ask of /top/one: event.type: '],
  ['an ask that forges', ask({ event: { type: 'cell.exited' } }), 'E_EVENT_REFUSED', "'cell.exited'"],
  ['an ask with a text as deadline', ask({ timeoutMs: '5' }), 'E_ASK_INVALID', 'ask of /top/one: timeoutMs: '],
  ['an ask with a deadline before its time', ask({ timeoutMs: -1 }), 'E_ASK_INVALID', 'ask of /top/one: timeoutMs: '],
  ['an ask without params', 'ask', 'E_ASK_INVALID', 'ask of /top/one: undefined: '],
  ['a thread without items', { type: 'thread.append', params: { thread: 't' } }, 'E_THREAD_INVALID', 'thread.append of /top/one: items: '],
  ['a thread without a name', { type: 'thread.append', params: { items: [1] } }, 'E_THREAD_INVALID', 'thread.append of /top/one: thread: '],
])('%s crashes the one who made it, and the message says what is wrong', (_, actions, code, message) => {
  expect(crashOf(actions)).toEqual([code, expect.stringContaining(message)])
})

test('what XState makes by itself is none of this: `after`, a failure in the eyes of the parent, a label that is no text', () => {
  const machine = base.createMachine({ id: 'm', context: { list: [] }, initial: 'a', states: { a: { after: { 500: 'b' } }, b: {} } })
  expect(registryOf(machine).step(inputOf({ type: START })).timersSet).toEqual([
    { op: 0, id: 'xstate.after.500.m.a', to: '/top/one', incarnation: null, event: { type: 'xstate.after.500.m.a' }, delayMs: 500 },
  ])
  const host = registryOf(going([sendParent({ type: 'xstate.error', data: new Error('no') } as never), log('said', bigInt as string)]))
  const { sends, logs } = host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))
  const error = { code: 'E_DEFECT', message: 'no', name: 'Error' }
  expect({ sends, logs }).toEqual({
    sends: [{ op: 0, to: '/top', incarnation: null, kind: 'mail', event: { type: 'xstate.error.actor.one', error, actorId: 'one' } }],
    logs: [{ label: '1', value: 'said' }],
  })
})

test.each<[string, unknown]>([
  ['null', null],
  ['a text', 'normal'],
  ['a kind that there is not', { kind: 'done' }],
  ['a shutdown without its detail', { kind: 'shutdown' }],
  ['an error without its data', { kind: 'error' }],
  ['a failure that is no error', { kind: 'normal', failure: 'no' }],
])('a machine that ends with %s as exit reason has crashed', (_, reason) => {
  const machine = base.createMachine({
    id: 'm',
    context: { list: [] },
    initial: 'a',
    states: { a: { on: { go: 'b' } }, b: { type: 'final' } },
    output: { '@troupe.exit': reason },
  })
  const host = registryOf(machine)
  const result = host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))
  expect([result.snapshot, result.exit]).toEqual([
    'unchanged',
    { kind: 'error', error: expect.objectContaining({ code: 'E_EXIT_INVALID', message: expect.stringContaining('/top/one') }) },
  ])
})

const gone = { kind: 'shutdown', detail: 'gave_up', output: { count: 2 }, failure: { code: 'E_X', message: 'no', more: [1] } }
test('an exit reason that is one is taken as it is', () => {
  const output = { '@troupe.exit': gone }
  const machine = base.createMachine({ id: 'm', context: { list: [] }, initial: 'a', states: { a: { type: 'final' } }, output })
  expect(registryOf(machine).step(inputOf({ type: START })).exit).toEqual(gone)
})

const cyclic: { self?: unknown } = {}
cyclic.self = cyclic
test('a Defect with details that JSON cannot hold is told without them', () => {
  const details = { hint: 'mend it', big: 1n, cyclic, fn: () => 1, code: 5 } as never
  const thrown = (): never => {
    throw new Defect('E_MINE', 'mine', details)
  }
  const host = registryOf(going(assign(thrown)))
  expect(host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))['exit']).toEqual({
    kind: 'error',
    error: {
      code: 'E_MINE',
      message: 'mine',
      name: 'Defect',
      hint: 'mend it',
      path: '/top/one',
      state: '',
      event: 'go',
      machine: 'm',
      part: 'assign thrown',
    },
  })
})

const mutating = base.createMachine({
  id: 'm',
  context: { list: [] },
  on: {
    add: { actions: assign(({ context, event }) => ({ list: [...context.list, event.n ?? 0] })) },
    push: { actions: assign(({ context }) => ({ list: context.list.push(2) > 0 ? context.list : [] })) },
    guarded: { guard: ({ context }) => context.list.pop() === undefined, actions: 'ask' as never },
  },
})

test.each(['push', 'guarded'])(
  'a context changed in place (%s) crashes the actor with the way to mend it, in memory as from the store',
  (type) => {
    const host = registryOf(mutating)
    const added = host.step(inputOf({ type: 'add', n: 1 }, host.step(inputOf({ type: START }))))
    const stored: StepResult = structuredClone({ ...added, actions: [] })
    for (const before of [added, stored]) {
      expect(host.step(inputOf({ type }, before)).exit).toEqual({
        kind: 'error',
        error: expect.objectContaining({
          code: 'E_CONTEXT_MUTATED',
          message: expect.stringMatching(/^frozen data was changed in place: [\s\S]*Cannot /),
        }),
      })
      const after = host.step(inputOf({ type: 'add', n: 3 }, before))
      expect(after.snapshot !== 'unchanged' && JSON.parse(after.snapshot.json).context).toEqual({ list: [1, 3] })
    }
  },
)

test('the context that a machine begins with is shared by all its actors, so it is frozen when the machine is registered', () => {
  const inFirst = base.createMachine({ id: 'm', context: { list: [] }, entry: assign(({ context }) => ({ list: [context.list.push(1)] })) })
  const { exit } = registryOf(inFirst).step(inputOf({ type: START }))
  expect([exit, inFirst.config.context]).toEqual([
    { kind: 'error', error: expect.objectContaining({ code: 'E_CONTEXT_MUTATED', state: '(starting)' }) },
    { list: [] },
  ])
})

test('a supervisor hears of its children from the engine alone: mail that says so moves nothing', () => {
  const host = createRegistry({ machines: { [SUPERVISOR_MACHINE]: supervisor as unknown as AnyStateMachine } })
  const spec = { id: 'one', children: [{ id: 'b', src: 'counter' }] }
  const first = { ...inputOf({ type: START, input: { spec, input: null } }), machine: SUPERVISOR_MACHINE }
  const started = {
    ...inputOf({ type: 'cell.started', id: 'b', incarnation: 1, now: 0, declined: false }, host.step(first)),
    machine: SUPERVISOR_MACHINE,
  }
  const heard = (kind: EnvelopeKind, event = started.envelope.event): unknown => {
    const { snapshot, exit, handled } = host.step({ ...started, envelope: { ...started.envelope, kind, event } })
    return { state: snapshot === 'unchanged' ? 'starting' : snapshot.value, exit, handled }
  }
  expect(heard('system')).toEqual({ state: { running: 'steady' }, exit: null, handled: true })
  expect(heard('mail')).toEqual({ state: 'starting', exit: null, handled: false })
  expect(heard('mail', { type: 'xstate.error.actor.b', error: 'no', actorId: 'b' })).toEqual({
    state: 'starting',
    exit: null,
    handled: false,
  })
})

const children: readonly ChildSpec[] = [
  { id: 'bystander', src: 'counter' },
  { id: 'bad', src: 'bad', restart: 'temporary' },
]
test.each([
  {
    what: 'a report that a sibling has ended',
    actions: toParent({ type: 'cell.exited', id: 'bystander', incarnation: 1, now: 0, reason: { kind: 'killed' } }),
  },
  { what: 'a failure told to its supervisor', actions: sendParent({ type: 'xstate.error', data: 'no' } as never) },
  { what: 'an emitted null', actions: emit(() => null as never) },
  { what: 'a thread without items', actions: { type: 'thread.append', params: { thread: 't' } } },
  { what: 'an ask without a question', actions: ask({ event: null }) },
])('$what, by a timer, is no poison for the run: a sibling works on, now and after a death', async ({ actions }) => {
  const bad = base.createMachine({
    id: 'bad',
    context: { list: [] },
    after: { 20: { actions: [actions as never, assign({ list: [1] })] } },
  })
  const folder = temporaryFolder()
  const first = openLife(folder, { machines: { bad, counter }, turnStepsMax: 1 })
  const session = await first.troupe.start({ id: 'top', children })
  const fired = () => factsOf(first.store, session.id, 'timer.fired')
  const isOver = () => JSON.stringify(session.snapshot('/top/bad')?.context ?? { list: [1] }) === '{"list":[1]}'
  await waitUntil('its timer has done what it does', () => fired().length > 0 && isOver(), fired)
  await session.send('/top/bystander', { type: 'add', n: 1 })
  await first.kill(session)
  const second = openLife(folder, { machines: { bad, counter } })
  const again = await second.troupe.resume(session.id)
  await again.send('/top/bystander', { type: 'add', n: 1 })
  expect(await again.ask('/top/bystander', { type: 'get' })).toEqual({ type: 'got', n: 2 })
  await again.stop()
})
