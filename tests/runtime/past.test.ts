/**
 * Time travel: what a reader sees at a position is what was there when the journal ended at it, whatever came later, and whether or not a commit
 * ended there. A run with one step a commit is looked at after each of its commits; the same run with its steps grouped must show the same at the
 * same positions afterwards.
 */
import { array, asyncProperty, assert as check, constantFrom, integer, record } from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import { type AnyStateMachine, fromCallback, sendTo, setup } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { CellView } from '../../src/runtime/engine.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { waitingMail } from '../../src/runtime/past.ts'
import { readRun } from '../../src/runtime/reader.ts'
import type { Store } from '../../src/runtime/store.ts'
import { memoryStore } from '../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { treeView } from '../../src/runtime/views.ts'
import { factsOf, only, VirtualClock } from '../harness.ts'
import { machineOf, outside, plans } from './random-tree.ts'

// XState's development build warns of mail to stopped actors, which random trees send.
beforeEach(() => void vi.spyOn(console, 'warn').mockReturnValue())

const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined

interface Sight {
  readonly tree: CellView
  readonly mail: readonly string[]
}
type Events = readonly { readonly type: string; readonly fuel: number }[]

/** Mail that outlives a commit while it queues gets another number, and where commits end is what differs here. */
const unnumbered = (store: Store) => factsOf(store, 'run').map((fact) => ({ ...fact, data: { ...fact.data, seq: null } }))

/** Mail by what it is; numbers are given in another order where steps are grouped. */
const mailAt = (store: Store, run: string, at?: number): string[] =>
  waitingMail(store, run, at)
    .map(({ to, from, event, cause }) => JSON.stringify([to, from, event, cause]))
    .sort()

const sightAt = (store: Store, run: string, at?: number): Sight => ({ tree: treeView(store, run, at), mail: mailAt(store, run, at) })

/** Calls back after each commit with the position it ended at. */
function watched(inner: Store, onCommitted: (run: string, position: number) => void): Store {
  return {
    ...inner,
    own: (run, owner, how) => {
      const owned = inner.own(run, owner, how)
      return {
        ...owned,
        commit: (commit) => {
          owned.commit(commit)
          onCommitted(run, commit.expectedPosition + commit.journal.length)
        },
      }
    },
  }
}

async function play(inner: Store, machine: AnyStateMachine, events: Events, turnStepsMax: number) {
  const sights = new Map<number, Sight>()
  const clock = new VirtualClock()
  const store = watched(inner, (run, position) => void sights.set(position, sightAt(inner, run)))
  const engine = localEngine({ store, clock, newId: () => 'run', limits: { turnStepsMax } })
  const troupe = createTroupe({ engine, machines: { root: machine }, reap: async () => [] })
  const session = await troupe.start(only('root', { input: { path: '/top/one', fuel: 3, nth: 0 } }))
  await clock.settled()
  for (const event of events) {
    await session.send('/top/one', event).catch((error: { code: string }) => expect(error.code).toBe('E_RUN_STOPPED'))
    await clock.settled()
  }
  await session.stop()
  return sights
}

test.each([
  { kind: 'memory', open: memoryStore, numRuns: NIGHTLY ? 60 : 24 },
  { kind: 'sqlite', open: () => sqliteStore({ path: ':memory:' }), numRuns: NIGHTLY ? 25 : 10 },
])(
  '$kind: every position shows the tree and the mail that were there, also inside a commit',
  { timeout: 120_000 },
  async ({ open, numRuns }) => {
    const seen = { positions: 0, insideCommits: 0, mail: 0 }
    await check(
      asyncProperty(plans, outside, async (plan, events) => {
        const [single, grouped] = [open(), open()]
        const sights = await play(single, machineOf(plan, []), events, 1)
        const resting = await play(grouped, machineOf(plan, []), events, 256)
        expect(unnumbered(grouped)).toEqual(unnumbered(single))
        for (const [position, sight] of sights) {
          expect({ position, ...sightAt(grouped, 'run', position) }).toEqual({ position, ...sight })
          expect({ position, ...sightAt(single, 'run', position) }).toEqual({ position, ...sight })
          seen.positions++
          seen.insideCommits += resting.has(position) ? 0 : 1
          seen.mail += sight.mail.length
        }
        single.close()
        grouped.close()
      }),
      { numRuns },
    )
    expect({ inside: seen.insideCommits > 100, mail: seen.mail > 100 }).toEqual({ inside: true, mail: true })
  },
)

test('what is read at a position does not depend on what came later', { timeout: 60_000 }, async () => {
  const lengths = array(record({ type: constantFrom('x', 'y', 'z'), fuel: integer({ min: 0, max: 6 }) }), { minLength: 2, maxLength: 6 })
  await check(
    asyncProperty(plans, lengths, async (plan, events) => {
      const store = memoryStore()
      const sights = await play(store, machineOf(plan, []), events, 256)
      const reader = readRun(store, 'run')!
      for (const [position, { tree }] of sights) expect(reader.tree(position)).toEqual(tree)
      expect(reader.tree(Number.MAX_SAFE_INTEGER)).toEqual(reader.tree())
    }),
    { numRuns: NIGHTLY ? 20 : 8 },
  )
})

test('a reader sees one actor at each of its steps: history, snapshot, mailbox', async () => {
  const store = memoryStore()
  const { machine, events } = { machine: machineOf({ hello: null, idle: {}, busy: {}, kids: {} }, []), events: [{ type: 'x', fuel: 1 }] }
  await play(store, machine, events, 256)
  const reader = readRun(store, 'run')!
  const [newest, ...older] = reader.history('/top/one')
  expect({
    older,
    actor: reader.actor('/top/one', newest!.position)?.status,
    before: reader.actor('/top/one', newest!.position - 1),
  }).toEqual({
    older: [],
    actor: 'active',
    before: null,
  })
  expect(reader.mailbox('/top/one', newest!.position - 1).map(({ kind, from }) => ({ kind, from }))).toEqual([
    { kind: 'start', from: '/top' },
  ])
  expect(readRun(store, 'nobody')).toBeNull()
})

test('what goes to and from a callback is seen where it was, too', async () => {
  const echo = setup({
    types: { events: {} as { type: 'x' | 'got' } },
    actors: {
      echo: fromCallback(({ sendBack, receive }) => {
        receive(() => sendBack({ type: 'got' }))
      }),
    },
  }).createMachine({
    id: 'echo',
    invoke: { src: 'echo', id: 'echo' },
    on: { x: { actions: sendTo('echo', { type: 'call' }) }, got: {} },
  })
  const events = Array.from({ length: 4 }, () => ({ type: 'x', fuel: 1 }))
  const [single, grouped] = [memoryStore(), memoryStore()]
  const sights = await play(single, echo, events, 1)
  await play(grouped, echo, events, 256)
  expect(unnumbered(grouped)).toEqual(unnumbered(single))
  for (const [position, sight] of sights) {
    expect({ position, ...sightAt(single, 'run', position) }).toEqual({ position, ...sight })
    expect({ position, ...sightAt(grouped, 'run', position) }).toEqual({ position, ...sight })
  }
  expect(factsOf(single, 'run', 'effect.told', 'effect.said')).toHaveLength(8)
})
