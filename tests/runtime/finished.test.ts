/** Children that have ended, and mail to them: the same as under `createActor`, which is asked here too. */
import { expect, test } from 'vitest'
import { type AnyActorLogic, type AnyStateMachine, assign, createActor, sendTo, setup, spawnChild, stopChild } from 'xstate'
import { z } from 'zod'
import { effect } from '../../src/effect.ts'
import { XSTATE_CHILDREN_MAX } from '../../src/limits.ts'
import type { ChildLink, EventData, StepInput, StepResult } from '../../src/runtime/cell.ts'
import { factsOf, openLife, temporaryFolder, waitUntil } from '../harness.ts'
import { inputOf, registryOf, START } from './one-step.ts'

const kid = setup({ types: { context: {} as { got: number } } }).createMachine({
  id: 'kid',
  context: { got: 0 },
  initial: 'a',
  on: { hi: { actions: assign({ got: ({ context }) => context.got + 1 }) } },
  states: { a: { on: { end: 'b' } }, b: { type: 'final' } },
})
const work = effect({ kind: 'work.do', input: z.undefined(), output: z.null(), repeat: 'repeat' })
const base = setup({ types: { context: {} as { n: number; old?: unknown }, events: {} as { type: string } }, actors: { kid, work } })
const parentOf = (on: object, entry: unknown = []): AnyStateMachine =>
  base.createMachine({ id: 'm', context: { n: 0 }, entry, on } as never) as unknown as AnyStateMachine
const count = base.assign({ n: ({ context }) => context.n + 1 })
/** Begins a child that ends at once, each under an id of its own. */
const brief = (systemId?: string) =>
  base.enqueueActions(({ enqueue, context }) => {
    enqueue.spawnChild('kid', { id: `k${context.n}`, ...(systemId === undefined ? {} : { systemId }) } as never)
    enqueue.sendTo(`k${context.n}`, { type: 'end' } as never)
    enqueue.assign({ n: context.n + 1 })
  })

const REUSE = {
  'xstate.done.actor.k': { actions: count },
  go: { actions: [spawnChild('kid', { id: 'k', systemId: 'sys' }), sendTo('k', { type: 'end' } as never)] },
  late: { actions: sendTo('k', { type: 'hi' } as never) },
  stop: { actions: stopChild('k') },
}
test.each<[string, AnyStateMachine, readonly string[], object]>([
  ['its id and its system id are free again', parentOf(REUSE), ['go', 'go', 'go'], { n: 3 }],
  ['mail to it is dropped', parentOf(REUSE), ['go', 'late', 'go'], { n: 2 }],
  ['it can be stopped, and nothing comes of it', parentOf(REUSE), ['go', 'stop', 'go', 'go'], { n: 3 }],
  ['a parent that does not listen may go on, too', parentOf({ go: { actions: brief('sys') } }), ['go', 'go', 'go'], { n: 3 }],
])('a child that has ended, as under createActor: %s', async (_, machine, events, context) => {
  const oracle = createActor(machine as AnyActorLogic).start()
  for (const type of events) oracle.send({ type })
  expect([oracle.getSnapshot().status, oracle.getSnapshot().context]).toEqual(['active', context])
  const folder = temporaryFolder()
  let life = openLife(folder, { machines: { m: machine }, turnStepsMax: 1 })
  let session = await life.troupe.start({ id: 'top', children: [{ id: 'one', src: 'm' }] })
  for (const [place, type] of events.entries()) {
    await session.send('/top/one', { type })
    const quiet = () => life.store.image(session.id).envelopes.length === 0
    await waitUntil('nothing moves', quiet, () => life.store.image(session.id).envelopes)
    if (place !== 1) continue
    await life.kill(session)
    life = openLife(folder, { machines: { m: machine } })
    session = await life.troupe.resume(session.id)
  }
  expect(factsOf(life.store, session.id, 'actor.crashed')).toEqual([])
  expect(session.snapshot('/top/one')?.context).toEqual(context)
  await session.stop()
})

/** Steps on, with this event, as the engine does: with the snapshot and the children of the step before. */
function next(before: StepInput, result: StepResult, event: EventData, extra: Partial<StepInput['envelope']> = {}): StepInput {
  const snapshot = result.snapshot === 'unchanged' ? before.snapshot : result.snapshot
  const input = inputOf(event, { ...result, snapshot: snapshot ?? 'unchanged' })
  return { ...input, envelope: { ...input.envelope, ...extra } }
}
const done = (link: ChildLink) =>
  [
    { type: `xstate.done.actor.${link.id}`, output: null },
    { kind: 'child', child: link },
  ] as const

test('children that have ended do not count: more may live one after another than at once', () => {
  const host = registryOf(parentOf({ go: { actions: brief() } }))
  let input = inputOf({ type: START })
  let result = host.step(input)
  for (let n = 0; n <= XSTATE_CHILDREN_MAX; n++) {
    input = next(input, result, { type: 'go' })
    result = host.step(input)
    expect(result.exit).toBe(null)
    input = next(input, result, ...done(result.children.at(-1)!))
    result = host.step(input)
  }
  expect([result.children.length, result.children.every((link) => link.ended)]).toEqual([XSTATE_CHILDREN_MAX + 1, true])
  for (let n = 0; n < XSTATE_CHILDREN_MAX; n++) {
    input = next(input, result, { type: 'go' })
    result = host.step(input)
  }
  expect([result.exit, result.children.filter((link) => link.ended !== true).length]).toEqual([null, XSTATE_CHILDREN_MAX])
  expect(host.step(next(input, result, { type: 'go' })).exit).toEqual({
    kind: 'error',
    error: expect.objectContaining({ code: 'E_LIMIT_SPAWN', message: expect.stringContaining('asks for 1 children more, 0 are allowed') }),
  })
})

