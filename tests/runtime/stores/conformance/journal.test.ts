/** STO-01 to STO-19: what a journal gives back, and what it refuses to take. */
import { expect } from 'vitest'
import type { Commit } from '../../../../src/runtime/store.ts'
import { cell, commit, entries, envelope, OWNER, RUN, runRow, thrown } from '../samples.ts'
import { conform } from './conform.ts'
import { five, read, stream } from './stream.ts'

conform('STO-01', 'a run is read from its first entry to its last', (place) => {
  const { store } = five(place)
  expect([read(store, RUN), store.run(RUN)!.position]).toEqual([[1, 2, 3, 4, 5], 5])
})

conform('STO-02', 'a read begins after the position that it names', (place) => {
  const { store } = five(place)
  expect([read(store, RUN, 3), store.run(RUN)!.position]).toEqual([[3, 4, 5], 5])
})

conform('STO-03', 'an upper bound ends a read and changes nothing', (place) => {
  const { store } = five(place)
  expect([read(store, RUN, 1, 3), store.run(RUN)!.position]).toEqual([[1, 2, 3], 5])
})

conform('STO-04', 'a read gives no more than it was asked for', (place) => {
  const { store } = five(place)
  expect([read(store, RUN, 1, Number.POSITIVE_INFINITY, 3), store.run(RUN)!.position]).toEqual([[1, 2, 3], 5])
})

conform('STO-05', 'of two bounds the narrower one holds', (place) => {
  const { store } = five(place)
  expect(read(store, RUN, 2, 5, 2)).toEqual([2, 3])
})

conform('STO-06', 'one entry can be read by itself', (place) => {
  const { store } = five(place)
  expect([read(store, RUN, 2, 2), read(store, RUN, 2, 4, 1)]).toEqual([[2], [2]])
})

conform('STO-07', 'nothing asked is nothing given', (place) => {
  const { store } = five(place)
  expect([read(store, RUN, 2, 4, 0), store.run(RUN)!.position]).toEqual([[], 5])
})

conform('STO-08', 'bounds in the wrong order give nothing, and are no error', (place) => {
  const { store } = five(place)
  expect([read(store, RUN, 3, 2), read(store, RUN, 3, -7), store.run(RUN)!.position]).toEqual([[], [], 5])
})

conform('STO-09', 'asking for a run that is not there gives nothing and makes nothing', (place) => {
  const store = place.open()
  expect([read(store, 'nope'), store.run('nope'), store.isOwned('nope')]).toEqual([[], null, false])
  expect([store.runs(), store.check({ deep: true }).runs, place.open().run('nope')]).toEqual([[], 0, null])
})

conform('STO-10', 'what was pruned stays gone, after a reopening too', (place) => {
  const { store, p } = five(place)
  expect(thrown(() => store.prune(RUN, 4))).toMatchObject({ name: 'UserError', code: 'E_RUN_OWNED' })
  expect(read(store, RUN)).toEqual([1, 2, 3, 4, 5])
  p.owned.release()
  store.prune(RUN, 4)
  expect(read(store, RUN)).toEqual([4, 5])
  store.close()
  const again = place.open()
  expect([read(again, RUN), again.check({ deep: true }).findings]).toEqual([[4, 5], []])
})

conform('STO-11', 'numbering goes on where it was, also when nothing is left', (place) => {
  const { store, p } = five(place)
  p.owned.release()
  for (const [before, left] of [
    [4, [4, 5]],
    [6, []],
  ] as const) {
    store.prune(RUN, before)
    expect([read(store, RUN), store.run(RUN)!.position]).toEqual([left, 5])
  }
  expect(stream(store).append(1)).toBe(6)
  expect([read(store, RUN), store.check({ deep: true }).findings]).toEqual([[6], []])
})

