/** STO-20 to STO-25: what is acknowledged stays, whoever dies, reads along, or changes the file behind our back. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { firstBreak } from '../../../../src/runtime/journal.ts'
import type { Store } from '../../../../src/runtime/store.ts'
import { startOwner } from '../owner.process.ts'
import { cell, commit, OWNER, RUN, runRow, thrown } from '../samples.ts'
import { conform, type Place } from './conform.ts'
import { read, stream } from './stream.ts'
import { acknowledged, strace, watchedCommits } from './tracing.ts'

/** A store with a run that nobody owns. */
function prepared(place: Place): Store {
  const store = place.open()
  store.createRun(runRow(), commit())
  return store
}

/** The last position of a journal that is whole. */
function wholeUpTo(store: Store): number {
  const journal = store.journal(RUN, 0, Number.POSITIVE_INFINITY)
  const { position } = store.run(RUN)!
  expect([firstBreak(journal), journal.length, store.check({ deep: true }).findings]).toEqual([null, position, []])
  return position
}

/** Nothing is flushed and nothing is closed in good order: the next handle has it all the same. */
function seenByOthers({ open }: Place): void {
  const store = open()
  const p = stream(store)
  for (let n = 1; n <= 20; n++) {
    p.append(2, () => ({ cells: [cell('/team', { nextId: n })] }))
    const other = open()
    expect([wholeUpTo(other), other.cell(RUN, '/team')]).toEqual([2 * n, cell('/team', { nextId: n })])
  }
}

conform('STO-20', 'between the last write of a commit and its acknowledgement its log is synced, each time', {
  sqlite: async (place, context) => {
    prepared(place).close()
    const calls = await watchedCommits(context, place.path, 10)
    const before = (said: number) => calls.slice(calls.lastIndexOf('said', said - 1) + 1, said)
    const saids = calls.flatMap((call, index) => (call === 'said' ? [index] : []))
    expect(saids).toHaveLength(10)
    for (const said of saids) expect([before(said).includes('write'), before(said).at(-1)]).toEqual([true, 'sync'])
    expect(wholeUpTo(place.open())).toBe(20)
  },
  memory: seenByOthers,
})

conform('STO-21', 'killed at any write or sync, the journal is whole and ends where it was acknowledged, or one commit later', {
  sqlite: async (place, context) => {
    const store = prepared(place)
    let known = 0
    for (const [call, number] of [
      ['pwrite64', 30],
      ['pwrite64', 61],
      ['fsync,fdatasync', 4],
      ['fsync,fdatasync', 17],
    ] as const) {
      const wrap = strace(context, '-o', '/dev/null', '-e', `inject=${call}:signal=KILL:when=${number}`)
      const child = startOwner({ command: 'write', path: place.path, run: RUN, wrap })
      const last = Math.max(known, await acknowledged(child))
      await child.gone()
      known = wholeUpTo(store)
      expect([call, number, last, known]).toEqual([call, number, last, known === last ? last : last + 2])
    }
    expect(known).toBeGreaterThan(20)
  },
  memory: seenByOthers,
})

conform('STO-22', 'who follows a run sees the entries of all its actors in the order of commits, each once, and no hole', async (place) => {
  const writer = place.open()
  const reader = place.open()
  const p = stream(writer)
  const seen: (readonly [number, string | null])[] = []
  const follow = (): void => {
    for (const { pos, path } of reader.journal(RUN, seen.at(-1)?.[0] ?? 0, 7)) seen.push([pos, path])
  }
  const written: (readonly [number, string])[] = []
  for (let n = 0; n < 60; n++) {
    const path = `/team/${'abc'[(n * 7) % 3]}`
    const count = 1 + (n % 4)
    const last = p.append(count, undefined, { path })
    for (let pos = last - count + 1; pos <= last; pos++) written.push([pos, path])
    follow()
  }
  while (seen.length < written.length) follow()
  expect(seen).toEqual(written)
  if (place.kind === 'memory') return
  p.owned.release()
  const child = startOwner({ command: 'write', path: place.path, run: RUN })
  expect(await child.line()).toHaveProperty('epoch')
  const positions: number[] = []
  const from = seen.length
  while (positions.length < 400) positions.push(...read(reader, RUN, from + positions.length + 1))
  child.kill('SIGKILL')
  await child.gone()
  expect(positions).toEqual(positions.map((_, index) => from + index + 1))
})

