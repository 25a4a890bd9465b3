/**
 * Every row says whether it is what was written: whichever value of whichever column is changed behind the store's back, no answer is given that would
 * differ. And what is open adds up: a row that is missing, that came back or that its index has lost is noticed although every row is sound.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Store } from '../../../src/runtime/store.ts'
import { digestOf } from '../../../src/runtime/stores/sqlite/digest.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { sumOf } from '../../../src/runtime/stores/sqlite/sums.ts'
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
  timer,
} from './samples.ts'

const parent = { address: '/team', incarnation: 1 }

/** A file with at least one row of everything, dead and alive. */
function fullFile(): string {
  const { store, step } = steps()
  const part = chunk('part '.repeat(100))
  const large = snapshot('large', { context: `[${chunkRef(part)}]`, chunks: [part] })
  step((at) => ({
    cells: [cell('/team'), cell('/team/a', { parent, systemIds: { one: parent } }), cell('/team/b', { parent })],
    snapshots: [{ address: '/other', incarnation: 2, snapshot: large, born: at }],
    envelopesAdded: [1, 2].map((seq) => ({ envelope: envelope(seq, { event: { type: 'x', text: 'y'.repeat(seq * 3_000) } }), born: at })),
    timersSet: [1, 2].map((id) => ({ timer: timer(id), born: at })),
    asksAdded: [1, 2].map((id) => ({ ask: ask(id), born: at })),
    effects: ['e1', 'e2'].map((id) => ({ effect: effect(id), changed: at })),
    threadAppends: [{ thread: 't', items: ['"one"', '"two"'], born: at }],
    machines: [{ name: 'coder', version: '1', definition: { states: ['a'] } }],
  }))
  step((at) => ({
    cells: [cell('/team/a', { parent }), cell('/team/b', { parent, status: 'gone' }), cell('/team/c', { systemIds: { one: parent } })],
    snapshots: [{ address: '/team/a', incarnation: 1, snapshot: snapshot('one'), born: at }],
    envelopesDone: [{ seq: 1, died: at, outcome: 'buried' }],
    timersDone: [{ timer: 1, died: at }],
    asksDone: [{ ask: 1, died: at }],
    effects: [{ effect: effect('e1', { status: 'succeeded', output: { n: 1 } }), changed: at }],
    threadAppends: [{ thread: 't', items: ['"three"'], born: at }],
    run_: { reason: { code: 'E_X', message: 'x' }, endedAt: 5 },
  }))
  const requests = [store.request(RUN, 'send', { n: 1 }), store.request(RUN, 'cancel', null)]
  step(() => ({ requestsDone: [requests[0]!] }))
  store.close()
  return store.path
}

/** Every answer that the store has, now and at each position. */
function everything(store: Store): unknown {
  const at = (position?: number) => [
    store.image(RUN, position),
    store.cells(RUN, position),
    ['/team', '/team/a', '/team/b'].map((address) => store.cell(RUN, address, position)),
    ['/other', '/team/a'].map((address) => [1, 2].map((life) => store.snapshot(RUN, address, life, position))),
    store.effects(RUN, position),
    store.thread(RUN, 't', 0, position),
  ]
  const all = [undefined, 1, 2, 3].map(at)
  const histories = ['/other', '/team/a'].map((address) => store.snapshots(RUN, address))
  const ends = [1, 2, 3].map((position) => store.commitEnd(RUN, position))
  return [store.runs(), store.journal(RUN, 0), store.machines(RUN), store.requests(RUN), store.children(RUN, '/team'), all, histories, ends]
}

/** What is said of a damaged file: the code of the error, `digest` where only that notices, or `as before`, or `silence`. */
function verdict(path: string, before: unknown): string {
  let store: Store | undefined
  try {
    store = sqliteStore({ path })
    const said = everything(store)
    const db = new Database(path, { readonly: true })
    const kept = db.prepare('SELECT digest FROM head').pluck().get()
    const added = digestOf(db, 1)
    db.close()
    if (kept !== added) return 'digest'
    return JSON.stringify(said) === JSON.stringify(before) ? 'as before' : 'silence'
  } catch (error) {
    return String((error as { code?: string }).code)
  } finally {
    store?.close()
  }
}

/** SQL for a value that is another one. */
const OTHER = (column: string): string =>
  `CASE typeof(${column}) WHEN 'null' THEN 7 WHEN 'integer' THEN ${column} + 1 WHEN 'real' THEN ${column} + 1 WHEN 'text' THEN ${column} || ' '
   ELSE CAST(substr(${column}, 1, length(${column}) - 1) || char((unicode(substr(CAST(${column} AS TEXT), -1)) + 1) % 128) AS BLOB) END`

interface Change {
  readonly what: string
  readonly sql: string
}

function changes(path: string): Change[] {
  const db = new Database(path, { readonly: true })
  const columns = db
    .prepare<[], { table: string; column: string; pk: number }>(
      `SELECT m.name AS "table", c.name AS "column", c.pk AS pk FROM sqlite_schema m, pragma_table_info(m.name) c
      WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'store'`,
    )
    .all()
  const made = columns.flatMap(({ table, column }) => {
    const key = table === 'machine' ? 'name' : 'rowid'
    const keys = db.prepare(`SELECT ${key} FROM ${table}`).pluck().all() as (number | string)[]
    return keys.map((id) => ({
      what: `${table}.${column} of ${id}`,
      sql: `UPDATE OR IGNORE ${table} SET ${column} = ${OTHER(column)} WHERE ${key} = ${JSON.stringify(id).replaceAll('"', "'")}`,
    }))
  })
  db.close()
  return made
}

