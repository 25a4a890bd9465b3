/** What is forgotten and what is not: the history of a run up to a position, all of a run, and texts that nobody names any more. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { firstBreak } from '../../../src/runtime/journal.ts'
import type { Store } from '../../../src/runtime/store.ts'
import { digestOf } from '../../../src/runtime/stores/sqlite/digest.ts'
import {
  ask,
  cell,
  chunk,
  chunkRef,
  commit,
  effect,
  entries,
  envelope,
  folder,
  OWNER,
  openStore,
  RUN,
  runRow,
  snapshot,
  steps,
  thrown,
  timer,
} from './samples.ts'

const LONG = 'long '.repeat(2_000)
const positions = (store: Store, run = RUN) => store.journal(run, 0).map(({ pos }) => pos)
function query<T>(store: Store, look: (db: Database.Database) => T): T {
  const db = new Database(store.path)
  try {
    return look(db)
  } finally {
    db.close()
  }
}
const count = (store: Store, table: string): unknown => query(store, (db) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get())
const digests = (store: Store) =>
  query(store, (db) => {
    const rows = db.prepare<[], { run: number; digest: number }>('SELECT run, digest FROM head').all()
    return rows.map(({ run, digest }) => digest === digestOf(db, run))
  })

/** Eight commits of one entry: things that end early, things that stay open, a life that began before anything was forgotten. */
function history() {
  const { store, step, path } = steps()
  const part = (n: number) => chunk(`part ${n} `.repeat(100))
  const taken = (n: number) => snapshot(`at ${n}`, { context: chunkRef(part(n)), chunks: [part(n)] })
  step((at) => ({
    cells: [cell('/team'), cell('/team/a')],
    snapshots: [{ address: '/team', incarnation: 1, snapshot: taken(at), born: at }],
    effects: ['e1', 'e2'].map((id) => ({ effect: effect(id, { input: { text: 'in' } }), changed: at })),
  }))
  step((at) => ({
    snapshots: [{ address: '/team/a', incarnation: 1, snapshot: taken(at), born: at }],
    envelopesAdded: [1, 2].map((seq) => ({ envelope: envelope(seq, { event: { type: 'x', text: `${LONG}${seq}` } }), born: at })),
    timersSet: [1, 2].map((id) => ({ timer: timer(id), born: at })),
    asksAdded: [1, 2].map((id) => ({ ask: ask(id), born: at })),
  }))
  step((at) => ({
    envelopesDone: [{ seq: 1, died: at, outcome: 'consumed' }],
    timersDone: [{ timer: 1, died: at }],
    asksDone: [{ ask: 1, died: at }],
    effects: [{ effect: effect('e1', { input: { text: 'in' }, status: 'started' }), changed: at }],
    threadAppends: [{ thread: 't', items: ['1', JSON.stringify(LONG)], born: at }],
  }))
  step((at) => ({
    cells: [cell('/team/a', { status: 'gone' })],
    snapshots: [{ address: '/team', incarnation: 1, snapshot: taken(at), born: at }],
    effects: [{ effect: effect('e2', { input: { text: 'in' }, status: 'cancelled' }), changed: at }],
  }))
  for (let n = 5; n <= 7; n++) step(() => ({ cells: [cell('/team', { nextId: n })] }))
  step((at) => ({ snapshots: [{ address: '/team', incarnation: 1, snapshot: taken(at), born: at }] }))
  return { store, path, taken }
}

const everything = (store: Store, at?: number) => ({
  image: store.image(RUN, at),
  cells: store.cells(RUN, at),
  snapshot: store.snapshot(RUN, '/team', 1, at),
  effects: store.effects(RUN, at),
  thread: store.thread(RUN, 't', 0, at),
})
function released(made: ReturnType<typeof history>): Store {
  made.store.close()
  return openStore(made.path)
}

test('STO-10, STO-11: what is forgotten is gone for good; what is open stays, numbers go on, and the chain is held by its anchor', () => {
  const made = history()
  const before = [6, 7, 8, undefined].map((at) => everything(made.store, at))
  const hashes = made.store.journal(RUN, 0).map(({ hash }) => hash)
  const store = released(made)
  store.prune(RUN, 7)
  const check = (from: Store) => {
    expect(positions(from)).toEqual([7, 8])
    expect(firstBreak(from.journal(RUN, 0), hashes[5])).toBeNull()
    expect([6, 7, 8, undefined].map((at) => everything(from, at))).toEqual(before)
    expect(thrown(() => from.image(RUN, 5))).toMatchObject({ name: 'UserError', code: 'E_POSITION_PRUNED', exit: 9 })
    expect(digests(from)).toEqual([true])
  }
  check(store)
  store.close()
  const again = openStore(made.path)
  check(again)
  const owned = again.own(RUN, OWNER)
  owned.commit(commit({ epoch: owned.epoch, expectedPosition: 8, journal: entries(1, 8, hashes[7]) }))
  expect(positions(again)).toEqual([7, 8, 9])
})

