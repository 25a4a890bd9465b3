/** What is remembered of a project, and how it is found again: by words, by likeness, by both. On real files. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { fused } from '../../../src/actors/memory/recall.ts'
import { matchOf } from '../../../src/actors/memory/words.ts'
import { ollamaEmbedder } from '../../../src/actors/providers/ollama-embedder.ts'
import { ollamaServer } from '../../wire/ollama.ts'
import { fact, meanings, mission, NEVER, noExtension, place, recalled, written } from './place.ts'

const HOSTILE = {
  'a quote': '"',
  SQL: '""; DROP TABLE fact; --',
  operators: 'NEAR(a b) AND NOT (c OR d)',
  'a column': 'text: "flag"',
  'a prefix': '* ^flag (',
  controls: "it's \u0000 {x} [y]",
  'a sign': '-',
  Japanese: '日本語 の テスト',
  nothing: ' '.repeat(50),
  'one long word': 'x'.repeat(100_000),
}

test('S11 episodes and facts are found by their words, the best first, no more than the limits', async () => {
  const { memory } = place()
  await written(memory, [
    mission('flag', 'Add a --version flag', 'The flag prints the version of package.json.'),
    mission('table', 'Print reports as tables'),
    ...Array.from({ length: 12 }, (_, index) => fact(`Reports hold ${index} lines`)),
    fact('The version is read from package.json'),
  ])
  expect(await recalled(memory, 'Where does the version come from?')).toEqual({
    items: ['flag'],
    facts: ['The version is read from package.json'],
  })
  expect((await recalled(memory, 'reports')).facts).toHaveLength(10)
  expect(await recalled(memory, 'report', { episodic: 0, semantic: 1 })).toMatchObject({ items: [], facts: [expect.any(String)] })
})

test('an episode is found by the files that it changed, and tells of them', async () => {
  const { memory } = place()
  const snapshot = { type: 'ADD_FILE_SNAPSHOT', mission: 'r1/flag', tree: 't1' } as const
  await written(memory, [
    mission('flag', 'Add it'),
    mission('other', 'Something else'),
    { ...snapshot, key: 'a', path: 'src/cli/version.ts' },
    { ...snapshot, key: 'b', path: 'README.md' },
  ])
  const { episodic } = await memory.recall('change src/cli/version.ts', { episodic: 1, semantic: 0 }, NEVER)
  expect(episodic).toMatchObject([{ run: 'r1', item: 'flag', outcome: 'done', files: ['src/cli/version.ts', 'README.md'] }])
  expect(memory.snapshots('README.md')).toMatchObject([{ item: 'flag', path: 'README.md', tree: 't1' }])
})

test.each(Object.entries(HOSTILE))('whatever a query holds is looked for and is no syntax: %s', async (_, query) => {
  const { memory } = place()
  await written(memory, [fact('a flag for text'), fact('日本語 here')])
  const { facts } = await recalled(memory, query)
  expect(facts.every((text) => text.includes('flag') || text.includes('日本語'))).toBe(true)
  await written(memory, [fact(query, 'hostile')])
  expect((await recalled(memory, 'flag')).facts).toContain('a flag for text')
})

test('words of a query are quoted, once each, without those that are in every text', () => {
  expect(matchOf('"flag" OR NEAR(x) -- the FLAG, don\'t')).toBe('"flag" OR "near" OR "don"')
  expect(matchOf('the and of -- * "')).toBeNull()
})

test('the graph: entities are found like facts, said again they are what was said last, relationships need both their ends', async () => {
  const { memory } = place()
  const entity = (name: string, text: string, key: string) => ({ type: 'ADD_ENTITY', key, name, kind: 'module', text }) as const
  const relation = { type: 'ADD_RELATIONSHIP', source: 'cli', relation: 'imports' } as const
  expect(
    await written(memory, [
      entity('cli', 'parses arguments', '1'),
      entity('store', 'keeps runs', '2'),
      entity('cli', 'parses flags', '3'),
      { ...relation, key: '4', target: 'store' },
      { ...relation, key: '5', target: 'nowhere' },
    ]),
  ).toEqual(['ok', 'ok', 'ok', 'ok', 'E_STORE_CONSTRAINT'])
  expect(memory.relationships('store')).toEqual([{ source: 'cli', relation: 'imports', target: 'store' }])
  expect((await recalled(memory, 'who parses?')).facts).toEqual(['cli (module): parses flags'])
  expect((await recalled(memory, 'arguments')).facts).toEqual([])
  expect(memory.statistics()).toEqual({ queued: 5, processed: 4, batchesCommitted: 4, errors: 1, depth: 0 })
})

test('an operation that comes again with its key is not doubled, in another process neither', async () => {
  const { memory, home } = place()
  const twice = [mission('flag', 'Add it'), fact('one', 'k'), fact('one', 'k')]
  expect(await written(memory, twice)).toEqual(['ok', 'ok', 'ok'])
  await memory.stop()
  const again = place({ home }).memory
  await written(again, twice)
  expect(await recalled(again, 'add it one')).toEqual({ items: ['flag'], facts: ['one'] })
})

test('what looks like a credential is in no byte of the file', async () => {
  const { memory, file } = place()
  const key = 'sk-ant-api03-abcdefghijklmnop'
  await written(memory, [
    fact(`the key is ${key}`, key),
    mission(key, `use ${key}`, `used https://user:hunter2hunter2@host and ghp_abcdefgh12345678`, key),
    { type: 'ADD_FILE_SNAPSHOT', key: 'f', mission: `${key}/${key}`, path: `a/${key}`, tree: 't' },
  ])
  expect((await recalled(memory, 'key')).facts).toEqual(['the key is <secret>'])
  await memory.stop()
  const db = new Database(file)
  onTestFinished(() => void db.close())
  const bytes = db.serialize().toString('latin1')
  for (const secret of [key, 'hunter2hunter2', 'ghp_abcdefgh12345678']) expect(bytes).not.toContain(secret)
  expect(bytes).toContain('<secret>')
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('vectors find what has no word in common with the query, and both lists together decide the order', async () => {
  const embedder = meanings({ money: ['price', 'cost', 'budget'], time: ['deadline', 'late'] })
  const { memory } = place({ embedder })
  await written(memory, [
    fact('price tables have a date'),
    fact('deadline per item'),
    fact('a budget of tokens'),
    fact('words about colour'),
  ])
  expect((await recalled(memory, 'what does it cost?')).facts).toEqual(['a budget of tokens', 'price tables have a date'])
  expect((await recalled(memory, 'cost of price tables')).facts[0]).toBe('price tables have a date')
  const before = embedder.asked.length
  await recalled(memory, 'cost')
  expect(embedder.asked.slice(before)).toEqual(['cost'])
})

test('ranks are fused: what both searches find comes before what is first for one of them', () => {
  expect(
    fused([
      [1, 2, 3],
      [4, 2],
    ]),
  ).toEqual([2, 1, 4, 3])
  expect(fused([[], []])).toEqual([])
})

test('vectors of another embedder are never compared: it gets its own', async () => {
  const { home, memory } = place({ embedder: meanings({ money: ['price'] }, 'one') })
  await written(memory, [fact('price')])
  await recalled(memory, 'x')
  await memory.stop()
  const other = meanings({ colour: ['red'], money: ['price', 'cost'], time: ['late'] }, 'two')
  expect((await recalled(place({ home, embedder: other }).memory, 'cost')).facts).toEqual(['price'])
  expect(other.asked).toEqual(['price', 'cost'])
})

test.each([
  ['the extension cannot be loaded', { embedder: meanings({}), load: noExtension }, 'no binary of sqlite-vec for this platform'],
  [
    'the embedder fails',
    { embedder: { name: 'down', dimensions: null, embed: async () => Promise.reject(new Error('nobody listens')) } },
    'nobody listens',
  ],
])('where %s words alone are searched, and that is said once', async (_, options, why) => {
  const said: string[] = []
  const { memory } = place({ ...options, tell: (text) => void said.push(text) })
  await written(memory, [fact('found by its words')])
  expect((await recalled(memory, 'words')).facts).toEqual(['found by its words'])
  expect((await recalled(memory, 'words')).facts).toEqual(['found by its words'])
  expect(said).toEqual([`memory is searched by words alone: ${why}`])
})

test('an embedding model of Ollama, by its client and a server', async () => {
  const server = await ollamaServer({ models: [{ name: 'nomic-embed-text', capabilities: ['embedding'] }] })
  onTestFinished(() => server.close())
  const said: string[] = []
  const embedder = ollamaEmbedder({ baseUrl: server.url, model: 'nomic-embed-text' })
  const { memory } = place({ embedder, tell: (text) => void said.push(text) })
  await written(memory, [fact('the gate runs on Node'), fact('colours are blue')])
  expect((await recalled(memory, 'gate on which node?')).facts[0]).toBe('the gate runs on Node')
  expect(said).toEqual([])
  expect(server.log.map(({ body }) => (body as { input: string[] }).input)).toEqual([
    ['colours are blue', 'the gate runs on Node'],
    ['gate on which node?'],
  ])
})

test('a recall that nobody waits for ends', async () => {
  const controller = new AbortController()
  const embed = (_: readonly string[], signal: AbortSignal): Promise<number[][]> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
  const { memory } = place({ embedder: { name: 'slow', dimensions: 2, embed } })
  const found = memory.recall('anything', { episodic: 1, semantic: 1 }, controller.signal)
  await Promise.resolve()
  controller.abort()
  await expect(found).rejects.toMatchObject({ code: 'E_ABORTED' })
})

test('a file of another program is left alone, and one of a newer troupe too: the effect that needs it is refused', async () => {
  const theirs = place()
  mkdirSync(dirname(theirs.file))
  const db = new Database(theirs.file)
  db.exec('CREATE TABLE theirs (a)')
  await expect(recalled(theirs.memory, 'x')).rejects.toMatchObject({ code: 'E_STORE_WRONG_FILE' })
  expect(await written(theirs.memory, [fact('x')])).toEqual(['E_STORE_WRONG_FILE'])
  expect(db.prepare('SELECT name FROM sqlite_schema').pluck().all()).toEqual(['theirs'])
  db.close()
  const ours = place()
  await written(ours.memory, [fact('x')])
  await ours.memory.stop()
  const newer = new Database(ours.file)
  newer.pragma('user_version = 99')
  newer.close()
  await expect(recalled(place({ home: ours.home }).memory, 'x')).rejects.toMatchObject({ code: 'E_STORE_NEWER' })
})
