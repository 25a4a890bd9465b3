/** Whoever owns a run has verified what it rests on: one damaged bit, one row that is missing or stale, and nothing runs and nothing is changed. */
import { spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import type { EncodedSnapshot } from '../../../src/runtime/cell.ts'
import type { JournalEntry } from '../../../src/runtime/journal.ts'
import type { Commit, Store } from '../../../src/runtime/store.ts'
import { type JournalColumns, journalSum } from '../../../src/runtime/stores/sqlite/journal-rows.ts'
import { isHeld, lockPath } from '../../../src/runtime/stores/sqlite/lock.ts'
import { edit, flipBitIn, refused, rootOf } from './damage.ts'
import { ask, cell, commit, effect, entries, envelope, folder, OWNER, openStore, ownedRun, RUN, timer } from './samples.ts'

const KEY = 2 ** 32

function taken(text: string): EncodedSnapshot {
  const json = JSON.stringify({ status: 'active', value: 'busy', context: text })
  return { json, hash: hash('sha256', json, 'hex'), status: 'active', value: 'busy', tags: [] }
}

/** One commit with everything that can be open, and others after it. The file is closed, its log folded in. */
function everything(): string {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path, 3)
  const journal = entries(4, 3, entries(3).at(-1)!.hash)
  owned.commit(
    commit({
      expectedPosition: 3,
      journal,
      cells: [cell('/team'), cell('/team/coder', { input: 'word-of-a-cell' })],
      snapshots: [
        { address: '/team', incarnation: 1, born: 5, snapshot: taken('word-of-the-team') },
        { address: '/team/coder', incarnation: 1, born: 6, snapshot: taken('word-of-a-snapshot') },
      ],
      envelopesAdded: [1, 2].map((seq) => ({ envelope: envelope(seq, { event: { type: `word-of-envelope-${seq}` } }), born: 4 })),
      timersSet: [{ timer: timer(1, { event: { type: 'word-of-a-timer' } }), born: 4 }],
      effects: [{ effect: effect('e1', { input: 'word-of-an-effect' }), changed: 4 }],
      asksAdded: [{ ask: { ...ask(1), id: 'word-of-an-ask' }, born: 4 }],
      threadAppends: [{ thread: 'talk', items: ['"word-of-an-item"', '"last-word"'], born: 4 }],
    }),
  )
  store.close()
  return path
}

/** Owning must be refused with this code and these words, and must change nothing: no epoch, no lock, no byte. */
function expectRefusal(path: string, words: string | RegExp): void {
  const before = readFileSync(path)
  const store = openStore(path)
  const { code, message, options } = refused(() => store.own(RUN, OWNER))
  const { where, file, exit, retryable } = options
  expect({ code, message, where, file, exit, retryable }).toEqual({
    code: 'E_STORE_DAMAGED',
    message: expect.stringMatching(words),
    where: `run ${RUN}`,
    file: path,
    exit: 10,
    retryable: false,
  })
  expect(options.fix).toContain('troupe db restore')
  expect(refused(() => openStore(path).own(RUN, OWNER, { takeOver: true })).code).toBe('E_STORE_DAMAGED')
  expect(isHeld(lockPath(join(dirname(path), 'locks'), RUN, 0))).toBe(false)
  store.close()
  expect(readFileSync(path).equals(before)).toBe(true)
}

test('a whole run is owned', () => {
  const store = openStore(everything())
  expect(store.own(RUN, OWNER).epoch).toBe(2)
  expect(store.check({ deep: true }).findings).toEqual([])
})

test.each([
  ['an entry', '{"n":2}', /^journal 2 is not what was written$/],
  ['a waiting envelope', 'word-of-envelope-2', /^envelope 2 is not what was written$/],
  ['a timer', 'word-of-a-timer', /^timer 1 is not what was written$/],
  ['an open effect', 'word-of-an-effect', /^effect e1\b.* is not what was written$/],
  ['an open ask', 'word-of-an-ask', /^ask 1 is not what was written$/],
  ['a cell', 'word-of-a-cell', /^cell \/team\/coder\b.* is not what was written$/],
])('one bit flipped in %s: the row is named, and nothing is changed', (_, text, words) => {
  const path = everything()
  flipBitIn(path, text)
  expectRefusal(path, words)
})

