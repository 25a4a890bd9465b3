/** What a tree is rebuilt from: current versions of cells, snapshots and effects, open envelopes, timers and asks, threads and requests. */
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { RunRow, Store } from '../../../src/runtime/store.ts'
import { ask, cell, effect, entries, envelope, OWNER, openStore, RUN, runRow, snapshot, steps, thrown, timer } from './samples.ts'

const snap = (text: string, born: number, address = '/team', incarnation = 1) => ({ address, incarnation, snapshot: snapshot(text), born })

test('everything that a commit names is in the image, and the same after a reopening', () => {
  const { store, step, path } = steps()
  const systemIds = { clerk: { address: '/team/a/clerk', incarnation: 2 } }
  const cells = [
    cell('/team'),
    cell('/team/a', { input: undefined, exit: { kind: 'normal' }, parent: { address: '/team', incarnation: 1 }, systemIds }),
    cell('/team/b', { parent: { address: '/team', incarnation: 1 } }),
  ]
  step((at) => ({
    cells: [...cells].reverse(),
    envelopesAdded: [3, 1, 20].map((seq) => ({ envelope: envelope(seq, { timer: 4, child: { id: 'a', incarnation: 1 } }), born: at })),
    timersSet: [2, 1].map((id) => ({ timer: timer(id), born: at })),
    effects: ['e10', 'e2'].map((id) => ({ effect: effect(id), changed: at })),
    asksAdded: [{ ask: ask(1), born: at }],
    clock: { runMs: 12.25, wallMs: 1_785_000_000_000 },
    counters: { seq: 20, effects: 10, timers: 2 },
    run_: {
      status: 'suspended',
      reason: { code: 'E_X', message: 'x' },
      output: { n: 1 },
      endedAt: 5,
      limits: { tokensMax: 9, deadlineAt: 1.5 },
    },
  }))
  const run: RunRow = {
    ...runRow(),
    epoch: 1,
    owner: OWNER,
    position: 1,
    hash: entries(1)[0]!.hash,
    status: 'suspended',
    reason: { code: 'E_X', message: 'x' },
    output: { n: 1 },
    endedAt: 5,
    limits: { tokensMax: 9, deadlineAt: 1.5 },
    clock: { runMs: 12.25, wallMs: 1_785_000_000_000 },
    counters: { seq: 20, effects: 10, timers: 2 },
  }
  const expected = {
    run,
    systemIds: { clerk: { address: '/team/a/clerk', incarnation: 2 } },
    envelopes: [1, 3, 20].map((seq) => envelope(seq, { timer: 4, child: { id: 'a', incarnation: 1 } })),
    timers: [timer(1), timer(2)],
    effects: [effect('e2'), effect('e10')],
    asks: [ask(1)],
  }
  const answers = (from: Store) => [from.image(RUN), from.cells(RUN), from.cell(RUN, '/team/a'), from.children(RUN, '/team')]
  expect(answers(store)).toEqual([expected, cells, cells[1], ['/team/a', '/team/b']])
  store.close()
  expect(answers(openStore(path))).toEqual([expected, cells, cells[1], ['/team/a', '/team/b']])
})

test('an address shows its newest life, whichever of its rows was written last', () => {
  const { store, step } = steps()
  step(() => ({ cells: [cell('/team/a'), cell('/team/b')] }))
  step(() => ({ cells: [cell('/team/a', { status: 'ended' }), cell('/team/a', { incarnation: 2, status: 'starting' })] }))
  step(() => ({ cells: [cell('/team/a', { incarnation: 2 })] }))
  step(() => ({ cells: [cell('/team/a', { incarnation: 1, status: 'ended', exit: 'late' })] }))
  expect(store.cells(RUN)).toEqual([cell('/team/a', { incarnation: 2 }), cell('/team/b')])
  expect(store.cell(RUN, '/team/a')).toEqual(cell('/team/a', { incarnation: 2 }))
})

test('an address that is gone leaves the image, and comes back with its next life', () => {
  const { store, step } = steps()
  const seen = () => store.cells(RUN).map((row) => [row.address, row.incarnation, row.status])
  step(() => ({ cells: [cell('/team/a', { incarnation: 2 }), cell('/team/b')] }))
  step(() => ({ cells: [cell('/team/a', { incarnation: 2, status: 'gone' }), cell('/team/b', { status: 'ended' })] }))
  expect(seen()).toEqual([['/team/b', 1, 'ended']])
  step(() => ({ cells: [cell('/team/a'), cell('/team/b', { status: 'gone' })] }))
  expect(seen()).toEqual([['/team/a', 1, 'active']])
})

