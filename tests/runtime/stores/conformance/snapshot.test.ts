/** STO-26 to STO-33, and STO-36: the snapshots of an actor, each at the position of its step. */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import type { Chunk, EncodedSnapshot } from '../../../../src/runtime/cell.ts'
import type { Store } from '../../../../src/runtime/store.ts'
import { cell, RUN, thrown } from '../samples.ts'
import { conform, type Place } from './conform.ts'
import { ACTOR, contextOf, elevenToFifteen, snap, stream, taken } from './stream.ts'

const at = (store: Store, position?: number) => contextOf(store.snapshot(RUN, ACTOR, 1, position))
const positions = (store: Store, options?: Parameters<Store['snapshots']>[2]) =>
  store.snapshots(RUN, ACTOR, options).map(({ position }) => position)

conform('STO-26', 'without a position it is the newest one, whole', (place) => {
  const { store } = elevenToFifteen(place)
  expect(store.snapshot(RUN, ACTOR, 1)).toEqual(snap(15))
  store.close()
  expect(place.open().snapshot(RUN, ACTOR, 1)).toEqual(snap(15))
})

conform('STO-27', 'an actor, a life or a run that is not there has none, and that is no error', (place) => {
  const { store } = elevenToFifteen(place)
  expect([
    store.snapshot(RUN, '/team/b', 1),
    store.snapshot(RUN, ACTOR, 2),
    store.snapshot('nope', ACTOR, 1),
    store.snapshots(RUN, '/team/b'),
    store.snapshots('nope', ACTOR),
  ]).toEqual([null, null, null, [], []])
})

conform('STO-28', 'at a position it is the newest one up to there', (place) => {
  const { store } = elevenToFifteen(place)
  expect([13, 12, 11, 10, 7, 0, 15, 99].map((position) => at(store, position))).toEqual([13, 12, 11, null, null, null, 15, 15])
})

conform('STO-29', 'versions carry the time of their step, so that a moment finds its position', (place) => {
  const { store } = elevenToFifteen(place)
  const before = (timeMs: number) => {
    const version = store.snapshots(RUN, ACTOR).find((one) => one.at <= timeMs)
    return version === undefined ? null : at(store, version.position)
  }
  expect([before(13_000), before(13_999), before(10_999), before(1e15)]).toEqual([13, 13, null, 15])
})

conform('STO-30', 'whoever must do without one finds the one before it; none can be deleted by itself', (place) => {
  const { store } = elevenToFifteen(place)
  const [before] = store.snapshots(RUN, ACTOR, { before: 13, limit: 1 })
  expect(before).toEqual({ position: 12, incarnation: 1, at: 12_000, hash: snap(12).hash })
  expect([at(store, before!.position), positions(store, { before: 14 })]).toEqual([12, [13, 12, 11]])
})

conform('STO-31', 'pruning takes the old ones with their entries and leaves what stands and what came after', (place) => {
  const { store, p } = elevenToFifteen(place)
  p.owned.release()
  for (const before of [-1, 0, 1]) store.prune(RUN, before)
  expect([positions(store), store.journal(RUN, 0).length]).toEqual([[15, 14, 13, 12, 11], 15])
  store.prune(RUN, 14)
  for (const gone of [12, 7, 0]) expect(thrown(() => at(store, gone))).toMatchObject({ name: 'UserError', code: 'E_POSITION_PRUNED' })
  // 13 is where the history begins now: what stood there is kept.
  expect([at(store, 13), at(store, 14), at(store, 15), at(store), positions(store)]).toEqual([13, 14, 15, 15, [15, 14, 13]])
  store.prune(RUN, 14)
  store.close()
  const again = place.open()
  expect([at(again, 13), at(again), positions(again), again.check({ deep: true }).findings]).toEqual([13, 15, [15, 14, 13], []])
})

conform('STO-32', 'a position is written once; what is saved anew stands at a new one, and there is one current', (place) => {
  const { store, p } = elevenToFifteen(place)
  const rewritten = p.next(1, () => ({ snapshots: [{ address: ACTOR, incarnation: 1, snapshot: snap('rewritten'), born: 15 }] }))
  expect(thrown(() => p.owned.commit(rewritten)).name).toBe('Defect')
  const twice = p.next(1, (born) => ({
    snapshots: [ACTOR, '/team/b'].map((address) => ({ address, incarnation: 1, snapshot: snap(address), born })),
  }))
  expect(thrown(() => p.owned.commit(twice)).name).toBe('Defect')
  expect([at(store), store.run(RUN)!.position, positions(store)]).toEqual([15, 15, [15, 14, 13, 12, 11]])
  p.append(1, taken('new'))
  expect([at(store), at(store, 15), positions(store)]).toEqual(['new', 15, [16, 15, 14, 13, 12, 11]])
})

/** Text that no compression makes much shorter. */
function noise(bytes: number): string {
  return randomBytes((bytes * 3) / 4).toString('base64')
}

/** A snapshot of about so many bytes in chunks of a hundred kilobytes, as a large context is stored. */
function inChunks(bytes: number): EncodedSnapshot {
  const parts: Chunk[] = []
  for (let n = 0; n * 100_000 < bytes; n++) {
    const { json: text, hash } = snap(noise(Math.min(100_000, bytes)))
    parts.push({ hash, text, chunks: [] })
  }
  const root = snap(parts.map(({ hash }) => ({ '@troupe.chunk': hash })))
  return { ...root, chunks: parts }
}

function savedAndLoaded(place: Place, snapshot: EncodedSnapshot): EncodedSnapshot | null {
  const store = place.open()
  stream(store).append(1, (born) => ({ cells: [cell(ACTOR)], snapshots: [{ address: ACTOR, incarnation: 1, snapshot, born }] }))
  store.close()
  return place.open().snapshot(RUN, ACTOR, 1)
}

conform(
  'STO-33',
  'ten kilobytes, ten and a hundred megabytes come back equal, as one text and in chunks',
  (place) => {
    for (const bytes of [10_000, 10_000_000, 100_000_000]) {
      for (const make of [() => snap(noise(bytes)), () => inChunks(bytes)]) {
        const snapshot = make()
        const loaded = savedAndLoaded(place, snapshot)
        // Not `toEqual`: its message about a hundred megabytes would be as long.
        expect([loaded?.hash, loaded?.json === snapshot.json]).toEqual([snapshot.hash, true])
        expect(loaded?.chunks?.map(({ hash, text }) => [hash, text.length])).toEqual(
          snapshot.chunks?.map(({ hash, text }) => [hash, text.length]),
        )
        expect(snapshot.chunks?.every(({ text }, n) => loaded!.chunks![n]!.text === text) ?? true).toBe(true)
        place.open().remove(RUN)
      }
    }
  },
  120_000,
)

conform('STO-36', 'a snapshot that is ahead of its journal is refused with everything that came with it', (place) => {
  const { store, p } = elevenToFifteen(place)
  const before = store.image(RUN)
  for (const born of [17, 18, 100]) {
    const ahead = p.next(1, () => ({
      cells: [cell(ACTOR, { nextId: 7 })],
      snapshots: [{ address: ACTOR, incarnation: 1, snapshot: snap(born), born }],
    }))
    expect(thrown(() => p.owned.commit(ahead)).name).toBe('Defect')
  }
  expect([store.image(RUN), store.cells(RUN), at(store), positions(store)]).toEqual([before, [cell(ACTOR)], 15, [15, 14, 13, 12, 11]])
})
