/**
 * What people reported of actors that come back from a persisted snapshot, as they met it: first under `createActor`, where it still is so, then here,
 * where the process is killed in between. Numbers are issues of statelyai/xstate.
 */
import { expect, test, vi } from 'vitest'
import { type AnyActorRef, type AnyStateMachine, assign, createActor, SimulatedClock, sendTo, setup, spawnChild } from 'xstate'
import type { EventData } from '../../src/runtime/cell.ts'
import type { RunSession } from '../../src/runtime/engine.ts'
import { factsOf, type Life, only, openLife, temporaryFolder, VirtualClock } from '../harness.ts'

/** A machine as `/top/one`, and the deaths it comes back from. */
class Mortal {
  readonly #machine: AnyStateMachine
  readonly #folder = temporaryFolder()
  #clock = new VirtualClock()
  #life: Life
  #session!: RunSession

  constructor(machine: AnyStateMachine) {
    this.#machine = machine
    this.#life = this.#open()
  }
  #open(): Life {
    return openLife(this.#folder, { machines: { one: this.#machine }, clock: this.#clock })
  }
  async start(): Promise<this> {
    this.#session = await this.#life.troupe.start(only('one', { restart: 'temporary' }))
    await this.#clock.settled()
    return this
  }
  async send(...events: readonly EventData[]): Promise<void> {
    for (const event of events) {
      await this.#session.send('/top/one', event)
      await this.#clock.settled()
    }
  }
  async wait(ms: number): Promise<void> {
    await this.#clock.advance(ms)
  }
  async die(): Promise<void> {
    await this.#life.kill(this.#session)
    await this.#revive()
  }
  async stop(): Promise<void> {
    await this.#session.stop()
    this.#life.store.close()
    await this.#revive()
  }
  async #revive(): Promise<void> {
    this.#clock = new VirtualClock(this.#clock.wallMs())
    this.#life = this.#open()
    this.#session = await this.#life.troupe.resume(this.#session.id)
    await this.#clock.settled()
  }
  context(of = ''): unknown {
    return this.#session.snapshot(`/top/one${of}`)?.context
  }
  value(): unknown {
    return this.#session.snapshot('/top/one')?.value
  }
  crash(): unknown {
    return factsOf(this.#life.store, this.#session.id, 'actor.crashed')[0]?.data
  }
}

/** The same under `createActor`: what its persisted snapshot is worth after a round trip through JSON. */
function restored(actor: { getPersistedSnapshot(): unknown }, machine: AnyStateMachine, clock = new SimulatedClock()) {
  const snapshot = JSON.parse(JSON.stringify(actor.getPersistedSnapshot()))
  return createActor(machine, { snapshot, clock }).start()
}

