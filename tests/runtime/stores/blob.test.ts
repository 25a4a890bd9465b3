/** Large texts and chunks of snapshots: stored once, compressed, known by identity only once they are durable, and never missed. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Chunk } from '../../../src/runtime/cell.ts'
import type { Commit, Store } from '../../../src/runtime/store.ts'
import {
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
  thrown,
} from './samples.ts'

function rows<T = unknown[]>(store: Store, sql: string): T[] {
  const db = new Database(store.path)
  const found = db.prepare(sql).raw().all() as T[]
  db.close()
  return found
}
const texts = (store: Store): unknown[] => rows(store, 'SELECT bytes, codec, length(data) FROM blob ORDER BY k')
/** A snapshot of `/team` whose context is these chunks. */
const holding = (born: number, ...chunks: Chunk[]): Commit['snapshots'][number] => ({
  address: '/team',
  incarnation: 1,
  born,
  snapshot: snapshot('holding', { context: `[${chunks.map(chunkRef).join(',')}]`, chunks }),
})

test('a long text is stored once however many rows name it, and compressed where that helps', () => {
  const { store, step } = steps()
  const prompt = { prompt: 'lorem ipsum '.repeat(1_000) }
  const noise = randomBytes(6_000).toString('latin1')
  step((at) => ({
    effects: ['e1', 'e2'].map((id) => ({ effect: effect(id, { input: prompt }), changed: at })),
    threadAppends: [{ thread: 't', items: [JSON.stringify(prompt), JSON.stringify(prompt), JSON.stringify(noise)], born: at }],
    run_: { output: prompt },
  }))
  expect(texts(store)).toHaveLength(2)
  const [[bytes, codec, stored], [, noisy]] = texts(store) as [number[], number[]]
  expect([bytes, codec, stored! < 200, noisy]).toEqual([JSON.stringify(prompt).length, 1, true, 1])
  store.close()
  const again = openStore(store.path)
  expect([again.thread(RUN, 't'), again.run(RUN)!.output]).toEqual([[prompt, prompt, noise], prompt])
  expect(again.effects(RUN).map(({ input }) => input)).toEqual([prompt, prompt])
})

test('a text that compression would make longer is kept as it is', () => {
  const { store, step } = steps()
  // No two neighbours alike and no byte more likely than another: nothing is left to save but what JSON and UTF-8 need.
  const text = Array.from({ length: 300 }, (_, n) => String.fromCharCode(33 + ((n * 57 + (n % 7) * 31) % 58) + (n % 2))).join('')
  const one = chunk(randomBytes(180).toString('base64'))
  step((at) => ({ snapshots: [holding(at, one, chunk(text))] }))
  const stored = rows<[number, number, number]>(store, 'SELECT bytes, codec, length(data) FROM blob')
  expect(stored.map(([bytes, codec, length]) => (codec === 0 ? length === bytes : length < bytes))).toEqual([true, true])
  expect(stored.some(([, codec]) => codec === 0)).toBe(true)
  expect(store.snapshot(RUN, '/team', 1)?.chunks).toEqual([one, chunk(text)])
})

test('a chunk is written once, with all below it, and comes back as one object wherever it is named', () => {
  const { store, step } = steps()
  const shared = chunk('shared '.repeat(100))
  const [left, right] = [chunk('left', shared), chunk('right', shared)]
  step((at) => ({ snapshots: [holding(at, left, right, shared)] }))
  step((at) => ({ snapshots: [holding(at, left, chunk('new', shared))] }))
  expect(texts(store)).toHaveLength(4)
  const first = store.snapshot(RUN, '/team', 1, 1)!.chunks!
  expect(first).toEqual([left, right, shared])
  expect(first[0]!.chunks[0]).toBe(first[2])
  expect(first[1]!.chunks[0]).toBe(first[2])
  store.close()
  expect(openStore(store.path).snapshot(RUN, '/team', 1)).toEqual(holding(2, left, chunk('new', shared)).snapshot)
})

