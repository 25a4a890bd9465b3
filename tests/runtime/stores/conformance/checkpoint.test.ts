/** STO-38 to STO-49: the state where a commit ends, as one whole; and the rows of cells as durable values. */
import { expect } from 'vitest'
import { chain } from '../../../../src/runtime/journal.ts'
import type { RunStatus, Store } from '../../../../src/runtime/store.ts'
import { cell, commit, effect, entries, envelope, OWNER, RUN, runRow, thrown, timer } from '../samples.ts'
import { conform, type Place } from './conform.ts'
import { ACTOR, contextOf, snap, stream, taken } from './stream.ts'

const parent = { address: '/team', incarnation: 1 }
const nested = (word: string) => cell(ACTOR, { parent, input: { word }, children: [], systemIds: { [word]: parent } })

/** Two checkpoints: root and a nested actor with mail, a timer and an effect; then the nested one changes and one of its mails is done. */
function two(place: Place) {
  const store = place.open()
  const p = stream(store)
  p.append(2, (at) => ({
    cells: [cell('/team'), nested('one')],
    snapshots: [
      { address: '/team', incarnation: 1, snapshot: snap('root'), born: at },
      { address: ACTOR, incarnation: 1, snapshot: snap('one'), born: at + 1 },
    ],
    envelopesAdded: [1, 2].map((seq) => ({ envelope: envelope(seq, { to: ACTOR, from: '/team' }), born: at + 1 })),
    timersSet: [{ timer: timer(1), born: at + 1 }],
    effects: [{ effect: effect('e1'), changed: at + 1 }],
    threadAppends: [{ thread: 't', items: ['"one"'], born: at + 1 }],
  }))
  const first = whole(store)
  p.append(
    1,
    (at) => ({
      cells: [nested('two')],
      snapshots: [{ address: ACTOR, incarnation: 1, snapshot: snap('two'), born: at }],
      envelopesDone: [{ seq: 1, died: at, outcome: 'consumed' }],
      effects: [{ effect: effect('e1', { status: 'started', attempt: 1 }), changed: at }],
      threadAppends: [{ thread: 't', items: ['"two"'], born: at }],
    }),
    { cause: 2 },
  )
  return { store, p, first, second: whole(store) }
}

/** Everything of a checkpoint that is not the run's own row. */
function whole(store: Store, at?: number) {
  const {
    run: { position, hash },
    ...image
  } = store.image(RUN, at)
  const cells = store.cells(RUN, at)
  return {
    ...{ position, hash, image, cells, effects: store.effects(RUN, at), thread: store.thread(RUN, 't', 0, at) },
    snapshots: cells.map(({ address, incarnation }) => store.snapshot(RUN, address, incarnation, at)),
    each: cells.map(({ address }) => store.cell(RUN, address, at)),
  }
}

conform('STO-38', 'root and nested actors are as they were put, and a version names itself without its content', (place) => {
  const { store, first } = two(place)
  expect([whole(store, 2), first.cells, first.snapshots]).toEqual([first, [cell('/team'), nested('one')], [snap('root'), snap('one')]])
  expect(store.snapshots(RUN, ACTOR)).toEqual([
    { position: 3, incarnation: 1, at: 1_003, hash: snap('two').hash },
    { position: 2, incarnation: 1, at: 1_002, hash: snap('one').hash },
  ])
})

conform('STO-39', 'the second names the first, by its cause and by its hash; the first names none', (place) => {
  const { store } = two(place)
  const [first, end, second] = store.journal(RUN, 0)
  expect([first!.cause, second!.cause, store.commitEnd(RUN, 1), store.commitEnd(RUN, 2), store.commitEnd(RUN, 3)]).toEqual([
    null,
    2,
    2,
    2,
    3,
  ])
  expect([chain('', first!), chain(end!.hash, second!)]).toEqual([first!.hash, second!.hash])
})

conform('STO-40', 'without a position it is the latest, with what waits in it', (place) => {
  const { store, second } = two(place)
  expect([whole(store), whole(store, 3), whole(store, 4)]).toEqual([second, second, second])
  expect(second.image.envelopes).toEqual([envelope(2, { to: ACTOR, from: '/team' })])
  store.close()
  expect(whole(place.open())).toEqual(second)
})

