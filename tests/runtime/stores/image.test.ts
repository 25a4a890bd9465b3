/** What a tree is rebuilt from: current versions of cells, snapshots and effects, open envelopes, timers and asks, threads and requests. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Commit, RunRow } from '../../../src/runtime/store.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import {
  ask,
  cell,
  commit,
  effect,
  entries,
  envelope,
  folder,
  OWNER,
  openStore,
  ownedRun,
  RUN,
  runRow,
  snapshot,
  thrown,
  timer,
} from './samples.ts'

/** A store with one run, and a function that commits one journal entry and what is given, and returns its position. */
function steps(path = join(folder(), 'troupe.db')) {
  const { store, owned } = ownedRun(path)
  let [position, hash] = [0, '']
  const step = (more: (at: number) => Partial<Commit>): number => {
    const [entry] = entries(1, position, hash)
    owned.commit(commit({ expectedPosition: position, journal: [entry!], ...more(position + 1) }))
    hash = entry!.hash
    return ++position
  }
  return { store, step, path }
}
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

test('changes of the run row touch what they name, and null is a change', () => {
  const { store, step } = steps()
  step(() => ({ run_: { reason: { code: 'E_X', message: 'x' }, endedAt: 7, output: 3 } }))
  step(() => ({ run_: { status: 'failed' } }))
  expect(store.run(RUN)).toMatchObject({ status: 'failed', reason: { code: 'E_X', message: 'x' }, endedAt: 7, output: 3, owner: OWNER })
  step(() => ({ run_: { reason: null, endedAt: null, output: null, owner: null } }))
  expect(store.run(RUN)).toMatchObject({ status: 'failed', reason: null, endedAt: null, output: null, owner: null })
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

test('requests of other processes wait in order until a commit takes them', () => {
  const { store, step } = steps()
  const other = openStore(store.path)
  other.createRun(runRow('other'), commit())
  const numbers = [other.request(RUN, 'send', { to: '/team' }), other.request('other', 'cancel', null), other.request(RUN, 'settle', [1])]
  expect(store.requests(RUN)).toEqual([
    { request: numbers[0], kind: 'send', data: { to: '/team' } },
    { request: numbers[2], kind: 'settle', data: [1] },
  ])
  step(() => ({ requestsDone: [numbers[0]!, numbers[1]!] }))
  expect(store.requests(RUN)).toEqual([{ request: numbers[2], kind: 'settle', data: [1] }])
  expect(store.requests('other')).toEqual([{ request: numbers[1], kind: 'cancel', data: null }])
})

test('runs are listed newest first, by project and status', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  const ids = ['01A', '01C', '01B', '01D']
  const rows = ids.map((id, n) => runRow(id, { project: n < 3 ? '/p' : null, status: n % 2 === 0 ? 'running' : 'failed' }))
  for (const row of rows) store.createRun(row, commit({ clock: row.clock }))
  const listed = (filter?: Parameters<typeof store.runs>[0]) => store.runs(filter).map((row) => row.run)
  expect(listed()).toEqual(['01D', '01C', '01B', '01A'])
  expect(listed({ project: '/p' })).toEqual(['01C', '01B', '01A'])
  expect(listed({ status: ['failed', 'limited'] })).toEqual(['01D', '01C'])
  expect(listed({ project: '/p', status: ['running'], limit: 1 })).toEqual(['01B'])
  expect(listed({ status: [] })).toEqual([])
  expect(store.runs({ limit: 1 })).toEqual([rows[3]])
})

test('a run is created once, with its first rows or not at all', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  const first = commit({ journal: entries(2), cells: [cell('/team')], threadAppends: [{ thread: 't', items: ['1'], born: 1 }] })
  store.createRun(runRow(), first)
  const image = store.image(RUN)
  expect(image).toMatchObject({ run: { position: 2, hash: entries(2)[1]!.hash, epoch: 0, clock: first.clock }, cells: [cell('/team')] })
  expect(thrown(() => store.createRun(runRow(), first))).toMatchObject({ name: 'UserError', code: 'E_RUN_EXISTS' })
  expect(store.image(RUN)).toEqual(image)
  expect(thrown(() => store.createRun(runRow('half'), commit({ journal: [...entries(1), ...entries(1)] }))).code).toBe('E_JOURNAL_GAP')
  expect(store.run('half')).toBeNull()
  const after = runRow('after', { position: 2, hash: entries(2)[1]!.hash, clock: first.clock })
  store.createRun(after, first)
  expect([store.run('after'), store.journal('after', 0)]).toEqual([after, entries(2)])
  expect(thrown(() => store.createRun(runRow('wrong', { position: 5 }), first)).code).toBe('E_JOURNAL_GAP')
  expect(store.run('wrong')).toBeNull()
  expect(thrown(() => store.createRun(runRow('../evil'), first))).toMatchObject({ name: 'Defect', code: 'E_RUN_ID' })
  expect(thrown(() => store.createRun(runRow('x', { meta: { when: new Date(0) } as never }), first)).code).toBe('E_NOT_JSON')
})

test('a store in memory does all of it, and two of them do not meet', () => {
  const [one, two] = [sqliteStore({ path: ':memory:' }), sqliteStore({ path: ':memory:' })]
  for (const store of [one, two]) store.createRun(runRow(), commit({ journal: entries(1) }))
  const owned = one.own(RUN, OWNER)
  expect([one.isOwned(RUN), two.isOwned(RUN)]).toEqual([true, false])
  expect(thrown(() => one.own(RUN, OWNER)).code).toBe('E_RUN_OWNED')
  owned.commit(commit({ expectedPosition: 1, cells: [cell('/team')] }))
  expect([one.image(RUN).cells.length, two.image(RUN).cells.length]).toEqual([1, 0])
  one.close()
  two.close()
})