conform('STO-12', 'pruning or removing one run leaves every other as it was, however alike their names', (place) => {
  const store = place.open()
  const ids = ['a', 'a-2', 'a_', 'A', 'aa']
  for (const id of ids)
    stream(store, id).append(3, (at) => ({ cells: [cell('/team/a')], threadAppends: [{ thread: 't', items: [`"${id}"`], born: at }] }), {
      type: id,
    })
  for (const wild of ['a/%', '%', 'a*']) expect(thrown(() => store.createRun(runRow(wild), commit())).code).toBe('E_RUN_ID')
  const all = (id: string) => [store.run(id), store.journal(id, 0), store.cells(id), store.thread(id, 't'), store.image(id)]
  const others = ids.slice(1).map(all)
  store.close()
  const again = place.open()
  again.prune('a', 3)
  again.remove('a')
  const now = (id: string) => [again.run(id), again.journal(id, 0), again.cells(id), again.thread(id, 't'), again.image(id)]
  expect([again.run('a'), again.journal('a', 0), ids.slice(1).map(now)]).toEqual([null, [], others])
})

conform('STO-13', 'a commit whose second row breaks a rule stores none of its rows, and no number is used up', (place) => {
  const { store, p } = five(place)
  const before = [store.image(RUN), store.journal(RUN, 0), store.cells(RUN)]
  const twice = p.next(3, (at) => ({
    cells: [cell('/team/new')],
    envelopesAdded: [1, 2, 2].map((seq) => ({ envelope: envelope(seq), born: at })),
  }))
  expect(thrown(() => p.owned.commit(twice))).toMatchObject({ name: 'Defect', code: 'E_STORE_CONSTRAINT' })
  const [first, , third] = p.next(3).journal
  const holed = p.next(0, () => ({ journal: [first!, third!] }))
  expect(thrown(() => p.owned.commit(holed))).toMatchObject({ name: 'Defect', code: 'E_JOURNAL_GAP' })
  expect([store.image(RUN), store.journal(RUN, 0), store.cells(RUN)]).toEqual(before)
  expect(p.append(1)).toBe(6)
})

conform('STO-14', 'a value without JSON is refused before anything of its commit is written', (place) => {
  const { store, p } = five(place)
  const before = [store.image(RUN), store.journal(RUN, 0)]
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  for (const bad of [10n, cycle]) {
    const events = [{ type: 'six' }, { type: 'seven', bad } as never, { type: 'eight' }]
    const batch = p.next(3, (at) => ({
      envelopesAdded: events.map((event, n) => ({ envelope: envelope(n + 6, { event }), born: at + n })),
    }))
    expect(thrown(() => p.owned.commit(batch))).toMatchObject({ name: 'Defect', code: 'E_NOT_JSON' })
  }
  for (const bad of [10n, () => 1, cycle]) {
    expect(thrown(() => store.request(RUN, 'send', { bad } as never))).toMatchObject({ name: 'Defect', code: 'E_NOT_JSON' })
    expect(thrown(() => store.createRun(runRow('bad', { meta: { bad } as never }), commit())).code).toBe('E_NOT_JSON')
  }
  expect([store.image(RUN), store.journal(RUN, 0), store.requests(RUN), store.run('bad')]).toEqual([...before, [], null])
})

conform('STO-15', 'text and numbers come back as they went in, and what JSON would change is refused', (place) => {
  const store = place.open()
  const p = stream(store)
  const values = ['häß 🎭 \u2028', 'nul \0 inside', 1e308, 5e-324, '9007199254740993', 'x'.repeat(10_000_000), { ['__proto__']: 1 }, []]
  const data = JSON.stringify({ text: 'häß 🎭 \u2028\0', big: 'y'.repeat(1_000_000) })
  p.append(1, (at) => ({ threadAppends: [{ thread: 'häß', items: values.map((value) => JSON.stringify(value)), born: at }] }), { data })
  p.append(1, (at) => ({ envelopesAdded: [{ envelope: envelope(1, { event: { type: 'x', kept: null, dropped: undefined } }), born: at }] }))
  for (const bad of ['\ud800 alone', -0, Number.NaN, new Date(0), new Uint8Array(2), Object.assign([1], { more: 1 }), new Map()]) {
    expect(thrown(() => store.request(RUN, 'send', { bad } as never)).code).toBe('E_NOT_JSON')
  }
  store.close()
  const again = place.open()
  expect(again.thread(RUN, 'häß')).toEqual(values)
  expect(again.journal(RUN, 0, 1)[0]!.data).toBe(data)
  expect(Object.entries(again.image(RUN).envelopes[0]!.event)).toEqual([
    ['type', 'x'],
    ['kept', null],
  ])
})

