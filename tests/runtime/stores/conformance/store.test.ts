/** STO-54 to STO-59: the store as a thing on a machine: its owners, its disk, its file, its version, its end. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { expect, onTestFinished } from 'vitest'
import { firstBreak } from '../../../../src/runtime/journal.ts'
import type { Store } from '../../../../src/runtime/store.ts'
import { MIGRATIONS } from '../../../../src/runtime/stores/sqlite/migrate.ts'
import { sqliteStore } from '../../../../src/runtime/stores/sqlite/store.ts'
import { codeOf, factsOf, only } from '../../../harness.ts'
import { counter } from '../../counter.ts'
import { remount, smallDisk } from '../mount.ts'
import { startOwner } from '../owner.process.ts'
import { commit, folder, OWNER, RUN, runRow, thrown } from '../samples.ts'
import { conform, type Place } from './conform.ts'
import { live } from './life.ts'
import { stream } from './stream.ts'
import { strace } from './tracing.ts'

function refusedAt(store: Store) {
  const started = performance.now()
  const refused = thrown(() => store.own(RUN, OWNER))
  expect(performance.now() - started).toBeLessThan(1_000)
  expect(refused).toMatchObject({ name: 'UserError', code: 'E_RUN_OWNED', exit: 10, retryable: true })
  return refused.message
}

conform('STO-54', 'the second is told at once who owns the run, and gets in when the first is gone, whoever has its pid by now', {
  sqlite: async (place) => {
    const store = place.open()
    store.createRun(runRow(), commit())
    const child = startOwner({ command: 'own', path: place.path, run: RUN })
    expect(await child.line()).toEqual({ ready: child.pid })
    await child.tell('go')
    const told = refusedAt(store)
    expect([told.includes(`pid ${child.pid}`), told.includes('child-host')]).toEqual([true, true])
    child.kill('SIGKILL')
    await child.gone()
    // The row names a pid that lives: ours.
    store.own(RUN, { ...OWNER, pid: process.pid }).release()
    expect([store.isOwned(RUN), store.own(RUN, OWNER).epoch]).toEqual([false, 3])
  },
  memory: ({ open }) => {
    const [first, second] = [open(), open()]
    first.createRun(runRow(), commit())
    first.own(RUN, { ...OWNER, pid: process.pid, host: 'first-host' })
    const told = refusedAt(second)
    expect([told.includes(`pid ${process.pid}`), told.includes('first-host')]).toEqual([true, true])
    first.close()
    expect([second.isOwned(RUN), second.own(RUN, OWNER).epoch]).toEqual([false, 2])
  },
})

conform('STO-55', 'it is one clear error, nothing acknowledged is lost, and the same handle goes on when there is space again', {
  sqlite: (_, context) => {
    const disk = smallDisk(context, 2_048)
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(700_000))
    const store = sqliteStore({ path: join(disk, 'troupe.db') })
    const p = stream(store)
    let position = 0
    const fill = () => {
      for (let n = 0; n < 5_000; n++) position = p.append(1, undefined, { data: JSON.stringify('x'.repeat(1_000)) })
    }
    const refused = thrown(fill)
    expect(refused).toMatchObject({ name: 'UserError', code: 'E_STORE_FULL', exit: 10, retryable: true })
    expect([position > 50, store.run(RUN)!.position, firstBreak(store.journal(RUN, 0, 1e6))]).toEqual([true, position, null])
    rmSync(join(disk, 'ballast'))
    for (let n = 0; n < 10; n++) expect(p.append(1)).toBe(position + n + 1)
    expect(store.check({ deep: true }).findings).toEqual([])
    store.close()
  },
  memory: { void: 'a store in memory has no disk' },
})

conform('STO-56', 'after a sync that failed the handle refuses for good; a new one has all that was acknowledged, and goes on', {
  sqlite: async (place, context) => {
    const store = place.open()
    store.createRun(runRow(), commit())
    const wrap = strace(context, '-o', '/dev/null', '-e', 'inject=fsync,fdatasync:error=EIO:when=20')
    const child = startOwner({ command: 'own', path: place.path, run: RUN, wrap })
    const { ready } = await child.line()
    await child.tell('go')
    let last = 0
    let said = await child.tell('commit')
    for (; typeof said['position'] === 'number'; said = await child.tell('commit')) last = said['position']
    expect(said).toMatchObject({ failed: 'E_STORE_IO', name: 'UserError', exit: 10 })
    for (let n = 0; n < 2; n++) expect(await child.tell('commit')).toMatchObject({ failed: 'E_STORE_IO' })
    process.kill(Number(ready), 'SIGKILL')
    await child.gone()
    const p = stream(store)
    const { position } = store.run(RUN)!
    expect([last > 10, position === last || position === last + 2, store.check({ deep: true }).findings]).toEqual([true, true, []])
    expect(p.append(1)).toBe(position + 1)
  },
  memory: { void: 'a store in memory has no disk' },
})

const fingerprint = (path: string) => [
  statSync(path).mtimeMs,
  statSync(path).isFile() && createHash('sha256').update(readFileSync(path)).digest('hex'),
]

conform('STO-57', 'each is refused in one sentence, and the file is not touched', {
  sqlite: (_, context) => {
    const database = (path: string, sql: string): void => {
      const db = new Database(path)
      db.exec(sql)
      db.close()
    }
    const newer = (path: string): void => {
      sqliteStore({ path }).close()
      database(path, 'PRAGMA user_version = 99')
    }
    for (const [make, code] of [
      [(path: string) => mkdirSync(path), 'E_STORE_WRONG_FILE'],
      [(path: string) => writeFileSync(path, 'Dear diary,\n'.repeat(1_000)), 'E_STORE_WRONG_FILE'],
      [(path: string) => database(path, 'PRAGMA application_id = 7; CREATE TABLE t (a)'), 'E_STORE_WRONG_FILE'],
      [newer, 'E_STORE_NEWER'],
    ] as const) {
      const path = join(folder(), 'troupe.db')
      make(path)
      const before = fingerprint(path)
      const refused = thrown(() => sqliteStore({ path }))
      expect(refused).toMatchObject({ name: 'UserError', code, exit: 10, retryable: false })
      expect([refused.message.split('\n').length, fingerprint(path)]).toEqual([1, before])
    }
    const disk = smallDisk(context, 4_096)
    const path = join(disk, 'troupe.db')
    sqliteStore({ path }).close()
    const before = fingerprint(path)
    remount(disk, 'ro')
    expect(thrown(() => sqliteStore({ path }))).toMatchObject({ name: 'UserError', code: 'E_STORE_READ_ONLY', exit: 10 })
    expect([fingerprint(path), existsSync(join(dirname(path), 'troupe.db-wal'))]).toEqual([before, false])
  },
  memory: { void: 'a store in memory has no file' },
})

const GOLDEN = fileURLToPath(new URL('../golden/', import.meta.url))

/** Run, position and hash of every entry, read without our code from a file as it was released. */
function released(path: string): unknown[] {
  const db = new Database(path, { readonly: true })
  const rows = db.prepare('SELECT run.run, pos, hash FROM journal JOIN run ON run.k = journal.run ORDER BY run.run, pos').raw().all()
  db.close()
  return rows
}

