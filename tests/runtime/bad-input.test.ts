/**
 * What machines and callers do wrong, as tables. Each gets one clear error that names what it was and what to do; the tree goes on as its supervisor says,
 * and whoever has nothing to do with it loses nothing, also when the process is killed right afterwards.
 *
 *   /top ── one  the machine that does it: restarted from its checkpoint, or where a row says so not restarted
 *        └─ two  counts what it is sent meanwhile
 */
import { expect, test, vi } from 'vitest'
import { type AnyStateMachine, assign, emit, enqueueActions, raise, sendTo, setup, spawnChild } from 'xstate'
import type { EventData } from '../../src/runtime/cell.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { codeOf, type Fact, factsOf, type Life, openLife, temporaryFolder, VirtualClock } from '../harness.ts'
import { BAD_VALUES, boom } from './bad-values.ts'
import { counter } from './counter.ts'

// Machines that do wrong do so against their types, too.
// biome-ignore lint/suspicious/noExplicitAny: see above.
type Loose = any
const wrong = (config: object, implementations: object = {}): AnyStateMachine =>
  setup({ types: { context: {} as Loose, events: {} as Loose }, ...implementations } as Loose).createMachine(config as Loose) as Loose

interface Lived {
  readonly crashes: readonly { readonly [key: string]: unknown }[]
  readonly facts: readonly Fact[]
  readonly one: unknown
  readonly session: RunSession
}

/** Sends the events to `one`, each followed by one to `two`; then kills the process, and looks at what a new one finds. */
async function live(
  machine: AnyStateMachine,
  events: readonly EventData[],
  restart: 'transient' | 'temporary' = 'transient',
): Promise<Lived> {
  const folder = temporaryFolder()
  const clock = new VirtualClock()
  const machines = { one: machine, counter }
  const life = openLife(folder, { machines, clock })
  const children = ['one', 'two'].map((id) => ({ id, src: id === 'one' ? 'one' : 'counter', restart, from: 'checkpoint' as const }))
  const session = await life.troupe.start({ id: 'top', intensity: 1_000, periodMs: 1, children })
  await clock.settled()
  for (const event of events) {
    await session.send('/top/one', event)
    await session.send('/top/two', { type: 'add', n: 1 })
    await clock.advance(20)
  }
  await life.kill(session)
  const { life: next, session: again } = await comeBack(folder, machines, clock, session.id)
  const facts = factsOf(next.store, session.id)
  const lived = {
    crashes: facts.flatMap(({ type, data: { deadLetter: _, seq: __, machine: ___, kind: ____, sender: _____, ...data } }) =>
      type === 'actor.crashed' ? [data] : [],
    ),
    facts,
    one: again.snapshot('/top/one')?.context,
    session: again,
  }
  expect({ two: again.snapshot('/top/two')?.context, status: next.store.run(session.id)?.status }).toEqual({
    two: { n: events.length },
    status: 'running',
  })
  return lived
}

async function comeBack(
  folder: string,
  machines: Record<string, AnyStateMachine>,
  clock: VirtualClock,
  run: string,
): Promise<{ life: Life; session: RunSession }> {
  const later = new VirtualClock(clock.wallMs())
  const life = openLife(folder, { machines: machines as Loose, clock: later })
  const session = await life.troupe.resume(run)
  await later.settled()
  return { life, session }
}

const child = (output: unknown): AnyStateMachine =>
  wrong({ id: 'child', initial: 'a', states: { a: { on: { end: 'b' } }, b: { type: 'final' } }, output })

/** Puts a bad value wherever it is told to. */
const careless = wrong(
  {
    id: 'careless',
    context: { kept: 'this', heard: null },
    initial: 'calm',
    states: {
      calm: {
        on: {
          context: { actions: assign({ bad: ({ event }: Loose) => ({ deep: [badOf(event)] }) }) },
          event: {
            actions: sendTo(
              ({ self }: Loose) => self,
              ({ event }: Loose) => ({ type: 'noted', it: badOf(event) }) as Loose,
            ),
          },
          delayed: { actions: raise((({ event }: Loose) => ({ type: 'noted', it: badOf(event) })) as Loose, { delay: 5 }) },
          emitted: { actions: emit((({ event }: Loose) => ({ type: 'noted', it: badOf(event) })) as Loose) },
          params: { actions: { type: 'told', params: ({ event }: Loose) => ({ it: badOf(event) }) } },
          input: { actions: spawnChild('kid' as Loose, { id: 'kid', input: ({ event }: Loose) => ({ it: badOf(event) }) } as Loose) },
          output: {
            actions: enqueueActions(({ event, enqueue }: Loose) => {
              enqueue.spawnChild(event.value, { id: 'kid' })
              enqueue.sendTo('kid', { type: 'end' })
            }),
          },
          'xstate.error.actor.kid': { actions: assign({ heard: ({ event }: Loose) => event.error.code }) },
        },
      },
    },
  },
  {
    actors: {
      kid: child(null),
      ...Object.fromEntries(Object.entries(BAD_VALUES).map(([name, { value }]) => [name, child(() => ({ it: value }))])),
    },
    actions: { told: () => {} },
  },
)
const badOf = (event: { readonly value: string }): unknown => BAD_VALUES[event.value]?.value