conform('STO-16', 'every entry keeps its time, cause, place and type, and what was not given stays away', (place) => {
  const store = place.open()
  const p = stream(store)
  p.append(1, undefined, { at: 1_785_000_000_123, type: 'effect.started', path: '/team/a', inc: 3, cause: 17 })
  p.append(1, undefined, { type: 'run.started', path: null, inc: null, cause: null })
  store.close()
  const told = place
    .open()
    .journal(RUN, 0)
    .map(({ hash: _, data: __, ...entry }) => entry)
  expect(told).toEqual([
    { pos: 1, at: 1_785_000_000_123, type: 'effect.started', path: '/team/a', inc: 3, cause: 17 },
    { pos: 2, at: 1_002, type: 'run.started', path: null, inc: null, cause: null },
  ])
})

/** Two commits from one position; both hold all they need to be written. */
function rivals(p: ReturnType<typeof five>['p']): readonly [Commit, Commit] {
  const with_ = (word: string) =>
    p.next(1, (at) => ({ cells: [cell(`/team/${word}`)], threadAppends: [{ thread: 't', items: [`"${word}"`], born: at }] }))
  return [with_('first'), with_('second')]
}

conform('STO-17', 'of two commits from one position one wins, and the other has written nothing', (place) => {
  const { store, p } = five(place)
  const [first, second] = rivals(p)
  p.owned.commit(first)
  expect(thrown(() => p.owned.commit(second))).toMatchObject({ name: 'Defect', code: 'E_LEASE_LOST' })
  expect([store.run(RUN)!.position, store.thread(RUN, 't'), store.cells(RUN)]).toEqual([6, ['first'], [cell('/team/first')]])
})

conform('STO-18', 'an owner whose run was taken over can write nothing more, and is told so before it starts an effect', (place) => {
  const { store, p } = five(place)
  const other = place.open()
  const taken = other.own(RUN, { ...OWNER, pid: 7 }, { takeOver: true })
  const before = [store.image(RUN), store.cells(RUN)]
  const [late] = rivals(p)
  for (const epoch of [1, 2]) {
    expect(thrown(() => p.owned.commit({ ...late, epoch }))).toMatchObject({ name: 'Defect', code: 'E_LEASE_LOST' })
  }
  expect(thrown(() => p.owned.check())).toMatchObject({ name: 'Defect', code: 'E_LEASE_LOST' })
  expect([store.image(RUN), store.cells(RUN)]).toEqual(before)
  p.owned.release()
  expect(store.isOwned(RUN)).toBe(true)
  taken.check()
  taken.commit({ ...late, epoch: 2 })
  expect([taken.epoch, store.run(RUN)!.position]).toEqual([2, 6])
})

conform('STO-19', 'a commit that is repeated is stored once, and whoever repeats it is told where the journal ends', (place) => {
  const { store, p } = five(place)
  const [next] = rivals(p)
  p.owned.commit(next)
  const image = store.image(RUN)
  let details: unknown
  try {
    p.owned.commit(next)
  } catch (error) {
    details = (error as { details?: unknown }).details
  }
  expect(details).toEqual({ run: RUN, epoch: 1, ownerEpoch: 1, position: 6 })
  expect(store.journal(RUN, 5)).toEqual(next.journal)
  expect([store.thread(RUN, 't'), store.image(RUN)]).toEqual([['first'], image])
  expect(entries(1, 5, store.journal(RUN, 4, 1)[0]!.hash)).toEqual(next.journal)
})