test('a chunk that is known to be there is not looked for again, and one that was read is known', () => {
  const { store, step } = steps()
  const one = chunk('one '.repeat(100))
  step((at) => ({ snapshots: [holding(at, one)] }))
  const read = store.snapshot(RUN, '/team', 1)!.chunks![0]!
  rows(store, "DELETE FROM blob RETURNING 'gone'")
  step((at) => ({ snapshots: [holding(at, one)] }))
  step((at) => ({ snapshots: [holding(at, read)] }))
  expect(texts(store)).toEqual([])
  step((at) => ({ snapshots: [holding(at, chunk('one '.repeat(100)))] }))
  expect(texts(store)).toHaveLength(1)
})

test('a chunk of a commit that was rolled back is not known: the next commit writes it', () => {
  const { store, step } = steps()
  const one = chunk('one '.repeat(100))
  const twice = (at: number) => ({
    snapshots: [holding(at, one)],
    envelopesAdded: [envelope(1), envelope(1)].map((row) => ({ envelope: row, born: at })),
  })
  expect(thrown(() => step(twice)).code).toBe('E_STORE_CONSTRAINT')
  expect(texts(store)).toEqual([])
  step((at) => ({ snapshots: [holding(at, one)] }))
  expect(store.snapshot(RUN, '/team', 1)?.chunks).toEqual([one])
})

test('a chunk that another handle has swept away is written again by whoever knew it', () => {
  const { store, step } = steps()
  const one = chunk('one '.repeat(100))
  const other = openStore(store.path)
  other.createRun(runRow('other'), commit({ journal: entries(1), snapshots: [holding(1, one)] }))
  const known = other.snapshot('other', '/team', 1)!.chunks![0]!
  const owned = other.own('other', OWNER)
  owned.release()
  store.remove('other')
  expect(texts(store)).toEqual([])
  other.createRun(runRow('again'), commit({ journal: entries(1), snapshots: [holding(1, known)] }))
  expect(other.snapshot('again', '/team', 1)?.chunks).toEqual([one])
  step((at) => ({ snapshots: [holding(at, one)] }))
  expect(store.snapshot(RUN, '/team', 1)?.chunks).toEqual([one])
})

test.each([
  ['is missing', 'DELETE FROM blob WHERE k = 2 RETURNING k'],
  ['says something else', 'UPDATE blob SET codec = 0, data = CAST(\'"other"\' AS BLOB), bytes = 7 WHERE k = 2 RETURNING k'],
  ['cannot be unpacked', 'UPDATE blob SET codec = 1, data = randomblob(50) WHERE k = 2 RETURNING k'],
] as const)('a snapshot one of whose chunks %s is damaged, with its position; others are not', (_, sql) => {
  const { store, step } = steps()
  step((at) => ({ snapshots: [holding(at, chunk('sound'))] }))
  step((at) => ({ snapshots: [holding(at, chunk('top', chunk('sound'), chunk('broken')))] }))
  store.close()
  rows(store, sql)
  const again = openStore(store.path)
  expect(thrown(() => again.snapshot(RUN, '/team', 1))).toMatchObject({ name: 'Defect', code: 'E_SNAPSHOT_DAMAGED' })
  expect(again.snapshot(RUN, '/team', 1, 1)).toEqual(holding(1, chunk('sound')).snapshot)
})

test('a conversation of a megabyte in a thread grows by a kilobyte for a few kilobytes of log', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  const items = (count: number, from: number): string[] =>
    Array.from({ length: count }, (_, n) => JSON.stringify({ role: 'user', text: `${from + n} ${randomBytes(370).toString('hex')}` }))
  store.createRun(runRow(), commit({ journal: entries(1), threadAppends: [{ thread: 't', items: items(1_300, 0), born: 1 }] }))
  const owned = store.own(RUN, OWNER)
  const db = new Database(store.path)
  db.pragma('wal_checkpoint(TRUNCATE)')
  const next = entries(1, 1, store.run(RUN)!.hash)
  owned.commit(commit({ expectedPosition: 1, journal: next, threadAppends: [{ thread: 't', items: items(1, 1_300), born: 2 }] }))
  const [[, frames]] = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').raw().all() as [number[]]
  db.close()
  expect({ frames, few: frames! <= 6 }).toEqual({ frames, few: true })
  expect(store.thread(RUN, 't', 1_300)).toHaveLength(1)
})