/** Damages a copy; null where SQLite itself refused, by a type or a constraint, and nothing changed. */
function damage(source: string, path: string, sql: string): string | null {
  copyFileSync(source, path)
  const db = new Database(path)
  try {
    return db.prepare(sql).run().changes > 0 ? path : null
  } catch {
    return null
  } finally {
    db.close()
  }
}

test('whatever value is changed behind its back, the store says so or says what it said before', () => {
  const source = fullFile()
  const store = sqliteStore({ path: source })
  const before = everything(store)
  store.close()
  const where = folder()
  const counted: Record<string, number> = {}
  const silent: string[] = []
  for (const [index, { what, sql }] of changes(source).entries()) {
    const path = damage(source, join(where, `${index}.db`), sql)
    if (path === null) continue
    const said = verdict(path, before)
    counted[said] = (counted[said] ?? 0) + 1
    if (!['E_STORE_DAMAGED', 'E_SNAPSHOT_DAMAGED', 'E_RUN_NOT_FOUND', 'digest', 'as before'].includes(said)) silent.push(`${what}: ${said}`)
    if (said === 'as before') expect(what).toMatch(AS_BEFORE)
  }
  expect(silent).toEqual(MISSED)
  expect(counted['E_STORE_DAMAGED']).toBeGreaterThan(150)
  expect(counted['E_SNAPSHOT_DAMAGED']).toBeGreaterThan(8)
}, 120_000)

/** Rows that no answer rests on, such as requests that are dead: what `check` looks at. */
const AS_BEFORE = /^(request\.|cell\.|effect\.|blob\.k of|envelope\.outcome)/
/** Requests are written by whoever asks, and are in no digest: one that is not found where it was is not missed. */
const MISSED = ['request.run of 2: silence', 'request.died of 2: silence']

test.each([
  ['a waiting event', 'DELETE FROM envelope WHERE died IS NULL'],
  ['a timer', 'DELETE FROM timer WHERE died IS NULL'],
  ['an ask', 'DELETE FROM ask WHERE died IS NULL'],
  ['an open effect', 'DELETE FROM effect WHERE died IS NULL AND open = 1'],
  ['a cell', "DELETE FROM cell WHERE died IS NULL AND address = '/team'"],
  ['the newest snapshot of a cell', "UPDATE journal SET snap = NULL WHERE snap_path = '/team/a'"],
  ['the end of a thread', 'DELETE FROM thread_item WHERE id = (SELECT max(id) FROM thread_item)'],
  ['a thread', 'DELETE FROM thread'],
  ['a machine', 'DELETE FROM machine'],
])('%s that is missing does not add up', (_, sql) => {
  const source = fullFile()
  const db = new Database(source)
  const kept = db.prepare('SELECT digest FROM head').pluck().get()
  expect(digestOf(db, 1)).toBe(kept)
  expect(db.prepare(sql).run().changes).toBe(1)
  expect(digestOf(db, 1)).not.toBe(kept)
  db.close()
})

/** Empties an index behind its table's back, as lost pages would: it is built again under a rule that no row meets. */
function empty(path: string, index: string): void {
  const rule = (sql: string): string => `UPDATE sqlite_schema SET sql = ${sql} WHERE name = '${index}'`
  for (const sql of [rule("sql || ' AND 1 = 0'"), `REINDEX ${index}`, rule("replace(sql, ' AND 1 = 0', '')")]) {
    const db = new Database(path)
    db.unsafeMode(true)
    db.pragma('writable_schema = on')
    db.exec(sql)
    db.close()
  }
}

test.each(['cell_open', 'cell_parent', 'cell_system', 'envelope_open', 'timer_open', 'ask_open', 'effect_open', 'journal_snap'])(
  'rows that are not in %s any more are missed',
  (index) => {
    const path = fullFile()
    const db = new Database(path)
    const kept = db.prepare('SELECT digest FROM head').pluck().get()
    const whole = digestOf(db, 1)
    db.close()
    empty(path, index)
    const again = new Database(path, { readonly: true })
    const found = thrownOr(() => digestOf(again, 1))
    again.close()
    expect([kept === whole, found === kept]).toEqual([true, false])
  },
)

function thrownOr(call: () => number): number | string {
  try {
    return call()
  } catch (error) {
    return (error as Error).message
  }
}

test('the digest is right whoever commits in turn: what a handle remembers of a run ends with its epoch', () => {
  const path = join(folder(), 'troupe.db')
  const stores = [openStore(path), openStore(path)]
  stores[0]!.createRun(runRow(), commit({ journal: entries(1), cells: [cell('/team')] }))
  for (let turn = 0; turn < 6; turn++) {
    const owned = stores[turn % 2]!.own(RUN, OWNER, { takeOver: true })
    const { position } = stores[0]!.run(RUN)!
    for (const born of [position + 1, position + 2]) {
      const journal = entries(1, born - 1, stores[0]!.run(RUN)!.hash)
      const snapshots = [{ address: '/team', incarnation: 1, snapshot: snapshot(`at ${born}`), born }]
      owned.commit(commit({ epoch: owned.epoch, expectedPosition: born - 1, journal, snapshots }))
    }
    const db = new Database(path, { readonly: true })
    expect([turn, digestOf(db, 1)]).toEqual([turn, db.prepare('SELECT digest FROM head').pluck().get()])
    db.close()
  }
})

test('columns that look alike do not have the same sum', () => {
  const sums = [
    sumOf(null),
    sumOf(''),
    sumOf(0),
    sumOf('0'),
    sumOf('ab', 'c'),
    sumOf('a', 'bc'),
    sumOf('abc'),
    sumOf(Buffer.from('0')),
    sumOf(null, null),
  ]
  expect(new Set(sums).size).toBe(sums.length)
})
