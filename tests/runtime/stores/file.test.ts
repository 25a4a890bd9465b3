/** The database file: whose it is, who may read it, which version it has, and what is left when it is closed. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { MIGRATIONS, migrate } from '../../../src/runtime/stores/sqlite/migrate.ts'
import { checkNode, openDatabase } from '../../../src/runtime/stores/sqlite/open.ts'
import { APPLICATION_ID } from '../../../src/runtime/stores/sqlite/schema.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { remount, skip, smallDisk } from './mount.ts'
import { startOwner } from './owner.process.ts'
import { commit, entries, folder, OWNER, openStore, ownedRun, RUN, runRow, thrown } from './samples.ts'

const STORE_MODULE = fileURLToPath(new URL('../../../src/runtime/stores/sqlite/store.ts', import.meta.url))
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')
function execute(path: string, sql: string): void {
  new Database(path).exec(sql).close()
}
/** What lies in a folder, with the content of each file. */
const listing = (path: string) =>
  readdirSync(path)
    .sort()
    .map((name) => [name, statSync(join(path, name)).isFile() && sha(join(path, name))])

test('folders are made for the user alone, and so are the file, its log and its locks', () => {
  const top = join(folder(), 'a')
  const { store, owned } = ownedRun(join(top, 'b', 'troupe.db'))
  owned.commit(commit({ journal: entries(1) }))
  const path = join(top, 'b', 'troupe.db')
  expect(store.path).toBe(path)
  expect([top, dirname(path), join(top, 'b', 'locks'), path, `${path}-wal`, `${path}-shm`].map(mode)).toEqual([
    '700',
    '700',
    '700',
    '600',
    '600',
    '600',
  ])
})

test('the file is in WAL mode, synced at every commit unless told otherwise, ours by its application id, at the last version', () => {
  const path = join(folder(), 'troupe.db')
  const names = ['journal_mode', 'synchronous', 'application_id', 'user_version']
  const pragmas = (synchronous: 'full' | 'normal'): unknown[] => {
    const { db } = openDatabase({ path, busyTimeoutMs: 100, synchronous })
    const loose = db.prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND strict = 0").all()
    const values = names.map((name) => db.pragma(name, { simple: true }))
    db.close()
    return [...values, loose]
  }
  expect(pragmas('full')).toEqual(['wal', 2, APPLICATION_ID, MIGRATIONS.length, []])
  expect(pragmas('normal')).toEqual(['wal', 1, APPLICATION_ID, MIGRATIONS.length, []])
})

