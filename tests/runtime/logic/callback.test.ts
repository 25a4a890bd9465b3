/** `fromCallback` is volatile: up while its actor wants it and a process runs it, started again by every resume, never in doubt. */
import { expect, test } from 'vitest'
import { type AnyActorRef, type AnyEventObject, assign, fromCallback, sendTo, setup } from 'xstate'
import { z } from 'zod'
import { effect } from '../../../src/effect.ts'
import type { CellView, RunSession } from '../../../src/runtime/engine.ts'
import { factsOf, only, openLife, temporaryFolder, VirtualClock } from '../../harness.ts'

interface Call {
  readonly input: { readonly name: string }
  readonly self: AnyActorRef
  readonly system: { get(id: string): AnyActorRef | undefined }
  readonly sendBack: (event: unknown) => void
  readonly receive: (listener: (event: AnyEventObject) => void) => void
  readonly emit: (event: unknown) => void
}

interface Heard {
  readonly heard: readonly unknown[]
}

/** `/top/one` keeps a callback while it is `on`, and what it hears of it. */
type Cleanup = (() => void) | undefined
const keeper = (callback: (call: Call) => Cleanup) =>
  setup({
    types: { context: {} as { heard: unknown[] }, events: {} as AnyEventObject },
    actors: { line: fromCallback(callback as never) },
  }).createMachine({
    id: 'keeper',
    context: { heard: [] },
    initial: 'on',
    states: {
      on: {
        invoke: { src: 'line', id: 'line', systemId: 'line', input: { name: 'first' } },
        exit: sendTo(({ system }) => system.get('line') as AnyActorRef, { type: 'last words' }),
        on: {
          say: { actions: sendTo('line', ({ event }) => (event as AnyEventObject)['words'] as AnyEventObject) },
          leave: 'off',
          again: { target: 'on', reenter: true },
        },
      },
      off: { on: { enter: 'on' } },
      over: { type: 'final' },
    },
    on: {
      news: { actions: assign({ heard: ({ context, event }) => [...(context as Heard).heard, (event as AnyEventObject)['of']] }) },
      'xstate.error.actor.line': {
        actions: assign({
          heard: ({ context, event }) => [...(context as Heard).heard, (event as unknown as { error: { code: string } }).error.code],
        }),
      },
      boom: {
        actions: assign(() => {
          throw new Error('boom')
        }),
      },
      end: '.over',
    },
  } as never)

/** Plays the world: what is started, told and cleaned up, and the calls that are up. */
function world() {
  const log: string[] = []
  const calls: Call[] = []
  const callback = (call: Call): (() => void) => {
    const nth = calls.push(call)
    log.push(`start ${nth} ${call.input.name}`)
    call.receive((event) => void log.push(`told ${nth} ${event.type}`))
    return () => void log.push(`clean up ${nth}`)
  }
  return { log, calls, callback }
}

async function live(callback: Parameters<typeof keeper>[0], folder = temporaryFolder()) {
  const clock = new VirtualClock()
  const life = openLife(folder, { machines: { m: keeper(callback) as never }, clock })
  const session = await life.troupe.start(only('m'), { id: 'r' })
  await clock.settled()
  const send = async (event: AnyEventObject): Promise<void> => {
    await session.send('/top/one', event as never)
    await clock.settled()
  }
  return { clock, life, session, send }
}

const heard = (session: RunSession): unknown => (session.snapshot('/top/one')!.context as { heard: unknown[] }).heard
const lines = (session: RunSession): CellView['effects'] => session.tree().children[0]!.effects
const effects = (life: { store: Parameters<typeof factsOf>[0] }): unknown =>
  factsOf(life.store, 'r').flatMap(({ type, data }) =>
    type.startsWith('effect.') ? [`${type} ${data['attempt'] ?? data['was'] ?? ''}`.trim()] : [],
  )