test('STO-26, STO-27: the newest snapshot of a life counts, and lives do not see each other', () => {
  const { store, step } = steps()
  step((at) => ({ snapshots: [snap('one', at)] }))
  step((at) => ({ snapshots: [snap('other', at, '/team/a')] }))
  step((at) => ({ snapshots: [snap('second life', at, '/team', 2)] }))
  step((at) => ({ snapshots: [snap('two', at)] }))
  expect(store.snapshot(RUN, '/team', 1)).toEqual(snapshot('two'))
  expect(store.snapshot(RUN, '/team', 2)).toEqual(snapshot('second life'))
  expect(store.snapshot(RUN, '/team', 3)).toBeNull()
  expect(store.snapshot(RUN, '/team/b', 1)).toBeNull()
  expect(store.snapshots(RUN, '/team').map(({ position, incarnation, at, hash }) => [position, incarnation, at, hash])).toEqual([
    [4, 1, 1_004, snapshot('two').hash],
    [3, 2, 1_003, snapshot('second life').hash],
    [1, 1, 1_001, snapshot('one').hash],
  ])
  expect(store.snapshots(RUN, '/team', { before: 4, limit: 1 }).map(({ position }) => position)).toEqual([3])
})

test('STO-32: a snapshot belongs to an entry of its commit, and an entry has one', () => {
  const { store, step } = steps()
  step((at) => ({ snapshots: [snap('one', at)] }))
  const refused = [
    (at: number) => [snap('two', at - 1)],
    (at: number) => [snap('two', at + 1)],
    (at: number) => [snap('two', at), snap('other', at, '/team/a')],
  ]
  for (const snapshots of refused) {
    expect(thrown(() => step((at) => ({ snapshots: snapshots(at) })))).toMatchObject({ name: 'Defect', code: 'E_COMMIT_INVALID' })
  }
  expect([store.run(RUN)!.position, store.snapshot(RUN, '/team', 1)]).toEqual([1, snapshot('one')])
})

test('STO-28: rows keep what lived at an earlier position, by births and deaths', () => {
  const { store, step } = steps()
  step((at) => ({
    snapshots: [snap('one', at)],
    cells: [cell('/team', { nextId: 1 })],
    envelopesAdded: [{ envelope: envelope(1), born: at }],
    effects: [{ effect: effect('e1'), changed: at }],
    timersSet: [{ timer: timer(1), born: at }],
  }))
  step((at) => ({
    snapshots: [snap('two', at)],
    cells: [cell('/team', { nextId: 2 }), cell('/team/a', { status: 'gone' })],
    envelopesDone: [{ seq: 1, died: at, outcome: 'buried' }],
    effects: [{ effect: effect('e1', { status: 'succeeded' }), changed: at }],
    timersDone: [{ timer: 1, died: at }],
  }))
  const db = new Database(store.path, { readonly: true })
  const rows = (sql: string) => db.prepare(sql).raw().all()
  expect({
    snapshots: rows("SELECT id % 4294967296, snap ->> 'context' FROM journal ORDER BY id"),
    cells: rows("SELECT address, born, died, data ->> 'nextId' FROM cell ORDER BY id"),
    envelopes: rows('SELECT born, died, outcome FROM envelope'),
    effects: rows("SELECT n, born, died, open, data ->> 'status' FROM effect ORDER BY id"),
    timers: rows('SELECT born, died FROM timer'),
  }).toEqual({
    snapshots: [
      [1, 'one'],
      [2, 'two'],
    ],
    cells: [
      ['/team', 1, 2, 1],
      ['/team', 2, null, 2],
      ['/team/a', 2, 2, 0],
    ],
    envelopes: [[1, 2, 'buried']],
    effects: [
      [1, 1, 2, 1, 'owed'],
      [1, 2, null, 0, 'succeeded'],
    ],
    timers: [[1, 2]],
  })
  db.close()
})

test('STO-33: a snapshot of ten megabytes comes back equal', () => {
  const { store, step } = steps()
  const large = snapshot('x'.repeat(10_000_000))
  step((born) => ({ snapshots: [{ address: '/team', incarnation: 1, snapshot: large, born }] }))
  expect(store.snapshot(RUN, '/team', 1)).toEqual(large)
})

test('envelopes, timers and asks leave the image when they are done, and one that came and went in a commit never enters it', () => {
  const { store, step } = steps()
  step((at) => ({
    envelopesAdded: [1, 2, 3].map((seq) => ({ envelope: envelope(seq), born: at })),
    envelopesDone: [
      { seq: 2, died: at, outcome: 'consumed' },
      { seq: 99, died: at, outcome: 'consumed' },
    ],
    timersSet: [1, 2].map((id) => ({ timer: timer(id), born: at })),
    timersDone: [{ timer: 1, died: at }],
    asksAdded: [1, 2].map((id) => ({ ask: ask(id), born: at })),
  }))
  step((at) => ({ envelopesDone: [{ seq: 1, died: at, outcome: 'cleared' }], asksDone: [{ ask: 2, died: at }] }))
  const { envelopes, timers, asks } = store.image(RUN)
  expect({ envelopes, timers, asks }).toEqual({ envelopes: [envelope(3)], timers: [timer(2)], asks: [ask(1)] })
})

