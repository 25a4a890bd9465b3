/** What goes wrong below: full disks, failing writes, a busy file, kill -9 in the middle. Nothing acknowledged is lost, nothing half done is kept. */
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { firstBreak } from '../../../src/runtime/journal.ts'
import type { Owned, Store } from '../../../src/runtime/store.ts'
import { explain } from '../../../src/runtime/stores/sqlite/errors.ts'
import { openDatabase } from '../../../src/runtime/stores/sqlite/open.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { transactions } from '../../../src/runtime/stores/sqlite/transaction.ts'
import { skip, smallDisk } from './mount.ts'
import { startOwner } from './owner.process.ts'
import { commit, entries, folder, OWNER, openStore, ownedRun, RUN, runRow, thrown } from './samples.ts'

/** The tables that a commit of `owner.child.ts` writes together agree with each other, and the file is whole. */
function verify(store: Store): number {
  const { position } = store.run(RUN)!
  const journal = store.journal(RUN, 0, Number.POSITIVE_INFINITY)
  expect(firstBreak(journal)).toBeNull()
  expect([journal.length, store.thread(RUN, 't').at(-1) ?? 0]).toEqual([position, position])
  const db = new Database(store.path, { readonly: true })
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
  db.close()
  return position
}

function storeWithRun(path = join(folder(), 'troupe.db')): Store {
  const store = openStore(path)
  store.createRun(runRow(), commit())
  return store
}

/** Commits entries of a kilobyte until one is refused; the position of the last one that was not, and what was thrown. */
function fill(store: Store, owned: Owned) {
  for (let count = 0; count < 20_000; count++) {
    const { position, hash } = store.run(RUN)!
    const next = commit({ expectedPosition: position, journal: entries(1, position, hash, { data: JSON.stringify('x'.repeat(1_000)) }) })
    let done = false
    const refused = thrown(() => {
      owned.commit(next)
      done = true
      throw new Error('done')
    })
    if (!done) return { position, refused }
  }
  throw new Error('it was never full')
}

test('STO-55: a full disk is one clear error, loses nothing acknowledged, and the same handle goes on when there is space', (context) => {
  const disk = smallDisk(context, 3_072)
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(1_000_000))
  const store = sqliteStore({ path: join(disk, 'troupe.db') })
  store.createRun(runRow(), commit())
  const owned = store.own(RUN, OWNER)
  const { position, refused } = fill(store, owned)
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_FULL', exit: 10, retryable: true })
  expect(refused.message).toBe(`the disk of ${store.path} is full; nothing acknowledged is lost`)
  expect([store.run(RUN)!.position, firstBreak(store.journal(RUN, 0, 1e6))]).toEqual([position, null])
  rmSync(join(disk, 'ballast'))
  for (let n = 0; n < 10; n++) {
    const at = store.run(RUN)!
    owned.commit(commit({ expectedPosition: at.position, journal: entries(1, at.position, at.hash) }))
  }
  expect(store.run(RUN)!.position).toBe(position + 10)
  store.close()
})

test('STO-55: a file that may not grow is full, rolls back, and goes on when it may', () => {
  const { db, file } = openDatabase({ path: join(folder(), 'troupe.db'), busyTimeoutMs: 100, synchronous: 'full' })
  const tx = transactions(db, file, 100)
  const add = (text: string) =>
    tx.write(() => void db.prepare("INSERT INTO request (run, kind, sum, data) VALUES (1, 'send', 0, ?)").run(text))
  const count = () => db.prepare('SELECT count(*) FROM request').pluck().get()
  add('first')
  db.pragma(`max_page_count = ${db.pragma('page_count', { simple: true })}`)
  expect(thrown(() => add('x'.repeat(1_000_000)))).toMatchObject({ code: 'E_STORE_FULL', exit: 10, retryable: true })
  expect([count(), db.inTransaction]).toEqual([1, false])
  db.pragma('max_page_count = 1000000')
  add('x'.repeat(1_000_000))
  expect(count()).toBe(2)
  db.close()
})