test('it is started after the commit that invokes it, told what is sent to it, and cleaned up when its state is left or entered again', async () => {
  const { log, callback } = world()
  const seen: unknown[] = []
  let look = (): unknown => 'it was started before its run'
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const machines = {
    m: keeper((call) => {
      seen.push(look())
      return callback(call)
    }) as never,
  }
  const life = openLife(folder, { machines, clock })
  look = () => effects(life)
  const session = await life.troupe.start(only('m'), { id: 'r' })
  await clock.settled()
  const send = async (event: AnyEventObject): Promise<void> => {
    await session.send('/top/one', event as never)
    await clock.settled()
  }
  expect({ seen, lines: lines(session) }).toEqual({
    seen: [['effect.owed', 'effect.started 1']],
    lines: [{ id: 'e1', kind: 'callback', status: 'started', attempt: 1 }],
  })
  await send({ type: 'say', words: { type: 'hello' } })
  await send({ type: 'again' })
  await send({ type: 'leave' })
  await send({ type: 'enter' })
  await session.stop()
  expect(log).toEqual([
    'start 1 first',
    'told 1 hello',
    'told 1 last words',
    'clean up 1',
    'start 2 first',
    'told 2 last words',
    'clean up 2',
    'start 3 first',
    'clean up 3',
  ])
})

test('it is up again after its process died, with its first input; it holds up neither a stop nor the end of its run', async () => {
  const { log, calls, callback } = world()
  const folder = temporaryFolder()
  const first = await live(callback, folder)
  await first.life.kill(first.session)
  const second = openLife(folder, { machines: { m: keeper(callback) as never }, clock: first.clock })
  const session = await second.troupe.resume('r')
  await first.clock.settled()
  expect({
    recovered: session.recovery?.effects,
    lines: lines(session),
    facts: effects(second),
    log: log.filter((entry) => entry.startsWith('start')),
  }).toEqual({
    recovered: [],
    lines: [{ id: 'e1', kind: 'callback', status: 'started', attempt: 2 }],
    facts: ['effect.owed', 'effect.started 1', 'effect.started 2'],
    log: ['start 1 first', 'start 2 first'],
  })
  calls[1]!.sendBack({ type: 'end' })
  expect(await session.done()).toMatchObject({ status: 'succeeded', repeated: 0, promises: 0, inDoubt: [] })
  expect({ facts: effects(second), last: log.slice(-2) }).toEqual({
    facts: ['effect.owed', 'effect.started 1', 'effect.started 2', 'effect.said', 'effect.cancelled started', 'effect.told'],
    last: ['told 2 last words', 'clean up 2'],
  })
})

test('what it sends back is durable mail from the next commit on; what it says after its stop, or to a later life of its parent, is not heard', async () => {
  const { calls, callback } = world()
  const folder = temporaryFolder()
  const first = await live(callback, folder)
  calls[0]!.sendBack({ type: 'news', of: 1 })
  calls[0]!.self._parent!.send({ type: 'news', of: 2 })
  await first.clock.settled()
  await first.life.kill(first.session)
  calls[0]!.sendBack({ type: 'news', of: 'lost' })
  const second = openLife(folder, { machines: { m: keeper(callback) as never }, clock: first.clock })
  const session = await second.troupe.resume('r')
  await first.clock.settled()
  expect(heard(session)).toEqual([1, 2])
  await session.send('/top/one', { type: 'leave' })
  await first.clock.settled()
  calls[1]!.sendBack({ type: 'news', of: 'too late' })
  await session.send('/top/one', { type: 'enter' })
  await first.clock.settled()
  expect(heard(session)).toEqual([1, 2])
  await session.stop()
})

test('it goes on where its actor is restarted from the checkpoint, and is started anew where it begins again', async () => {
  const { log, calls, callback } = world()
  const { session, send, clock } = await live(callback)
  await send({ type: 'boom' })
  calls[0]!.sendBack({ type: 'news', of: 'still here' })
  await clock.settled()
  expect({ incarnation: session.snapshot('/top/one')?.incarnation, heard: heard(session), log }).toEqual({
    incarnation: 2,
    heard: ['still here'],
    log: ['start 1 first'],
  })
  await session.stop()

  const other = world()
  const clock2 = new VirtualClock()
  const life = openLife(temporaryFolder(), { machines: { m: keeper(other.callback) as never }, clock: clock2 })
  const again = await life.troupe.start(only('m', { from: 'initial' }))
  await clock2.settled()
  const crash = again.send('/top/one', { type: 'boom' })
  other.calls[0]!.sendBack({ type: 'news', of: 'of another life' })
  await crash
  await clock2.settled()
  expect({ heard: heard(again), log: other.log }).toEqual({ heard: [], log: ['start 1 first', 'clean up 1', 'start 2 first'] })
  await again.stop()
})