conform('STO-23', 'an answer is of one moment while ten thousand entries are written, and the log is folded in afterwards', {
  sqlite: (place) => {
    const store = place.open()
    const p = stream(store)
    const reader = new Database(place.path, { readonly: true })
    reader.exec('BEGIN')
    const seen = () => reader.prepare('SELECT count(*) FROM journal').pluck().get()
    expect(seen()).toBe(0)
    for (let n = 0; n < 10; n++) p.append(1_000)
    expect([seen(), store.run(RUN)!.position]).toEqual([0, 10_000])
    reader.close()
    const other = new Database(place.path)
    expect(other.pragma('wal_checkpoint(TRUNCATE)')).toEqual([{ busy: 0, log: 0, checkpointed: 0 }])
    other.close()
    expect(statSync(`${place.path}-wal`).size).toBe(0)
    expect(read(place.open(), RUN, 9_999)).toEqual([9_999, 10_000])
  },
  memory: ({ open }) => {
    const store = open()
    const p = stream(store)
    p.append(3, () => ({ cells: [cell('/team')] }))
    const answer = () => [store.journal(RUN, 0), store.image(RUN, 3), store.cells(RUN, 3)]
    const early = answer()
    const copy = structuredClone(early)
    for (let n = 0; n < 10; n++) p.append(1_000, (at) => ({ cells: [cell('/team', { nextId: at })] }))
    expect([early, answer().slice(1), store.run(RUN)!.position]).toEqual([copy, copy.slice(1), 10_003])
  },
})

/** Changes one bit of a text in a closed file. */
function flip(path: string, text: string): void {
  const bytes = readFileSync(path)
  const at = bytes.indexOf(text)
  expect([text, at > 0, bytes.indexOf(text, at + 1)]).toEqual([text, true, -1])
  bytes[at + text.length - 2]! ^= 1
  writeFileSync(path, bytes)
}

conform('STO-24', 'one flipped bit in a payload is reported with its position, the run is not started, and a backup is named', {
  sqlite: (place) => {
    const store = place.open()
    stream(store).append(1_000)
    const longer = stream(store, 'longer')
    longer.append(1_000, undefined, { data: '{}' })
    for (let n = 0; n < 50; n++) longer.append(1, undefined, { data: `{"longer":${n}1}` })
    store.close()
    flip(place.path, '{"n":557}')
    flip(place.path, '{"longer":371}')
    const again = place.open()
    // A resume looks at what came since the last seal, a deep check at everything; and no read gives what was not written.
    const told = { exit: 10, fix: expect.stringContaining('troupe db restore') }
    const refused = {
      name: 'UserError',
      code: 'E_STORE_DAMAGED',
      message: expect.stringContaining('1038'),
      options: expect.objectContaining(told),
    }
    expect(() => again.own('longer', OWNER)).toThrow(expect.objectContaining(refused))
    expect(thrown(() => again.journal(RUN, 0, 600))).toMatchObject({ code: 'E_STORE_DAMAGED' })
    const found = again.check({ deep: true }).findings.map(({ run, code, position }) => [run, code, position])
    for (const [run, position] of [
      [RUN, 557],
      ['longer', 1_038],
    ]) {
      expect(found).toContainEqual([run, 'E_STORE_DAMAGED', position])
    }
    expect([again.isOwned('longer'), again.run('longer')!.epoch]).toEqual([false, 1])
  },
  memory: ({ open }) => {
    const store = open()
    const p = stream(store)
    const next = p.next(1_000, () => ({ cells: [cell('/team')] }))
    p.owned.commit(next)
    const before = structuredClone([store.journal(RUN, 0), store.cells(RUN)])
    for (const change of [
      () => Object.assign(next.journal[556]!, { data: '{"n":556}' }),
      () => Object.assign(store.journal(RUN, 556, 1)[0]!, { data: '{"n":556}' }),
      () => Object.assign(next.cells[0]!, { nextId: 9 }),
      () => Object.assign(store.cells(RUN)[0]!, { nextId: 9 }),
    ]) {
      try {
        change()
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError)
      }
    }
    expect([store.journal(RUN, 0), store.cells(RUN)]).toEqual(before)
    const forged = p.next(1)
    p.owned.commit({ ...forged, journal: [{ ...forged.journal[0]!, data: '{"n":0}' }] })
    expect(store.check().findings).toEqual([{ run: RUN, code: 'E_STORE_DAMAGED', what: expect.stringContaining('1001'), position: 1_001 }])
  },
})

conform('STO-25', 'a log that was taken away is missed: the entries that were acknowledged and are gone are counted', {
  sqlite: async (place) => {
    prepared(place).close()
    const child = startOwner({ command: 'own', path: place.path, run: RUN })
    expect(await child.line()).toEqual({ ready: child.pid })
    await child.tell('go')
    for (let n = 0; n < 150; n++) await child.tell('commit')
    const other = new Database(place.path)
    expect(other.pragma('wal_checkpoint(TRUNCATE)')).toEqual([{ busy: 0, log: 0, checkpointed: 0 }])
    other.close()
    for (let n = 0; n < 75; n++) await child.tell('commit')
    child.kill('SIGKILL')
    await child.gone()
    expect(existsSync(`${place.path}-wal`)).toBe(true)
    for (const end of ['-wal', '-shm']) rmSync(`${place.path}${end}`)
    const store = place.open()
    const refused = thrown(() => store.own(RUN, OWNER))
    expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_TAIL_LOST', exit: 10, retryable: false })
    for (const number of ['300', '450', '150']) expect(refused.message).toContain(number)
    expect([store.run(RUN)!.position, store.run(RUN)!.epoch, store.isOwned(RUN)]).toEqual([300, 1, false])
  },
  memory: (place) => {
    seenByOthers(place)
    expect(place.open().run(RUN)!.position).toBe(40)
  },
})
