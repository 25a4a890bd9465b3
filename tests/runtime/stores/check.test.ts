/** A check lists what is wrong and changes nothing: every row and every text of a store, and files on which no store can be opened at all. */
import { hash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Chunk, EncodedSnapshot } from '../../../src/runtime/cell.ts'
import { checkFile } from '../../../src/runtime/stores/sqlite/check-file.ts'
import { heads } from '../../../src/runtime/stores/sqlite/head.ts'
import { type Mark, marksOf } from '../../../src/runtime/stores/sqlite/mark.ts'
import { edit, flipBitIn, rootOf } from './damage.ts'
import { startOwner } from './owner.process.ts'
import { cell, commit, effect, entries, envelope, folder, OWNER, openStore, ownedRun, RUN, timer } from './samples.ts'

const sha = (text: string): string => hash('sha256', text, 'hex')
/** Long, and different for each name, so that it is stored apart and its bytes are found. */
const long = (name: string): string => `${name} ${Array.from({ length: 400 }, (_, n) => sha(name + n)).join(' ')}`

function chunk(name: string, chunks: readonly Chunk[] = []): Chunk {
  const text = JSON.stringify([long(name), ...chunks.map((below) => ({ '@troupe.chunk': below.hash }))])
  return { hash: sha(text), text, chunks }
}

const LEAF = chunk('leaf')
const BRANCH = chunk('branch', [LEAF])

function taken(): EncodedSnapshot {
  const json = JSON.stringify({ status: 'active', value: 'busy', context: { '@troupe.chunk': BRANCH.hash } })
  return { json, hash: sha(json), status: 'active', value: 'busy', tags: [], chunks: [BRANCH] }
}

/** A closed store with a history: rows that are dead, texts that are stored apart, two levels of chunks. */
function history(): string {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path, 3)
  const first = entries(2, 3, entries(3).at(-1)!.hash)
  owned.commit(
    commit({
      expectedPosition: 3,
      journal: first,
      cells: [cell('/team'), cell('/team/coder')],
      snapshots: [{ address: '/team', incarnation: 1, born: 5, snapshot: taken() }],
      envelopesAdded: [{ envelope: envelope(1, { event: { type: 'say', text: long('said') } }), born: 4 }],
      timersSet: [{ timer: timer(1), born: 4 }],
      effects: [{ effect: effect('e1', { input: long('asked') }), changed: 4 }],
      threadAppends: [{ thread: 'talk', items: ['"first"', '"second"', '"third"'], born: 4 }],
      machines: [{ name: 'coder', version: '1', definition: { states: ['a-state'] } }],
    }),
  )
  owned.commit(
    commit({
      expectedPosition: 5,
      journal: entries(2, 5, first.at(-1)!.hash),
      cells: [cell('/team/coder', { status: 'gone' })],
      envelopesDone: [{ seq: 1, died: 6, outcome: 'consumed' }],
      timersDone: [{ timer: 1, died: 6 }],
      effects: [{ effect: effect('e1', { input: long('asked'), status: 'succeeded', output: 'answered' }), changed: 7 }],
      run_: { status: 'succeeded', endedAt: 5_000 },
    }),
  )
  store.close()
  return path
}

const deep = (path: string) =>
  checkFile(path, { deep: true }).findings.map(({ run, code, what, position }) => ({ run, code, what, position }))
const damaged = (what: string, position: number | null, run: string | null = RUN) => ({ run, code: 'E_STORE_DAMAGED', what, position })

test('a whole store has no findings, and is counted', () => {
  const path = history()
  const store = openStore(path)
  const counted = { path, runs: 1, entries: 7, blobs: 4, findings: [] }
  expect([store.check(), store.check({ deep: true })]).toEqual([
    { ...counted, deep: false },
    { ...counted, deep: true },
  ])
  expect(checkFile(path, { deep: true })).toMatchObject({ ...counted, schemaFound: 3, schemaWanted: 3, readable: true, missing: 0 })
})