test.each<[string, (call: Call) => void, string]>([
  [
    'throws when it is started',
    () => {
      throw Object.assign(new Error('no'), { code: 'E_MINE' })
    },
    'E_MINE',
  ],
  ['sends what has no type', ({ sendBack }) => sendBack('news'), 'E_EVENT_INVALID'],
  ['sends what is no JSON', ({ sendBack }) => sendBack({ type: 'news', of: new Map() }), 'E_NOT_JSON'],
  ['sends what only the engine sends', ({ sendBack }) => sendBack({ type: 'xstate.stop' }), 'E_EVENT_REFUSED'],
  ['emits what has no type', ({ emit }) => emit({}), 'E_EVENT_INVALID'],
])('one that %s ends with an error that its parent hears, and is cleaned up', async (_, wrong, code) => {
  for (const when of ['at its start', 'on an event'] as const) {
    let isClean = false
    const { session, send, clock } = await live((call) => {
      if (when === 'at its start') wrong(call)
      else call.receive(() => wrong(call))
      return () => {
        isClean = true
      }
    })
    if (when === 'on an event') await send({ type: 'say', words: { type: 'do wrong' } })
    await clock.settled()
    const last = (heard(session) as unknown[]).at(-1)
    expect({ when, last, lines: lines(session), isClean }).toEqual({
      when,
      last: code,
      lines: [],
      isClean: when === 'on an event' || code !== 'E_MINE',
    })
    await session.stop()
  }
})

test('a cleanup that throws is on record and stops nobody', async () => {
  const { life, session, send } = await live(() => () => {
    throw new Error('cannot let go')
  })
  await send({ type: 'leave' })
  expect({ value: session.snapshot('/top/one')?.value, failed: factsOf(life.store, 'r', 'action.failed').map(({ data }) => data) }).toEqual(
    {
      value: 'off',
      failed: [{ code: 'E_DEFECT', message: 'cannot let go', effect: 'e1' }],
    },
  )
  await session.stop()
})

test('one that sends faster than its actor can take it ends with an error, after what was accepted', async () => {
  const { session } = await live(({ sendBack }) => {
    for (let n = 0; n < 10_005; n++) sendBack({ type: 'noise' })
  })
  expect({ heard: heard(session), lines: lines(session) }).toEqual({ heard: ['E_MAILBOX_FULL'], lines: [] })
  await session.stop()
})

test('a run that waits for a person is not suspended while a callback may speak, and is when it has ended', async () => {
  const pay = effect({ kind: 'bill.pay', input: z.any(), output: z.any(), repeat: 'ask' })
  const calls: Call[] = []
  const line = fromCallback((call) => {
    calls.push(call as unknown as Call)
  })
  const machine = setup({ actors: { pay, line } }).createMachine({
    invoke: [{ src: 'pay' }, { src: 'line', onError: {} }],
  })
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const options = { machines: { m: machine as never }, clock, effects: { 'bill.pay': { perform: () => new Promise(() => {}) } } }
  const first = openLife(folder, options)
  const before = await first.troupe.start(only('m'), { id: 'r' })
  await clock.settled()
  await first.kill(before)
  const { troupe, store } = openLife(folder, options)
  const session = await troupe.resume('r')
  await clock.settled()
  expect({ status: store.run('r')?.status, lines: lines(session).map(({ kind, status }) => `${kind} ${status}`) }).toEqual({
    status: 'running',
    lines: ['bill.pay in_doubt', 'callback started'],
  })
  calls[1]!.sendBack('no event')
  expect(await session.done()).toMatchObject({ status: 'suspended', reason: { code: 'E_EFFECT_IN_DOUBT', effects: ['e1'] } })
})
