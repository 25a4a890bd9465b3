/** Several writers on the memory of one project: in one process, in several, and in one that is killed. Real files, real processes. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { memoryFile, openMemories } from '../../../src/actors/memory/memories.ts'
import { temporaryFolder, waitUntil } from '../../harness.ts'
import { fact, PROJECT } from './place.ts'

const CHILD = join(import.meta.dirname, 'writer.child.ts')
type Line = Readonly<Record<string, unknown>>

interface Writer {
  readonly child: ChildProcessWithoutNullStreams
  /** What it has said so far. */
  readonly said: () => readonly Line[]
}

async function writer(home: string, name: string, count: number): Promise<Writer> {
  const child = spawn(process.execPath, [CHILD, home, PROJECT, name, String(count)])
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  child.stdout.on('data', (data) => {
    text += String(data)
  })
  child.stderr.on('data', (data) => process.stderr.write(data))
  const said = (): readonly Line[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
  await waitUntil(`${name} is ready`, () => said().length > 0, said)
  return { child, said }
}

/** The texts that are in the file. */
function textsOf(home: string): readonly string[] {
  const db = new Database(memoryFile(home, PROJECT))
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(db.prepare("SELECT count(*) FROM fact_words WHERE fact_words MATCH 'writer'").pluck().get()).toBe(
      db.prepare('SELECT count(*) FROM fact').pluck().get(),
    )
    return db.prepare<[], string>('SELECT text FROM fact ORDER BY id').pluck().all()
  } finally {
    db.close()
  }
}

const all = (name: string, count: number): readonly string[] => Array.from({ length: count }, (_, n) => `${name} ${n}`)

test('AC3 three parallel writers on one memory, in one process: no error, nothing lost, 90 % fewer commits', async () => {
  const home = temporaryFolder()
  const writers = ['writer a', 'writer b', 'writer c'].map((name) => ({ name, memories: openMemories({ home }) }))
  for (let n = 0; n < 300; n++)
    for (const { name, memories } of writers) expect(memories.open(PROJECT).enqueue(fact(`${name} ${n}`)).accepted).toBe(true)
  await Promise.all(writers.map(({ memories }) => memories.close()))
  for (const { memories } of writers)
    expect(memories.open(PROJECT).statistics()).toEqual({ queued: 300, processed: 300, batchesCommitted: 30, errors: 0, depth: 0 })
  expect([...textsOf(home)].sort()).toEqual(writers.flatMap(({ name }) => all(name, 300)).sort())
})

test('AC3 P13 three processes on one memory, at once: no error, nothing lost', async () => {
  const home = temporaryFolder()
  const names = ['writer a', 'writer b', 'writer c']
  const writers = await Promise.all(names.map((name) => writer(home, name, 500)))
  const ends = writers.map(({ child }) => once(child, 'close'))
  for (const { child } of writers) child.stdin.write('go\n')
  await Promise.all(ends)
  for (const { said } of writers)
    expect(said().at(-1)).toEqual({ left: 0, queued: 500, processed: 500, batchesCommitted: 50, errors: 0, depth: 0 })
  const texts = textsOf(home)
  expect([...texts].sort()).toEqual(names.flatMap((name) => all(name, 500)).sort())
  for (const name of names) expect(texts.filter((text) => text.startsWith(name))).toEqual(all(name, 500))
})

test('P13 a rival that holds the file for longer than one look costs no operation: the batches wait for it', async () => {
  const home = temporaryFolder()
  const memories = openMemories({ home })
  const memory = memories.open(PROJECT)
  memory.enqueue(fact('writer 0'))
  await memory.flush()
  const rival = new Database(memoryFile(home, PROJECT))
  rival.exec('BEGIN IMMEDIATE')
  for (let n = 1; n < 20; n++) memory.enqueue(fact(`writer ${n}`))
  const until = performance.now() + 300
  let rounds = 0
  await waitUntil('some time has passed', () => ++rounds > 5 && performance.now() > until)
  expect(memory.statistics()).toMatchObject({ processed: 1, errors: 0, depth: 19 })
  rival.exec('COMMIT')
  rival.close()
  expect(await memories.close()).toBe(0)
  expect(memory.statistics()).toEqual({ queued: 20, processed: 20, batchesCommitted: 3, errors: 0, depth: 0 })
  expect(textsOf(home)).toEqual(all('writer', 20))
})

test('R2.2 a process that is killed while it drains leaves whole batches: all that it was told of, and no half of one', async () => {
  const home = temporaryFolder()
  const { child, said } = await writer(home, 'writer', 10_000)
  child.stdin.write('go\n')
  await waitUntil(
    'some batches are committed',
    () => said().length > 300,
    () => said().length,
  )
  const exit = once(child, 'close')
  child.kill('SIGKILL')
  expect(await exit).toEqual([null, 'SIGKILL'])
  const told = said().filter((line) => 'committed' in line).length
  const texts = textsOf(home)
  expect(texts).toEqual(all('writer', texts.length))
  expect(texts.length % 10).toBe(0)
  expect(texts.length).toBeGreaterThanOrEqual(told)
  expect(texts.length).toBeLessThan(10_000)
  process.stderr.write(`killed after ${texts.length} of 10000 operations, ${told} of them told\n`)
})
