/** The high-water mark: what was committed is witnessed outside the database and its log, and a journal that is shorter is never taken for the whole. */
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Mark, marksOf } from '../../../src/runtime/stores/sqlite/mark.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { refused } from './damage.ts'
import { startOwner } from './owner.process.ts'
import { commit, entries, folder, OWNER, openStore, ownedRun, RUN, runRow, thrown } from './samples.ts'

const MARK: Mark = { position: 450, hash: 'a1'.repeat(32), epoch: 3 }

/** A process that committed some 2,000 entries and was killed, so that all of them are in the log. */
async function killedWriter(): Promise<{ readonly path: string; readonly position: number }> {
  const path = join(folder(), 'troupe.db')
  const store = sqliteStore({ path })
  store.createRun(runRow(), commit())
  store.close()
  const child = startOwner({ command: 'write', path, run: RUN })
  let position = 0
  while (position < 300) position = ((await child.line())['position'] ?? 0) as number
  child.kill('SIGKILL')
  await child.gone()
  const mark = marksOf(path).read(RUN) as Mark
  expect(mark.position).toBeGreaterThanOrEqual(position)
  return { path, position: mark.position }
}

test('a mark is read as it was written, also at position 0', () => {
  const marks = marksOf(join(folder(), 'troupe.db'))
  expect(marks.read(RUN)).toBe('none')
  const writer = marks.open(RUN)
  for (const mark of [{ position: 0, hash: '', epoch: 1 }, MARK]) {
    writer.write(mark)
    expect([marks.read(RUN), marks.runs(), statSync(marks.path(RUN)).size]).toEqual([mark, [RUN], 64])
  }
  writer.close()
  writer.write({ ...MARK, position: 451 })
  expect(marks.read(RUN)).toEqual(MARK)
})

test.each(Array.from({ length: 8 }, (_, bit) => bit))('a mark with bit %i of any byte flipped counts as torn', (bit) => {
  const marks = marksOf(join(folder(), 'troupe.db'))
  marks.open(RUN).write(MARK)
  const whole = readFileSync(marks.path(RUN))
  for (let byte = 0; byte < 60; byte++) {
    const bytes = Buffer.from(whole)
    bytes[byte]! ^= 1 << bit
    writeFileSync(marks.path(RUN), bytes)
    expect([byte, marks.read(RUN)]).toEqual([byte, 'torn'])
  }
})

test('a mark that was cut off counts as torn', () => {
  const marks = marksOf(join(folder(), 'troupe.db'))
  marks.open(RUN).write(MARK)
  for (const bytes of [63, 8, 0]) {
    truncateSync(marks.path(RUN), bytes)
    expect(marks.read(RUN)).toBe('torn')
  }
})

test('the mark follows each commit, and owning', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'), 3)
  const marks = marksOf(store.path)
  const [third] = entries(3).slice(-1)
  expect(marks.read(RUN)).toEqual({ position: 3, hash: third!.hash, epoch: 1 })
  const [fourth] = entries(1, 3, third!.hash)
  owned.commit(commit({ expectedPosition: 3, journal: [fourth!] }))
  expect(marks.read(RUN)).toEqual({ position: 4, hash: fourth!.hash, epoch: 1 })
  // What was refused was not committed: a mark that told of it would lead.
  const late = entries(5, 3, third!.hash)
  expect(thrown(() => owned.commit(commit({ expectedPosition: 3, journal: late }))).code).toBe('E_LEASE_LOST')
  expect(marks.read(RUN)).toEqual({ position: 4, hash: fourth!.hash, epoch: 1 })
})

test('a log that was deleted is noticed: what is missing is counted, and nothing is changed', async () => {
  const { path, position } = await killedWriter()
  rmSync(`${path}-wal`)
  rmSync(`${path}-shm`)
  const before = readFileSync(path)
  const store = openStore(path)
  const error = refused(() => store.own(RUN, OWNER))
  expect(error).toMatchObject({
    code: 'E_STORE_TAIL_LOST',
    message: `the journal ends at #0, #${position} was committed: ${position} entries are missing`,
    options: {
      where: `run ${RUN}`,
      file: path,
      exit: 10,
      retryable: false,
      details: { run: RUN, found: 0, committed: position, missing: position },
    },
  })
  expect([store.run(RUN)!.epoch, store.isOwned(RUN)]).toEqual([0, false])
  store.close()
  expect([readFileSync(path).equals(before), (marksOf(path).read(RUN) as Mark).position]).toEqual([true, position])
})

