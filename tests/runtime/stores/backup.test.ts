/** Copies of a store while others write to it, and going back to one: nothing that is there is ever deleted, and nothing that was committed is taken for kept. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { UserError } from '../../../src/errors.ts'
import { firstBreak } from '../../../src/runtime/journal.ts'
import { backUp, backupsOf, newestBackup } from '../../../src/runtime/stores/sqlite/backup.ts'
import { checkFile } from '../../../src/runtime/stores/sqlite/check-file.ts'
import { type Mark, marksOf } from '../../../src/runtime/stores/sqlite/mark.ts'
import { planRestore, type RestoreOptions, restore } from '../../../src/runtime/stores/sqlite/restore.ts'
import { flipBitIn, refused, rootOf } from './damage.ts'
import { startOwner } from './owner.process.ts'
import { commit, entries, folder, OWNER, openStore, ownedRun, RUN, runRow } from './samples.ts'

const NOW = Date.UTC(2026, 10, 20, 9, 15, 0)
const ASIDE = 'damaged-20261120T091500Z'

async function refusal(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Error)
  return error as UserError
}

/** A closed store with one run of so many entries. */
function closedStore(path: string, count: number): void {
  const { store } = ownedRun(path, count)
  store.close()
}

function going(file: string, backup: string): RestoreOptions {
  return { file, backup, busyTimeoutMs: 1_000, nowMs: NOW }
}

/** A store that goes on for 5 entries after its backup at 3, and is then damaged. */
async function damagedStore(): Promise<{ readonly file: string; readonly backup: string }> {
  const file = join(folder(), 'troupe.db')
  const backup = join(backupsOf(file), '20261118T000000Z.db')
  const { store, owned } = ownedRun(file, 3)
  await store.backup(backup)
  owned.commit(commit({ expectedPosition: 3, journal: entries(5, 3, entries(3).at(-1)!.hash) }))
  store.close()
  flipBitIn(file, '{"n":6}')
  return { file, backup }
}

test('a copy is one file for the user alone, whole, and says what the store said', async () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'), 3)
  const target = join(folder(), 'below', 'copy.db')
  await store.backup(target)
  expect([readdirSync(dirname(target)), statSync(target).mode & 0o777, statSync(dirname(target)).mode & 0o777]).toEqual([
    ['copy.db'],
    0o600,
    0o700,
  ])
  expect(checkFile(target, { deep: true })).toMatchObject({ runs: 1, entries: 3, findings: [] })
  const copy = openStore(target)
  expect([copy.run(RUN), copy.journal(RUN, 0)]).toEqual([store.run(RUN), store.journal(RUN, 0)])
})

test('a store in memory is copied too', async () => {
  const { store } = ownedRun(':memory:', 3)
  const target = join(folder(), 'copy.db')
  await store.backup(target)
  expect(checkFile(target, { deep: true })).toMatchObject({ runs: 1, entries: 3, findings: [] })
})

test('copies that are made while another process commits without end are whole, and hold what was acknowledged before they began', async () => {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path)
  owned.release()
  const child = startOwner({ command: 'write', path, run: RUN })
  for (let round = 0; round < 5; round++) {
    let acknowledged = 0
    while (acknowledged < (round + 1) * 100) acknowledged = ((await child.line())['position'] ?? 0) as number
    const target = join(folder(), 'copy.db')
    await store.backup(target)
    const copy = openStore(target)
    const journal = copy.journal(RUN, 0, Number.POSITIVE_INFINITY)
    expect(journal.length).toBeGreaterThanOrEqual(acknowledged)
    expect([firstBreak(journal), copy.check({ deep: true }).findings, copy.thread(RUN, 't').length]).toEqual([null, [], journal.length / 2])
  }
})

test('the runs of the process that copies go on meanwhile', async () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  let [last, done] = [{ pos: 0, hash: '' }, false]
  for (let n = 0; n < 20; n++) {
    const journal = entries(200, last.pos, last.hash, { data: JSON.stringify({ fill: 'x'.repeat(2_000) }) })
    owned.commit(commit({ expectedPosition: last.pos, journal }))
    last = journal.at(-1)!
  }
  const target = join(folder(), 'copy.db')
  const before = last.pos
  const copied = store.backup(target).then(() => (done = true))
  while (!done) {
    const [entry] = entries(1, last.pos, last.hash)
    owned.commit(commit({ expectedPosition: last.pos, journal: [entry!] }))
    last = entry!
    await new Promise(setImmediate)
  }
  await copied
  expect(last.pos - before).toBeGreaterThan(5)
  expect(checkFile(target, { deep: true })).toMatchObject({ findings: [] })
  expect(checkFile(target).entries).toBeGreaterThanOrEqual(before)
})