test('STO-50, STO-51: an effect is owed, started and settled; only open ones are in the image, all of them can be asked for', () => {
  const { store, step } = steps()
  const input = { prompt: 'x'.repeat(1_000) }
  const started = effect('e1', { input, status: 'started', attempt: 1, startedAt: 0.5 })
  const failed = effect('e1', { input, status: 'failed', attempt: 1, error: { code: 'E_NO', message: 'no' }, output: undefined })
  step((at) => ({
    effects: [
      { effect: effect('e1', { input }), changed: at },
      { effect: effect('e2'), changed: at },
    ],
  }))
  step((at) => ({ effects: [{ effect: started, changed: at }] }))
  expect(store.image(RUN).effects).toEqual([started, effect('e2')])
  step((at) => ({
    effects: [
      { effect: failed, changed: at },
      { effect: effect('e2', { input: null, incarnation: 2 }), changed: at },
    ],
  }))
  expect(store.image(RUN).effects).toEqual([effect('e2', { input: null, incarnation: 2 })])
  expect(store.effects(RUN)).toEqual([failed, effect('e2', { input: null, incarnation: 2 })])
})

test.each([100, 100_000])('an input of %i characters is stored once however often its effect changes', (length) => {
  const { store, step } = steps()
  const input = { prompt: 'x'.repeat(length) }
  step((at) => ({ effects: [{ effect: effect('e1', { input }), changed: at }] }))
  for (let attempt = 1; attempt <= 50; attempt++) {
    step((at) => ({ effects: [{ effect: effect('e1', { input, status: 'started', attempt }), changed: at }] }))
  }
  const other = effect('e1', { input: 'other', status: 'started', attempt: 51 })
  step((at) => ({ effects: [{ effect: other, changed: at }] }))
  const db = new Database(store.path, { readonly: true })
  expect(db.prepare('SELECT count(*), count(input) FROM effect').raw().get()).toEqual([52, 2])
  db.close()
  expect(store.effects(RUN)).toEqual([other])
  expect(store.effects(RUN, 51)).toEqual([effect('e1', { input, status: 'started', attempt: 50 })])
})

test('an image costs what is open, not what has been', () => {
  const { store, step } = steps()
  step((at) => ({ envelopesAdded: [{ envelope: envelope(1), born: at }], effects: [{ effect: effect('e1'), changed: at }] }))
  const imageMs = () => {
    const times = Array.from({ length: 20 }, () => {
      const from = performance.now()
      store.image(RUN)
      return performance.now() - from
    })
    return Math.min(...times)
  }
  const before = imageMs()
  const db = new Database(store.path)
  db.exec(`CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i, i + 4294967296 AS id FROM n;
    INSERT INTO envelope SELECT id, 1, 2, 'consumed', 0, '{}' FROM n;
    INSERT INTO timer SELECT id, 1, 2, 0, '{}' FROM n;
    INSERT INTO ask SELECT id, 1, 2, 0, '{}' FROM n;
    INSERT INTO cell SELECT id, 1, '/gone/' || i, 1, 'm', '1', NULL, NULL, 0, 1, 2, 0, '{}' FROM n;
    INSERT INTO effect SELECT id, i, 0, 2, NULL, NULL, 0, '{}', 'null', NULL FROM n;`)
  db.close()
  const after = imageMs()
  expect(store.image(RUN)).toMatchObject({ envelopes: [envelope(1)], timers: [], asks: [], effects: [effect('e1')] })
  expect([store.cells(RUN), store.cell(RUN, '/gone/77')]).toEqual([[], null])
  expect({ before, after, grown: after > 5 * before + 1 }).toEqual({ before, after, grown: false })
})

test('threads grow at their end and are read from any place', () => {
  const { store, step } = steps()
  step((at) => ({
    threadAppends: [
      { thread: 'a', items: ['1', '{"role":"user"}'], born: at },
      { thread: 'b', items: ['"b"'], born: at },
      { thread: 'a', items: ['3'], born: at },
    ],
  }))
  step((at) => ({ threadAppends: [{ thread: 'a', items: ['4', '5'], born: at }] }))
  expect(store.thread(RUN, 'a')).toEqual([1, { role: 'user' }, 3, 4, 5])
  expect(store.thread(RUN, 'a', 3)).toEqual([4, 5])
  expect(store.thread(RUN, 'a', 5)).toEqual([])
  expect(store.thread(RUN, 'b')).toEqual(['b'])
})