test('one bit flipped in the last snapshot of an actor: whoever reads it is told its position', () => {
  const path = everything()
  flipBitIn(path, 'word-of-a-snapshot')
  const store = openStore(path)
  expect(refused(() => store.snapshot(RUN, '/team/coder', 1))).toMatchObject({
    name: 'Defect',
    code: 'E_SNAPSHOT_DAMAGED',
    details: { position: 6 },
  })
  expect(store.snapshot(RUN, '/team', 1)?.hash).toBe(taken('word-of-the-team').hash)
  expect(store.check({ deep: true }).findings).toEqual([
    { run: RUN, code: 'E_SNAPSHOT_DAMAGED', what: 'the snapshot of /team/coder at 6 is not what was committed', position: 6 },
  ])
})

const SUM = 'does not add up'
test.each([
  ['a waiting envelope is missing', 'DELETE FROM envelope WHERE id % 4294967296 = 2', SUM],
  ['a timer is missing', 'DELETE FROM timer', SUM],
  ['an effect is missing', 'DELETE FROM effect', SUM],
  ['an ask is missing', 'DELETE FROM ask', SUM],
  ['a cell is missing', "DELETE FROM cell WHERE address = '/team/coder'", SUM],
  ['the newest snapshot of an actor is missing', 'UPDATE journal SET snap = NULL WHERE id % 4294967296 = 6', SUM],
  ['the last item of a thread is missing', 'DELETE FROM thread_item WHERE id % 16777216 = 1', SUM],
  ['a thread is missing', 'DELETE FROM thread', SUM],
  ['an entry is missing', 'DELETE FROM journal WHERE id % 4294967296 = 5', /^entry 5 is missing$/],
  ['the last entries are missing', 'DELETE FROM journal WHERE id % 4294967296 > 5', /^entries 6 to 7 are missing$/],
  ['a word about a death that never was', 'UPDATE envelope SET died = 5', SUM],
  ["the run's head says another end", 'UPDATE head SET position = 6', /^head 1 is not what was written$/],
  ['a digest of another time', 'UPDATE head SET digest = digest + 1', /^head 1 is not what was written$/],
])('%s: nothing runs', (_, sql, words) => {
  const path = everything()
  edit(path, sql)
  expectRefusal(path, typeof words === 'string' ? new RegExp(words) : words)
})

test('a row that is what it once was, and no longer is what it should be, is noticed', () => {
  const path = everything()
  const store = openStore(path)
  const owned = store.own(RUN, OWNER)
  const { position, hash: last } = store.run(RUN)!
  const db = new Database(path)
  const before = db.prepare('SELECT * FROM cell WHERE address = ?').get('/team/coder') as Record<string, unknown>
  owned.commit(
    commit({ epoch: 2, expectedPosition: position, journal: entries(1, position, last), cells: [cell('/team/coder', { nextId: 7 })] }),
  )
  store.close()
  // The version before comes back, and the one after it is gone, each whole in itself.
  db.prepare('DELETE FROM cell WHERE address = ? AND died IS NULL').run('/team/coder')
  db.prepare('UPDATE cell SET died = NULL, sum = ? WHERE id = ?').run(before['sum'], before['id'])
  db.close()
  expectRefusal(path, SUM)
})

test.each(['envelope_open', 'timer_open', 'cell_open', 'cell_parent', 'journal_snap', 'effect_open'])(
  'an index that has lost its entries, %s, is noticed',
  (index) => {
    const path = everything()
    const { page, bytes } = rootOf(path, index)
    const file = readFileSync(path)
    // Of a leaf of an index: how many entries it holds, two bytes from the fourth on.
    expect([file[(page - 1) * bytes], file.readUInt16BE((page - 1) * bytes + 3) > 0]).toEqual([10, true])
    file.writeUInt16BE(0, (page - 1) * bytes + 3)
    writeFileSync(path, file)
    expectRefusal(path, /./)
    expect(
      openStore(path)
        .check({ deep: true })
        .findings.map(({ what }) => what),
    ).toContainEqual(expect.stringMatching(/SQLite: /))
  },
)

test('a page that cannot be read is one clear error', () => {
  const path = everything()
  const { page, bytes } = rootOf(path, 'envelope')
  const file = readFileSync(path)
  file.fill(0xff, (page - 1) * bytes, page * bytes)
  writeFileSync(path, file)
  expectRefusal(path, /malformed/)
})

