/** Runs: made once, listed newest first, changed by commits; and the requests that other processes leave for them. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { memoryStore } from '../../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { edit } from './damage.ts'
import { cell, commit, entries, folder, OWNER, openStore, RUN, runRow, steps, thrown } from './samples.ts'

test('changes of the run row touch what they name, and null is a change', () => {
  const { store, step } = steps()
  step(() => ({ run_: { reason: { code: 'E_X', message: 'x' }, endedAt: 7, output: 3 } }))
  step(() => ({ run_: { status: 'failed' } }))
  expect(store.run(RUN)).toMatchObject({ status: 'failed', reason: { code: 'E_X', message: 'x' }, endedAt: 7, output: 3, owner: OWNER })
  step(() => ({ run_: { reason: null, endedAt: null, output: null, owner: null } }))
  expect(store.run(RUN)).toMatchObject({ status: 'failed', reason: null, endedAt: null, output: null, owner: null })
})

test('runs are listed newest first, by project and status', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  const ids = ['01A', '01C', '01B', '01D']
  const rows = ids.map((id, n) => runRow(id, { project: n < 3 ? '/p' : null, status: n % 2 === 0 ? 'running' : 'failed' }))
  for (const row of rows) store.createRun(row, commit({ clock: row.clock }))
  const listed = (filter?: Parameters<typeof store.runs>[0]) => store.runs(filter).map((row) => row.run)
  expect(listed()).toEqual(['01D', '01C', '01B', '01A'])
  expect(listed({ project: '/p' })).toEqual(['01C', '01B', '01A'])
  expect(listed({ status: ['failed', 'limited'] })).toEqual(['01D', '01C'])
  expect(listed({ project: '/p', status: ['running'], limit: 1 })).toEqual(['01B'])
  expect(listed({ status: [] })).toEqual([])
  expect(store.runs({ limit: 1 })).toEqual([rows[3]])
})

test('a run is created once, with its first rows or not at all', () => {
  const store = openStore(join(folder(), 'troupe.db'))
  const first = commit({ journal: entries(2), cells: [cell('/team')], threadAppends: [{ thread: 't', items: ['1'], born: 1 }] })
  store.createRun(runRow(), first)
  const image = store.image(RUN)
  expect(image).toMatchObject({ run: { position: 2, hash: entries(2)[1]!.hash, epoch: 0, clock: first.clock } })
  expect(store.cells(RUN)).toEqual([cell('/team')])
  expect(thrown(() => store.createRun(runRow(), first))).toMatchObject({ name: 'UserError', code: 'E_RUN_EXISTS' })
  expect(store.image(RUN)).toEqual(image)
  expect(thrown(() => store.createRun(runRow('half'), commit({ journal: [...entries(1), ...entries(1)] }))).code).toBe('E_JOURNAL_GAP')
  expect(store.run('half')).toBeNull()
  const after = runRow('after', { position: 2, hash: entries(2)[1]!.hash, clock: first.clock })
  store.createRun(after, first)
  expect([store.run('after'), store.journal('after', 0)]).toEqual([after, entries(2)])
  expect(thrown(() => store.createRun(runRow('wrong', { position: 5 }), first)).code).toBe('E_JOURNAL_GAP')
  expect(store.run('wrong')).toBeNull()
  expect(thrown(() => store.createRun(runRow('../evil'), first))).toMatchObject({ name: 'Defect', code: 'E_RUN_ID' })
  expect(thrown(() => store.createRun(runRow('x', { meta: { when: new Date(0) } as never }), first)).code).toBe('E_NOT_JSON')
})

test.each([
  ['SQLite', () => openStore(join(folder(), 'troupe.db'))],
  ['memory', memoryStore],
] as const)('%s refuses a run whose id, name or project would not come back as it is, and keeps nothing of it', (_, open) => {
  const store = open()
  const codes = (['run', 'name', 'project'] as const).map((field) =>
    [7, {}, true, ['a'], undefined, 1n, '\ud800'].map((value) => {
      const { name, code } = thrown(() => store.createRun(runRow('odd', { [field]: value as never }), commit()))
      return `${name} ${code}`
    }),
  )
  const not = (code: string) => Array.from({ length: 7 }, () => `Defect ${code}`)
  expect(codes).toEqual([not('E_RUN_ID'), not('E_NOT_JSON'), not('E_NOT_JSON')])
  expect(store.runs()).toEqual([])
  const named = [runRow('b', { name: '7', project: null }), runRow('a', { name: null, project: '' })]
  for (const row of named) store.createRun(row, commit({ clock: row.clock }))
  expect(store.runs()).toEqual(named)
})

test.each([
  ['its own row', "UPDATE run SET name = 'other' WHERE run = '01C'"],
  ['its head', "UPDATE head SET run_ms = run_ms + 1 WHERE run = (SELECT k FROM run WHERE run = '01C')"],
])('a list of runs tells where %s is damaged instead of leaving the run out; the others go on by their ids', (_, sql) => {
  const path = join(folder(), 'troupe.db')
  const store = openStore(path)
  const rows = ['01A', '01B', '01C'].map((id) => runRow(id))
  for (const row of rows) store.createRun(row, commit({ clock: row.clock }))
  store.close()
  edit(path, sql)
  const again = openStore(path)
  expect(thrown(() => again.runs())).toMatchObject({ name: 'UserError', code: 'E_STORE_DAMAGED' })
  expect(again.run('01A')).toEqual(rows[0])
  expect(thrown(() => again.run('01C'))).toMatchObject({ name: 'UserError', code: 'E_STORE_DAMAGED' })
  expect(thrown(() => again.own('01C', OWNER))).toMatchObject({ name: 'UserError', code: 'E_STORE_DAMAGED' })
  expect(again.check().findings.map(({ run, code }) => `${run} ${code}`)).toContain('01C E_STORE_DAMAGED')
  const owned = again.own('01B', OWNER)
  owned.commit(commit({ run: '01B', journal: entries(1) }))
  expect(again.run('01B')?.position).toBe(1)
})

test('requests of other processes wait in order until a commit takes them', () => {
  const { store, step } = steps()
  const other = openStore(store.path)
  other.createRun(runRow('other'), commit())
  const numbers = [other.request(RUN, 'send', { to: '/team' }), other.request('other', 'cancel', null), other.request(RUN, 'settle', [1])]
  expect(store.requests(RUN)).toEqual([
    { request: numbers[0], kind: 'send', data: { to: '/team' } },
    { request: numbers[2], kind: 'settle', data: [1] },
  ])
  step(() => ({ requestsDone: [numbers[0]!, numbers[1]!] }))
  expect(store.requests(RUN)).toEqual([{ request: numbers[2], kind: 'settle', data: [1] }])
  expect(store.requests('other')).toEqual([{ request: numbers[1], kind: 'cancel', data: null }])
})

test('a store in memory does all of it, and two of them do not meet', () => {
  const [one, two] = [sqliteStore({ path: ':memory:' }), sqliteStore({ path: ':memory:' })]
  for (const store of [one, two]) store.createRun(runRow(), commit({ journal: entries(1) }))
  const owned = one.own(RUN, OWNER)
  expect([one.isOwned(RUN), two.isOwned(RUN)]).toEqual([true, false])
  expect(thrown(() => one.own(RUN, OWNER)).code).toBe('E_RUN_OWNED')
  owned.commit(commit({ expectedPosition: 1, cells: [cell('/team')] }))
  expect([one.cells(RUN).length, two.cells(RUN).length]).toEqual([1, 0])
  one.close()
  two.close()
})
