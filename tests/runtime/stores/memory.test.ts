/** What is particular to the store in memory; what it shares with the other one is in conformance/ and contract.test.ts. */
import { expect, test } from 'vitest'
import { memoryStore, sharedMemory } from '../../../src/runtime/stores/memory.ts'
import { ACTOR, snap, stream } from './conformance/stream.ts'
import { commit, entries, OWNER, RUN, runRow, thrown } from './samples.ts'

test('stores share what they are given to share, and nothing else', () => {
  const memory = sharedMemory()
  const [one, two, other] = [memoryStore(memory), memoryStore(memory), memoryStore()]
  for (const store of [one, other]) store.createRun(runRow(), commit({ journal: entries(1) }))
  one.own(RUN, OWNER)
  expect([one.isOwned(RUN), two.isOwned(RUN), other.isOwned(RUN)]).toEqual([true, true, false])
  one.close()
  expect([two.run(RUN)!.position, two.isOwned(RUN), thrown(() => one.run(RUN)).code]).toEqual([1, false, 'E_STORE_CLOSED'])
  expect([one.path, two.path]).toEqual(['(memory)', '(memory)'])
})

test('there is nothing to back up, and it says what to use instead', async () => {
  const store = memoryStore()
  await expect(store.backup('copy.db')).rejects.toMatchObject({
    name: 'UserError',
    code: 'E_STORE_IN_MEMORY',
    options: { exit: 10, fix: expect.stringContaining('sqliteStore') },
  })
  store.close()
  await expect(store.backup('copy.db')).rejects.toMatchObject({ code: 'E_STORE_CLOSED' })
})

test('a deep check names the snapshot that is not what its hash says, a shallow one does not look', () => {
  const store = memoryStore()
  const snapshot = { ...snap('one'), json: snap('other').json }
  stream(store).append(2, (born) => ({ snapshots: [{ address: ACTOR, incarnation: 1, snapshot, born }] }))
  expect(store.check()).toEqual({ path: '(memory)', deep: false, runs: 1, entries: 2, blobs: 0, findings: [] })
  expect(store.check({ deep: true }).findings).toEqual([
    { run: RUN, code: 'E_SNAPSHOT_DAMAGED', what: `the snapshot of ${ACTOR} at 1 is not what its hash says`, position: 1 },
  ])
  expect(store.check({ deep: true, run: 'other' }).runs).toBe(0)
})