test('a log that was cut off is noticed, and kept as it is: what lies behind the cut may be worth something to somebody', async () => {
  const { path, position } = await killedWriter()
  truncateSync(`${path}-wal`, Math.floor(statSync(`${path}-wal`).size / 2))
  const before = [readFileSync(path), readFileSync(`${path}-wal`)]
  const store = openStore(path)
  const { code, message, options } = refused(() => store.own(RUN, OWNER))
  const { found, missing } = options.details as { found: number; missing: number }
  expect([code, message]).toEqual([
    'E_STORE_TAIL_LOST',
    `the journal ends at #${found}, #${position} was committed: ${missing} entries are missing`,
  ])
  expect(found).toBeGreaterThan(0)
  expect(found + missing).toBe(position)
  store.close()
  expect([readFileSync(path).equals(before[0]!), readFileSync(`${path}-wal`).equals(before[1]!)]).toEqual([true, true])
})

test('a whole log is taken up, however its writer died', async () => {
  const { path, position } = await killedWriter()
  const store = openStore(path)
  store.own(RUN, OWNER)
  expect(store.run(RUN)!.position).toBeGreaterThanOrEqual(position)
})

test('a torn mark keeps nobody from working: it is as if there was none, and a check says so', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'), 3)
  owned.release()
  writeFileSync(marksOf(store.path).path(RUN), 'garbage')
  expect(store.check().findings).toEqual([
    { run: RUN, code: 'E_MARK_TORN', what: 'its high-water mark cannot be read; it counts as none', position: null },
  ])
  store.own(RUN, OWNER).release()
  expect(store.check().findings).toEqual([])
})

test('a journal that was replaced by another one of the same length is noticed', () => {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path, 3)
  owned.release()
  marksOf(path)
    .open(RUN)
    .write({ position: 2, hash: 'a1'.repeat(32), epoch: 1 })
  expect(refused(() => store.own(RUN, OWNER))).toMatchObject({ code: 'E_STORE_DAMAGED', options: { details: { run: RUN, position: 2 } } })
})

test('an epoch that was given and is gone is noticed, or it would be given twice', () => {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path, 3)
  owned.release()
  marksOf(path)
    .open(RUN)
    .write({ ...(marksOf(path).read(RUN) as Mark), epoch: 5 })
  expect(refused(() => store.own(RUN, OWNER))).toMatchObject({
    code: 'E_STORE_TAIL_LOST',
    message: 'epoch 1 is the last one of the run, epoch 5 was given: what its owner committed is missing',
  })
})

test('a run that is gone whole is found by a check', () => {
  const path = join(folder(), 'troupe.db')
  const store = openStore(path)
  marksOf(path).open(RUN).write(MARK)
  expect(store.check().findings).toEqual([
    { run: RUN, code: 'E_STORE_TAIL_LOST', what: 'the run is not in the store, #450 was committed: 450 entries are missing', position: 0 },
  ])
})

test('a removed run leaves no mark', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'), 3)
  owned.release()
  store.remove(RUN)
  expect([existsSync(marksOf(store.path).path(RUN)), store.check().findings]).toEqual([false, []])
})

test('where a commit that returned may be lost in a power cut, the mark stays where it was: it never leads', () => {
  const path = join(folder(), 'troupe.db')
  const { store, owned } = ownedRun(path, 3)
  owned.release()
  store.close()
  const normal = sqliteStore({ path, synchronous: 'normal' })
  const before = marksOf(path).read(RUN) as Mark
  const again = normal.own(RUN, OWNER)
  again.commit(commit({ epoch: 2, expectedPosition: 3, journal: entries(1, 3, before.hash) }))
  normal.close()
  expect(marksOf(path).read(RUN)).toEqual(before)
})

test('a store in memory has no marks', () => {
  const { store } = ownedRun(':memory:', 3)
  expect([store.check().findings, existsSync(':memory:.marks')]).toEqual([[], false])
})