function versionOf(path: string): number {
  const db = new Database(path) // Not read-only: after a kill there may be a log to recover.
  const version = Number(db.pragma('user_version', { simple: true }))
  db.close()
  return version
}

function entriesOf(store: Store): unknown[] {
  const runs = store.runs().map(({ run }) => run)
  return runs.sort().flatMap((run) => store.journal(run, 0, Number.POSITIVE_INFINITY).map(({ pos, hash }) => [run, pos, hash]))
}

conform(
  'STO-58',
  'killed at any write or sync it is of the old version or the new one, a backup lies beside it, and every entry has its hash',
  {
    sqlite: async (_, context) => {
      const left = new Set<string>()
      for (const [version, call, number] of [
        [1, 'pwrite64', 80],
        [1, 'fsync,fdatasync', 11],
        [2, 'pwrite64', 2],
        [2, 'pwrite64', 300],
        [2, 'fsync,fdatasync', 6],
        [2, 'fsync,fdatasync', 11],
      ] as const) {
        const before = released(join(GOLDEN, `v${version}.db`))
        expect(before.length).toBeGreaterThan(10)
        const path = join(folder(), 'troupe.db')
        copyFileSync(join(GOLDEN, `v${version}.db`), path)
        const wrap = strace(context, '-o', '/dev/null', '-e', `inject=${call}:signal=KILL:when=${number}`)
        const child = startOwner({ command: 'own', path, run: RUN, wrap })
        const said = await child.line().catch(() => null)
        if (said !== null) process.kill(Number(said['ready']), 'SIGKILL')
        await child.gone()
        const found = versionOf(path)
        left.add(found === version ? 'old' : 'new')
        if (found !== version) expect(existsSync(`${path}.v${version}.bak`)).toBe(true)
        else if (said === null) left.add('killed')
        const store = sqliteStore({ path })
        expect([version, call, number, entriesOf(store), store.check({ deep: true }).findings]).toEqual([version, call, number, before, []])
        store.close()
        expect([versionOf(path), released(`${path}.v${version}.bak`)]).toEqual([MIGRATIONS.length, before])
      }
      expect([...left].sort()).toEqual(['killed', 'new', 'old'])
    },
    memory: { void: 'a store in memory has no format' },
  },
)