/** Commits `count` entries, some at a time. */
function grow(store: Store, count: number, atOnce = 250): void {
  const owned = store.own(RUN, OWNER)
  let [last, left]: [Pick<JournalEntry, 'pos' | 'hash'>, number] = [{ pos: store.run(RUN)!.position, hash: store.run(RUN)!.hash }, count]
  while (left > 0) {
    const journal = entries(Math.min(atOnce, left), last.pos, last.hash)
    const rows: Partial<Commit> = { epoch: owned.epoch, expectedPosition: last.pos, journal }
    owned.commit(commit(rows))
    last = journal.at(-1)!
    left -= journal.length
  }
  owned.release()
}

function grown(count: number, atOnce?: number): string {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path)
  owned.release()
  grow(store, count, atOnce)
  store.close()
  return path
}

const sealIn = (path: string): unknown => {
  const db = new Database(path, { readonly: true })
  const seal = db.prepare('SELECT seal, lower(hex(seal_hash)) AS hash FROM head').get()
  db.close()
  return seal
}

test.each([
  [999, 250, 0],
  [1_000, 250, 1_000],
  [2_499, 250, 2_000],
  [2_500, 2_500, 2_000],
])('after %i entries, %i in a commit, the last seal is that of entry %i', (count, atOnce, seal) => {
  const path = grown(count, atOnce)
  const hashAt = seal === 0 ? '' : openStore(path).journal(RUN, seal - 1, 1)[0]!.hash
  expect(sealIn(path)).toEqual({ seal, hash: hashAt })
})

test('what came since the last seal is verified when a run is owned, what is before only by a deep check: owning costs the same at any length', () => {
  const path = grown(2_500)
  flipBitIn(path, '{"n":1500}')
  const store = openStore(path)
  store.own(RUN, OWNER).release()
  expect(store.check().findings).toEqual([])
  expect(store.check({ deep: true }).findings).toEqual([
    { run: RUN, code: 'E_STORE_DAMAGED', what: 'journal 1500 is not what was written', position: 1_500 },
  ])
  store.close()
  flipBitIn(path, '{"n":2300}')
  expectRefusal(path, /^journal 2300 is not what was written$/)
})

/** Another payload in an entry that has the sum of it. */
function forge(path: string, position: number): void {
  const db = new Database(path)
  const row = db.prepare('SELECT * FROM journal WHERE id = ?').get(KEY + position) as JournalColumns
  const forged = { ...row, data: '{"n":"forged"}' }
  db.prepare('UPDATE journal SET data = ?, sum = ? WHERE id = ?').run(forged.data, journalSum(forged), row.id)
  db.close()
}

test('an entry that is whole in itself and another one than was committed does not fit the chain', () => {
  const path = grown(2_500)
  forge(path, 1_200)
  const store = openStore(path)
  store.own(RUN, OWNER).release()
  expect(store.check({ deep: true }).findings).toEqual([
    { run: RUN, code: 'E_STORE_DAMAGED', what: 'entry 1200 does not fit the hash chain', position: 1_200 },
  ])
  store.close()
  forge(path, 2_200)
  expectRefusal(path, /^entry 2200 does not fit the hash chain$/)
})

/** Holds the write lock of the store, says so, and lets go of it later: with a timer gone, and a head that is whole and of another commit. */
const INTRUDER = `
  import Database from 'better-sqlite3'
  import { heads } from '${new URL('../../../src/runtime/stores/sqlite/head.ts', import.meta.url)}'
  const db = new Database(process.argv[1])
  db.exec('BEGIN IMMEDIATE')
  db.exec('DELETE FROM timer')
  heads(db, { afterCommit: () => {} }).write(1, { ...heads(db, { afterCommit: () => {} }).read(1), digest: 7 })
  process.stdout.write('holding')
  setTimeout(() => db.exec('COMMIT'), 400)`

test('what was committed by others while the write lock was waited for is verified too, and the lock file let go of', async () => {
  const path = everything()
  const store = openStore(path)
  const child = spawn(process.execPath, ['--input-type=module', '-e', INTRUDER, path], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const { code } = refused(() => store.own(RUN, OWNER))
  expect([code, isHeld(lockPath(join(dirname(path), 'locks'), RUN, 0))]).toEqual(['E_STORE_DAMAGED', false])
})

test('who opens a run again and again verifies it each time', () => {
  const path = everything()
  const store = openStore(path)
  store.own(RUN, OWNER).release()
  store.own(RUN, OWNER).release()
  edit(path, 'DELETE FROM timer')
  expect(refused(() => store.own(RUN, OWNER)).code).toBe('E_STORE_DAMAGED')
})
