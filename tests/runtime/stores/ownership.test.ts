/** One owner at a time: the lock file says who lives, the epoch says who may write. Between real processes, with real signals. */
import { existsSync, readdirSync, symlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import type { Defect, UserError } from '../../../src/errors.ts'
import { startOwner } from './owner.process.ts'
import { commit, entries, folder, OWNER, openStore, ownedRun, RUN, runRow, thrown } from './samples.ts'

function storeWithRun() {
  const store = openStore(join(folder(), 'troupe.db'))
  store.createRun(runRow(), commit())
  return store
}

async function startedOwner(path: string) {
  const child = startOwner({ command: 'own', path, run: RUN })
  expect(await child.line()).toEqual({ ready: child.pid })
  return child
}

test('owning raises the epoch by one and records the owner; releasing lets the next one in', () => {
  const store = storeWithRun()
  expect(store.isOwned(RUN)).toBe(false)
  const first = store.own(RUN, OWNER)
  expect([first.epoch, store.isOwned(RUN), store.run(RUN)!.epoch, store.run(RUN)!.owner]).toEqual([1, true, 1, OWNER])
  first.release()
  first.release()
  expect(store.isOwned(RUN)).toBe(false)
  const second = store.own(RUN, { ...OWNER, pid: 7 })
  expect([second.epoch, store.run(RUN)!.owner]).toEqual([2, { ...OWNER, pid: 7 }])
  expect(thrown(() => first.commit(commit({ journal: entries(1) }))).code).toBe('E_LEASE_LOST')
  expect(thrown(() => first.check()).code).toBe('E_LEASE_LOST')
})

test('a process that owns a run refuses itself a second time, over any of its stores', () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'))
  const second = openStore(store.path)
  const linked = join(folder(), 'link.db')
  symlinkSync(store.path, linked)
  for (const other of [store, second, openStore(linked)]) {
    expect(other.isOwned(RUN)).toBe(true)
    expect(thrown(() => other.own(RUN, OWNER)).code).toBe('E_RUN_OWNED')
  }
  expect(store.run(RUN)!.epoch).toBe(1)
})

test('looking at a lock, and being refused it, does not loosen it', async () => {
  const { store } = ownedRun(join(folder(), 'troupe.db'))
  for (let n = 0; n < 5; n++) {
    store.isOwned(RUN)
    thrown(() => store.own(RUN, OWNER))
  }
  const child = await startedOwner(store.path)
  expect(await child.tell('go')).toMatchObject({ failed: 'E_RUN_OWNED' })
})

test('a released run can be owned by another process, and its lock file stays', async () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  owned.release()
  const child = await startedOwner(store.path)
  expect(await child.tell('go')).toEqual({ epoch: 2 })
  expect(store.isOwned(RUN)).toBe(true)
  expect(await child.tell('release')).toEqual({ released: true })
  expect(store.isOwned(RUN)).toBe(false)
  expect(existsSync(join(dirname(store.path), 'locks', `${RUN}.lock`))).toBe(true)
  expect(readdirSync(join(dirname(store.path), 'locks'))).toEqual([`${RUN}.lock`])
})

test('of two processes that want a run at once exactly one gets it, round after round', async () => {
  const store = storeWithRun()
  const children = await Promise.all([startedOwner(store.path), startedOwner(store.path), startedOwner(store.path)])
  for (let round = 1; round <= 10; round++) {
    const answers = await Promise.all(children.map((child) => child.tell('go')))
    const winners = children.filter((_, index) => 'epoch' in answers[index]!)
    expect({ round, answers, winners: winners.length }).toMatchObject({ winners: 1 })
    expect(answers.filter((answer) => answer['failed'] === 'E_RUN_OWNED')).toHaveLength(2)
    expect(store.run(RUN)).toMatchObject({ epoch: round, owner: { pid: winners[0]!.pid, host: 'child-host', startedAt: 1 } })
    await winners[0]!.tell('release')
  }
})

