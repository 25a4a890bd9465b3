/** The store as a file, from the command line: how it stands, whether it is whole, copies, going back, and forgetting what is over. */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunRow } from '../../src/runtime/store.ts'
import { marksOf } from '../../src/runtime/stores/sqlite/mark.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { edit } from '../runtime/stores/damage.ts'
import { startOwner } from '../runtime/stores/owner.process.ts'
import { commit, entries, OWNER, runRow } from '../runtime/stores/samples.ts'
import { type Place, place, troupe } from './process.ts'

const DAY_MS = 86_400_000
const fileOf = ({ home }: Place): string => join(home, 'troupe.db')
/** Ids that differ in their first eight characters. */
const idOf = (n: number): string => `01M7W${String(n).padStart(3, '0')}RPQ8Z2K5T9D3XVHE7`

/** A store with runs of so many entries each; closed. */
function given(at: Place, runs: readonly (Partial<RunRow> & { readonly entries?: number })[]): void {
  const store = sqliteStore({ path: fileOf(at) })
  runs.forEach(({ entries: count = 3, ...row }, index) => {
    const run = row.run ?? idOf(index + 1)
    store.createRun(runRow(run, { project: at.dir, ...row }), commit({ run, journal: entries(count) }))
    store.own(run, OWNER).release()
  })
  store.close()
}

/** What it said, with the folders of this test told by name, and times that differ from run to run left out. */
async function said(at: Place, ...args: readonly string[]) {
  const { exit, out, err } = await troupe(at, args)
  const plain = (text: string): string =>
    text
      .replaceAll(at.home, 'HOME')
      .replaceAll(at.dir, 'DIR')
      .replace(/\d{8}T\d{6}Z/g, 'TIME')
      .replace(/[\d.]+ [kM]?B/g, 'SIZE')
      .replace(/[\d.]+s ago/g, 'AGO')
  return { exit, out: plain(out), err: plain(err) }
}
const json = async (at: Place, ...args: readonly string[]): Promise<Record<string, unknown>> =>
  JSON.parse((await troupe(at, [...args, '--json'])).out)

test('looking at a store that is not there says so, and makes none', async () => {
  const at = place()
  const nothing = { exit: 0, out: 'HOME/troupe.db  no store yet\n', err: '' }
  expect([await said(at, 'db', 'status'), await said(at, 'db', 'check', '--deep')]).toEqual([nothing, nothing])
  const none = {
    exit: 9,
    out: '',
    err: expect.stringMatching(/^error\[E_RUN_NOT_FOUND\] store {2}there is no store yet: HOME\/troupe\.db\n {2}fix: /),
  }
  expect([await said(at, 'db', 'backup'), await said(at, 'db', 'migrate')]).toEqual([none, none])
  expect(readdirSync(at.home).filter((name) => name.startsWith('troupe'))).toEqual([])
})

test('status is one line; check says what it looked at; both as one object', async () => {
  const at = place()
  given(at, [{}, { entries: 5 }])
  const line = 'HOME/troupe.db  SIZE, WAL SIZE, schema 3 of 3, 2 runs, 8 entries, chain intact, no backup\n'
  expect(await said(at, 'db', 'status')).toEqual({ exit: 0, out: line, err: '' })
  expect(await said(at, 'db', 'check')).toEqual({
    exit: 0,
    out: 'HOME/troupe.db  2 runs, 8 entries: what a resume rests on fits; everything: --deep\n',
    err: '',
  })
  const { out, err, exit } = await said(at, 'db', 'check', '--deep')
  expect([exit, out]).toEqual([0, 'HOME/troupe.db  2 runs, 8 entries: every page, row, entry and large text fits (0)\n'])
  expect(err.split('\n').map((each) => each.split('  ')[0])).toEqual([
    `warning[E_OWNER_FOREIGN] run ${idOf(1)}`,
    `warning[E_OWNER_FOREIGN] run ${idOf(2)}`,
    '',
  ])
  expect(await json(at, 'db', 'status')).toEqual({
    ...{
      schema: 'troupe.db/1',
      type: 'result',
      path: fileOf(at),
      bytes: statSync(fileOf(at)).size,
      walBytes: 0,
      schemaFound: 3,
      schemaWanted: 3,
    },
    ...{ runs: 2, entries: 8, blobs: 0, deep: false, intact: true, missing: 0, lastBackupAt: null, findings: [] },
  })
})

