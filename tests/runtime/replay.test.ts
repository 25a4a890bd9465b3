/** Taking steps again: a snapshot that is damaged is rebuilt from the one before it, exactly, or reported lost. */
import { asyncProperty, assert as check } from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import { assign, setup } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import { Defect } from '../../src/errors.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import { createRegistry } from '../../src/runtime/registry.ts'
import { rebuild } from '../../src/runtime/replay.ts'
import type { Store } from '../../src/runtime/store.ts'
import { memoryStore, sharedMemory } from '../../src/runtime/stores/memory.ts'
import { codeOf, factsOf, only, VirtualClock } from '../harness.ts'
import { counter } from './counter.ts'
import { machineOf, outside, plans } from './random-tree.ts'

// XState's development build warns of mail to stopped actors, which random trees send.
beforeEach(() => void vi.spyOn(console, 'warn').mockReturnValue())

/** As the store, with these stored snapshots no longer what was committed. */
function damaged(store: Store, isDamaged: (address: string, position: number) => boolean): Store {
  return {
    ...store,
    snapshot: (run, address, incarnation, at) => {
      const position = store
        .snapshots(run, address, { before: (at ?? Number.MAX_SAFE_INTEGER - 1) + 1 })
        .find((version) => version.incarnation === incarnation)?.position
      if (position !== undefined && isDamaged(address, position))
        throw new Defect('E_SNAPSHOT_DAMAGED', `${address} #${position}`, { position })
      return store.snapshot(run, address, incarnation, at)
    },
  }
}

test('every stored snapshot of random trees is had again from any sound one before it, and from none', { timeout: 60_000 }, async () => {
  const rebuilt = { steps: 0, snapshots: 0 }
  await check(
    asyncProperty(plans, outside, async (plan, events) => {
      const [store, clock, machine] = [memoryStore(), new VirtualClock(), machineOf(plan, [])]
      const engine = localEngine({ store, clock, newId: () => 'run' })
      const troupe = createTroupe({ engine, machines: { root: machine }, reap: async () => [] })
      const session = await troupe.start(only('root', { input: { path: '/top/one', fuel: 3, nth: 0 } }))
      await clock.settled()
      for (const event of events) {
        await session.send('/top/one', event).catch((error: { code: string }) => expect(error.code).toBe('E_RUN_STOPPED'))
        await clock.settled()
      }
      const host = createRegistry({ machines: { root: machine } })
      const addresses = [...new Set(factsOf(store, 'run', 'step.committed').map(({ path }) => path!))].filter((path) => path !== '/top')
      for (const address of addresses) {
        for (const { position, incarnation, hash } of store.snapshots('run', address)) {
          for (const sound of [position - 1, 0]) {
            const at = { run: 'run', address, incarnation, at: position }
            const found = rebuild(
              damaged(store, (_, other) => other > sound),
              host,
              at,
            )
            expect(found.snapshot).toMatchObject({ hash, json: store.snapshot('run', address, incarnation, position)!.json })
            rebuilt.steps += found.steps
            rebuilt.snapshots++
          }
        }
      }
      await session.stop()
    }),
    { numRuns: 25 },
  )
  expect({ snapshots: rebuilt.snapshots > 200, steps: rebuilt.steps > rebuilt.snapshots }).toEqual({ snapshots: true, steps: true })
})

async function counted(): Promise<{ memory: ReturnType<typeof sharedMemory>; run: string }> {
  const memory = sharedMemory()
  const troupe = createTroupe({ store: memoryStore(memory), machines: { counter } })
  const session = await troupe.start(only('counter'))
  for (let n = 1; n <= 5; n++) await session.send('/top/one', { type: 'add', n })
  await session.stop()
  return { memory, run: session.id }
}

test('a run whose newest snapshot is damaged goes on from the one before it, and says so', async () => {
  const { memory, run } = await counted()
  const store = memoryStore(memory)
  const [newest] = store.snapshots(run, '/top/one')
  const troupe = createTroupe({
    store: damaged(store, (address, position) => address === '/top/one' && position === newest!.position),
    machines: { counter },
  })
  const session = await troupe.resume(run)
  expect(await session.ask('/top/one', { type: 'get' })).toEqual({ type: 'got', n: 15 })
  const [fact] = factsOf(store, run, 'snapshot.rebuilt')
  expect(fact).toMatchObject({ path: '/top/one', data: { row: newest!.position, entries: 1 } })
  await session.stop()
  expect(store.snapshot(run, '/top/one', 1)?.hash).toBe(newest!.hash)
})

test('with another machine than the one that took the steps, the snapshot is lost and the run does not go on', async () => {
  const { memory, run } = await counted()
  const other = setup({
    types: { context: {} as { n: number }, events: {} as { type: 'add'; n: number } | { type: 'get' } },
  }).createMachine({
    id: 'counter',
    context: { n: 0 },
    initial: 'idle',
    states: { idle: { on: { add: { actions: assign({ n: ({ context, event }) => context.n + 2 * event.n }) } } } },
  })
  const store = damaged(memoryStore(memory), (address) => address === '/top/one')
  expect(
    await codeOf(() =>
      rebuild(store, createRegistry({ machines: { counter: other } }), { run, address: '/top/one', incarnation: 1, at: 1e9 }),
    ),
  ).toBe('E_SNAPSHOT_LOST')
})

test('after a prune, a damaged snapshot is rebuilt from the one that was kept because it stood', async () => {
  const memory = sharedMemory()
  const first = createTroupe({ store: memoryStore(memory), machines: { counter } })
  const children = ['one', 'two'].map((id) => ({ id, src: 'counter' }))
  const session = await first.start({ id: 'top', children })
  await session.send('/top/two', { type: 'add', n: 5 })
  for (let n = 0; n < 20; n++) await session.send('/top/one', { type: 'add', n })
  const { position } = await session.send('/top/two', { type: 'add', n: 2 })
  await session.stop()
  const store = memoryStore(memory)
  store.prune(session.id, position - 1)
  const [newest] = store.snapshots(session.id, '/top/two')
  const troupe = createTroupe({
    store: damaged(store, (address, at) => address === '/top/two' && at === newest!.position),
    machines: { counter },
  })
  const again = await troupe.resume(session.id)
  expect(await again.ask('/top/two', { type: 'get' })).toEqual({ type: 'got', n: 7 })
  await again.stop()
})
