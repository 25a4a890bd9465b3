/** Time travel: a store answers as it did when its journal ended at a position, whatever came later, and at the cost of what there was by then. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Store } from '../../../src/runtime/store.ts'
import { openDatabase } from '../../../src/runtime/stores/sqlite/open.ts'
import { rowsOf } from '../../../src/runtime/stores/sqlite/rows.ts'
import {
  ask,
  cell,
  commit,
  effect,
  entries,
  envelope,
  folder,
  openStore,
  ownedRun,
  RUN,
  runRow,
  snapshot,
  steps,
  thrown,
  timer,
} from './samples.ts'

const everything = (store: Store, at?: number) => ({
  image: store.image(RUN, at),
  cells: store.cells(RUN, at),
  cell: store.cell(RUN, '/team/a', at),
  snapshot: store.snapshot(RUN, '/team/a', 1, at),
  effects: store.effects(RUN, at),
  thread: store.thread(RUN, 't', 0, at),
})

/** Six commits in which everything begins, changes and ends. */
function sixSteps() {
  const made = steps()
  const said: ReturnType<typeof everything>[] = []
  const systemIds = { clerk: { address: '/team/a/c', incarnation: 1 } }
  const step = (...args: Parameters<typeof made.step>): void => {
    made.step(...args)
    said.push(everything(made.store))
  }
  step(() => ({ cells: [cell('/team'), cell('/team/a')] }))
  step((at) => ({
    snapshots: [{ address: '/team/a', incarnation: 1, snapshot: snapshot('one'), born: at }],
    envelopesAdded: [{ envelope: envelope(1), born: at }],
    timersSet: [{ timer: timer(1), born: at }],
    effects: [{ effect: effect('e1'), changed: at }],
    threadAppends: [{ thread: 't', items: ['1', '2'], born: at }],
  }))
  step((at) => ({
    cells: [cell('/team/a', { systemIds })],
    asksAdded: [{ ask: ask(1), born: at }],
    effects: [{ effect: effect('e1', { status: 'started', attempt: 1 }), changed: at }],
  }))
  step((at) => ({
    snapshots: [{ address: '/team/a', incarnation: 1, snapshot: snapshot('two'), born: at }],
    envelopesDone: [{ seq: 1, died: at, outcome: 'consumed' }],
    timersDone: [{ timer: 1, died: at }],
    threadAppends: [{ thread: 't', items: ['3'], born: at }],
  }))
  step((at) => ({
    cells: [cell('/team/a', { status: 'gone' }), cell('/team/a', { incarnation: 2, status: 'starting' })],
    asksDone: [{ ask: 1, died: at }],
    effects: [{ effect: effect('e1', { status: 'succeeded', output: { n: 1 } }), changed: at }],
  }))
  step(() => ({ cells: [cell('/team/a', { incarnation: 2, status: 'gone' })] }))
  return { ...made, said }
}

test('at each earlier commit everything is as it was then; of the run itself its position and hash', () => {
  const { store, said } = sixSteps()
  const now = store.run(RUN)!
  const then = said.map(({ image, ...rest }, index) => {
    const entry = entries(6)[index]!
    return { ...rest, image: { ...image, run: { ...now, position: entry.pos, hash: entry.hash } } }
  })
  expect([1, 2, 3, 4, 5, 6].map((at) => everything(store, at))).toEqual(then)
  expect(everything(store, 99)).toEqual(said[5])
  expect(everything(store, 0)).toMatchObject({ cells: [], cell: null, snapshot: null, effects: [], thread: [] })
  store.close()
  expect([1, 2, 3, 4, 5, 6].map((at) => everything(openStore(store.path), at))).toEqual(then)
})

test('STO-28: versions of a cell have their own positions inside a commit, and so have snapshots', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  owned.commit(
    commit({
      journal: entries(4),
      cells: [
        { ...cell('/team', { nextId: 1 }), born: 1 },
        { ...cell('/team', { nextId: 2 }), born: 3 },
        { ...cell('/team', { nextId: 3 }), born: 3 },
        cell('/team', { nextId: 4 }),
      ],
      snapshots: [1, 2, 4].map((born) => ({ address: '/team', incarnation: 1, snapshot: snapshot(`at ${born}`), born })),
    }),
  )
  const seen = [0, 1, 2, 3, 4].map((at) => [
    store.cell(RUN, '/team', at)?.nextId ?? null,
    store.cells(RUN, at)[0]?.nextId ?? null,
    (store.snapshot(RUN, '/team', 1, at)?.value as { a: string } | undefined)?.a ?? null,
  ])
  expect(seen).toEqual([
    [null, null, null],
    [1, 1, 'at 1'],
    [1, 1, 'at 2'],
    [3, 3, 'at 2'],
    [4, 4, 'at 4'],
  ])
})

test('where a commit ended is known for each of its positions', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'), 3)
  owned.commit(commit({ expectedPosition: 3, journal: entries(1, 3, entries(3)[2]!.hash) }))
  owned.commit(commit({ expectedPosition: 4, journal: entries(2, 4, entries(4)[3]!.hash) }))
  expect([1, 2, 3, 4, 5, 6, 7, 1e12].map((at) => store.commitEnd(RUN, at))).toEqual([3, 3, 3, 4, 6, 6, 6, 6])
})

