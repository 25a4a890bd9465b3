/** Runs: made once, listed newest first, changed by commits; and the requests that other processes leave for them. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
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