test.each([
  ['cell', 'kid', 'child'],
  ['effect', 'work', 'outcome'],
] as const)('the stop of a %s that has ended stops nothing, and its system id is freed once', (_, src, kind) => {
  const machine = parentOf({ stop: { actions: stopChild('k') } }, spawnChild(src as never, { id: 'k', systemId: 'sys' }))
  const host = registryOf(machine)
  const first = inputOf({ type: START })
  const born = host.step(first)
  const link = born.children[0]!
  const held = { systemIds: { sys: { address: link.address, incarnation: link.incarnation } } }
  const endInput = { ...next(first, born, { type: 'xstate.done.actor.k', output: null }, { kind, child: link }), ...held }
  const end = host.step(endInput)
  expect([end.children, end.systemIdsFreed]).toEqual([[{ ...link, ended: true }], ['sys']])
  // Somebody else has taken the system id by now: it stays his.
  const taken = { systemIds: { sys: { address: '/top/other', incarnation: 1 } } }
  const { children, cellsStopped, effectsCancelled, systemIdsFreed } = host.step({ ...next(endInput, end, { type: 'stop' }), ...taken })
  expect({ children, cellsStopped, effectsCancelled, systemIdsFreed }).toEqual({
    children: [],
    cellsStopped: [],
    effectsCancelled: [],
    systemIdsFreed: [],
  })
})

test('what only looks like the end of a child, sent or of an earlier one, ends no child', () => {
  const host = registryOf(parentOf({}, spawnChild('kid', { id: 'k' })))
  const first = inputOf({ type: START })
  const born = host.step(first)
  const link = born.children[0]!
  const event = { type: 'xstate.done.actor.k', output: null }
  const linksAfter = (type: string, extra: object) => host.step(next(first, born, { ...event, type }, extra)).children
  expect([
    linksAfter(event.type, { kind: 'mail' }),
    linksAfter(event.type, { kind: 'child', child: { ...link, incarnation: 99 } }),
    linksAfter('xstate.snapshot.k', { kind: 'child', child: link }),
  ]).toEqual([[link], [link], [link]])
})

const keep = base.assign({ old: (args: { spawn: (src: string, options: object) => unknown }) => args.spawn('kid', { id: 'k' }) } as never)
const swap = { actions: [stopChild('k'), spawnChild('kid', { id: 'k' })] }
test('mail by an old reference is for the child that it was made for, as under createActor', async () => {
  const machine = parentOf({ swap, go: { actions: sendTo(({ context }) => context['old'] as never, { type: 'hi' } as never) } }, keep)
  const oracle = createActor(machine as AnyActorLogic).start()
  for (const type of ['swap', 'go']) oracle.send({ type })
  const life = openLife(temporaryFolder(), { machines: { m: machine } })
  const session = await life.troupe.start({ id: 'top', children: [{ id: 'one', src: 'm' }] })
  for (const type of ['swap', 'go']) await session.send('/top/one', { type })
  await waitUntil('nothing moves', () => life.store.image(session.id).envelopes.length === 0)
  expect([session.snapshot('/top/one/k')?.context, oracle.getSnapshot().children['k']!.getSnapshot().context]).toEqual([
    { got: 0 },
    { got: 0 },
  ])
  await session.stop()
})

test('a timer to an own child, by its id or by an old reference, carries the life that it is for; one to others goes to the address', () => {
  const later = { delay: 5 }
  const machine = parentOf(
    {
      swap,
      go: {
        actions: [
          sendTo(({ context }) => context['old'] as never, { type: 'hi' } as never, later),
          sendTo('k', { type: 'hi' } as never, later),
          sendTo(({ self }) => self, { type: 'hi' }, later),
          sendTo(({ self }) => self._parent as never, { type: 'hi' } as never, later),
        ],
      },
    },
    keep,
  )
  const host = registryOf(machine)
  const first = inputOf({ type: START })
  const born = host.step(first)
  const swapInput = next(first, born, { type: 'swap' })
  const swapped = host.step(swapInput)
  const { timersSet } = host.step(next(swapInput, swapped, { type: 'go' }))
  expect(timersSet.map(({ to, incarnation }) => ({ to, incarnation }))).toEqual([
    { to: '/top/one/k', incarnation: born.children[0]!.incarnation },
    { to: '/top/one/k', incarnation: swapped.children[0]!.incarnation },
    { to: '/top/one', incarnation: null },
    { to: '/top', incarnation: null },
  ])
})

const tick = base.raise({ type: 'tick' }, { delay: 50, id: 't' })
test.each<[string, object, readonly string[], number]>([
  ['set, then cancelled', { actions: [tick, base.cancel('t')] }, [], 1],
  ['cancelled, then set', { actions: [base.cancel('t'), tick] }, ['t'], 1],
  ['set, cancelled and set', { actions: [tick, base.cancel('t'), tick] }, ['t'], 1],
  ['set, and another one cancelled', { actions: [tick, base.cancel('u')] }, ['t'], 1],
])('a timer that is %s in one step is there only where it was set last', (_, go, ids, cleared) => {
  const host = registryOf(parentOf({ go }))
  const { timersSet, timersCleared } = host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START }))))
  expect([timersSet.map(({ id }) => id), timersCleared.length]).toEqual([ids, cleared])
})

test('a state that is passed through in one step leaves no `after` behind', () => {
  const states = { a: { on: { go: 'b' } }, b: { after: { 400: 'd' }, always: 'c' }, c: {}, d: {} }
  const host = registryOf(base.createMachine({ id: 'm', context: { n: 0 }, initial: 'a', states }))
  expect(host.step(inputOf({ type: 'go' }, host.step(inputOf({ type: START })))).timersSet).toEqual([])
})
