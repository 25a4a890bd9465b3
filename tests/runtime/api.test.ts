/** The session's doors: what is acknowledged is kept, what is refused has changed nothing, and a run has one owner at a time. */
import { expect, test } from 'vitest'
import { MAILBOX_DEPTH_MAX } from '../../src/limits.ts'
import type { Envelope, EventData } from '../../src/runtime/cell.ts'
import { checkTarget } from '../../src/runtime/engines/local/door.ts'
import { rootPlace } from '../../src/runtime/order.ts'
import type { CellRow } from '../../src/runtime/store.ts'
import { codeOf, factsOf, Killed, NEW_RUN, only, openLife, temporaryFolder, treeOf, waitUntil } from '../harness.ts'
import { counter } from './counter.ts'

const machines = { counter }
const tree = only('counter')

test('send resolves after the commit, with the position at which the event is on record', async () => {
  const order: string[] = []
  const life = openLife(temporaryFolder(), { machines, onCommit: () => void order.push('commit') })
  const session = await life.troupe.start(tree)
  await session.ask('/top/one', { type: 'get' })
  order.length = 0
  const { position } = await session.send('/top/one', { type: 'add', n: 2 }).finally(() => order.push('acknowledged'))
  expect(order).toEqual(['commit', 'acknowledged'])
  expect(factsOf(life.store, session.id).filter((fact) => fact.pos >= position)).toEqual([
    { pos: position, type: 'message.accepted', path: null, inc: null, cause: null, data: { to: '/top/one', event: 'add' } },
    {
      pos: position + 1,
      type: 'step.committed',
      path: '/top/one',
      inc: 1,
      cause: position,
      data: expect.objectContaining({ event: { type: 'add', n: 2 }, from: 'idle', to: 'idle', handled: true }),
    },
  ])
})

test('a commit that fails rejects the send and every ask that hangs on it, and the run goes on from the store as if neither had been', async () => {
  const folder = temporaryFolder()
  let isBroken = false
  const first = openLife(folder, {
    machines,
    onCommit: () => {
      if (isBroken) throw new Error('the disk is gone')
    },
  })
  const session = await first.troupe.start(tree)
  await session.send('/top/one', { type: 'add', n: 1 })
  isBroken = true
  const outcomes = await Promise.allSettled([
    session.send('/top/one', { type: 'add', n: 10 }),
    session.ask('/top/one', { type: 'get' }, { timeoutMs: 60_000 }),
    session.done(),
  ])
  expect(outcomes.map((outcome) => (outcome.status === 'rejected' ? String(outcome.reason) : outcome))).toEqual(
    outcomes.map(() => 'Error: the disk is gone'),
  )
  expect(await codeOf(session.send('/top/one', { type: 'add', n: 100 }))).toBe('E_RUN_STOPPED')
  first.store.close()
  const again = await openLife(folder, { machines }).troupe.resume(session.id)
  expect(await again.ask('/top/one', { type: 'get' })).toEqual({ type: 'got', n: 1 })
})

test.each(['xstate.init', 'xstate.done.actor.kid', '*', '', 'cell.exited', 'ask.answered'])(
  'an event named `%s` is refused from outside, and nothing is recorded',
  async (type) => {
    const { troupe, store } = openLife(temporaryFolder(), { machines })
    const session = await troupe.start(tree)
    await session.ask('/top/one', { type: 'get' })
    const before = factsOf(store, session.id)
    expect(await codeOf(session.send('/top/one', { type }))).toBe('E_EVENT_REFUSED')
    expect(await codeOf(session.ask('/top/one', { type }))).toBe('E_EVENT_REFUSED')
    expect(factsOf(store, session.id)).toEqual(before)
  },
)