conform(
  'STO-41',
  'what is not there is null or empty; only the image of an unknown run is an error, after `run` has said null',
  (place) => {
    const { store } = two(place)
    expect([
      store.run('nope'),
      store.cell('nope', ACTOR),
      store.cell(RUN, '/nobody'),
      store.cell(RUN, ACTOR, 0),
      store.snapshot(RUN, ACTOR, 1, 1),
      store.cells('nope'),
      store.children('nope', '/team'),
      store.effects('nope'),
      store.thread(RUN, 'nope'),
      store.machines('nope'),
      store.requests('nope'),
      store.image(RUN, 0).envelopes,
    ]).toEqual([null, null, null, null, null, [], [], [], [], [], [], []])
    expect(thrown(() => store.image('nope'))).toMatchObject({ name: 'UserError', code: 'E_RUN_NOT_FOUND', exit: 9 })
  },
)

conform('STO-42', 'a commit without a run, for another run, or for one that is not there is rejected', (place) => {
  const store = place.open()
  for (const id of ['', '..', 'a/b', 'x'.repeat(65)]) expect(thrown(() => store.createRun(runRow(id), commit())).code).toBe('E_RUN_ID')
  expect(thrown(() => store.own('nope', OWNER))).toMatchObject({ name: 'UserError', code: 'E_RUN_NOT_FOUND', exit: 9 })
  expect(thrown(() => store.request('nope', 'cancel', null))).toMatchObject({ code: 'E_RUN_NOT_FOUND' })
  expect(thrown(() => store.prune('nope', 1))).toMatchObject({ code: 'E_RUN_NOT_FOUND' })
  const p = stream(store)
  for (const run of ['', 'other']) expect(thrown(() => p.owned.commit({ ...p.next(1), run }))).toMatchObject({ code: 'E_COMMIT_INVALID' })
  expect([store.runs().map(({ run }) => run), store.run(RUN)!.position]).toEqual([[RUN], 0])
})

conform('STO-43', 'what belongs to no actor belongs to the run: its path is null, and an empty name is a name', (place) => {
  const store = place.open()
  const p = stream(store)
  p.append(1, (at) => ({ threadAppends: [{ thread: '', items: ['1'], born: at }] }), { path: null, inc: null })
  p.append(1, undefined, { path: '/', inc: 1 })
  expect([store.journal(RUN, 0).map(({ path, inc }) => [path, inc]), store.thread(RUN, ''), store.thread(RUN, 'x')]).toEqual([
    [
      [null, null],
      ['/', 1],
    ],
    [1],
    [],
  ])
})

conform('STO-44', 'what waits is given back in order with sender and receiver, and is never there twice', (place) => {
  const store = place.open()
  const p = stream(store)
  const mail = [7, 3, 12].map((seq) => envelope(seq, { to: `/team/${seq}`, from: ACTOR, child: { id: `c${seq}`, incarnation: seq } }))
  p.append(1, (at) => ({
    envelopesAdded: mail.map((one) => ({ envelope: one, born: at })),
    effects: ['e10', 'e9'].map((id) => ({ effect: effect(id), changed: at })),
  }))
  const again = p.next(1, (at) => ({ envelopesAdded: [{ envelope: mail[1]!, born: at }] }))
  expect(thrown(() => p.owned.commit(again))).toMatchObject({ code: 'E_STORE_CONSTRAINT' })
  const { envelopes, effects } = store.image(RUN)
  expect([envelopes, effects]).toEqual([
    [mail[1], mail[0], mail[2]],
    [effect('e9'), effect('e10')],
  ])
})

conform('STO-45', 'every combination of filters gives exactly what matches, newest first, no more than was asked', (place) => {
  const store = place.open()
  const rows = ['01A', '01C', '01B', '01D'].map((id, n) =>
    runRow(id, { project: n < 3 ? '/p' : null, status: n % 2 === 0 ? 'running' : 'failed' }),
  )
  for (const row of rows) store.createRun(row, commit({ clock: row.clock }))
  const newestFirst = [...rows].sort((a, b) => (a.run < b.run ? 1 : -1))
  for (const project of [undefined, '/p', '/q']) {
    for (const status of [undefined, [], ['running'], ['failed', 'limited'], ['running', 'failed']] as (RunStatus[] | undefined)[]) {
      for (const limit of [undefined, 0, 1, 3, 99]) {
        const matching = newestFirst.filter(
          (row) => (project === undefined || row.project === project) && (status?.includes(row.status) ?? true),
        )
        expect([project, status, limit, store.runs({ project, status, limit })]).toEqual([project, status, limit, matching.slice(0, limit)])
      }
    }
  }
  const p = stream(store)
  for (let n = 0; n < 6; n++) p.append(2, taken(n))
  const born = [11, 9, 7, 5, 3, 1]
  for (const before of [undefined, 0, 1, 2, 7, 99]) {
    for (const limit of [undefined, 0, 1, 4, 99]) {
      const options = { ...(before === undefined ? {} : { before }), ...(limit === undefined ? {} : { limit }) }
      const matching = born.filter((position) => before === undefined || position < before).slice(0, limit)
      expect([options, store.snapshots(RUN, ACTOR, options).map(({ position }) => position)]).toEqual([options, matching])
    }
  }
})