test('a commit is synced to the disk before it returns, and the default is that', (context) => {
  if (spawnSync('strace', ['-V']).status !== 0) skip(context, 'strace is not installed')
  const path = join(folder(), 'troupe.db')
  const code = `const { sqliteStore } = await import(process.argv[1]); const store = sqliteStore({ path: process.argv[2] })
    store.createRun(JSON.parse(process.argv[3]), JSON.parse(process.argv[4]))
    for (let n = 0; n < 20; n++) store.request('${RUN}', 'send', n); process.kill(process.pid, 'SIGKILL')`
  const args = ['--input-type=module', '-e', code, STORE_MODULE, path, JSON.stringify(runRow()), JSON.stringify(commit())]
  const traced = spawnSync('strace', ['-f', '-qq', '-e', 'trace=fdatasync,fsync', '-P', `${path}-wal`, process.execPath, ...args], {
    encoding: 'utf8',
  })
  const syncs = traced.stderr.split('\n').filter((line) => /f(data)?sync\(/.test(line)).length
  expect({ syncs, enough: syncs >= 21, error: traced.stdout }).toEqual({ syncs, enough: true, error: '' })
})

test('several processes may make one store at the same time', async () => {
  const path = join(folder(), 'new', 'troupe.db')
  const children = [1, 2, 3, 4].map(() => startOwner({ command: 'own', path, run: RUN }))
  const said = await Promise.all(children.map((child) => child.line()))
  expect(said).toEqual(children.map((child) => ({ ready: child.pid })))
})

test.each([
  ['a text file', (path: string): void => writeFileSync(path, 'hello, this is no database\n'.repeat(100))],
  ['a very short text file', (path: string): void => writeFileSync(path, 'x')],
  ['a database of another program', (path: string): void => execute(path, 'PRAGMA application_id = 7; CREATE TABLE t (a)')],
  ['a database of nobody', (path: string): void => execute(path, 'CREATE TABLE t (a)')],
  ['a folder', (path: string) => mkdirSync(path)],
  ['a device', (path: string): void => symlinkSync('/dev/null', path)],
] as const)('STO-57: %s is refused in one sentence and stays as it is', (_, make) => {
  const path = join(folder(), 'troupe.db')
  make(path)
  const before = listing(dirname(path))
  const refused = thrown(() => sqliteStore({ path }))
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_WRONG_FILE', exit: 10, retryable: false })
  expect(refused.message).toContain(path)
  expect(listing(dirname(path))).toEqual(before)
})

test("STO-57: another program's database keeps its log, even when that program was killed", () => {
  const path = join(folder(), 'theirs.db')
  const script = `const db = new (require('better-sqlite3'))(process.argv[1]); db.pragma('journal_mode = wal')
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)'); process.kill(process.pid, 'SIGKILL')`
  expect(spawnSync(process.execPath, ['-e', script, path]).signal).toBe('SIGKILL')
  const before = [sha(path), sha(`${path}-wal`)]
  expect(thrown(() => sqliteStore({ path })).code).toBe('E_STORE_WRONG_FILE')
  expect([sha(path), sha(`${path}-wal`)]).toEqual(before)
})

test('STO-57: a path below a file is refused', () => {
  const path = join(folder(), 'file')
  writeFileSync(path, 'x')
  expect(thrown(() => sqliteStore({ path: join(path, 'troupe.db') }))).toMatchObject({ code: 'E_STORE_WRONG_FILE', exit: 10 })
  expect(readFileSync(path, 'utf8')).toBe('x')
})

test('STO-57: a store on a read-only file system is refused and stays as it is', (context) => {
  const disk = smallDisk(context, 4_096)
  const path = join(disk, 'troupe.db')
  sqliteStore({ path }).close()
  const before = listing(disk)
  remount(disk, 'ro')
  expect(thrown(() => sqliteStore({ path }))).toMatchObject({ name: 'UserError', code: 'E_STORE_READ_ONLY', exit: 10 })
  expect(thrown(() => sqliteStore({ path: join(disk, 'other', 'troupe.db') }))).toMatchObject({ code: 'E_STORE_READ_ONLY' })
  expect(listing(disk)).toEqual(before)
})

test('STO-57: a file without the right to write is refused and stays as it is', (context) => {
  const path = join(folder(), 'troupe.db')
  sqliteStore({ path }).close()
  const root = process.getuid?.() === 0
  // Root may write anything: as root the question is put by a process of somebody else, whose folder it is.
  if (root) chownSync(dirname(path), 65_534, 65_534)
  chmodSync(path, 0o444)
  const before = listing(dirname(path))
  const code = `const { sqliteStore } = await import(process.argv[1])
    try { sqliteStore({ path: process.argv[2] }) } catch (error) { console.log(error.name, error.code, error.options.exit) }`
  const args = ['--input-type=module', '-e', code, STORE_MODULE, path]
  const asked = spawnSync(process.execPath, args, { encoding: 'utf8', ...(root ? { uid: 65_534, gid: 65_534 } : {}) })
  if (asked.status !== 0)
    skip(context, `another user cannot run this repository: ${asked.error?.message ?? asked.stderr.trim().split('\n').at(-1)}`)
  expect([asked.stdout.trim(), listing(dirname(path))]).toEqual(['UserError E_STORE_READ_ONLY 10', before])
})

test('a new store whose file another process reads is waited for, as long as was given', () => {
  const path = join(folder(), 'troupe.db')
  execute(path, `PRAGMA application_id = ${APPLICATION_ID}; CREATE TABLE t (a)`)
  const reader = new Database(path)
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM t').get()
  const started = performance.now()
  const refused = thrown(() => sqliteStore({ path, busyTimeoutMs: 200 }))
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_BUSY', exit: 10, retryable: true })
  expect(performance.now() - started).toBeGreaterThan(190)
  reader.close()
})

test('STO-57: a store of a newer troupe is refused and stays as it is', () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'))
  store.close()
  execute(store.path, 'PRAGMA user_version = 99')
  const before = listing(dirname(store.path))
  const refused = thrown(() => sqliteStore({ path: store.path }))
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_NEWER', exit: 10 })
  expect(refused.message).toBe(`made by a newer troupe, schema 99; this is ${MIGRATIONS.length}`)
  expect(listing(dirname(store.path))).toEqual(before)
})