test("a target that exists is refused and kept, unless replacing is asked for; a copy that was cut off stands in nobody's way for long", async () => {
  const file = join(folder(), 'troupe.db')
  const { store } = ownedRun(file, 3)
  const target = join(folder(), 'copy.db')
  writeFileSync(target, 'mine')
  expect(await refusal(store.backup(target))).toMatchObject({ code: 'E_FILE_EXISTS', message: `${target} exists`, options: { exit: 2 } })
  expect([readFileSync(target, 'utf8'), existsSync(`${target}.part`)]).toEqual(['mine', false])
  writeFileSync(`${target}.part`, 'cut off')
  expect(await refusal(backUp({ file, busyTimeoutMs: 100, target, force: true }))).toMatchObject({
    code: 'E_FILE_EXISTS',
    options: { fix: `rm '${target}.part'` },
  })
  expect([readFileSync(target, 'utf8'), readFileSync(`${target}.part`, 'utf8')]).toEqual(['mine', 'cut off'])
  const other = join(folder(), 'copy.db')
  writeFileSync(other, 'mine')
  await backUp({ file, busyTimeoutMs: 100, target: other, force: true })
  expect(checkFile(other).entries).toBe(3)
})

test('a store whose pages are damaged is not copied: half a copy is worse than none', async () => {
  const file = join(folder(), 'troupe.db')
  closedStore(file, 500)
  const { page, bytes } = rootOf(file, 'journal')
  const content = readFileSync(file)
  content.fill(0xff, (page - 1) * bytes, page * bytes)
  writeFileSync(file, content)
  const target = join(folder(), 'copy.db')
  const error = await refusal(backUp({ file, busyTimeoutMs: 100, target }))
  expect([error.code, error.options.exit, readdirSync(dirname(target))]).toEqual(['E_STORE_DAMAGED', 10, []])
})

test('a place that cannot be written is named', async () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'), 3)
  const file = join(folder(), 'a-file')
  writeFileSync(file, '')
  expect(await refusal(store.backup(join(file, 'copy.db')))).toMatchObject({ code: 'E_STORE_IO', options: { exit: 10 } })
})

test('the newest backup is the one that a fix names', async () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'), 3)
  expect(newestBackup(store.path)).toBe(null)
  for (const name of ['b.db', 'a.db']) await store.backup(join(backupsOf(store.path), name))
  expect(newestBackup(store.path)?.path).toBe(join(backupsOf(store.path), 'a.db'))
})

test('restoring puts the backup in the place of the store, keeps everything that was there, and tells what is lost', async () => {
  const { file, backup } = await damagedStore()
  const before = [readFileSync(file), readFileSync(backup)]
  expect(marksOf(file).read(RUN)).toMatchObject({ position: 8 })
  expect(refused(() => openStore(file).own(RUN, OWNER)).options.fix).toBe(`troupe db restore ${backup}`)
  const { kept, lost } = await restore(going(file, backup))
  expect(lost).toEqual([{ run: RUN, position: 3, entries: 5 }])
  expect(kept.map((path) => basename(path)).sort()).toEqual([`${RUN}.${ASIDE}`, `troupe.db.${ASIDE}`])
  expect([readFileSync(`${file}.${ASIDE}`).equals(before[0]!), readFileSync(backup).equals(before[1]!)]).toEqual([true, true])
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const store = openStore(file)
  expect([store.journal(RUN, 0).length, store.own(RUN, OWNER).epoch, store.check({ deep: true }).findings]).toEqual([3, 2, []])
})

test('a log that was never folded in is kept beside the file that it belongs to', async () => {
  const file = join(folder(), 'troupe.db')
  const store = openStore(file)
  store.createRun(runRow(), commit())
  const backup = join(folder(), 'copy.db')
  await store.backup(backup)
  store.close()
  const child = startOwner({ command: 'write', path: file, run: RUN })
  let position = 0
  while (position < 50) position = ((await child.line())['position'] ?? 0) as number
  child.kill('SIGKILL')
  await child.gone()
  const log = readFileSync(`${file}-wal`)
  const { lost } = await restore(going(file, backup))
  expect(lost[0]!.entries).toBeGreaterThanOrEqual(position)
  expect(readFileSync(`${file}.${ASIDE}-wal`).equals(log)).toBe(true)
  expect(checkFile(`${file}.${ASIDE}`, { deep: true })).toMatchObject({ findings: [], entries: lost[0]!.entries })
  expect(openStore(file).run(RUN)!.position).toBe(0)
})