test.each([
  { place: 'context', path: 'context.bad.deep[0]', many: 'a context' },
  { place: 'event', path: 'event.it', many: 'an event to an actor' },
  { place: 'delayed', path: 'delayed event.it', many: 'a delayed event' },
  { place: 'emitted', path: 'emitted event.it', many: 'an emitted event' },
  { place: 'params', path: 'params of told.it', many: 'the params of a named action' },
  { place: 'input', path: "input of 'kid'.it", many: 'the input of a child' },
])('what JSON would change is refused in $many, with its path; the actor keeps what it had', async ({ place, path }) => {
  const values = Object.entries(BAD_VALUES).filter(([, { isLarge }]) => isLarge !== true)
  const { crashes, one } = await live(
    careless,
    values.map(([value]) => ({ type: place, value })),
  )
  const at = { path: '/top/one', state: 'calm', event: place }
  expect({ crashes, one }).toEqual({
    crashes: values.map(([, { found, thrown }]) => ({ ...refusal(path, found, thrown), ...at })),
    one: { kept: 'this', heard: null },
  })
})

test('what JSON would change is refused in an output: the child has failed, and its parent hears of it', async () => {
  const values = Object.entries(BAD_VALUES).filter(([, { isLarge }]) => isLarge !== true)
  for (const [value, { found, thrown }] of values.filter(([name]) => ['map', 'cycle', 'getter'].includes(name))) {
    const { crashes, one } = await live(careless, [{ type: 'output', value }])
    const error = { ...refusal('output.it', found, thrown), path: '/top/one/kid', state: 'a', event: 'end' }
    expect({ crashes, one }).toEqual({ crashes: [error], one: { kept: 'this', heard: error.code } })
  }
})

function refusal(path: string, found = '', thrown?: string): { code: string; [key: string]: string } {
  return thrown === undefined
    ? { code: 'E_NOT_JSON', name: 'Defect', message: `${path}${found}`, hint: 'keep contexts, events, inputs and outputs plain JSON' }
    : { code: 'E_DEFECT', name: 'Error', message: thrown }
}

test.each([
  { place: 'context', path: 'context.bad.deep[0]' },
  { place: 'event', path: 'event.it' },
  { place: 'delayed', path: 'delayed event.it' },
  { place: 'emitted', path: 'emitted event.it' },
  { place: 'params', path: 'params of told.it' },
  { place: 'input', path: "input of 'kid'.it" },
])('a string of 10 MB is refused as $path: it says how much is allowed', async ({ place, path }) => {
  const { crashes, one } = await live(careless, [{ type: place, value: 'big' }])
  const message = `${path} is a string of 10000000 characters, 4000000 are allowed`
  const hint = 'keep it in a file, and its name here'
  expect({ crashes, one }).toEqual({
    crashes: [{ code: 'E_PAYLOAD_TOO_LARGE', name: 'Defect', message, hint, path: '/top/one', state: 'calm', event: place }],
    one: { kept: 'this', heard: null },
  })
})

test.each([
  { place: 'event', what: 'event', bytes: 5_000_038 },
  { place: 'delayed', what: 'delayed event', bytes: 5_000_038 },
  { place: 'emitted', what: 'emitted event', bytes: 5_000_038 },
  { place: 'params', what: 'params of told', bytes: 5_000_023 },
  { place: 'input', what: "input of 'kid'", bytes: 5_000_023 },
])('more than 4 MB together is refused as $what: it says how much is allowed', async ({ place, what, bytes }) => {
  const { crashes } = await live(careless, [{ type: place, value: 'bulk' }])
  const message = `${what} is ${bytes} bytes, 4000000 are allowed`
  const hint = 'pass an address or a file name instead'
  expect(crashes).toEqual([{ code: 'E_PAYLOAD_TOO_LARGE', name: 'Defect', message, hint, path: '/top/one', state: 'calm', event: place }])
})