test('a tail that is lost is counted, nothing is changed, and the way back is one command', async () => {
  const at = place()
  given(at, [{ entries: 0 }])
  const run = idOf(1)
  expect((await said(at, 'db', 'backup')).out).toBe('HOME/backups/TIME.db  SIZE, 1 run, checked\n')
  const backup = join(at.home, 'backups', readdirSync(join(at.home, 'backups'))[0]!)
  const child = startOwner({ command: 'write', path: fileOf(at), run })
  while ((((await child.line())['position'] ?? 0) as number) < 150);
  child.kill('SIGKILL')
  await child.gone()
  const mark = marksOf(fileOf(at)).read(run) as { position: number }
  for (const log of ['-wal', '-shm']) rmSync(fileOf(at) + log)
  const before = readFileSync(fileOf(at))
  const lost = `the journal ends at #0, #${mark.position} was committed: ${mark.position} entries are missing`
  expect(await said(at, 'db', 'check')).toEqual({
    exit: 10,
    out: '',
    err: `error[E_STORE_TAIL_LOST] run ${run}  ${lost}\n  nothing runs on what is damaged; the file was not changed\n  fix: troupe db restore HOME/backups/TIME.db\n`,
  })
  expect(await json(at, 'db', 'check')).toMatchObject({
    intact: false,
    missing: mark.position,
    findings: [{ run, code: 'E_STORE_TAIL_LOST', position: 0 }],
  })
  expect((await said(at, 'db', 'status')).out).toContain(', 1 finding: troupe db check, backup AGO')
  expect(readFileSync(fileOf(at)).equals(before)).toBe(true)

  const told = `run ${run}  goes back to #0: ${mark.position} entries are lost\n`
  const refused = await said(at, 'db', 'restore', backup)
  expect([refused.exit, refused.out]).toEqual([2, ''])
  expect(refused.err).toMatch(
    /error\[E_CONFIRM_REQUIRED\] db restore \S+ {2}replace HOME\/troupe\.db by this backup of 1 run\? nobody can be asked here\n/,
  )
  expect(refused.err.endsWith(`fix: troupe db restore HOME/backups/TIME.db -y\n`)).toBe(true)
  const done = await said(at, 'db', 'restore', backup, '-y')
  expect([done.exit, done.out]).toEqual([0, 'HOME/troupe.db  restored: 1 run\n'])
  expect(done.err).toBe(`${told}kept as HOME/troupe.db.damaged-TIME\nkept as HOME/troupe.db.marks/${run}.damaged-TIME\n`)
  expect(await said(at, 'db', 'check')).toMatchObject({ exit: 0, out: expect.stringContaining('1 run, 0 entries') })
})

test('a file that is no store any more is told, and gone back from', async () => {
  const at = place()
  given(at, [{}])
  await said(at, 'db', 'backup')
  writeFileSync(fileOf(at), 'nothing of it is left. '.repeat(1_000))
  const { exit, out, err } = await said(at, 'db', 'check')
  expect([exit, out, err.split('\n')]).toEqual([
    10,
    '',
    [
      expect.stringMatching(/^error\[E_STORE_DAMAGED\] store {2}/),
      '  nothing runs on what is damaged; the file was not changed',
      '  fix: troupe db restore HOME/backups/TIME.db',
      '',
    ],
  ])
  expect((await said(at, 'ps')).exit).toBe(10)
  const backup = join(at.home, 'backups', readdirSync(join(at.home, 'backups'))[0]!)
  expect(await json(at, 'db', 'restore', backup, '-y')).toMatchObject({
    schema: 'troupe.db/1',
    intact: true,
    runs: 1,
    lost: [],
    kept: [expect.stringContaining('damaged')],
  })
})

