/** Observables are volatile like callbacks: subscribed after the commit, again by every resume, and let go when nobody wants them. */
import { expect, test } from 'vitest'
import { type AnyEventObject, type AnyStateMachine, assign, fromEventObservable, fromObservable, setup } from 'xstate'
import type { RunSession } from '../../../src/runtime/engine.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock } from '../../harness.ts'

interface Observer {
  next(value: unknown): void
  error(error: unknown): void
  complete(): void
}

/** A source that a test speaks for. */
class Source {
  readonly log: string[] = []
  readonly observers: Observer[] = []
  readonly #first: readonly unknown[]
  /** @param first  what it says while it is being subscribed to. */
  constructor(first: readonly unknown[] = []) {
    this.#first = first
  }
  subscribe(observer: Observer): { unsubscribe(): void } {
    const nth = this.observers.push(observer)
    this.log.push(`subscribe ${nth}`)
    for (const value of this.#first) observer.next(value)
    return { unsubscribe: () => void this.log.push(`unsubscribe ${nth}`) }
  }
}

type Made = typeof fromObservable | typeof fromEventObservable
interface Seen {
  readonly seen: readonly unknown[]
}

/** `/top/one` follows a stream of values or of events while it is `on`. */
function follower(source: Source, make: Made): AnyStateMachine {
  const see = (what: (event: AnyEventObject) => unknown) =>
    assign(({ context, event }: { context: Seen; event: AnyEventObject }) => ({ seen: [...context.seen, what(event)] })) as never
  const machine = setup({ actors: { stream: (make as typeof fromObservable)(() => source as never) } }).createMachine({
    id: 'follower',
    context: { seen: [] },
    initial: 'on',
    states: {
      on: {
        invoke: {
          src: 'stream',
          id: 'stream',
          onSnapshot: { actions: see((event) => (event['snapshot'] as { context?: unknown }).context ?? 'nothing yet') },
          onDone: { target: 'off', actions: see((event) => `done: ${String(event['output'])}`) },
          onError: { target: 'off', actions: see((event) => (event['error'] as Error).message) },
        },
        on: { value: { actions: see((event) => event['of']) } },
      },
      off: { on: { enter: 'on' } },
    },
    on: { leave: '.off' },
  })
  return machine as unknown as AnyStateMachine
}

const seen = (session: RunSession): unknown => (session.snapshot('/top/one')!.context as { seen: unknown }).seen

async function live(source: Source, make: Made, folder = temporaryFolder()) {
  const clock = new VirtualClock()
  const life = openLife(folder, { machines: { m: follower(source, make) }, clock })
  const session = await life.troupe.start(only('m'), { id: 'r' })
  await clock.settled()
  return { life, clock, session }
}

test('each value is a snapshot for its parent, the first one before any value; its end is done, its error an error', async () => {
  const source = new Source()
  const { clock, session, life } = await live(source, fromObservable)
  source.observers[0]!.next({ x: 1 })
  source.observers[0]!.next({ x: 2 })
  source.observers[0]!.complete()
  source.observers[0]!.next({ x: 'after its end' })
  await clock.settled()
  expect({ seen: seen(session), value: session.snapshot('/top/one')!.value }).toEqual({
    seen: ['nothing yet', { x: 1 }, { x: 2 }, 'done: undefined'],
    value: 'off',
  })
  await session.send('/top/one', { type: 'enter' })
  await clock.settled()
  source.observers[1]!.error(new Error('broken'))
  await clock.settled()
  expect((seen(session) as unknown[]).slice(4)).toEqual(['nothing yet', 'broken'])
  expect(factsOf(life.store, 'r').flatMap(({ type, data }) => (type.startsWith('effect.') ? [`${type} ${data['kind']}`] : []))).toEqual([
    'effect.owed observable',
    'effect.started observable',
    ...['effect.said observable', 'effect.said observable', 'effect.said observable'],
    'effect.succeeded observable',
    'effect.owed observable',
    'effect.started observable',
    'effect.said observable',
    'effect.failed observable',
  ])
  expect(source.log).toEqual(['subscribe 1', 'subscribe 2'])
  await session.stop()
})

test('values that come while it is being subscribed to are not lost', async () => {
  const { session } = await live(new Source(['a', 'b']), fromObservable)
  expect(seen(session)).toEqual(['nothing yet', 'a', 'b'])
  await session.stop()
})

test('a value that cannot be stored ends it with an error that names the place', async () => {
  const source = new Source()
  const { clock, session } = await live(source, fromObservable)
  source.observers[0]!.next({ at: new Date(0) })
  await clock.settled()
  expect({ seen: seen(session), log: source.log }).toEqual({
    seen: ['nothing yet', "snapshot of 'stream'.at holds a Date: turn it into plain data first"],
    log: ['subscribe 1', 'unsubscribe 1'],
  })
  await session.stop()
})

test('values of an event observable are mail for its parent', async () => {
  const source = new Source([{ type: 'value', of: 'at once' }])
  const { clock, session } = await live(source, fromEventObservable)
  source.observers[0]!.next({ type: 'value', of: 1 })
  source.observers[0]!.complete()
  await clock.settled()
  expect({ seen: seen(session), value: session.snapshot('/top/one')!.value }).toEqual({
    seen: ['at once', 'nothing yet', 1, 'done: undefined'],
    value: 'off',
  })
  await session.stop()
})

test('it is let go when its state is left, and subscribed to again when its process has died', async () => {
  const source = new Source()
  const folder = temporaryFolder()
  const first = await live(source, fromEventObservable, folder)
  await first.life.kill(first.session)
  const { troupe } = openLife(folder, { machines: { m: follower(source, fromEventObservable) }, clock: first.clock })
  const session = await troupe.resume('r')
  await first.clock.settled()
  source.observers[0]!.next({ type: 'value', of: 'of a dead process' })
  source.observers[1]!.next({ type: 'value', of: 'alive' })
  await session.send('/top/one', { type: 'leave' })
  await first.clock.settled()
  expect({ seen: (seen(session) as unknown[]).filter((value) => value !== 'nothing yet'), log: source.log }).toEqual({
    seen: ['alive'],
    log: ['subscribe 1', 'unsubscribe 1', 'subscribe 2', 'unsubscribe 2'],
  })
  await session.stop()
})
