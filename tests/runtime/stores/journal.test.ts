/** The journal of the SQLite store: numbered without gaps, all or nothing, and only for the owner. Ids are those of the persistence TCKs. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { cell, commit, entries, envelope, folder, OWNER, openStore, ownedRun, RUN, runRow, snapshot, thrown } from './samples.ts'

function five(): ReturnType<typeof ownedRun> {
  const made = ownedRun(join(folder(), 'troupe.db'), 3)
  made.owned.commit(commit({ expectedPosition: 3, journal: entries(2, 3, made.store.run(RUN)!.hash) }))
  return made
}

test('STO-01, STO-16: entries come back in order with all that they carried', () => {
  const { store } = five()
  expect(store.journal(RUN, 0)).toEqual(entries(5))
  expect(store.run(RUN)).toMatchObject({ position: 5, hash: entries(5)[4]!.hash })
})

test.each([
  ['STO-02: since a position', 2, undefined, [3, 4, 5]],
  ['STO-04: with a limit', 0, 3, [1, 2, 3]],
  ['STO-03, STO-05: between two positions', 1, 2, [2, 3]],
  ['STO-06: a single one', 1, 1, [2]],
  ['STO-07: limit zero', 1, 0, []],
  ['STO-08: a negative limit', 1, -1, []],
  ['STO-08: from the end', 5, undefined, []],
  ['without a limit that matters', 0, Number.POSITIVE_INFINITY, [1, 2, 3, 4, 5]],
] as const)('%s: what is read is exactly what was asked for', (_, since, limit, expected) => {
  const { store } = five()
  expect(store.journal(RUN, since, limit).map((entry) => entry.pos)).toEqual(expected)
  expect(store.run(RUN)!.position).toBe(5)
})

test('at most a thousand entries come back unless asked otherwise', () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'), 1_001)
  expect(store.journal(RUN, 0)).toHaveLength(1_000)
  expect(store.journal(RUN, 0, 2_000)).toHaveLength(1_001)
})

test('STO-09, STO-27, STO-41: an unknown run has nothing of anything, and asking makes no row', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  expect([
    store.journal('nope', 0),
    store.run('nope'),
    store.snapshot('nope', '/team', 1),
    store.effects('nope'),
    store.thread('nope', 't'),
    store.requests('nope'),
    store.cells('nope'),
    store.cell('nope', '/team'),
    store.children('nope', '/team'),
    store.snapshots('nope', '/team'),
    store.machines('nope'),
    store.commitEnd('nope', 1),
    store.isOwned('nope'),
    store.runs(),
  ]).toEqual([[], null, null, [], [], [], [], null, [], [], [], 0, false, []])
  expect(thrown(() => store.image('nope'))).toMatchObject({ code: 'E_RUN_NOT_FOUND', exit: 9 })
  expect(thrown(() => store.own('nope', OWNER))).toMatchObject({ code: 'E_RUN_NOT_FOUND', exit: 9 })
  expect(thrown(() => store.request('nope', 'send', {}))).toMatchObject({ code: 'E_RUN_NOT_FOUND', exit: 9 })
})

test('STO-12: runs whose ids share a prefix do not see each other', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  const runs = ['a', 'a-2', 'a_', 'A']
  for (const [index, run] of runs.entries()) store.createRun(runRow(run), commit({ journal: entries(index + 1), cells: [cell(`/${run}`)] }))
  expect(runs.map((run) => store.journal(run, 0).length)).toEqual([1, 2, 3, 4])
  expect(runs.map((run) => store.cells(run).map((row) => row.address))).toEqual([['/a'], ['/a-2'], ['/a_'], ['/A']])
})

test('STO-13: a commit whose second row breaks a constraint stores nothing, and leaves no gap', () => {
  const { store, owned } = five()
  const before = { image: store.image(RUN), journal: store.journal(RUN, 0) }
  const [first, second, third] = entries(3, 5)
  const batch = commit({
    expectedPosition: 5,
    journal: [first!, { ...second!, type: null as unknown as string }, third!],
    cells: [cell('/team')],
    counters: { seq: 9, effects: 9, timers: 9 },
    run_: { status: 'failed' },
  })
  expect(thrown(() => owned.commit(batch))).toMatchObject({ name: 'Defect', code: 'E_STORE_CONSTRAINT' })
  expect({ image: store.image(RUN), journal: store.journal(RUN, 0) }).toEqual(before)
  owned.commit(commit({ expectedPosition: 5, journal: entries(1, 5) }))
  expect(store.run(RUN)!.position).toBe(6)
})

test('a commit whose last row breaks a constraint stores nothing of the rows before it', () => {
  const { store, owned } = five()
  const before = store.image(RUN)
  const twice = commit({
    expectedPosition: 5,
    journal: entries(1, 5),
    snapshots: [{ address: '/team', incarnation: 1, snapshot: snapshot('new'), born: 6 }],
    envelopesAdded: [envelope(1), envelope(1)].map((e) => ({ envelope: e, born: 6 })),
  })
  expect(thrown(() => owned.commit(twice)).code).toBe('E_STORE_CONSTRAINT')
  expect([store.image(RUN), store.snapshot(RUN, '/team', 1)]).toEqual([before, null])
})

test('STO-14: a value that has no JSON is refused, and nothing is stored in its place', () => {
  const { store, owned } = five()
  const before = store.image(RUN)
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  for (const bad of [10n, cycle]) {
    const event = { type: 'bad', bad } as never
    const batch = commit({ expectedPosition: 5, journal: entries(1, 5), envelopesAdded: [{ envelope: envelope(1, { event }), born: 6 }] })
    expect(thrown(() => owned.commit(batch))).toMatchObject({ name: 'Defect', code: 'E_NOT_JSON' })
  }
  for (const bad of [Number.NaN, -0, new Date(0), () => 1, new Map()]) {
    expect(thrown(() => store.request(RUN, 'send', { bad } as never)).code).toBe('E_NOT_JSON')
  }
  expect([store.image(RUN), store.requests(RUN)]).toEqual([before, []])
})

test('STO-15: text of any kind comes back as it went in, after a reopening too', () => {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path)
  const values = [
    'häß 🎭 \u2028',
    'nul \0 inside',
    '\ud800 alone',
    1e308,
    '9007199254740993',
    5e-324,
    'x'.repeat(10_000_000),
    { ['__proto__']: 1 },
  ]
  owned.commit(
    commit({ journal: entries(1), threadAppends: [{ thread: 't', items: values.map((value) => JSON.stringify(value)), born: 1 }] }),
  )
  store.close()
  expect(openStore(path).thread(RUN, 't')).toEqual(values)
})

test('STO-17, STO-19: of two commits from one position one wins, and repeating it stores nothing twice', () => {
  const { store, owned } = five()
  const next = commit({ expectedPosition: 5, journal: entries(1, 5), threadAppends: [{ thread: 't', items: ['1'], born: 6 }] })
  owned.commit(next)
  expect(thrown(() => owned.commit(next))).toMatchObject({ name: 'Defect', code: 'E_LEASE_LOST' })
  expect([store.run(RUN)!.position, store.journal(RUN, 5).length, store.thread(RUN, 't')]).toEqual([6, 1, [1]])
})

test('STO-18: the commit of an older epoch throws and writes nothing', () => {
  const { store, owned } = five()
  const other = openStore(store.path).own(RUN, OWNER, { takeOver: true })
  expect(other.epoch).toBe(2)
  const before = store.image(RUN)
  for (const epoch of [1, 2]) {
    const late = commit({ epoch, expectedPosition: 5, journal: entries(1, 5), cells: [cell('/late')] })
    expect(thrown(() => owned.commit(late))).toMatchObject({ name: 'Defect', code: 'E_LEASE_LOST' })
  }
  expect(thrown(() => owned.check()).code).toBe('E_LEASE_LOST')
  expect(store.image(RUN)).toEqual(before)
  const older = commit({ epoch: 1, expectedPosition: 5, journal: entries(1, 5) })
  expect(thrown(() => other.commit(older)).code).toBe('E_LEASE_LOST')
  other.check()
  other.commit(commit({ epoch: 2, expectedPosition: 5, journal: entries(1, 5) }))
  expect(store.run(RUN)!.position).toBe(6)
})

test('positions that leave a hole are refused', () => {
  const { store, owned } = five()
  const holed = commit({ expectedPosition: 5, journal: entries(1, 6) })
  expect(thrown(() => owned.commit(holed))).toMatchObject({ name: 'Defect', code: 'E_JOURNAL_GAP' })
  expect(store.run(RUN)!.position).toBe(5)
})

test('STO-23: a reader sees one moment while others write, and the log shrinks once it is gone', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  const reader = new Database(store.path, { readonly: true })
  reader.exec('BEGIN')
  const seen = () => reader.prepare('SELECT count(*) FROM journal').pluck().get()
  expect(seen()).toBe(0)
  let hash = ''
  for (let position = 0; position < 10_000; position += 1_000) {
    const journal = entries(1_000, position, hash)
    owned.commit(commit({ expectedPosition: position, journal }))
    hash = journal.at(-1)!.hash
  }
  expect(seen()).toBe(0)
  reader.close()
  store.close()
  expect(existsSync(`${store.path}-wal`)).toBe(false)
  expect(openStore(store.path).journal(RUN, 9_999, 5)).toHaveLength(1)
})

test('STO-24: one flipped bit in a stored payload is found, with its position', () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'), 100)
  store.close()
  const bytes = readFileSync(store.path)
  const at = bytes.indexOf('{"n":57}')
  expect(at).toBeGreaterThan(0)
  bytes[at + 5] = bytes[at + 5]! ^ 1
  writeFileSync(store.path, bytes)
  const again = openStore(store.path)
  expect(again.journal(RUN, 57)).toEqual(entries(100).slice(57))
  expect(thrown(() => again.journal(RUN, 0))).toMatchObject({
    code: 'E_STORE_DAMAGED',
    exit: 10,
    message: `run ${RUN}: journal 57 is not what was written; ${store.path} is damaged`,
  })
})
