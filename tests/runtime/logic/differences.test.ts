/** Differences from `createActor`, each with its row in section 9 of docs/SEMANTICS.md under the number in its title: actions, references, children and data */
import { expect, test } from 'vitest'
import { type AnyActorRef, type AnyStateMachine, assign, emit, fromCallback, log, raise, sendParent, setup, spawnChild } from 'xstate'
import { boom, code, GO, here, m, on, passes, there } from './both-sides.ts'

test('D3: an action that throws is on record, and its actor goes on; there it ends its actor', async () => {
  const named = setup({ actions: { explode: boom } }).createMachine({
    id: 'm',
    context: { kept: null },
    on: { go: { actions: 'explode' } },
  }) as never
  for (const [machine, fact] of [
    [m(on(() => boom())), 'action.failed'],
    [named, 'effect.failed'],
  ] as const) {
    expect(await there(machine, [GO])).toMatchObject({ status: 'error', error: 'boom' })
    const side = await here(machine, [GO])
    expect({ status: side.status, failed: side.facts(fact).map((data) => data['message']) }).toEqual({ status: 'active', failed: ['boom'] })
  }
})

test('D5: what is logged and emitted goes to the journal', async () => {
  const side = await here(m(on([log('a word', 'label'), emit({ type: 'told', n: 1 } as never)])), [GO])
  expect([side.facts('log.written'), side.facts('event.emitted')]).toEqual([
    [{ label: 'label', value: 'a word' }],
    [{ event: { type: 'told', n: 1 } }],
  ])
})

const kid = m({ context: { n: 1 }, initial: 'up', states: { up: {} } })
const parts = ({ status, value = null, context = null }: { status: string; value?: unknown; context?: unknown }): unknown => [
  status,
  value,
  context,
]
test('D6: a reference in a step shows that its actor is active, and nothing of its state', async () => {
  const look = assign({
    kept: ({ context, self }: { context: { ref: AnyActorRef }; self: AnyActorRef }) => [
      parts(context.ref.getSnapshot() as never),
      self.getSnapshot().status,
    ],
  } as never)
  const machine = m(
    {
      context: ({ spawn }: { spawn: (src: string, options: object) => unknown }) => ({ ref: spawn('kid', { id: 'kid' }), kept: null }),
      on: { go: { actions: look } },
    },
    { kid },
  )
  expect(((await there(machine, [GO])).context as { kept: unknown }).kept).toEqual([['active', 'up', { n: 1 }], 'active'])
  expect(((await here(machine, [GO])).context as { kept: unknown }).kept).toEqual([['active', null, null], 'active'])
})

test.each(['send', 'subscribe', 'on'] as const)('D7: %s() of a reference inside a step crashes it; sendTo is the way', async (method) => {
  const use = assign(({ self }: { self: { [key: string]: (...args: unknown[]) => unknown } }) => {
    self[method]!({ type: 'x' }, () => {})
    return {}
  })
  expect([await passes(m(on(use))), await code(m(on(use)))]).toEqual(['active', 'E_IMPERATIVE_REF'])
})

test('D9: a child that is spawned is found by the entry of one before it in the same step', async () => {
  const asks = m({
    context: { found: null },
    entry: assign({ found: ({ system }: { system: { get(id: string): unknown } }) => system.get('late') !== undefined } as never),
    initial: 'a',
    states: {
      a: { always: { target: 'b', guard: ({ context }: { context: { found: boolean } }) => context.found } },
      b: { entry: sendParent({ type: 'x' }) },
    },
  })
  const machine = m(
    {
      context: { kept: null },
      on: {
        go: {
          actions: [
            spawnChild('asks' as never, { id: 'asks' } as never),
            spawnChild('kid' as never, { id: 'late', systemId: 'late' } as never),
          ],
        },
        x: { actions: assign({ kept: 'found' }) },
      },
    },
    { asks, kid },
  )
  expect([(await there(machine, [GO])).context, (await here(machine, [GO])).context]).toEqual([{ kept: null }, { kept: 'found' }])
})

test('D11: inline logic crashes the step that makes it', async () => {
  const spawning = assign(({ spawn }) => {
    spawn(kid as never, { id: 'x' } as never)
    return {}
  })
  const machine = m(on(spawning))
  expect([await passes(machine), await code(machine)]).toEqual(['active', 'E_ACTOR_INLINE'])
})

test('D12: spawnChild without an id, and an id that is taken, crash the step', async () => {
  const without = m(on(spawnChild('kid' as never)), { kid })
  const twice = m(on([spawnChild('kid' as never, { id: 'x' } as never), spawnChild('kid' as never, { id: 'x' } as never)]), { kid })
  expect([await passes(without), await passes(twice)]).toEqual(['active', 'active'])
  expect([await code(without), await code(twice)]).toEqual(['E_CHILD_WITHOUT_ID', 'E_CHILD_EXISTS'])
})

test('D13: when an actor crashes, all below it end; there they go on without it', async () => {
  const alive: string[] = []
  const beat = fromCallback(() => {
    alive.push('up')
    return () => void alive.push('down')
  })
  const worker = m({ invoke: { src: 'beat' } }, { beat })
  const machine = (): AnyStateMachine =>
    m({ context: { kept: null }, invoke: { src: 'worker' }, on: { go: { actions: assign(boom) } } }, { worker })
  expect(await there(machine(), [GO])).toMatchObject({ status: 'error' })
  expect(alive.splice(0)).toEqual(['up'])
  expect(await code(machine())).toBe('E_DEFECT')
  expect(alive).toEqual(['up', 'down'])
})

test.each<[string, unknown, string]>([
  ['a Map', new Map(), 'E_NOT_JSON'],
  ['a Date', new Date(0), 'E_NOT_JSON'],
  ['a function', () => 1, 'E_NOT_JSON'],
  ['NaN', Number.NaN, 'E_NOT_JSON'],
  ['an array with a hole', new Array(2).fill(1, 1), 'E_NOT_JSON'],
])('D15: %s in a context, an event, an input or what is emitted crashes the step, with the path', async (_, bad, expected) => {
  const actions = [
    assign({ kept: () => bad } as never),
    raise({ type: 'later', bad } as never, { delay: 1 }),
    spawnChild('kid' as never, { id: 'x', input: { bad } } as never),
    emit({ type: 'told', bad } as never),
  ]
  for (const action of actions)
    expect([await passes(m(on(action), { kid })), await code(m(on(action), { kid }))]).toEqual(['active', expected])
})

test('D32: system ids below two children of one step clash in the later child, not in their parent', async () => {
  const inner = m({ invoke: { src: 'kid', systemId: 'same' } }, { kid })
  const machine = m(
    {
      context: { kept: null },
      on: { go: { actions: ['a', 'b'].map((id) => spawnChild('inner' as never, { id } as never)) } },
      'xstate.error.actor.b': {},
    },
    { inner },
  )
  expect(await there(machine, [GO])).toMatchObject({ status: 'error', error: "Actor with system ID 'same' already exists." })
  const side = await here(machine, [GO])
  expect(side.facts('actor.crashed').map(({ code: what, path }) => [path, what])).toEqual([
    ['/top/one/b', 'E_SYSTEM_ID_TAKEN'],
    ['/top/one', 'E_SYSTEM_ID_TAKEN'],
  ])
})