conform('STO-46', 'a commit that writes only what changed leaves a whole: the rest is carried over', (place) => {
  const { store, second } = two(place)
  expect([second.cells, second.snapshots.map(contextOf), second.thread]).toEqual([
    [cell('/team'), nested('two')],
    ['root', 'two'],
    ['one', 'two'],
  ])
  expect([second.image.timers, second.image.systemIds, store.children(RUN, '/team')]).toEqual([[timer(1)], { two: parent }, [ACTOR]])
})

conform('STO-47', 'a run that is removed is gone with all its rows, and what it shared with another stays for that one', (place) => {
  const store = place.open()
  const shared = JSON.stringify('shared'.repeat(20_000))
  const fill = (id: string) => {
    const p = stream(store, id)
    p.append(1, (at) => ({
      ...taken('context '.repeat(5_000))(at),
      cells: [cell(ACTOR)],
      envelopesAdded: [{ envelope: envelope(1), born: at }],
      effects: [{ effect: effect('e1', { input: { prompt: shared } }), changed: at }],
      threadAppends: [{ thread: 't', items: [shared, JSON.stringify(`only ${id} `.repeat(5_000))], born: at }],
    }))
    store.request(id, 'send', { to: id })
    return p
  }
  const [p] = [fill('one'), fill('two')]
  const all = (id: string) => [
    store.image(id),
    store.journal(id, 0),
    store.cells(id),
    store.snapshot(id, ACTOR, 1),
    store.effects(id),
    store.thread(id, 't'),
    store.requests(id),
  ]
  const other = all('two')
  expect(thrown(() => store.remove('one'))).toMatchObject({ name: 'UserError', code: 'E_RUN_OWNED' })
  p.owned.release()
  store.remove('one')
  store.remove('one')
  expect([
    store.run('one'),
    store.journal('one', 0),
    store.cells('one'),
    store.snapshot('one', ACTOR, 1),
    store.effects('one'),
    store.thread('one', 't'),
    store.requests('one'),
  ]).toEqual([null, [], [], null, [], [], []])
  const kept = store.check({ deep: true })
  expect([all('two'), kept.runs, kept.findings]).toEqual([other, 1, []])
  const fresh = stream(store, 'one')
  expect([fresh.owned.epoch, fresh.append(1), store.cells('one'), store.thread('one', 't')]).toEqual([1, 1, [], []])
})

conform('STO-48', 'a change from a revision that is not the current one is rejected, and the value stays', (place) => {
  const store = place.open()
  const p = stream(store)
  const first = p.next(1, () => ({ cells: [cell(ACTOR, { nextId: 1 })] }))
  p.owned.commit(first)
  const again = { ...first, cells: [cell(ACTOR, { nextId: 2 })] }
  const deletion = p.next(1, () => ({ cells: [cell(ACTOR, { status: 'gone' })], expectedPosition: 99, journal: entries(1, 99) }))
  for (const wrong of [again, deletion]) expect(thrown(() => p.owned.commit(wrong))).toMatchObject({ code: 'E_LEASE_LOST' })
  expect([store.cell(RUN, ACTOR), store.run(RUN)!.position]).toEqual([cell(ACTOR, { nextId: 1 }), 1])
})

conform('STO-49', 'an address that was gone lives again with its next row, and its history says when it did not', (place) => {
  const store = place.open()
  const p = stream(store)
  p.append(1, () => ({ cells: [cell(ACTOR, { incarnation: 2 })] }))
  p.append(1, () => ({ cells: [cell(ACTOR, { incarnation: 2, status: 'gone' })] }))
  p.append(1, () => ({ cells: [cell(ACTOR, { nextId: 3 })] }))
  expect([1, 2, 3].map((position) => store.cell(RUN, ACTOR, position))).toEqual([
    cell(ACTOR, { incarnation: 2 }),
    null,
    cell(ACTOR, { nextId: 3 }),
  ])
  expect([store.cell(RUN, ACTOR), store.cells(RUN)]).toEqual([cell(ACTOR, { nextId: 3 }), [cell(ACTOR, { nextId: 3 })]])
})