test('STO-56: after a failed write the handle refuses for good, also when the disk is well again; a new one has all that was committed', async (context) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) skip(context, 'prlimit is not installed')
  const store = storeWithRun()
  const limited = ['bash', '-c', 'ulimit -S -f 600; exec "$@"', '-']
  const child = startOwner({ command: 'strain', path: store.path, run: RUN, wrap: limited })
  expect(await child.line()).toEqual({ epoch: 1 })
  expect(await child.line()).toEqual({ ready: child.pid })
  expect(await child.tell('strain')).toMatchObject({ failed: 'E_STORE_IO', name: 'UserError', exit: 10 })
  const position = verify(store)
  expect(position).toBeGreaterThan(10)
  execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited:unlimited'])
  expect(await child.tell('again')).toMatchObject({ failed: 'E_STORE_IO' })
  expect(await child.tell('again')).toMatchObject({ failed: 'E_STORE_IO' })
  child.kill('SIGKILL')
  await child.gone()
  const owned = store.own(RUN, OWNER)
  owned.commit(
    commit({ epoch: 2, expectedPosition: position, threadAppends: [{ thread: 't', items: [String(position)], born: position }] }),
  )
  expect(verify(store)).toBe(position)
})

test('a file whose lock another process keeps is busy after the time that was given, and the commit may be tried again', () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'))
  const hasty = openStore(store.path, { busyTimeoutMs: 50 })
  const owned = hasty.own(RUN, OWNER, { takeOver: true })
  const other = new Database(store.path)
  other.exec('BEGIN IMMEDIATE')
  const next = commit({ epoch: 2, journal: entries(1) })
  const refused = thrown(() => owned.commit(next))
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_BUSY', exit: 10, retryable: true })
  expect(refused.message).toBe('another process held the write lock for 50 ms')
  expect(hasty.journal(RUN, 0)).toEqual([])
  other.close()
  owned.commit(next)
  expect(hasty.journal(RUN, 0)).toEqual(entries(1))
})

test('STO-20, STO-21: kill -9 in the middle of commits keeps every acknowledged one, at most one more, and never half of one', async () => {
  const path = join(folder(), 'troupe.db')
  storeWithRun(path).close()
  let before = 0
  for (const acknowledgements of [1, 2, 17, 60, 150]) {
    const child = startOwner({ command: 'write', path, run: RUN })
    expect(await child.line()).toHaveProperty('epoch')
    let last = before
    for (let n = 0; n < acknowledgements; n++) last = (await child.line())['position'] as number
    child.kill('SIGKILL')
    await child.gone()
    // Lines that were said but not read yet are acknowledgements too: they end where the store does, or one commit before.
    for (let line = await child.line().catch(() => null); line !== null; line = await child.line().catch(() => null)) {
      last = line['position'] as number
    }
    const store = openStore(path)
    const position = verify(store)
    expect({ position, last, kept: position === last || position === last + 2 }).toEqual({ position, last, kept: true })
    store.close()
    before = position
  }
})

test.each([
  ['SQLITE_FULL', 'E_STORE_FULL', true],
  ['SQLITE_IOERR_SHMSIZE', 'E_STORE_FULL', true],
  ['SQLITE_BUSY', 'E_STORE_BUSY', true],
  ['SQLITE_BUSY_SNAPSHOT', 'E_STORE_BUSY', true],
  ['SQLITE_IOERR_FSYNC', 'E_STORE_IO', false],
  ['SQLITE_CORRUPT', 'E_STORE_DAMAGED', false],
  ['SQLITE_NOTADB', 'E_STORE_DAMAGED', false],
  ['SQLITE_READONLY_DIRECTORY', 'E_STORE_READ_ONLY', false],
] as const)('%s is told as %s, exit 10, retryable: %s', (sqlite, code, retryable) => {
  const told = thrown(() => {
    throw explain(new Database.SqliteError('why', sqlite), '/x/troupe.db', 5_000)
  })
  expect(told).toMatchObject({ name: 'UserError', code, exit: 10, retryable })
})

test('a store whose pages are overwritten is damaged, not misread', () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'), 500)
  store.close()
  const bytes = readFileSync(store.path)
  writeFileSync(store.path, Buffer.concat([bytes.subarray(0, 4_096), randomBytes(bytes.length - 4_096)]))
  const refused = thrown(() => sqliteStore({ path: store.path }).journal(RUN, 0))
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_DAMAGED', exit: 10 })
})