test('many findings are told in part, the damage first; all of them as JSON', async () => {
  const at = place()
  given(
    at,
    Array.from({ length: 25 }, (_, n) => ({ entries: 1, run: idOf(n) })),
  )
  for (let n = 0; n < 25; n++) writeFileSync(marksOf(fileOf(at)).path(idOf(n)), 'torn')
  edit(fileOf(at), `UPDATE run SET name = 'other' WHERE run = '${idOf(24)}'`)
  const { exit, err } = await said(at, 'db', 'check')
  const lines = err.split('\n').filter(Boolean)
  expect([exit, lines.length, lines[0], lines.at(-3)]).toEqual([
    10,
    23,
    `error[E_STORE_DAMAGED] run ${idOf(24)}  the run's own row is not what was written`,
    expect.stringMatching(/^and \d+ more; all of them: --json$/),
  ])
  expect(((await json(at, 'db', 'check'))['findings'] as unknown[]).length).toBeGreaterThanOrEqual(25)
})

test('a torn mark is a warning, and no reason for another exit code', async () => {
  const at = place()
  given(at, [{}])
  writeFileSync(marksOf(fileOf(at)).path(idOf(1)), 'torn')
  const { exit, err } = await said(at, 'db', 'check')
  expect([exit, err.split('\n')[0]]).toEqual([
    0,
    `warning[E_MARK_TORN] run ${idOf(1)}  its high-water mark cannot be read; it counts as none`,
  ])
})

test('a backup goes where it is asked to, and replaces nothing unless that is said twice', async () => {
  const at = place()
  given(at, [{}])
  expect((await said(at, 'db', 'backup', 'copy.db')).out).toBe('DIR/copy.db  SIZE, 1 run, checked\n')
  const refused = await said(at, 'db', 'backup', 'copy.db')
  expect(refused).toEqual({
    exit: 2,
    out: '',
    err: 'error[E_FILE_EXISTS] DIR/copy.db  DIR/copy.db exists\n  fix: another name, or --force\n',
  })
  expect((await said(at, 'db', 'backup', 'copy.db', '--force')).err).toMatch(
    /^error\[E_CONFIRM_REQUIRED\] db backup {2}replace DIR\/copy\.db\? nobody can be asked here/,
  )
  expect(await json(at, 'db', 'backup', 'copy.db', '--force', '-y')).toMatchObject({
    path: join(at.dir, 'copy.db'),
    runs: 1,
    entries: 3,
    intact: true,
  })
  expect((await json(at, 'db', 'status'))['lastBackupAt']).toBe(null)
  await said(at, 'db', 'backup')
  expect((await json(at, 'db', 'status'))['lastBackupAt']).toMatch(/^\d{4}-/)
})

test('a store of an older schema is looked at as it is, and migrated when that is asked for, keeping the old file', async () => {
  const at = place()
  copyFileSync(new URL('../runtime/stores/golden/v2.db', import.meta.url), fileOf(at))
  const before = readFileSync(fileOf(at))
  expect((await said(at, 'db', 'status')).out).toBe('HOME/troupe.db  SIZE, WAL SIZE, schema 2 of 3, not checked, no backup\n')
  expect(await said(at, 'db', 'check')).toEqual({
    exit: 0,
    out: 'HOME/troupe.db  pages are whole; schema 2 of 3, its rows are checked after: troupe db migrate\n',
    err: '',
  })
  expect([await json(at, 'db', 'status'), readFileSync(fileOf(at)).equals(before)]).toEqual([
    expect.objectContaining({ intact: null, schemaFound: 2 }),
    true,
  ])
  expect((await said(at, 'db', 'migrate')).out).toBe('HOME/troupe.db  schema 2 became 3; as it was: HOME/troupe.db.v2.bak\n')
  expect(existsSync(`${fileOf(at)}.v2.bak`)).toBe(true)
  expect((await said(at, 'db', 'migrate')).out).toBe('HOME/troupe.db  schema 3 of 3, nothing to do\n')
  expect(await json(at, 'db', 'check', '--deep')).toMatchObject({ intact: true, schemaFound: 3 })
})

test('a store of a newer troupe is told as that', async () => {
  const at = place()
  given(at, [{}])
  const { default: Database } = await import('better-sqlite3')
  new Database(fileOf(at)).exec('PRAGMA user_version = 99').close()
  const { exit, err } = await said(at, 'db', 'check')
  expect([exit, err.split('\n')[0]]).toEqual([10, 'error[E_STORE_NEWER] store  made by a newer troupe, schema 99; this is 3'])
})

