/**
 * Writes a golden file of the version that this code writes: `write.ts FILE.db FILE.json`. Done once for each released version, never again: what it
 * made is kept beside this file, and every later version must open it and answer the same.
 *
 *   1  the world of tests/crash, ended               restarts, relays that are gone, asks, timers, effects of all policies
 *   2  the same, its process killed in the middle    open mail, timers and asks; effects owed and started
 *   3  rows by hand                                  effects in doubt, threads, requests, late lives, large texts, odd characters
 */
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { EncodedSnapshot } from '../../../../src/runtime/cell.ts'
import type { Commit, Store } from '../../../../src/runtime/store.ts'
import { sqliteStore } from '../../../../src/runtime/stores/sqlite/store.ts'
import { type KillPoint, killingStore } from '../../../crash/killing-store.ts'
import { Ledger } from '../../../crash/ledger.ts'
import { drive, makeTroupe, tree } from '../../../crash/world.ts'
import { ask, cell, commit, effect, entries, envelope, runRow, timer } from '../samples.ts'
import { answersOf } from './answers.ts'

const OWNER = { pid: 4_242, host: 'golden', startedAt: 1_700_000_000_000 }

/** Owned by nobody who could be found. */
function anonymous(store: Store): Store {
  return { ...store, own: (run, _, options) => store.own(run, OWNER, options) }
}

async function world(store: Store, id: string, point: KillPoint | null): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-golden-'))
  const dying = killingStore(anonymous(store), point)
  const troupe = makeTroupe({ store: dying, folder, ledger: new Ledger(join(folder, 'ledger')), turnStepsMax: 3, reap: async () => [] })
  const session = await troupe.start(tree, { id, name: 'golden', project: '/golden' })
  const driven = drive(session, new Set(), () => {}).catch(() => {})
  await session.done().catch((error: Error) => {
    if (point === null) throw error
  })
  await driven
  rmSync(folder, { recursive: true })
}

function snapshot(context: unknown, tags: readonly string[] = []): EncodedSnapshot {
  const value = { editing: 'patch' }
  const json = JSON.stringify({ status: 'active', value, context, historyValue: {} })
  return { json, hash: hash('sha256', json, 'hex'), status: 'active', value, tags }
}

function byHand(store: Store, run: string): void {
  let [position, last] = [0, '']
  const next = (count: number, more: (at: number) => Partial<Commit>): Commit => {
    const journal = entries(count, position, last, { data: JSON.stringify({ text: `häß 🎭 ${position}`, at: position }) })
    const made = commit({ run, expectedPosition: position, journal, ...more(position + count) })
    position += count
    last = journal.at(-1)!.hash
    return made
  }
  store.createRun(
    runRow(run, { name: 'by hand', meta: { file: 'x'.repeat(10_000) }, input: { prompt: 'ü'.repeat(6_000) } }),
    next(2, (at) => ({
      cells: [cell('/team'), cell('/team/a'), cell('/team/b')],
      snapshots: [{ address: '/team', incarnation: 1, snapshot: snapshot('first'), born: at }],
    })),
  )
  const owned = store.own(run, OWNER)
  const step = (count: number, more: (at: number) => Partial<Commit>): void => owned.commit(next(count, more))
  const large = { messages: Array.from({ length: 200 }, (_, n) => ({ role: 'user', text: `message ${n} ${'lorem ipsum '.repeat(20)}` })) }
  step(3, (at) => ({
    snapshots: [{ address: '/team', incarnation: 1, snapshot: snapshot(large, ['busy', 'large']), born: at }],
    envelopesAdded: [1, 2, 3].map((seq) => ({
      envelope: envelope(seq, { event: { type: 'mail', body: 'y'.repeat(seq * 3_000) } }),
      born: at - 1,
    })),
    timersSet: [1, 2].map((id) => ({ timer: timer(id), born: at })),
    asksAdded: [
      { ask: ask(3), born: at },
      { ask: ask(4), born: at },
    ],
    effects: ['e1', 'e2', 'e3', 'e10'].map((id) => ({ effect: effect(id, { input: { prompt: 'p'.repeat(5_000) } }), changed: at })),
    threadAppends: [
      { thread: 'talk', items: ['1', '{"role":"user","text":"hello"}'], born: at },
      { thread: 'notes', items: [JSON.stringify('n'.repeat(9_000))], born: at },
    ],
    counters: { seq: 3, effects: 10, timers: 4 },
  }))
  step(1, (at) => ({
    cells: [
      cell('/team/a', { status: 'ended', exit: { kind: 'killed' } }),
      cell('/team/a', { incarnation: 2, status: 'starting' }),
      cell('/team/b', { status: 'gone' }),
    ],
    envelopesDone: [{ seq: 2, died: at, outcome: 'buried' }],
    timersDone: [{ timer: 1, died: at }],
    asksDone: [{ ask: 4, died: at }],
    effects: [
      { effect: effect('e1', { input: { prompt: 'p'.repeat(5_000) }, status: 'started', attempt: 1, startedAt: 0.5 }), changed: at },
      {
        effect: effect('e2', { input: { prompt: 'p'.repeat(5_000) }, status: 'in_doubt', attempt: 1, evidence: 'nobody knows' }),
        changed: at,
      },
      {
        effect: effect('e3', { input: { prompt: 'other' }, status: 'succeeded', attempt: 1, output: { text: 'z'.repeat(7_000) } }),
        changed: at,
      },
    ],
    counters: { seq: 3, effects: 10, timers: 4 },
  }))
  step(2, (at) => ({
    cells: [
      cell('/team/a', { incarnation: 1, status: 'ended', exit: 'late' }),
      cell('/team/a', { incarnation: 2, systemIds: { one: { address: '/team/a/x', incarnation: 1 } } }),
      cell('/team/b'),
    ],
    snapshots: [{ address: '/team/a', incarnation: 2, snapshot: snapshot({ n: 2 }), born: at }],
    threadAppends: [{ thread: 'talk', items: ['"more"'], born: at }],
    run_: { status: 'suspended', reason: { code: 'E_IN_DOUBT', message: 'e2' }, output: null },
    counters: { seq: 3, effects: 10, timers: 4 },
  }))
  owned.release()
  store.request(run, 'send', { to: '/team', event: { type: 'go' } })
}

const [file = '', json = ''] = process.argv.slice(2)
const store = sqliteStore({ path: file })
await world(store, '01GOLDEN000000000000000001', null)
await world(store, '01GOLDEN000000000000000002', { commit: 26, when: 'after' })
byHand(store, '01GOLDEN000000000000000003')
writeFileSync(json, `${JSON.stringify(answersOf(store), null, 1)}\n`)
store.close()
new Database(file).exec('PRAGMA journal_mode = delete; VACUUM').close()
process.exit() // The killed run's clock would keep it.