test.each<[string, string, unknown, string]>([
  ['an address where nobody lives', '/top/two', { type: 'add' }, 'E_TARGET_NOT_FOUND'],
  ['an event without a type', '/top/one', { n: 1 }, 'E_EVENT_REFUSED'],
  ['no event at all', '/top/one', null, 'E_EVENT_REFUSED'],
  ['what is not JSON', '/top/one', { type: 'add', n: new Map() }, 'E_NOT_JSON'],
  ['a forged reference', '/top/one', { type: 'get', replyTo: { '@troupe.ref': '/top', incarnation: 1, id: 'top' } }, 'E_NOT_JSON'],
  ['more than fits', '/top/one', { type: 'add', n: 'x'.repeat(4_000_001) }, 'E_PAYLOAD_TOO_LARGE'],
])('%s is refused with its own code, and the others are accepted', async (_, to, event, code) => {
  const { troupe } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree)
  await session.ask('/top/one', { type: 'get' })
  const sent = [
    session.send('/top/one', { type: 'add', n: 1 }),
    session.send(to, event as EventData),
    session.send('/top/one', { type: 'add', n: 2 }),
  ]
  expect(await Promise.all(sent.map(codeOf))).toEqual(['none', code, 'none'])
  expect(await session.ask('/top/one', { type: 'get' })).toEqual({ type: 'got', n: 3 })
})

test('a mailbox that is full refuses what comes from outside, by name', () => {
  const cell: CellRow = {
    address: '/top',
    incarnation: 1,
    machine: 'm',
    version: '1',
    parent: null,
    id: 'top',
    supervised: false,
    status: 'active',
    since: 1,
    sync: false,
    readyTag: null,
    ready: true,
    input: null,
    children: [],
    nextId: 0,
    systemIds: {},
    exit: null,
  }
  const mail = Array.from({ length: MAILBOX_DEPTH_MAX - 1 }, (_, index): Envelope => {
    const seq = index + 1
    return { seq, kind: 'mail', to: '/top', incarnation: null, from: null, event: { type: 'x' }, cause: null, ...rootPlace(seq, '/top') }
  })
  const run = { ...NEW_RUN, counters: { seq: mail.length, effects: 0, timers: 0 } }
  const full = treeOf({ run, cells: [cell], envelopes: mail })
  expect(checkTarget(full, '/top', { type: 'x' })).toEqual({ type: 'x' })
  full.post(null, 0, { kind: 'mail', to: '/top', incarnation: null, from: null, event: { type: 'x' } }, null)
  expect(() => checkTarget(full, '/top', { type: 'x' })).toThrow(expect.objectContaining({ code: 'E_MAILBOX_FULL' }))
})

test('snapshot and tree show the last commit: states, contexts, tags, incarnations, restarts', async () => {
  const { troupe } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree, { input: { n: 5 } })
  await session.send('/top/one', { type: 'wait' })
  expect(session.snapshot('/top/one')).toEqual({ status: 'active', value: 'waiting', context: { n: 5 }, incarnation: 1 })
  expect(session.snapshot('/top/nobody')).toBeNull()
  await session.send('/top/one', { type: 'boom' })
  await waitUntil('it is restarted', () => session.snapshot('/top/one')?.incarnation === 2)
  const usage = { inputTokens: 0, outputTokens: 0, costUsd: 0 }
  const common = { version: '1', mailbox: 0, effects: [], usage }
  const healthy = { state: 'healthy', on: null, since: null, evidence: 'nothing open', proof: {} }
  expect(session.tree()).toEqual({
    ...common,
    version: '2',
    address: '/top',
    id: 'top',
    incarnation: 1,
    machine: 'troupe.supervisor',
    status: 'active',
    state: { running: 'steady' },
    tags: ['ready'],
    supervised: false,
    restarts: 0,
    health: { ...healthy, errors: { total: 0, window: 0, perMinute: 0 } },
    children: [
      {
        ...common,
        address: '/top/one',
        id: 'one',
        incarnation: 2,
        machine: 'counter',
        status: 'active',
        state: 'waiting',
        tags: ['waiting'],
        supervised: true,
        restarts: 1,
        health: { ...healthy, errors: { total: 1, window: 1, perMinute: 0.2 } },
        children: [],
      },
    ],
  })
})