test.each([
  ['a dead envelope', "UPDATE envelope SET data = '{}'", [damaged('envelope 1 is not what was written', 4)]],
  [
    'a version of an effect that is over',
    "UPDATE effect SET data = replace(data, 'owed', 'oved') WHERE died IS NOT NULL",
    [damaged('effect e1 of position 4 is not what was written', 4)],
  ],
  ['a dead timer', 'UPDATE timer SET died = 7', [damaged('timer 1 is not what was written', 4)]],
  [
    'an old version of a cell',
    "UPDATE cell SET machine = 'another' WHERE address = '/team/coder' AND died > born",
    [damaged('cell /team/coder of position 5 is not what was written', 5)],
  ],
  [
    'an item of a thread',
    `UPDATE thread_item SET item = '"other"' WHERE item = '"first"'`,
    [damaged('item 0 of thread talk is not what was written', 4)],
  ],
  ['an item that is missing', `DELETE FROM thread_item WHERE item = '"second"'`, [damaged('item 1 of thread talk is missing', 4)]],
  ['a machine', `UPDATE machine SET definition = '{}'`, [damaged('machine coder 1 is not what was written', null)]],
  ["the run's own row", "UPDATE run SET name = 'other'", [damaged("the run's own row is not what was written", null)]],
  ['rows of nobody', 'UPDATE timer SET id = id + 4294967296', [damaged('timer holds rows of a run that is not there (key 2)', null, null)]],
])('a deep check finds damage in what is over: %s', (_, sql, findings) => {
  const path = history()
  edit(path, sql)
  expect(deep(path)).toEqual(findings)
  expect(openStore(path).check({ deep: true }).findings).toEqual(findings)
})

test('a shallow check finds what a resume would', () => {
  const path = history()
  edit(path, "UPDATE cell SET machine = 'another' WHERE died IS NULL")
  expect(checkFile(path).findings).toMatchObject([{ run: RUN, code: 'E_STORE_DAMAGED', what: expect.stringMatching(/^cell \/team\b/) }])
})

test('births and deaths after the end of the journal are found', () => {
  const path = history()
  const db = new Database(path)
  const fifth = db.prepare<[], Buffer>('SELECT hash FROM journal WHERE id % 4294967296 = 5').pluck().get()!
  db.prepare('DELETE FROM journal WHERE id % 4294967296 > 5').run()
  // The journal goes back to the commit before, whole in itself, and the rows of the last commit stay.
  heads(db, { afterCommit: () => {} }).write(1, {
    ...heads(db, { afterCommit: () => {} }).read(1),
    position: 5,
    hash: fifth.toString('hex'),
  })
  db.close()
  const found = deep(path)
  expect(found[0]).toMatchObject({ code: 'E_STORE_TAIL_LOST', what: 'the journal ends at #5, #7 was committed: 2 entries are missing' })
  expect(found).toContainEqual(damaged('envelope 1 lived from 4 to 6, its journal ends at 5', 4))
  expect(found).toContainEqual(damaged('effect e1 of position 7 lived from 7 to now, its journal ends at 5', 7))
})

const find = (path: string, text: string): { k: number; hash: string } => {
  const db = new Database(path, { readonly: true })
  try {
    return db.prepare('SELECT k, lower(hex(hash)) AS hash FROM blob WHERE hash = ?').get(Buffer.from(sha(text), 'hex')) as {
      k: number
      hash: string
    }
  } finally {
    db.close()
  }
}

test('a large text that is missing is found with who names it; a chunk below a snapshot too', () => {
  const path = history()
  const said = find(path, JSON.stringify(long('asked')))
  edit(path, `DELETE FROM blob WHERE k IN (${said.k}, ${find(path, LEAF.text).k})`)
  expect(deep(path)).toEqual([
    { run: RUN, code: 'E_SNAPSHOT_DAMAGED', what: `the snapshot of /team at 5 names the text ${LEAF.hash}, which is missing`, position: 5 },
    damaged(`effect e1 of position 4 names the text ${said.hash}, which is missing`, 4),
  ])
})

test('a large text that is another one is found', () => {
  const path = history()
  const { k, hash: hex } = find(path, BRANCH.text)
  edit(path, `UPDATE blob SET codec = 0, data = 'another' WHERE k = ${k}`.replace("'another'", "x'616e6f74686572'"))
  expect(deep(path)).toContainEqual(
    damaged(`the text ${hex} is not what was written, which the snapshot of /team at 5 of run ${RUN} names`, null, null),
  )
})

test('large texts that nobody names are told as a warning', () => {
  const path = history()
  edit(path, `INSERT INTO blob (hash, bytes, codec, data) VALUES (x'${sha('A')}', 1, 0, x'41')`)
  expect(deep(path)).toEqual([
    { run: null, code: 'E_BLOB_ORPHAN', what: '1 large text is named by nobody; the next prune removes it', position: null },
  ])
})

test('one bit flipped anywhere in a snapshot stored in the journal is found', () => {
  const path = history()
  flipBitIn(path, 'busy')
  expect(deep(path)).toEqual([
    { run: RUN, code: 'E_SNAPSHOT_DAMAGED', what: 'the snapshot of /team at 5 is not what was committed', position: 5 },
  ])
})