test('STO-54: the second process is told at once who owns the run', async () => {
  const store = storeWithRun()
  const child = await startedOwner(store.path)
  await child.tell('go')
  await child.tell('commit')
  const started = performance.now()
  const refused = thrown(() => store.own(RUN, OWNER))
  expect(performance.now() - started).toBeLessThan(1_000)
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_RUN_OWNED', exit: 10, retryable: true })
  expect(refused.message).toMatch(new RegExp(`^running on child-host, pid ${child.pid}, epoch 1, last commit \\d+\\.\\ds ago$`))
})

test('an owner on this machine is called this host', () => {
  const store = storeWithRun()
  store.own(RUN, { ...OWNER, host: hostname() })
  expect(thrown(() => store.own(RUN, OWNER)).message).toContain(`running on this host, pid ${process.pid}, epoch 1`)
})

test('STO-54: kill -9 of the owner frees the run without any clearing up', async () => {
  const store = storeWithRun()
  const child = await startedOwner(store.path)
  await child.tell('go')
  expect(store.isOwned(RUN)).toBe(true)
  child.kill('SIGKILL')
  await child.gone()
  expect(store.isOwned(RUN)).toBe(false)
  expect(store.own(RUN, OWNER).epoch).toBe(2)
})

test('a stopped owner keeps its run; who takes it over fences it off', async () => {
  const store = storeWithRun()
  const child = await startedOwner(store.path)
  await child.tell('go')
  child.kill('SIGSTOP')
  expect(store.isOwned(RUN)).toBe(true)
  expect(thrown(() => store.own(RUN, OWNER)).code).toBe('E_RUN_OWNED')
  const taken = store.own(RUN, OWNER, { takeOver: true })
  expect(taken.epoch).toBe(2)
  taken.commit(commit({ epoch: 2, journal: entries(1) }))
  child.kill('SIGCONT')
  expect(await child.tell('commit')).toMatchObject({ failed: 'E_LEASE_LOST', name: 'Defect' })
  expect(store.run(RUN)).toMatchObject({ position: 1, epoch: 2 })
  expect(store.thread(RUN, 't')).toEqual([])
})

test('who takes a run over holds it: the end of the owner before frees nothing, its own end does', async () => {
  const store = storeWithRun()
  const [first, second] = [await startedOwner(store.path), await startedOwner(store.path)]
  await first.tell('go')
  first.kill('SIGSTOP')
  expect(await second.tell('take')).toEqual({ epoch: 2 })
  first.kill('SIGKILL')
  await first.gone()
  const third = await startedOwner(store.path)
  expect(store.isOwned(RUN)).toBe(true)
  expect(await third.tell('go')).toMatchObject({
    failed: 'E_RUN_OWNED',
    message: expect.stringMatching(new RegExp(`^running on child-host, pid ${second.pid}, epoch 2, `)),
  })
  expect(await second.tell('commit')).toEqual({ position: 2 })
  second.kill('SIGKILL')
  await second.gone()
  expect(store.isOwned(RUN)).toBe(false)
  expect(await third.tell('go')).toEqual({ epoch: 3 })
  expect([store.isOwned(RUN), await third.tell('commit')]).toEqual([true, { position: 4 }])
})

test('a stopped process whose run was taken over holds nothing: once the new owner lets go, the next one gets in', async () => {
  const store = storeWithRun()
  const child = await startedOwner(store.path)
  await child.tell('go')
  child.kill('SIGSTOP')
  store.own(RUN, OWNER, { takeOver: true }).release()
  expect(store.isOwned(RUN)).toBe(false)
  const next = store.own(RUN, OWNER)
  expect([next.epoch, store.isOwned(RUN)]).toEqual([3, true])
  child.kill('SIGCONT')
  expect(await child.tell('commit')).toMatchObject({ failed: 'E_LEASE_LOST' })
  expect(await child.tell('release')).toEqual({ released: true })
  next.check()
  expect(store.isOwned(RUN)).toBe(true)
})