/** Five runs that ended one to five days ago, and two that did not. */
function givenHistory(at: Place): void {
  const ended = (status: RunRow['status'], days: number) => ({ status, endedAt: Date.now() - days * DAY_MS, entries: 200 })
  given(at, [
    ended('succeeded', 5),
    ended('failed', 4),
    ended('succeeded', 3),
    ended('canceled', 2),
    ended('succeeded', 1),
    { status: 'interrupted' },
    { name: 'nightly', status: 'suspended' },
  ])
}

test('prune says first what would go, and deletes nothing unless that is said', async () => {
  const at = place()
  givenHistory(at)
  expect(await said(at, 'prune')).toEqual({ exit: 0, out: 'nothing to prune; kept 7 (2 unfinished, 5 by --keep-last)\n', err: '' })
  const line = 'would free about SIZE: 3 runs; kept 4 (2 unfinished, 1 younger, 1 by --keep-last)   do it: -y\n'
  expect(await said(at, 'prune', '--keep-last', '1', '--older-than', '60h', '--dry-run')).toEqual({ exit: 0, out: line, err: '' })
  expect(await said(at, 'prune', '--keep-last', '1')).toEqual({
    exit: 2,
    out: '',
    err: 'error[E_CONFIRM_REQUIRED] prune  delete 4 runs (about SIZE) for good? nobody can be asked here\n  fix: troupe prune -y\n',
  })
  expect((await json(at, 'db', 'check'))['runs']).toBe(7)
})

test('prune deletes what it said, by age, number, status or name, and leaves the others as they were', async () => {
  const at = place()
  givenHistory(at)
  const left = async () => ((await json(at, 'ps', '--all'))['items'] as { run: string }[]).map(({ run }) => run).sort()
  const plan = (await json(at, 'prune', '--keep-last', '1', '--older-than', '60h', '--dry-run')) as { items: unknown; freedBytes: number }
  expect(plan).toMatchObject({ schema: 'troupe.prune/1', runs: 3, blobs: null, kept: 4, dryRun: true, items: [idOf(3), idOf(2), idOf(1)] })
  const done = (await json(at, 'prune', '--keep-last', '1', '--older-than', '60h', '-y')) as { freedBytes: number }
  expect(done).toMatchObject({ runs: 3, blobs: 0, kept: 4, dryRun: false, items: plan.items })
  expect([done.freedBytes > plan.freedBytes / 3, done.freedBytes < plan.freedBytes * 3]).toEqual([true, true])
  expect(await left()).toEqual([4, 5, 6, 7].map(idOf))
  expect((await said(at, 'prune', '--status', 'interrupted', '-y')).out).toMatch(
    /^freed SIZE: 1 run; kept 3 \(1 unfinished, 2 not asked for\)\n$/,
  )
  expect((await said(at, 'prune', 'nightly', idOf(4).slice(0, 8), '-y')).out).toMatch(/^freed SIZE: 2 runs; kept 1 \(1 not asked for\)\n$/)
  expect([await left(), await json(at, 'db', 'check', '--deep')]).toEqual([[idOf(5)], expect.objectContaining({ runs: 1, intact: true })])
  expect(marksOf(fileOf(at)).runs()).toEqual([idOf(5)])
})

test('a run that is running is not pruned, and one that is not there is told', async () => {
  const at = place()
  givenHistory(at)
  const child = startOwner({ command: 'own', path: fileOf(at), run: idOf(7) })
  await child.line()
  await child.tell('go')
  expect(await said(at, 'prune', 'nightly', '-y')).toMatchObject({ exit: 10, err: expect.stringMatching(/^error\[E_RUN_OWNED\] /) })
  expect(await said(at, 'prune', 'nonsense', '-y')).toMatchObject({
    exit: 9,
    err: expect.stringMatching(/^error\[E_RUN_NOT_FOUND\] run nonsense/),
  })
  expect((await json(at, 'db', 'check'))['runs']).toBe(7)
})
