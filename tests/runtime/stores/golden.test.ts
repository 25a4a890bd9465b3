/**
 * Files that released versions wrote, kept in golden/: each opens, and says what it said. Killed at any statement of its way to the last version it is
 * what it was, or what it becomes.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { firstBreak } from '../../../src/runtime/journal.ts'
import { digestOf } from '../../../src/runtime/stores/sqlite/digest.ts'
import { MIGRATIONS, migrate } from '../../../src/runtime/stores/sqlite/migrate.ts'
import { answersOf } from './golden/answers.ts'
import { folder, OWNER, openStore } from './samples.ts'

const at = (name: string): string => fileURLToPath(new URL(`./golden/${name}`, import.meta.url))
const CHILD = at('migrating.child.ts')
const VERSIONS = [1, 2] as const

function copyOf(version: number): string {
  const path = join(folder(), 'troupe.db')
  copyFileSync(at(`v${version}.db`), path)
  return path
}
const answers = (version: number): unknown => JSON.parse(readFileSync(at(`v${version}.json`), 'utf8'))
const versionOf = (path: string): unknown => read(path, (db) => db.pragma('user_version', { simple: true }))
function read<T>(path: string, look: (db: Database.Database) => T): T {
  const db = new Database(path)
  try {
    return look(db)
  } finally {
    db.close()
  }
}

test.each(VERSIONS)('STO-58: a store of version %i opens and answers as it did, and the old file lies beside it', (version) => {
  const path = copyOf(version)
  const store = openStore(path)
  expect(answersOf(store)).toEqual(answers(version))
  for (const { run } of store.runs()) expect(firstBreak(store.journal(run, 0, Number.POSITIVE_INFINITY))).toBeNull()
  expect([versionOf(path), existsSync(`${path}.v${version}.bak`), versionOf(`${path}.v${version}.bak`)]).toEqual([
    MIGRATIONS.length,
    true,
    version,
  ])
})

test.each(VERSIONS)('a store of version %i goes on: each run can be owned, and its digest is that of its rows', (version) => {
  const path = copyOf(version)
  const store = openStore(path)
  for (const { run, epoch } of store.runs()) expect(store.own(run, OWNER).epoch).toBe(epoch + 1)
  const digests = read(path, (db) => db.prepare<[], { run: number; digest: number }>('SELECT run, digest FROM head ORDER BY run').all())
  expect(digests.map(({ run }) => ({ run, digest: read(path, (db) => digestOf(db, run)) }))).toEqual(digests)
  expect(digests.slice(1).every(({ digest }) => digest > 0)).toBe(true)
})

/** What lived at a position, asked of the tables of then. */
function livedThen(db: Database.Database, key: number, position: number) {
  const alive = (table: string, number: string) =>
    db
      .prepare<number[], number>(
        `SELECT ${number} FROM ${table} WHERE run = ? AND born <= ? AND (died IS NULL OR died > ?) ORDER BY ${number}`,
      )
      .pluck()
      .all(key, position, position)
  const newest = `SELECT address || '#' || incarnation || '@' || max(born) FROM snapshot WHERE run = ? AND born <= ? GROUP BY address, incarnation ORDER BY 1`
  return {
    envelopes: alive('envelope', 'seq'),
    timers: alive('timer', 'timer'),
    asks: alive('ask', 'ask'),
    thread: db.prepare("SELECT count(*) FROM thread WHERE run = ? AND thread = 'talk' AND born <= ?").pluck().get(key, position),
    snapshots: db.prepare(newest).pluck().all(key, position),
  }
}

test.each(VERSIONS)('the history of a store of version %i is what it was at every position', (version) => {
  const path = copyOf(version)
  const store = openStore(path)
  const old = new Database(at(`v${version}.db`), { readonly: true })
  let compared = 0
  for (const { run, position } of store.runs()) {
    const key = old.prepare<[string], number>('SELECT k FROM run WHERE run = ?').pluck().get(run)!
    for (let place = 1; place <= position; place++) {
      const image = store.image(run, place)
      const versions = new Map<string, string>()
      for (const address of new Set(
        old.prepare<[number], string>('SELECT DISTINCT address FROM snapshot WHERE run = ?').pluck().all(key),
      )) {
        for (const { incarnation, position: born } of store.snapshots(run, address, { before: place + 1, limit: 1_000 })) {
          const life = `${address}#${incarnation}`
          if (!versions.has(life)) versions.set(life, `${life}@${born}`)
        }
      }
      expect({
        envelopes: image.envelopes.map(({ seq }) => seq),
        timers: image.timers.map(({ timer }) => timer),
        asks: image.asks.map(({ ask }) => ask),
        thread: store.thread(run, 'talk', 0, place).length,
        snapshots: [...versions.values()].sort(),
      }).toEqual({ ...livedThen(old, key, place), snapshots: (livedThen(old, key, place).snapshots as string[]).sort() })
      compared++
    }
  }
  old.close()
  expect(compared).toBeGreaterThan(400)
})

/** Migrates; throws at the nth statement. How many there were. */
function migrateUntil(path: string, failing: number): number {
  let statements = 0
  const verbose = (): void => {
    if (++statements === failing) throw new Error('stopped')
  }
  const db = new Database(path, { verbose })
  try {
    migrate(db, path)
  } catch (error) {
    if (!(error instanceof Error) || error.message !== 'stopped') throw error
  } finally {
    db.close()
  }
  return statements
}

test('STO-58: a migration that is stopped at any statement leaves the old version or the new one, with all that it says', () => {
  const expected = answers(2)
  const total = migrateUntil(copyOf(2), 0)
  expect(total).toBeGreaterThan(1_000)
  // Every statement of the schema's own at both ends, and a spread over the rows between.
  const places = new Set([
    ...Array(80).keys(),
    ...Array.from({ length: 30 }, (_, n) => total - n),
    ...Array.from({ length: 25 }, (_, n) => Math.floor((n * total) / 25)),
  ])
  const seen = new Set<unknown>()
  // By day every third of them; 3 and 7 have nothing in common, so the same part of them is opened.
  const every = process.env['TROUPE_NIGHTLY'] === undefined ? 3 : 1
  for (const place of [...places].filter((n) => n > 0 && n % every === 0)) {
    const path = copyOf(2)
    migrateUntil(path, place)
    const version = versionOf(path)
    seen.add(version)
    const isWhole =
      version === MIGRATIONS.length ||
      read(path, (db) => db.prepare("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'old_%' OR name = 'blob'").pluck().get()) === 0
    expect({ place, isWhole, known: version === 2 || version === MIGRATIONS.length }).toEqual({ place, isWhole: true, known: true })
    if (place % 7 === 0) expect(answersOf(openStore(path))).toEqual(expected)
  }
  expect([...seen]).toContain(2)
}, 60_000)

test('STO-58: a process that is killed in a migration leaves a file that the next one opens', () => {
  const run = (path: string, place: number) => spawnSync(process.execPath, [CHILD, path, String(place)], { encoding: 'utf8' })
  const total = Number(run(copyOf(1), 0).stdout)
  expect(total).toBeGreaterThan(1_000)
  for (const part of [0.01, 0.3, 0.7, 0.999]) {
    const path = copyOf(1)
    expect(run(path, Math.ceil(part * total)).signal).toBe('SIGKILL')
    expect([1, 2, MIGRATIONS.length]).toContain(versionOf(path))
    expect(answersOf(openStore(path))).toEqual(answers(1))
  }
}, 60_000)