test('an empty file that somebody touched becomes a store, for the user alone', () => {
  const path = join(folder(), 'troupe.db')
  writeFileSync(path, '', { mode: 0o644 })
  openStore(path).createRun(runRow(), commit())
  expect(mode(path)).toBe('600')
})

test('STO-58: a migration that fails half way leaves the old version and its data, with a backup beside it', () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'), 3)
  store.close()
  const db = new Database(store.path)
  const broken = [...MIGRATIONS, 'ALTER TABLE journal ADD COLUMN extra TEXT; CREATE TABLE extra (a); INSERT INTO nowhere VALUES (1)']
  expect(() => migrate(db, store.path, broken)).toThrow('nowhere')
  expect(db.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length)
  const backup = `${store.path}.v${MIGRATIONS.length}.bak`
  expect(mode(backup)).toBe('600')
  const mended = [...MIGRATIONS, 'CREATE TABLE one (a)', 'CREATE TABLE two (a)']
  migrate(db, store.path, mended)
  migrate(db, store.path, mended)
  expect(db.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + 2)
  expect(db.prepare("SELECT name FROM sqlite_schema WHERE name IN ('one', 'two', 'extra') ORDER BY name").pluck().all()).toEqual([
    'one',
    'two',
  ])
  db.close()
  expect(openStore(backup).journal(RUN, 0)).toEqual(entries(3))
})

test('STO-59: closing flushes the log, twice is harmless, and nothing is written afterwards', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  owned.commit(commit({ journal: entries(1) }))
  store.close()
  store.close()
  expect([existsSync(`${store.path}-wal`), existsSync(`${store.path}-shm`)]).toEqual([false, false])
  const before = sha(store.path)
  for (const call of [
    () => owned.commit(commit({ expectedPosition: 1, journal: entries(1, 1) })),
    () => owned.check(),
    () => store.request(RUN, 'send', {}),
    () => store.createRun(runRow('late'), commit()),
    () => store.own(RUN, OWNER),
    () => store.image(RUN),
    () => store.journal(RUN, 0),
  ]) {
    expect(thrown(call)).toMatchObject({ name: 'Defect', code: 'E_STORE_CLOSED' })
  }
  owned.release()
  expect(sha(store.path)).toBe(before)
})

test('closing does not wait for a reader of another handle', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  const reader = new Database(store.path, { readonly: true })
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM journal').get()
  owned.commit(commit({ journal: entries(1) }))
  const started = performance.now()
  store.close()
  expect(performance.now() - started).toBeLessThan(1_000)
  reader.close()
  expect(openStore(store.path).journal(RUN, 0)).toEqual(entries(1))
})

test.each([
  ['16.20.2', true],
  ['20.20.2', true],
  ['22.17.1', true],
  ['22.18.0', false],
  ['24.21.0', false],
] as const)('Node %s is refused before it can crash: %s', (version, refused) => {
  if (!refused) return expect(checkNode(version)).toBeUndefined()
  expect(thrown(() => checkNode(version))).toMatchObject({ name: 'UserError', code: 'E_NODE_VERSION', exit: 1 })
})