test('a check of a store that others write to sees one state, and no mark that leads it', async () => {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path)
  owned.release()
  const child = startOwner({ command: 'write', path, run: RUN })
  for (let round = 0; round < 15; round++) {
    await child.line()
    expect(store.check().findings).toEqual([])
    expect(checkFile(path, { deep: true }).findings).toEqual([])
  }
})

test('a file that is no database is a finding, and stays as it is', () => {
  const path = join(folder(), 'troupe.db')
  for (const text of ['this is no database, and was none before. '.repeat(50), '\0'.repeat(4_096)]) {
    writeFileSync(path, text)
    const { findings, schemaFound, readable, bytes } = checkFile(path, { deep: true })
    expect([findings.length, schemaFound, readable, bytes]).toEqual([1, 0, false, text.length])
    expect(['E_STORE_DAMAGED', 'E_STORE_WRONG_FILE']).toContain(findings[0]!.code)
    expect([readFileSync(path, 'latin1'), readdirSync(dirname(path))]).toEqual([text, ['troupe.db']])
  }
})

test('a file that was cut off in the middle is a finding', () => {
  const path = history()
  truncateSync(path, Math.floor(readFileSync(path).length / 2))
  const { findings } = checkFile(path, { deep: true })
  expect(findings[0]).toMatchObject({ code: 'E_STORE_DAMAGED' })
})

test('pages of which nothing is left are findings, whichever they are', () => {
  const whole = readFileSync(history())
  const { bytes } = rootOf(history(), 'run')
  for (let page = 1; page <= whole.length / bytes; page++) {
    const path = join(folder(), 'troupe.db')
    const file = Buffer.from(whole)
    file.fill(0xff, (page - 1) * bytes, page * bytes)
    writeFileSync(path, file)
    const { findings } = checkFile(path, { deep: true })
    expect([page, findings.length > 0, findings.filter(({ code }) => !/^E_(STORE|SNAPSHOT)_DAMAGED$/.test(code))]).toEqual([page, true, []])
  }
})

test('a store of another program, and one of a newer troupe, are told apart from damage', () => {
  const [other, newer] = [join(folder(), 'troupe.db'), history()]
  new Database(other).exec('CREATE TABLE t (a)').close()
  new Database(newer).exec('PRAGMA user_version = 99').close()
  expect(checkFile(other).findings).toMatchObject([{ code: 'E_STORE_WRONG_FILE' }])
  expect(checkFile(newer)).toMatchObject({
    schemaFound: 99,
    readable: false,
    findings: [{ code: 'E_STORE_NEWER', what: 'made by a newer troupe, schema 99; this is 3' }],
  })
})

test('a store of an older schema is read as far as its pages go, and is not migrated', () => {
  const path = join(folder(), 'troupe.db')
  writeFileSync(path, readFileSync(new URL('./golden/v2.db', import.meta.url)))
  const before = readFileSync(path)
  expect(checkFile(path, { deep: true })).toMatchObject({ schemaFound: 2, schemaWanted: 3, readable: false, findings: [] })
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('a store that is gone altogether is missed where marks tell of it', () => {
  const path = join(folder(), 'troupe.db')
  expect(checkFile(path)).toMatchObject({ runs: 0, bytes: 0, findings: [] })
  marksOf(path)
    .open(RUN)
    .write({ position: 12, hash: 'ab'.repeat(32), epoch: 1 })
  expect(checkFile(path)).toMatchObject({ missing: 12, findings: [{ run: RUN, code: 'E_STORE_TAIL_LOST' }] })
  expect(existsSync(path)).toBe(false)
})

test('a run that another host left unfinished is told where it is asked for: nobody here can see whether its process lives', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'), 1)
  const told = () => checkFile(store.path, { owners: true }).findings
  expect(told()).toEqual([])
  owned.release()
  expect(told()).toMatchObject([
    { run: RUN, code: 'E_OWNER_FOREIGN', what: 'here ran it; whether its process lives cannot be seen from here' },
  ])
  store.own(RUN, { ...OWNER, host: hostname() }).release()
  expect([told(), store.check({ deep: true }).findings]).toEqual([[], []])
})

test('marks are compared with one run where one is asked for', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'), 1)
  owned.release()
  const mark = marksOf(store.path).read(RUN) as Mark
  marksOf(store.path).open('another').write(mark)
  expect([store.check({ run: RUN }).findings, store.check().findings.length, store.check({ run: 'another' }).findings.length]).toEqual([
    [],
    1,
    1,
  ])
})