test('machines are told in every version that the run has used, with the number of live cells that use it', () => {
  const { store, step } = steps()
  step(() => ({
    machines: [
      { name: 'coder', version: '1', definition: { states: ['a'] } },
      { name: 'reviewer', version: '1', definition: 'x'.repeat(9_000) },
    ],
    cells: [cell('/team/a'), cell('/team/b'), cell('/team/c', { status: 'gone' })],
  }))
  step(() => ({ machines: [{ name: 'coder', version: '2', definition: null }], cells: [cell('/team/b', { version: '2' })] }))
  step(() => ({ machines: [{ name: 'coder', version: '2', definition: { states: ['b'] } }] }))
  expect(store.machines(RUN)).toEqual([
    { name: 'coder', version: '1', definition: { states: ['a'] }, cells: 1 },
    { name: 'coder', version: '2', definition: { states: ['b'] }, cells: 1 },
    { name: 'reviewer', version: '1', definition: 'x'.repeat(9_000), cells: 0 },
  ])
})

/** A hundred thousand rows more of everything; not to be read, so not to be right. */
const LATER = `CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) SELECT i, i + 4294967296 AS id FROM n;
  INSERT INTO envelope SELECT id, i, NULL, NULL, 0, '{}' FROM n;
  INSERT INTO timer SELECT id, i, NULL, 0, '{}' FROM n;
  INSERT INTO ask SELECT id, i, NULL, 0, '{}' FROM n;
  INSERT INTO cell SELECT id, 1, '/team/a', 3, 'm', '1', NULL, NULL, 1, i, i + 1, 0, '{}' FROM n;
  INSERT INTO effect SELECT id, 1, 1, i, i + 1, NULL, 0, '{}', 'null', NULL FROM n;
  INSERT INTO thread_item SELECT 16777216 + i, i, 0, '0' FROM n;
  INSERT INTO journal SELECT id, 0, 'x', '/team/a', 1, NULL, x'00', 1, x'00', NULL, NULL, NULL, 0, '{}', '{}' FROM n WHERE i > 7;`

test('what came after a position costs nothing when it is looked at', () => {
  const { store, step, said } = sixSteps()
  // The first row of each kind that is too late is looked at: it says that it is too late.
  step((at) => ({
    cells: [cell('/late')],
    envelopesAdded: [{ envelope: envelope(9), born: at }],
    timersSet: [{ timer: timer(9), born: at }],
    asksAdded: [{ ask: ask(9), born: at }],
    effects: [{ effect: effect('e9'), changed: at }],
    threadAppends: [{ thread: 't', items: ['9'], born: at }],
  }))
  const fastest = () => {
    const times = Array.from({ length: 20 }, () => {
      const from = performance.now()
      everything(store, 3)
      return performance.now() - from
    })
    return Math.min(...times)
  }
  const before = fastest()
  const db = new Database(store.path)
  db.exec(LATER)
  db.close()
  const after = fastest()
  const { image, ...rest } = everything(store, 3)
  expect({ ...rest, image: { ...image, run: null } }).toEqual({ ...said[2], image: { ...said[2]!.image, run: null } })
  expect({ before, after, grown: after > 5 * before + 1 }).toEqual({ before, after, grown: false })
})

/** Statements that may read a table from end to end, and why. */
const SCANS: readonly (readonly [RegExp, string])[] = [
  [/FROM run\b.*@project/s, 'a list of runs is of all runs'],
  [/^SELECT coalesce\(\(SELECT seq FROM sqlite_sequence/, 'one row for each counter'],
  [/^SELECT machine, version, count/, 'a resume counts all live cells'],
  [/^SELECT sweeps FROM store$/, 'one row'],
  [/^SELECT coalesce\(max\((k|request)\), 0\) \+ 1/, 'the end of a key'],
]

test('no statement of the hot paths reads a table from end to end, or sorts what an index has in order', () => {
  const { db } = openDatabase({ path: join(folder(), 'troupe.db'), busyTimeoutMs: 100, synchronous: 'full' })
  const statements: string[] = []
  const prepare = db.prepare.bind(db)
  db.prepare = ((sql: string) => {
    statements.push(sql)
    return prepare(sql)
  }) as typeof db.prepare
  rowsOf(db, { afterCommit: () => {} })
  const plans = statements.map((sql) => {
    const values = sql.includes('@project') ? [{ project: null, status: null, limit: 1 }] : Array(sql.split('?').length - 1).fill(0)
    const plan = prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values)
    return { sql, plan: plan.map(({ detail }) => detail) }
  })
  db.close()
  const bad = plans.filter(
    ({ sql, plan }) => plan.some((step) => /^SCAN |TEMP B-TREE/.test(step)) && !SCANS.some(([known]) => known.test(sql)),
  )
  expect(statements.length).toBeGreaterThan(40)
  expect(bad).toEqual([])
})

test('a position before the anchor is refused, everywhere', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  store.createRun(runRow(), commit({ journal: entries(5), cells: [cell('/team')] }))
  store.prune(RUN, 4)
  for (const call of [
    () => store.image(RUN, 2),
    () => store.cells(RUN, 2),
    () => store.cell(RUN, '/team', 2),
    () => store.snapshot(RUN, '/team', 1, 2),
    () => store.effects(RUN, 2),
    () => store.thread(RUN, 't', 0, 2),
    () => store.commitEnd(RUN, 2),
  ]) {
    expect(thrown(call)).toMatchObject({ name: 'UserError', code: 'E_POSITION_PRUNED', exit: 9 })
  }
  expect(store.image(RUN, 3).run).toMatchObject({ position: 3, hash: entries(3)[2]!.hash })
})