const counter = setup({ types: { context: {} as { n: number }, events: {} as { type: 'tick' } } }).createMachine({
  id: 'counter',
  context: { n: 0 },
  on: { tick: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
})
type Refs = Readonly<Record<string, AnyActorRef>>
type ById = { readonly type: 'add' | 'tick'; readonly id: string }

/** A list of children as long as its user makes it, as #5057 asks for. */
const list = setup({ types: { context: {} as { refs: Refs }, events: {} as ById }, actors: { counter } }).createMachine({
  id: 'list',
  context: { refs: {} },
  on: {
    add: {
      actions: assign({ refs: ({ context, event, spawn }) => ({ ...context.refs, [event.id]: spawn('counter', { id: event.id }) }) }),
    },
    tick: { actions: sendTo(({ context, event }) => context.refs[event.id]!, { type: 'tick' }) },
  },
})
/** The same as the report has it: with the logic itself instead of its name. */
const inlineList = setup({ types: { context: {} as { refs: Refs }, events: {} as ById } }).createMachine({
  id: 'inlineList',
  context: { refs: {} },
  on: {
    add: {
      actions: assign(({ context, event, spawn }) => {
        const child = (spawn as unknown as (logic: AnyStateMachine, options: object) => AnyActorRef)(counter, { id: event.id })
        return { refs: { ...context.refs, [event.id]: child } }
      }),
    },
  },
})

test('an inline child cannot be persisted (xstate#5057): its parent is stopped with the fix at once, and not when it is too late', async () => {
  const actor = createActor(inlineList).start()
  actor.send({ type: 'add', id: 'a' })
  expect(() => actor.getPersistedSnapshot()).toThrow('An inline child actor cannot be persisted.')

  const here = await new Mortal(inlineList).start()
  await here.send({ type: 'add', id: 'a' })
  expect(here.crash()).toEqual({
    code: 'E_ACTOR_INLINE',
    name: 'Defect',
    message: "/top/one spawned an inline actor 'a'",
    hint: 'name it in setup({ actors }) and spawn it by that name',
    machine: 'one',
    path: '/top/one',
    state: '',
    event: 'add',
    seq: 4,
    deadLetter: { type: 'add', id: 'a' },
  })
})

test('as many children as the context asks for come back, each with its count (xstate#5057)', async () => {
  const here = await new Mortal(list).start()
  const ids = Array.from({ length: 12 }, (_, index) => `item-${index}`)
  for (const [index, id] of ids.entries()) {
    await here.send({ type: 'add', id })
    for (let times = 0; times < index; times++) await here.send({ type: 'tick', id })
  }
  await here.die()
  expect(ids.map((id) => here.context(`/${id}`))).toEqual(ids.map((_, index) => ({ n: index })))
})

test('children come back again and again, and more can be added each time (xstate#5077)', async () => {
  const here = await new Mortal(list).start()
  for (const [death, id] of ['a', 'b', 'c', 'd'].entries()) {
    await here.send({ type: 'add', id }, { type: 'tick', id: 'a' }, { type: 'tick', id })
    await here.die()
    await here.send({ type: 'tick', id })
    expect({ a: here.context('/a'), [id]: here.context(`/${id}`) }).toEqual({ a: { n: 3 + death }, [id]: { n: id === 'a' ? 3 : 2 } })
  }
})

const registry = setup({
  types: { events: {} as { type: 'start' | 'tick' } },
  actors: { counter },
}).createMachine({
  id: 'registry',
  on: {
    start: { actions: spawnChild('counter', { id: 'kid', systemId: 'the-counter' }) },
    tick: { actions: sendTo(({ system }) => system.get('the-counter'), { type: 'tick' }) },
  },
})
const deepRegistry = setup({ types: { events: {} as { type: 'tick' } }, actors: { registry } }).createMachine({
  id: 'deepRegistry',
  invoke: { src: 'registry', id: 'registry' },
  entry: sendTo('registry', { type: 'start' }),
  on: { tick: { actions: sendTo(({ system }) => system.get('the-counter'), { type: 'tick' }) } },
})

test('system.get finds a child after a restore, and so does everybody else in the tree (xstate#4873)', async () => {
  const inline = setup({}).createMachine({
    on: { start: { actions: spawnChild(counter, { id: 'kid', systemId: 'the-counter' } as never) } },
  })
  const actor = createActor(inline).start()
  actor.send({ type: 'start' })
  expect(() => restored(actor, inline)).toThrow('An inline child actor cannot be persisted.')

  const here = await new Mortal(registry).start()
  await here.send({ type: 'start' }, { type: 'tick' })
  const deep = await new Mortal(deepRegistry).start()
  await deep.send({ type: 'tick' })
  for (let death = 1; death <= 3; death++) {
    await here.die()
    await here.send({ type: 'tick' })
    await deep.die()
    await deep.send({ type: 'tick' })
  }
  expect([here.context('/kid'), deep.context('/registry/kid')]).toEqual([{ n: 4 }, { n: 4 }])
})

interface Worker {
  readonly boss: AnyActorRef
  readonly peer: AnyActorRef | null
  readonly asked: number
}
/** Keeps references to its parent and to a sibling, and answers by them. */
const worker = setup({
  types: { context: {} as Worker, input: {} as { peer: AnyActorRef | null }, events: {} as { type: 'report' | 'nudge' } },
}).createMachine({
  id: 'worker',
  context: ({ input, self }) => ({ boss: self._parent!, peer: input.peer, asked: 0 }),
  on: {
    report: {
      actions: [assign({ asked: ({ context }) => context.asked + 1 }), sendTo(({ context }) => context.boss, { type: 'reported' })],
    },
    nudge: { actions: sendTo(({ context }) => context.peer!, { type: 'report' }) },
  },
})
const office = setup({
  types: { context: {} as { reports: number; a: AnyActorRef; b: AnyActorRef }, events: {} as { type: 'reported' | 'go' } },
  actors: { worker },
}).createMachine({
  id: 'office',
  context: ({ spawn }) => {
    const a: AnyActorRef = spawn('worker', { id: 'a', input: { peer: null } })
    return { reports: 0, a, b: spawn('worker', { id: 'b', input: { peer: a } }) }
  },
  on: {
    reported: { actions: assign({ reports: ({ context }) => context.reports + 1 }) },
    go: { actions: [sendTo(({ context }) => context.a, { type: 'report' }), sendTo(({ context }) => context.b, { type: 'nudge' })] },
  },
})

test('references to a parent or a sibling in a context are lost without a word in a persisted snapshot, and reach them here', async () => {
  vi.spyOn(console, 'warn').mockReturnValue()
  const actor = createActor(office).start()
  actor.send({ type: 'go' })
  const back = restored(actor, office)
  back.send({ type: 'go' })
  const kid = (back.getSnapshot().children as unknown as { b: { getSnapshot(): { context: Worker } } }).b.getSnapshot().context
  expect({ reports: back.getSnapshot().context.reports, status: back.getSnapshot().status, boss: kid.boss, peer: kid.peer }).toEqual({
    reports: 2, // Nothing was added to them, and nothing was said.
    status: 'active',
    boss: undefined,
    peer: undefined,
  })

  const here = await new Mortal(office).start()
  await here.send({ type: 'go' })
  for (let death = 1; death <= 3; death++) {
    await here.die()
    await here.send({ type: 'go' })
  }
  expect(here.context()).toMatchObject({ reports: 8 })
  expect(here.context('/a')).toMatchObject({ asked: 8 })
})

interface Rounds {
  readonly entered: number
  readonly checked: number
  readonly open: boolean
}
/** Goes round once a second, by an `after` that enters its state again; leaves by an `always` when the gate is open. */
const rounds = setup({ types: { context: {} as Rounds, events: {} as { type: 'open' | 'nothing' } } }).createMachine({
  id: 'rounds',
  context: { entered: 0, checked: 0, open: false },
  initial: 'waiting',
  on: { open: { actions: assign({ open: true }) } },
  states: {
    waiting: {
      entry: assign({ entered: ({ context }) => context.entered + 1 }),
      always: {
        guard: ({ context }) => context.open,
        target: 'through',
        actions: assign({ checked: ({ context }) => context.checked + 1 }),
      },
      after: { 1000: { target: 'waiting', reenter: true } },
    },
    through: {},
  },
})

test('a restore runs no entry action and takes no transition, and a loop by `after` goes on (xstate#4627)', async () => {
  const clock = new SimulatedClock()
  const actor = createActor(rounds, { clock }).start()
  clock.increment(1_500)
  const later = new SimulatedClock()
  const back = restored(actor, rounds, later)
  later.increment(60_000)
  expect(back.getSnapshot().context).toEqual({ entered: 2, checked: 0, open: false }) // Its timer is gone: it never goes round again.

  const here = await new Mortal(rounds).start()
  await here.wait(1_500)
  for (let death = 1; death <= 3; death++) {
    await here.die()
    expect({ value: here.value(), context: here.context() }).toEqual({ value: 'waiting', context: { entered: 2, checked: 0, open: false } })
  }
  await here.wait(499)
  expect(here.context()).toEqual({ entered: 2, checked: 0, open: false })
  await here.wait(1)
  expect(here.context()).toEqual({ entered: 3, checked: 0, open: false })
  await here.wait(2_000)
  await here.die()
  await here.send({ type: 'open' })
  await here.die()
  expect({ value: here.value(), context: here.context() }).toEqual({ value: 'through', context: { entered: 5, checked: 1, open: true } })
})

const light = setup({ types: { events: {} as { type: 'next' } } }).createMachine({
  id: 'light',
  initial: 'red',
  states: { red: { on: { next: 'green' } }, green: { on: { next: 'red' } } },
})

test('an actor that was stopped before it was persisted is dead when it comes back, and a stopped run goes on (xstate#4583)', async () => {
  const actor = createActor(light).start()
  actor.stop()
  const back = restored(actor, light)
  const seen = vi.fn()
  back.subscribe(seen)
  back.send({ type: 'next' })
  expect({ status: back.getSnapshot().status, told: seen.mock.calls.length }).toEqual({ status: 'stopped', told: 0 })

  const here = await new Mortal(light).start()
  for (const colour of ['green', 'red', 'green']) {
    await here.stop()
    await here.send({ type: 'next' })
    expect(here.value()).toBe(colour)
  }
})