test('a run that is stopped is interrupted, gives up its lock, and goes on where it was when it is resumed', async () => {
  const { troupe, store } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree, { name: 'count' })
  await session.send('/top/one', { type: 'add', n: 4 })
  const [first, second] = await Promise.all([session.stop(), session.stop()])
  expect(second).toBe(first)
  expect(first).toEqual(expect.objectContaining({ run: session.id, name: 'count', status: 'interrupted', reason: null, output: null }))
  expect([await codeOf(session.send('/top/one', { type: 'add', n: 1 })), await codeOf(session.ask('/top/one', { type: 'get' }))]).toEqual([
    'E_RUN_STOPPED',
    'E_RUN_STOPPED',
  ])
  expect(store.isOwned(session.id)).toBe(false)
  const again = await troupe.resume(session.id)
  expect(again.recovery).toEqual(
    expect.objectContaining({ position: first.position, mail: 0, effects: [], timersOverdue: 0, timersPending: 0 }),
  )
  expect(await again.ask('/top/one', { type: 'get' })).toEqual({ type: 'got', n: 4 })
  await again.send('/top/one', { type: 'end' })
  expect(await again.done()).toEqual(expect.objectContaining({ status: 'succeeded', output: 4 }))
})

test('a run that is canceled is over for good', async () => {
  const { troupe } = openLife(temporaryFolder(), { machines })
  const session = await troupe.start(tree)
  const reason = { code: 'E_RUN_CANCELED', message: 'a person said so' }
  expect(await session.stop({ status: 'canceled', reason })).toEqual(expect.objectContaining({ status: 'canceled', reason }))
  expect(await codeOf(troupe.resume(session.id))).toBe('E_RUN_FINISHED')
})

test('a run id is used once; unknown, finished and owned runs cannot be resumed', async () => {
  const folder = temporaryFolder()
  const { troupe, store } = openLife(folder, { machines })
  const session = await troupe.start(tree, { id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' })
  await session.send('/top/one', { type: 'add', n: 1 })
  const position = store.run(session.id)?.position
  expect({
    startedAgain: await codeOf(troupe.start(tree, { id: session.id })),
    resumedHere: await codeOf(troupe.resume(session.id)),
    resumedByAnotherStore: await codeOf(openLife(folder, { machines }).troupe.resume(session.id)),
    unknown: await codeOf(troupe.resume('01BX5ZZKBKACTAV9WEVGEMMVRZ')),
    touched: store.run(session.id)?.position !== position,
  }).toEqual({
    startedAgain: 'E_RUN_EXISTS',
    resumedHere: 'E_RUN_OWNED',
    resumedByAnotherStore: 'E_RUN_OWNED',
    unknown: 'E_RUN_NOT_FOUND',
    touched: false,
  })
  await session.send('/top/one', { type: 'end' })
  await session.done()
  expect(await codeOf(troupe.resume(session.id))).toBe('E_RUN_FINISHED')
})

test('an owner that is taken over can neither commit nor start anything more', async () => {
  const folder = temporaryFolder()
  const old = await openLife(folder, { machines }).troupe.start(tree)
  await old.send('/top/one', { type: 'add', n: 1 })
  const taken = await openLife(folder, { machines }).troupe.resume(old.id, { takeOver: true })
  await taken.send('/top/one', { type: 'add', n: 10 })
  expect(await codeOf(old.send('/top/one', { type: 'add', n: 100 }))).toBe('E_LEASE_LOST')
  expect(await codeOf(old.done())).toBe('E_LEASE_LOST')
  expect(await taken.ask('/top/one', { type: 'get' })).toEqual({ type: 'got', n: 11 })
})

test('what was acknowledged before a death is there after it, and what was not is not', async () => {
  const folder = temporaryFolder()
  const life = openLife(folder, { machines })
  const session = await life.troupe.start(tree)
  for (const n of [1, 2, 3]) await session.send('/top/one', { type: 'add', n })
  await life.kill()
  await expect(session.send('/top/one', { type: 'add', n: 100 })).rejects.toThrow(Killed)
  const again = await openLife(folder, { machines }).troupe.resume(session.id)
  expect(await again.ask('/top/one', { type: 'get' })).toEqual({ type: 'got', n: 6 })
})