conform(
  'STO-59',
  'what was queued is committed or reported as dropped, nothing is written afterwards, and a second close is harmless',
  async (place) => {
    const { troupe, store } = live(place, { machines: { counter } })
    const session = await troupe.start(only('counter'))
    const sent = Array.from({ length: 500 }, () =>
      session.send('/top/one', { type: 'add', n: 1 }).then(({ position }) => position, codeOfError),
    )
    const stopped = session.stop()
    const late = codeOf(session.send('/top/one', { type: 'add', n: 1 }))
    const answers = await Promise.all(sent)
    await stopped
    const accepted = factsOf(store, session.id, 'message.accepted').map(({ pos }) => pos)
    const kept = answers.filter((answer) => typeof answer === 'number')
    expect(kept).toEqual(accepted)
    expect(answers.filter((answer) => typeof answer !== 'number' && answer !== 'E_RUN_STOPPED')).toEqual([])
    expect(await late).toBe('E_RUN_STOPPED')
    const { position } = store.run(session.id)!
    troupe.close()
    troupe.close()
    store.close()
    for (const call of [() => store.run(session.id), () => store.own(session.id, OWNER), () => store.request(session.id, 'cancel', null)]) {
      expect(thrown(call)).toMatchObject({ name: 'Defect', code: 'E_STORE_CLOSED' })
    }
    expect(place.open().run(session.id)!.position).toBe(position)
    if (place.kind === 'sqlite') await endsInOrder(place)
  },
)

/** The same for a whole process that is told to end. */
async function endsInOrder({ path, open }: Place): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./closing.child.ts', import.meta.url)), path])
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (data) => {
    if (said === '') child.kill('SIGTERM')
    said += data
  })
  const [code, signal] = await once(child, 'close')
  const [started, ended] = said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const store = open()
  const taken = store.journal(started.run, 0, Number.POSITIVE_INFINITY).filter(({ type }) => type === 'message.accepted')
  expect([code, signal, ended.accepted]).toEqual([0, null, taken.length])
  expect(['', 'E_RUN_STOPPED']).toContain(ended.dropped.join())
  expect([store.run(started.run)!.status, store.isOwned(started.run), store.check({ deep: true }).findings]).toEqual([
    'interrupted',
    false,
    [],
  ])
}

const codeOfError = (error: { code?: string }) => error.code ?? String(error)