test('a run that is not in the backup is told, and its mark is moved aside', async () => {
  const { file, backup } = await damagedStore()
  marksOf(file)
    .open('younger')
    .write({ ...(marksOf(file).read(RUN) as Mark), position: 12 })
  const { lost } = await restore(going(file, backup))
  expect(lost).toEqual([
    { run: RUN, position: 3, entries: 5 },
    { run: 'younger', position: null, entries: 12 },
  ])
  expect([marksOf(file).runs(), checkFile(file).findings]).toEqual([[], []])
})

test('nothing is restored while a run of the store is owned, by whomever', async () => {
  const file = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(file, 3)
  const backup = join(folder(), 'copy.db')
  await store.backup(backup)
  const refusedWith = async () => (await refusal(restore(going(file, backup)))).code
  expect(await refusedWith()).toBe('E_RUN_OWNED')
  owned.release()
  const child = startOwner({ command: 'own', path: file, run: RUN })
  await child.line()
  await child.tell('go')
  expect([await refusedWith(), refused(() => planRestore(going(file, backup))).code]).toEqual(['E_RUN_OWNED', 'E_RUN_OWNED'])
  child.kill('SIGSTOP')
  expect(await refusedWith()).toBe('E_RUN_OWNED')
  child.kill('SIGKILL')
  await child.gone()
  expect(readdirSync(dirname(file)).filter((name) => name.includes('restored') || name.includes('damaged'))).toEqual([])
  expect((await restore(going(file, backup))).lost).toEqual([])
})

test('nothing is restored while somebody writes', async () => {
  const { file, backup } = await damagedStore()
  const writer = new Database(file)
  writer.exec('BEGIN IMMEDIATE')
  expect((await refusal(restore({ ...going(file, backup), busyTimeoutMs: 50 }))).code).toBe('E_STORE_BUSY')
  writer.close()
  expect((await restore(going(file, backup))).kept).toHaveLength(2)
})

test('a backup that is not whole itself is refused, and the store stays as it is', async () => {
  const { file, backup } = await damagedStore()
  const before = readFileSync(file)
  flipBitIn(backup, '{"n":2}')
  const error = await refusal(restore(going(file, backup)))
  expect([error.code, error.message]).toEqual(['E_STORE_DAMAGED', 'the backup is not whole: journal 2 is not what was written'])
  expect([readFileSync(file).equals(before), readdirSync(dirname(file)).some((name) => name.includes('damaged'))]).toEqual([true, false])
  expect((await refusal(restore(going(file, join(folder(), 'none.db'))))).code).toBe('E_STORE_WRONG_FILE')
})

test('a store that is gone, or is no database any more, is restored too', async () => {
  const { file, backup } = await damagedStore()
  writeFileSync(file, 'nothing of it is left. '.repeat(1_000))
  expect((await restore(going(file, backup))).lost).toEqual([{ run: RUN, position: 3, entries: 5 }])
  expect(checkFile(file, { deep: true })).toMatchObject({ entries: 3, findings: [] })
  const other = join(folder(), 'home', 'troupe.db')
  expect(await restore(going(other, backup))).toMatchObject({ kept: [], lost: [] })
  expect(checkFile(other, { deep: true })).toMatchObject({ entries: 3, findings: [] })
})

test('a restore that was cut off is done again', async () => {
  const { file, backup } = await damagedStore()
  // As a crash leaves it: the new file is in its place, the marks still tell of the old one; and a copy that was cut off.
  writeFileSync(`${file}.restored.part`, 'cut off')
  writeFileSync(file, readFileSync(backup))
  expect(refused(() => openStore(file).own(RUN, OWNER)).code).toBe('E_STORE_TAIL_LOST')
  expect((await restore({ ...going(file, backup), nowMs: NOW + 1_000 })).lost).toEqual([{ run: RUN, position: 3, entries: 5 }])
  expect(openStore(file).own(RUN, OWNER).epoch).toBe(2)
})