test('what was dead by then leaves no row, and no text', () => {
  const made = history()
  const store = released(made)
  const tables = ['journal', 'cell', 'envelope', 'timer', 'ask', 'effect', 'blob']
  const counted = () => Object.fromEntries(tables.map((table) => [table, count(store, table)]))
  expect(counted()).toEqual({ journal: 8, cell: 6, envelope: 2, timer: 2, ask: 2, effect: 4, blob: 7 })
  store.prune(RUN, 7)
  // Entry 4 stays without what it told: it holds the snapshot that was the newest at the anchor. Effect e1 keeps the version that holds its input.
  expect(counted()).toEqual({ journal: 3, cell: 2, envelope: 1, timer: 1, ask: 1, effect: 4, blob: 4 })
  const kept = query(store, (db) =>
    db.prepare('SELECT id % 4294967296, data, snap IS NULL FROM journal WHERE id % 4294967296 <= 6').raw().all(),
  )
  expect(kept).toEqual([[4, 'null', 0]])
  expect(store.snapshots(RUN, '/team').map(({ position }) => position)).toEqual([8, 4])
  store.prune(RUN, 99)
  expect([positions(store), count(store, 'journal'), store.run(RUN)!.position, digests(store)]).toEqual([[], 1, 8, [true]])
  expect([everything(store).snapshot, store.snapshot(RUN, '/team/a', 1)]).toEqual([made.taken(8), null])
  store.prune(RUN, 3)
  expect(store.run(RUN)!.position).toBe(8)
})

test('an owned run forgets nothing; one that is owned no more does', () => {
  const { store, path } = history()
  const before = store.journal(RUN, 0)
  const other = openStore(path)
  for (const call of [() => store.prune(RUN, 5), () => store.remove(RUN), () => other.prune(RUN, 5), () => other.remove(RUN)]) {
    expect(thrown(call)).toMatchObject({ name: 'UserError', code: 'E_RUN_OWNED', exit: 10 })
  }
  expect(other.journal(RUN, 0)).toEqual(before)
  store.close()
  other.prune(RUN, 5)
  expect(positions(other)).toEqual([5, 6, 7, 8])
})

test('STO-12, STO-47: a run that is removed takes along what only it used, and nothing of others', () => {
  const { store, path } = history()
  const other = { run: 'other', part: chunk('part 1 '.repeat(100)) }
  const shared = snapshot('shared', { context: chunkRef(other.part), chunks: [other.part] })
  store.createRun(
    runRow(other.run),
    commit({
      journal: entries(1),
      cells: [cell('/team')],
      snapshots: [{ address: '/team', incarnation: 1, snapshot: shared, born: 1 }],
      threadAppends: [{ thread: 't', items: [JSON.stringify(LONG)], born: 1 }],
    }),
  )
  store.request(RUN, 'send', LONG)
  const kept = [store.image(other.run), store.snapshot(other.run, '/team', 1), store.thread(other.run, 't')]
  store.close()
  const again = openStore(path)
  again.remove(RUN)
  again.remove(RUN)
  expect([again.run(RUN), again.journal(RUN, 0), again.runs().map(({ run }) => run)]).toEqual([null, [], ['other']])
  expect([again.image(other.run), again.snapshot(other.run, '/team', 1), again.thread(other.run, 't')]).toEqual(kept)
  const left = [
    'run',
    'head',
    'journal',
    'cell',
    'effect',
    'envelope',
    'timer',
    'ask',
    'thread',
    'thread_item',
    'machine',
    'request',
    'blob',
  ]
  expect(Object.fromEntries(left.map((table) => [table, count(again, table)]))).toEqual({
    ...Object.fromEntries(left.map((table) => [table, 0])),
    ...{ run: 1, head: 1, journal: 1, cell: 1, thread: 1, thread_item: 1, blob: 2 },
  })
})

test('a key is never given to a second run: an owner from before a removal can commit nothing to whoever came after', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  store.createRun(runRow('a'), commit())
  const stale = store.own('a', OWNER)
  stale.release()
  store.remove('a')
  store.createRun(runRow('b'), commit())
  store.own('b', OWNER)
  expect(query(store, (db) => db.prepare('SELECT k, run FROM run').raw().all())).toEqual([[2, 'b']])
})

test('forgetting what does not exist: an unknown run is refused by prune and no matter to remove', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  expect(thrown(() => store.prune('nope', 3))).toMatchObject({ code: 'E_RUN_NOT_FOUND', exit: 9 })
  store.remove('nope')
  expect(store.runs()).toEqual([])
})
