/** `fromTransition` is pure, and so a durable actor like any machine: a mailbox, a snapshot, a system id; nothing of it runs outside of steps. */
import { expect, test } from 'vitest'
import { type AnyActorRef, type AnyEventObject, assign, fromTransition, sendTo, setup } from 'xstate'
import type { RunSession } from '../../../src/runtime/engine.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock } from '../../harness.ts'

interface Tally {
  readonly total: number
  readonly by: readonly string[]
  readonly boss?: AnyActorRef
}
interface Scope {
  readonly self: AnyActorRef
  readonly emit: (event: unknown) => void
}

const tally = fromTransition(
  (state: Tally, event: AnyEventObject, { self, emit }: Scope) => {
    switch (event.type) {
      case 'add':
        emit({ type: 'added', n: event['n'] })
        return { ...state, total: state.total + (event['n'] as number), by: [...state.by, self.id] }
      case 'boom':
        throw new Error('no')
      case 'mutate':
        ;(state.by as string[]).push('me')
        return state
      case 'date':
        return { ...state, at: new Date(0) }
      case 'forget':
        return undefined as never
      case 'impatient':
        state.boss?.send({ type: 'now' })
        return state
      default:
        return state
    }
  },
  ({ input }: { input: { total: number; boss: AnyActorRef } }) => ({ total: input.total, by: [], boss: input.boss }),
)

const boss = setup({
  types: { context: {} as { totals: unknown[]; error: unknown }, events: {} as AnyEventObject },
  actors: { tally: tally as never },
}).createMachine({
  id: 'boss',
  context: { totals: [], error: null },
  invoke: {
    src: 'tally',
    id: 'tally',
    systemId: 'the-tally',
    input: ({ self }: { self: unknown }) => ({ total: 10, boss: self }),
    onSnapshot: {
      actions: assign({
        totals: ({ context, event }: never) => [
          ...(context as { totals: unknown[] }).totals,
          (event as { snapshot: { context: Tally } }).snapshot.context.total,
        ],
      }),
    },
    onError: { actions: assign({ error: ({ event }: never) => (event as { error: unknown }).error }) },
  },
  on: {
    tell: {
      actions: sendTo(
        ({ system }) => system.get('the-tally') as AnyActorRef,
        ({ event }: never) => (event as { words: AnyEventObject }).words,
      ),
    },
  },
} as never)

const TALLY = '/top/one/tally'
const machines = { m: boss as never }
const contextOf = (session: RunSession) =>
  session.snapshot('/top/one')!.context as { totals: unknown[]; error: { [key: string]: unknown } | null }

async function live(folder = temporaryFolder()) {
  const clock = new VirtualClock()
  const life = openLife(folder, { machines, clock })
  const session = await life.troupe.start(only('m'), { id: 'r' })
  await clock.settled()
  const tell = async (words: AnyEventObject): Promise<void> => {
    await session.send('/top/one', { type: 'tell', words } as never)
    await clock.settled()
  }
  return { clock, life, session, tell }
}

test('its state is an actor of the tree, restored as it was, with its references, and it emits in its own name', async () => {
  const folder = temporaryFolder()
  const { life, session, tell, clock } = await live(folder)
  await tell({ type: 'add', n: 1 })
  await session.send(TALLY, { type: 'add', n: 2 })
  await clock.settled()
  await tell({ type: 'unknown' })
  await life.kill(session)
  const second = openLife(folder, { machines, clock })
  const again = await second.troupe.resume('r')
  await again.send(TALLY, { type: 'add', n: 4 })
  await clock.settled()
  expect(again.snapshot(TALLY)).toEqual({
    status: 'active',
    value: null,
    context: { total: 17, by: ['tally', 'tally', 'tally'], boss: { '@troupe.ref': '/top/one', incarnation: 1, id: 'one' } },
    incarnation: 1,
  })
  expect(contextOf(again).totals).toEqual([10, 11, 13, 13, 17])
  expect(factsOf(second.store, 'r', 'event.emitted').map(({ path, data }) => ({ path, ...data }))).toEqual(
    [1, 2, 4].map((n) => ({ path: TALLY, event: { type: 'added', n } })),
  )
  await again.stop()
})

test.each<[string, { [key: string]: unknown }]>([
  ['boom', { code: 'E_DEFECT', message: 'no' }],
  ['mutate', { code: 'E_CONTEXT_MUTATED' }],
  ['date', { code: 'E_NOT_JSON', message: 'context.at holds a Date: turn it into plain data first' }],
  ['forget', { code: 'E_NOT_JSON', message: 'context is undefined: a reducer must return its next context' }],
  ['impatient', { code: 'E_IMPERATIVE_REF' }],
])('one that does wrong on %s ends alone, and its parent is told why', async (type, error) => {
  const { session, tell } = await live()
  await tell({ type })
  expect({ error: contextOf(session).error, kids: session.tree().children[0]!.children }).toEqual({
    error: expect.objectContaining({ ...error, path: TALLY, event: type, machine: 'm/tally' }),
    kids: [],
  })
  await session.stop()
})

test('logic that keeps more than a context is refused at its first step, and says what to do', async () => {
  const odd = { ...fromTransition((state: number) => state, 0), getInitialSnapshot: () => ({ status: 'active', context: 0, secret: 1 }) }
  const machine = setup({ actors: { odd: odd as never } }).createMachine({
    context: { error: null },
    invoke: { src: 'odd', onError: { actions: assign({ error: ({ event }: { event: { error: unknown } }) => event.error } as never) } },
  } as never)
  const clock = new VirtualClock()
  const life = openLife(temporaryFolder(), { machines: { m: machine as never }, clock })
  const session = await life.troupe.start(only('m'))
  await clock.settled()
  expect(contextOf(session).error).toMatchObject({ code: 'E_LOGIC_SNAPSHOT', hint: 'make the logic with fromTransition(reducer, context)' })
  await session.stop()
})