test('a run can be taken over again and again; lock files are used again once their holders are gone', async () => {
  const store = storeWithRun()
  const stopped = [await startedOwner(store.path), await startedOwner(store.path), await startedOwner(store.path)]
  for (const [index, child] of stopped.entries()) {
    expect(await child.tell('take')).toEqual({ epoch: index + 1 })
    child.kill('SIGSTOP')
  }
  const files = [`${RUN}.1.lock`, `${RUN}.2.lock`, `${RUN}.lock`]
  expect(readdirSync(join(dirname(store.path), 'locks')).sort()).toEqual(files)
  stopped[0]!.kill('SIGKILL')
  await stopped[0]!.gone()
  const taken = store.own(RUN, OWNER, { takeOver: true })
  for (const child of stopped.slice(1)) child.kill('SIGKILL')
  await Promise.all(stopped.slice(1).map((child) => child.gone()))
  const last = await startedOwner(store.path)
  expect([taken.epoch, await last.tell('go')]).toEqual([4, expect.objectContaining({ failed: 'E_RUN_OWNED' })])
  expect(readdirSync(join(dirname(store.path), 'locks')).sort()).toEqual(files)
})

test('of several that take a run over at once the last one has it, and the others can commit nothing', async () => {
  const store = storeWithRun()
  const children = await Promise.all([startedOwner(store.path), startedOwner(store.path), startedOwner(store.path)])
  for (let round = 0; round < 5; round++) {
    const epochs = (await Promise.all(children.map((child) => child.tell('take')))).map((answer) => answer['epoch'] as number)
    expect(epochs.toSorted((a, b) => a - b)).toEqual([round * 3 + 1, round * 3 + 2, round * 3 + 3])
    const answers = await Promise.all(children.map((child) => child.tell('commit')))
    expect(answers.map((answer) => answer['failed'] ?? 'committed')).toEqual(
      epochs.map((epoch) => (epoch === Math.max(...epochs) ? 'committed' : 'E_LEASE_LOST')),
    )
    expect(store.isOwned(RUN)).toBe(true)
    await Promise.all(children.map((child) => child.tell('release')))
    expect(store.isOwned(RUN)).toBe(false)
  }
})

test('who has lost a run is told by whom', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  const owner = { pid: 7, host: 'other-host', startedAt: 2 }
  store.own(RUN, owner, { takeOver: true })
  for (const call of [() => owned.check(), () => owned.commit(commit({ journal: entries(1) }))]) {
    let details: unknown
    try {
      call()
    } catch (error) {
      details = (error as Defect).details
    }
    expect(details).toEqual({ run: RUN, epoch: 1, ownerEpoch: 2, position: 0, owner })
  }
})

test.each([
  [29, false],
  [31, true],
])('taking over is offered when the last commit is old: after %i seconds %s', (seconds, offered) => {
  const store = storeWithRun()
  const owned = store.own(RUN, OWNER)
  owned.commit(commit({ journal: entries(1), clock: { runMs: 0, wallMs: Date.now() - seconds * 1_000 } }))
  let fix = ''
  try {
    store.own(RUN, OWNER)
  } catch (error) {
    fix = (error as UserError).options.fix
  }
  const look = `troupe logs ${RUN} -f`
  expect(fix).toBe(offered ? `${look}   or, where that process is stuck: troupe resume ${RUN} --take-over` : look)
})

test('the fence of a taken-over run is the epoch, also where the new owner got the lock', async () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  owned.release()
  const child = await startedOwner(store.path)
  await child.tell('go')
  child.kill('SIGKILL')
  await child.gone()
  const taken = store.own(RUN, OWNER, { takeOver: true })
  expect([taken.epoch, store.isOwned(RUN)]).toEqual([3, true])
  taken.release()
  expect(store.isOwned(RUN)).toBe(false)
})

test('closing a store releases what it owns', () => {
  const { store, owned } = ownedRun(join(folder(), 'troupe.db'))
  const other = openStore(store.path)
  expect(other.isOwned(RUN)).toBe(true)
  store.close()
  expect(other.isOwned(RUN)).toBe(false)
  expect(thrown(() => owned.commit(commit())).code).toBe('E_STORE_CLOSED')
})