test('more than 4 MB together is refused as an output, and may stand in a context', async () => {
  const { crashes, one } = await live(careless, [
    { type: 'output', value: 'big' },
    { type: 'output', value: 'bulk' },
    { type: 'context', value: 'bulk' },
  ])
  expect({ codes: crashes.map(({ code, path, message }) => [code, path, message]), one }).toEqual({
    codes: [
      ['E_PAYLOAD_TOO_LARGE', '/top/one/kid', 'output.it is a string of 10000000 characters, 4000000 are allowed'],
      ['E_PAYLOAD_TOO_LARGE', '/top/one/kid', 'output is 5000023 bytes, 4000000 are allowed'],
    ],
    one: { kept: 'this', heard: 'E_PAYLOAD_TOO_LARGE', bad: { deep: [BAD_VALUES['bulk']?.value] } },
  })
})

const self = ({ self: own }: Loose): Loose => own
/** One state for each thing that goes wrong, by the event that brings it about. */
const ACCIDENTS: Readonly<Record<string, { readonly does: object; readonly error: { readonly [key: string]: string } }>> = {
  guard: {
    does: { guard: 'isReady' },
    error: {
      message: "Unable to evaluate guard 'isReady' in transition for event 'guard' in state node 'clumsy.calm':\nboom in guard",
      part: 'guard isReady',
    },
  },
  assign: { does: { actions: assign({ kept: boom('assign') }) }, error: { message: 'boom in assign', part: 'assign' } },
  enqueue: {
    does: { actions: enqueueActions(boom('enqueueActions')) },
    error: { message: 'boom in enqueueActions', part: 'enqueueActions' },
  },
  delay: {
    does: { actions: raise({ type: 'noted' }, { delay: 'patience' as Loose }) },
    error: { message: 'boom in delay', part: 'delay patience' },
  },
  eventOf: { does: { actions: sendTo(self, boom('event') as Loose) }, error: { message: 'boom in event', part: 'sendTo' } },
  targetOf: { does: { actions: sendTo(boom('target') as Loose, { type: 'noted' }) }, error: { message: 'boom in target', part: 'sendTo' } },
  inputOf: {
    does: { actions: spawnChild('kid' as Loose, { id: 'kid', input: boom('input') } as Loose) },
    error: { message: 'boom in input', part: 'input' },
  },
  text: { does: { actions: assign(() => fling('only a text')) }, error: { message: 'only a text' } },
  nothing: { does: { actions: assign(() => fling(undefined)) }, error: { message: 'undefined' } },
  toNobody: {
    does: { actions: sendTo('nobody' as Loose, { type: 'noted' }) },
    error: { message: "Unable to send event to actor 'nobody' from machine 'clumsy'." },
  },
  nanDelay: {
    does: { actions: raise({ type: 'noted' }, { delay: () => Number.NaN }) },
    error: { code: 'E_DELAY_INVALID', name: 'Defect', message: '/top/one set a timer with delay NaN' },
  },
  noType: {
    does: { actions: sendTo(self, {} as Loose) },
    error: {
      code: 'E_EVENT_INVALID',
      name: 'Defect',
      message: 'event of /top/one is {}; an event is an object with a type',
      hint: "give it a type: { type: 'draft.ready' }",
    },
  },
  unknownSrc: {
    does: { actions: enqueueActions(({ enqueue }: Loose) => enqueue.spawnChild('nobody', { id: 'kid' })) },
    error: {
      code: 'E_ACTOR_MISSING',
      name: 'Defect',
      message: "/top/one: the actor 'nobody' is not in setup({ actors })",
      hint: 'register its src',
    },
  },
  mutation: {
    does: { actions: assign(({ context }: Loose) => Object.assign(context, { kept: 'that' })) },
    error: {
      code: 'E_CONTEXT_MUTATED',
      name: 'Defect',
      message: "frozen data was changed in place: Cannot assign to read only property 'kept' of object '#<Object>'",
      hint: 'contexts are frozen: give new data to assign, as ({ list: [...context.list, item] })',
      part: 'assign',
    },
  },
  imperative: {
    does: { actions: assign(({ self: own }: Loose) => own.send({ type: 'noted' })) },
    error: {
      code: 'E_IMPERATIVE_REF',
      name: 'Defect',
      message: '/top/one: send() was called on an actor reference inside a step',
      hint: 'use the sendTo action',
      part: 'assign',
    },
  },
}

