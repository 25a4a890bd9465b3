/** STO-34, STO-35 and STO-37: from stored snapshots back to a live tree, where a snapshot is damaged and where the code has changed. */
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { assign, setup } from 'xstate'
import { createTroupe } from '../../../../src/actors/troupe.ts'
import { Defect } from '../../../../src/errors.ts'
import type { Host } from '../../../../src/runtime/engine.ts'
import { localEngine } from '../../../../src/runtime/engines/local.ts'
import type { OldSnapshot } from '../../../../src/runtime/migrations.ts'
import { rebuild } from '../../../../src/runtime/replay.ts'
import type { Store } from '../../../../src/runtime/store.ts'
import { factsOf, only } from '../../../harness.ts'
import { counter } from '../../counter.ts'
import { conform, type Place } from './conform.ts'
import { live } from './life.ts'
import { contextOf } from './stream.ts'

const ONE = '/top/one'

/** A run whose actor has counted 1 + 2 + ... + `events`; stopped. */
async function counted(place: Place, events: number): Promise<{ run: string; host: Host }> {
  const store = place.open()
  let host: Host | undefined
  const engine = localEngine({ store })
  const start: typeof engine.start = (tree, given, options) => {
    host = given
    return engine.start(tree, given, options)
  }
  const troupe = createTroupe({ engine: { ...engine, start }, machines: { counter }, reap: async () => [] })
  const session = await troupe.start(only('counter'))
  await Promise.all(Array.from({ length: events }, (_, n) => session.send(ONE, { type: 'add', n: n + 1 })))
  await session.stop()
  store.close()
  return { run: session.id, host: host! }
}

/** Says of every snapshot of the actor after a position that it is damaged. */
function damagedAfter(inner: Store, sound: number): Store {
  return {
    ...inner,
    snapshot(run, address, incarnation, at) {
      const [newest] = inner.snapshots(run, address, at === undefined ? { limit: 1 } : { before: at + 1, limit: 1 })
      if (address === ONE && newest !== undefined && newest.position > sound)
        throw new Defect('E_SNAPSHOT_DAMAGED', `the snapshot at ${newest.position} is damaged`, { position: newest.position })
      return inner.snapshot(run, address, incarnation, at)
    },
  }
}

/** Another number in the text of one snapshot, put there behind the store's back. */
function damagedOnDisk({ path, open }: Place, position: number): Store {
  const db = new Database(path)
  const changed = db.prepare(
    `UPDATE journal SET snap = replace(snap, '"n":210', '"n":211') WHERE id % 4294967296 = ? AND snap LIKE '%"n":210%'`,
  )
  expect(changed.run(position).changes).toBe(1)
  db.close()
  return open()
}

conform(
  'STO-34',
  'it is rebuilt from the one before and the events after, said in the journal, and equal to what was lost',
  async (place) => {
    const { run } = await counted(place, 20)
    const before = place.open()
    const intact = before.snapshot(run, ONE, 1)
    const [newest, previous] = before.snapshots(run, ONE, { limit: 2 })
    before.close()
    const store = place.kind === 'memory' ? damagedAfter(place.open(), previous!.position) : damagedOnDisk(place, newest!.position)
    const troupe = createTroupe({ store, machines: { counter }, reap: async () => [] })
    const session = await troupe.resume(run)
    await session.send(ONE, { type: 'mute' })
    expect(session.snapshot(ONE)).toMatchObject({ context: { n: 210 } })
    expect(factsOf(store, run, 'snapshot.rebuilt')).toMatchObject([
      { path: ONE, data: { row: newest!.position, from: previous!.position, entries: 1 } },
    ])
    await session.stop()
    store.close()
    expect(contextOf(place.open().snapshot(run, ONE, 1))).toEqual(contextOf(intact))
  },
)

conform(
  'STO-35',
  'any snapshot of a thousand events, and none at all, lead to the same state and the same hash',
  async (place) => {
    const { run, host } = await counted(place, 1_000)
    const store = place.open()
    const at = store.run(run)!.position
    const intact = store.snapshot(run, ONE, 1)
    const versions: number[] = []
    for (let before = at + 1; ; ) {
      const page = store.snapshots(run, ONE, { before, limit: 300 })
      if (page.length === 0) break
      versions.unshift(...page.map(({ position }) => position).reverse())
      before = page.at(-1)!.position
    }
    expect([versions.length, contextOf(intact)]).toEqual([1_001, { n: 500_500 }])
    for (let index = -1; index < 1_000; index += process.env['TROUPE_NIGHTLY'] === undefined ? 250 : 50) {
      const sound = versions[index] ?? 0
      const rebuilt = rebuild(damagedAfter(store, sound), host, { run, address: ONE, incarnation: 1, at })
      expect({ ...rebuilt, snapshot: { ...rebuilt.snapshot } }).toEqual({ from: sound, steps: 1_000 - index, snapshot: intact })
    }
  },
  120_000,
)

/** A reviewed text, in the words of a first version and of a second one that has no `review`. */
const desk = (version: '1' | '2') =>
  setup({ types: { context: {} as { n: number }, events: {} as { type: 'submit' | 'look' } } }).createMachine({
    id: 'desk',
    version,
    context: { n: 0 },
    initial: 'draft',
    states: {
      draft: { on: { submit: { target: version === '1' ? 'review' : 'checking', actions: assign({ n: 1 }) } } },
      [version === '1' ? 'review' : 'checking']: {},
    },
  })

conform('STO-37', 'a state that is gone is named and nothing is changed; with a migration the run goes on', async (place) => {
  const first = live(place, { machines: { desk: desk('1') } })
  const session = await first.troupe.start(only('desk'))
  await session.send(ONE, { type: 'submit' })
  await session.stop()
  first.die()
  const before = place.open().image(session.id)
  const changed = live(place, { machines: { desk: desk('2') } })
  const refused = await changed.troupe.resume(session.id).then(
    () => null,
    (error: Error & { code: string; options?: { exit: number; fix: string } }) => error,
  )
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_MACHINE_CHANGED', options: { exit: 3 } })
  expect([refused!.message.includes('review'), refused!.message.includes('desk')]).toEqual([true, true])
  const after = place.open().image(session.id)
  expect({ ...after, run: { ...after.run, epoch: 0, owner: null } }).toEqual({ ...before, run: { ...before.run, epoch: 0, owner: null } })
  changed.die()
  const desk2 = ({ value, context }: OldSnapshot) => ({ value: value === 'review' ? 'checking' : value, context: { n: context.n + 1 } })
  for (const life of ['the first resume', 'the next']) {
    const migrated = live(place, { machines: { desk: desk('2') }, migrations: { desk: desk2 } })
    const again = await migrated.troupe.resume(session.id)
    await again.send(ONE, { type: 'look' })
    expect([life, again.snapshot(ONE)]).toMatchObject([life, { value: 'checking', context: { n: 2 } }])
    await again.stop()
    migrated.die()
  }
  expect(factsOf(place.open(), session.id, 'actor.migrated')).toMatchObject([{ path: ONE, data: { machine: 'desk', from: '1', to: '2' } }])
})
