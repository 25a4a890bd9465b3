/** What a tree is rebuilt from: current versions of cells, snapshots and effects, open envelopes, timers and asks, threads and requests. */
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { RunRow } from '../../../src/runtime/store.ts'
import { ask, cell, effect, entries, envelope, OWNER, openStore, RUN, runRow, snapshot, steps, timer } from './samples.ts'

const snap = (text: string, born: number, address = '/team', incarnation = 1) => ({ address, incarnation, snapshot: snapshot(text), born })

test('everything that a commit names is in the image, and the same after a reopening', () => {
  const { store, step, path } = steps()
  step((at) => ({
    cells: [cell('/team'), cell('/team/a', { input: undefined, exit: { kind: 'normal' } })],
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
    cells: [cell('/team'), cell('/team/a', { input: undefined, exit: { kind: 'normal' } })],
    envelopes: [1, 3, 20].map((seq) => envelope(seq, { timer: 4, child: { id: 'a', incarnation: 1 } })),
    timers: [timer(1), timer(2)],
    effects: [effect('e2'), effect('e10')],
    asks: [ask(1)],
  }
  expect(store.image(RUN)).toEqual(expected)
  store.close()
  expect(openStore(path).image(RUN)).toEqual(expected)
})

test('an address shows its newest life, whichever of its rows was written last', () => {
  const { store, step } = steps()
  step(() => ({ cells: [cell('/team/a'), cell('/team/b')] }))
  step(() => ({ cells: [cell('/team/a', { status: 'ended' }), cell('/team/a', { incarnation: 2, status: 'starting' })] }))
  step(() => ({ cells: [cell('/team/a', { incarnation: 2 })] }))
  step(() => ({ cells: [cell('/team/a', { incarnation: 1, status: 'ended', exit: 'late' })] }))
  expect(store.image(RUN).cells).toEqual([cell('/team/a', { incarnation: 2 }), cell('/team/b')])
})

test('an address that is gone leaves the image, and comes back with its next life', () => {
  const { store, step } = steps()
  const seen = () => store.image(RUN).cells.map((row) => [row.address, row.incarnation, row.status])
  step(() => ({ cells: [cell('/team/a', { incarnation: 2 }), cell('/team/b')] }))
  step(() => ({ cells: [cell('/team/a', { incarnation: 2, status: 'gone' }), cell('/team/b', { status: 'ended' })] }))
  expect(seen()).toEqual([['/team/b', 1, 'ended']])
  step(() => ({ cells: [cell('/team/a'), cell('/team/b', { status: 'gone' })] }))
  expect(seen()).toEqual([['/team/a', 1, 'active']])
})

test('STO-26, STO-27, STO-32: the newest snapshot of a life counts, and a second one at the same position replaces it', () => {
  const { store, step } = steps()
  step((at) => ({ snapshots: [snap('one', at), snap('other', at, '/team/a'), snap('second life', at, '/team', 2)] }))
  const last = step((at) => ({ snapshots: [snap('two', at)] }))
  expect(store.snapshot(RUN, '/team', 1)).toEqual(snapshot('two'))
  step(() => ({ snapshots: [snap('three', last)] }))
  expect(store.snapshot(RUN, '/team', 1)).toEqual(snapshot('three'))
  expect(store.snapshot(RUN, '/team', 2)).toEqual(snapshot('second life'))
  expect(store.snapshot(RUN, '/team', 3)).toBeNull()
  expect(store.snapshot(RUN, '/team/b', 1)).toBeNull()
})

test('STO-28: what lived at an earlier position is still stored, by births and deaths', () => {
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
    cells: [cell('/team', { nextId: 2 })],
    envelopesDone: [{ seq: 1, died: at, outcome: 'buried' }],
    effects: [{ effect: effect('e1', { status: 'succeeded' }), changed: at }],
    timersDone: [{ timer: 1, died: at }],
  }))
  const db = new Database(store.path, { readonly: true })
  const rows = (sql: string) => db.prepare(sql).raw().all()
  expect({
    snapshots: rows("SELECT born, json ->> 'context' FROM snapshot ORDER BY born"),
    cells: rows("SELECT born, data ->> 'nextId' FROM cell ORDER BY born"),
    envelopes: rows('SELECT born, died, outcome FROM envelope'),
    effects: rows("SELECT changed, data ->> 'status' FROM effect ORDER BY changed"),
    timers: rows('SELECT born, died FROM timer'),
  }).toEqual({
    snapshots: [
      [1, 'one'],
      [2, 'two'],
    ],
    cells: [
      [1, 1],
      [2, 2],
    ],
    envelopes: [[1, 2, 'buried']],
    effects: [
      [1, 'owed'],
      [2, 'succeeded'],
    ],
    timers: [[1, 2]],
  })
  db.close()
})

test('STO-33: a snapshot of ten megabytes comes back equal', () => {
  const { store, step } = steps()
  const large = 'x'.repeat(10_000_000)
  step((at) => ({ snapshots: [{ ...snap('large', at), snapshot: { ...snapshot('large'), json: large } }] }))
  expect(store.snapshot(RUN, '/team', 1)?.json.length).toBe(large.length)
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

test('an input is stored once however often its effect changes', () => {
  const { store, step } = steps()
  const input = { prompt: 'x'.repeat(100_000) }
  step((at) => ({ effects: [{ effect: effect('e1', { input }), changed: at }] }))
  for (let attempt = 1; attempt <= 50; attempt++) {
    step((at) => ({ effects: [{ effect: effect('e1', { input, status: 'started', attempt }), changed: at }] }))
  }
  const db = new Database(store.path, { readonly: true })
  expect(db.prepare('SELECT count(*), sum(length(input)) FROM effect').raw().get()).toEqual([51, JSON.stringify(input).length])
  db.close()
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
  db.exec(`CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n;
    INSERT INTO envelope SELECT 1, i, 1, 2, 'consumed', '{}' FROM n;
    INSERT INTO timer SELECT 1, i, 1, 2, '{}' FROM n;
    INSERT INTO ask SELECT 1, i, 1, 2, '{}' FROM n;
    INSERT INTO cell SELECT 1, '/gone/' || i, 1, 2, 0, '{}' FROM n;
    INSERT INTO effect SELECT 1, 'e' || i, 2, 0, 'null', NULL, '{"status":"succeeded"}' FROM n;`)
  db.close()
  const after = imageMs()
  expect(store.image(RUN)).toMatchObject({ envelopes: [envelope(1)], timers: [], asks: [], effects: [effect('e1')] })
  expect(store.effects(RUN)).toHaveLength(99_992)
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