function fling(thrown: unknown): never {
  throw thrown
}

const clumsy = wrong(
  {
    id: 'clumsy',
    context: { kept: 'this' },
    initial: 'calm',
    states: { calm: { on: { ...Object.fromEntries(Object.entries(ACCIDENTS).map(([type, { does }]) => [type, does])), noted: {} } } },
  },
  {
    actors: { kid: child(null) },
    guards: { isReady: boom('guard') },
    delays: {
      patience: function patience() {
        return boom('delay')()
      },
    },
  },
)

test('whatever throws in a step ends it there: the error says where it was, nothing of the step has happened, and the next event is taken', async () => {
  vi.spyOn(console, 'warn').mockReturnValue() // XState's own words for a `src` that it does not know.
  const events = Object.keys(ACCIDENTS).map((type) => ({ type }))
  const { crashes, one, facts } = await live(clumsy, events)
  const expected = Object.entries(ACCIDENTS).map(([event, { error }]) => {
    const name = error['message']?.startsWith('only') || error['message'] === 'undefined' ? {} : { name: 'Error' }
    return { code: 'E_DEFECT', ...name, ...error, path: '/top/one', state: 'calm', event }
  })
  expect({ crashes, one }).toEqual({ crashes: expected, one: { kept: 'this' } })
  expect(facts.filter(({ type }) => type === 'timer.set')).toEqual([])
  const letters = facts.flatMap(({ type, data }) => (type === 'actor.crashed' ? [data['deadLetter']] : []))
  expect(letters).toEqual(events)
})

test('an action that throws after the commit is on record, and nobody is the worse for it', async () => {
  const failing = wrong(
    {
      id: 'failing',
      context: { done: 0 },
      on: Object.fromEntries(
        [boom('an inline action'), async () => boom('an inline action, later')(), 'named'].map((action, index) => [
          `go${index}`,
          { actions: [assign({ done: ({ context }: Loose) => context.done + 1 }), action] },
        ]),
      ),
    },
    { actions: { named: boom('a named action') } },
  )
  const { one, facts, crashes } = await live(failing, [{ type: 'go0' }, { type: 'go1' }, { type: 'go2' }])
  const told = facts
    .filter(({ type }) => /(?:action|effect)\.failed/.test(type))
    .map(({ type, data }) => [type, data['code'], data['message']])
  expect({ one, crashes, told }).toEqual({
    one: { done: 3 },
    crashes: [],
    told: [
      ['action.failed', 'E_DEFECT', 'boom in an inline action'],
      ['action.failed', 'E_DEFECT', 'boom in an inline action, later'],
      ['effect.failed', 'E_DEFECT', 'boom in a named action'],
    ],
  })
})

test('an output mapper that throws is the failure of its actor, told to its parent', async () => {
  const parent = wrong(
    {
      id: 'parent',
      context: { heard: null },
      entry: [spawnChild('kid' as Loose, { id: 'kid' } as Loose)],
      on: {
        go: { actions: sendTo('kid' as Loose, { type: 'end' }) },
        'xstate.error.actor.kid': { actions: assign({ heard: ({ event }: Loose) => event.error.message }) },
      },
    },
    { actors: { kid: child(boom('output')) } },
  )
  const { crashes, one } = await live(parent, [{ type: 'go' }])
  const error = {
    code: 'E_DEFECT',
    name: 'Error',
    message: 'boom in output',
    part: 'output',
    path: '/top/one/kid',
    state: 'a',
    event: 'end',
  }
  expect({ crashes, one }).toEqual({ crashes: [error], one: { heard: 'boom in output' } })
})

test.each([
  ['an address that never was', '/top/three', 'E_TARGET_NOT_FOUND', 'has no actor `/top/three`'],
  ['an actor that has ended for good', '/top/one', 'E_TARGET_NOT_FOUND', 'has no actor `/top/one`'],
])('an event to %s is refused with where to look, and nothing is recorded', async (_, to, code, message) => {
  const ending = wrong({ id: 'ending', initial: 'a', states: { a: { on: { end: 'b' } }, b: { type: 'final' } } })
  const { session } = await live(ending, [{ type: 'end' }], 'temporary')
  const before = session.tree()
  const refused = await session.send(to, { type: 'hello' }).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code, options: { where: to, exit: 9 } })
  expect((refused as Error).message).toContain(message)
  expect(await codeOf(session.ask(to, { type: 'hello' }))).toBe(code)
  expect(session.tree()).toEqual(before)
})
