/**
 * Random commits, applied to the store and to a model of Maps that knows nothing of SQL: after each sequence, reopened or not, both say the same.
 * What the store said when a commit was its last is also what it says of that position ever after; and the digest that commits keep is the one that its
 * rows add up to. Keys are few, so that lives, versions and deaths meet each other often.
 */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EncodedSnapshot, Envelope } from '../../../src/runtime/cell.ts'
import { OPEN } from '../../../src/runtime/status.ts'
import type { AskRow, CellRow, Commit, EffectRow, Image, RunRow, Store, TimerRow } from '../../../src/runtime/store.ts'
import { digestOf } from '../../../src/runtime/stores/sqlite/digest.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { ask, cell, commit, effect, entries, envelope, folder, OWNER, RUN, runRow, snapshot, timer } from './samples.ts'

/** All that has an `at`, but the run's own row. */
function answers(store: Store, at?: number) {
  const { run: _, ...image } = store.image(RUN, at)
  const lives = addresses.flatMap((address) => [1, 2, 3].map((incarnation) => [address, incarnation] as const))
  return {
    image,
    cells: store.cells(RUN, at),
    each: addresses.map((address) => store.cell(RUN, address, at)),
    snapshots: lives.map(([address, incarnation]) => store.snapshot(RUN, address, incarnation, at)),
    effects: store.effects(RUN, at),
    threads: ['t', 't2', 'T'].map((thread) => store.thread(RUN, thread, 0, at)),
  }
}

interface Model {
  run: RunRow
  readonly cells: Map<string, CellRow>
  readonly snapshots: Map<string, { readonly born: number; readonly snapshot: EncodedSnapshot }>
  readonly envelopes: Map<number, Envelope>
  readonly timers: Map<number, TimerRow>
  readonly asks: Map<number, AskRow>
  readonly effects: Map<string, EffectRow>
  readonly threads: Map<string, unknown[]>
}

function emptyModel(): Model {
  const map = () => new Map()
  const run = runRow(RUN, { epoch: 1, owner: OWNER, clock: commit().clock })
  return { run, cells: map(), snapshots: map(), envelopes: map(), timers: map(), asks: map(), effects: map(), threads: map() }
}

function apply(model: Model, next: Commit): void {
  const { run, cells, snapshots, envelopes, timers, asks, effects, threads } = model
  const last = next.journal.at(-1)
  const { clock, counters } = next
  model.run = { ...run, clock, counters, ...next.run_, position: last?.pos ?? run.position, hash: last?.hash ?? run.hash }
  for (const row of next.cells) {
    if ((cells.get(row.address)?.incarnation ?? 0) > row.incarnation) continue
    if (row.status === 'gone') cells.delete(row.address)
    else cells.set(row.address, row)
  }
  for (const { address, incarnation, snapshot, born } of next.snapshots) snapshots.set(`${address} ${incarnation}`, { born, snapshot })
  for (const row of next.envelopesAdded) envelopes.set(row.envelope.seq, row.envelope)
  for (const row of next.envelopesDone) envelopes.delete(row.seq)
  for (const row of next.timersSet) timers.set(row.timer.timer, row.timer)
  for (const row of next.timersDone) timers.delete(row.timer)
  for (const row of next.asksAdded) asks.set(row.ask.ask, row.ask)
  for (const row of next.asksDone) asks.delete(row.ask)
  for (const row of next.effects) effects.set(row.effect.id, row.effect)
  for (const { thread, items } of next.threadAppends)
    threads.set(thread, [...(threads.get(thread) ?? []), ...items.map((item) => JSON.parse(item))])
}

const sorted = <K extends number | string, V>(map: Map<K, V>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)

function imageOf(model: Model): Image {
  return {
    run: model.run,
    systemIds: Object.assign({}, ...sorted(model.cells).map((row) => row.systemIds)),
    envelopes: sorted(model.envelopes),
    timers: sorted(model.timers),
    effects: byNumber(model).filter((row) => OPEN.includes(row.status)),
    asks: sorted(model.asks),
  }
}
function byNumber(model: Model): EffectRow[] {
  return [...model.effects.values()].sort((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)))
}

const addresses = ['/team', '/team/a', '/team/a-1', '/team/b', '/ä']
const address = fc.constantFrom(...addresses)
const status = fc.constantFrom('starting' as const, 'active' as const, 'ended' as const, 'gone' as const)
const life = fc.integer({ min: 1, max: 3 })
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 })
/** What `assertJson` lets in: JSON text has a -0 that JSON does not give back. */
const json = fc.json({ maxDepth: 2 }).map((text) => JSON.parse(JSON.stringify(JSON.parse(text))) as never)
const number = fc.integer({ min: 1, max: 12 })

const systemIds = fc.dictionary(fc.constantFrom('x', 'y'), fc.constant({ address: '/team/a', incarnation: 1 }), {
  maxKeys: 1,
  noNullPrototype: true,
})

/** One commit before it is given numbers: what is new gets them in order, what is done names any that was given. */
const intents = fc.record({
  journal: fc.integer({ min: 0, max: 3 }),
  cells: some(fc.record({ address, incarnation: life, status, nextId: fc.nat(9), input: json, systemIds })),
  snapshots: some(fc.record({ address, incarnation: life, text: fc.string({ unit: 'binary' }) })),
  envelopes: some(json),
  envelopesDone: some(fc.nat(40)),
  timers: fc.nat(2),
  timersDone: some(fc.nat(20)),
  asks: fc.nat(2),
  asksDone: some(fc.nat(20)),
  effects: some(
    fc.record({ n: number, status: fc.constantFrom(...OPEN, 'succeeded' as const, 'failed' as const), input: json, output: json }),
  ),
  threads: some(fc.record({ thread: fc.constantFrom('t', 't2', 'T'), items: some(json) })),
  status: fc.option(fc.constantFrom('running' as const, 'suspended' as const, 'failed' as const)),
  output: json,
  runMs: fc.nat({ max: 1e9 }),
  reopen: fc.boolean(),
})
type Intent = typeof intents extends fc.Arbitrary<infer T> ? T : never

function toCommit(intent: Intent, model: Model, epoch: number): Commit {
  const { position, hash, counters } = model.run
  const at = position + intent.journal
  const seqs = intent.envelopes.map((_, index) => counters.seq + index + 1)
  const timers = Array.from({ length: intent.timers }, (_, index) => counters.timers + index + 1)
  const asks = Array.from({ length: intent.asks }, (_, index) => counters.timers + index + 1)
  return commit({
    epoch,
    expectedPosition: position,
    journal: entries(intent.journal, position, hash),
    cells: intent.cells.map(({ address, ...more }) => cell(address, more)),
    snapshots: intent.snapshots
      .slice(0, intent.journal)
      .map((row, nth) => ({ ...row, snapshot: snapshot(row.text), born: position + 1 + nth })),
    envelopesAdded: seqs.map((seq, index) => ({
      envelope: envelope(seq, { event: { type: 'x', data: intent.envelopes[index] } }),
      born: at,
    })),
    envelopesDone: intent.envelopesDone.map((seq) => ({ seq, died: at, outcome: 'consumed' as const })),
    timersSet: timers.map((id) => ({ timer: timer(id), born: at })),
    timersDone: intent.timersDone.map((id) => ({ timer: id, died: at })),
    asksAdded: asks.map((id) => ({ ask: ask(id), born: at })),
    asksDone: intent.asksDone.map((id) => ({ ask: id, died: at })),
    effects: intent.effects.map(({ n, ...more }) => ({ effect: effect(`e${n}`, more), changed: at })),
    threadAppends: intent.threads.map(({ thread, items }) => ({ thread, items: items.map((item) => JSON.stringify(item)), born: at })),
    run_: intent.status === null ? null : { status: intent.status, output: intent.output },
    clock: { runMs: intent.runMs, wallMs: intent.runMs + 1 },
    counters: { seq: counters.seq + seqs.length, effects: 0, timers: counters.timers + Math.max(timers.length, asks.length) },
  })
}

function digestsOf(path: string) {
  const db = new Database(path, { readonly: true })
  const kept = db.prepare('SELECT digest FROM head').pluck().get()
  const added = digestOf(db, 1)
  db.close()
  return { kept, added }
}

test('whatever is committed, the store says what a model of plain Maps says, reopened or not, and of each earlier commit what it said then', () => {
  const path = join(folder(), 'troupe.db')
  let trial = 0
  fc.assert(
    fc.property(fc.array(intents, { maxLength: 12 }), (sequence) => {
      const file = `${path}-${++trial}`
      let store = sqliteStore({ path: file, synchronous: 'normal' })
      store.createRun(runRow(), commit())
      let owned = store.own(RUN, OWNER)
      const model = emptyModel()
      const then = new Map<number, ReturnType<typeof answers>>()
      for (const intent of sequence) {
        const next = toCommit(intent, model, owned.epoch)
        owned.commit(next)
        apply(model, next)
        then.set(model.run.position, answers(store))
        const { kept, added } = digestsOf(file)
        expect(kept).toBe(added)
        if (!intent.reopen) continue
        store.close()
        store = sqliteStore({ path: file, synchronous: 'normal' })
        owned = store.own(RUN, OWNER)
        model.run = { ...model.run, epoch: owned.epoch }
      }
      store.close()
      store = sqliteStore({ path: file })
      expect(store.image(RUN)).toEqual(imageOf(model))
      expect(store.cells(RUN)).toEqual(sorted(model.cells))
      expect(store.effects(RUN)).toEqual(byNumber(model))
      for (const name of ['t', 't2', 'T']) expect(store.thread(RUN, name)).toEqual(model.threads.get(name) ?? [])
      for (const at of addresses) {
        for (const incarnation of [1, 2, 3]) {
          expect(store.snapshot(RUN, at, incarnation)).toEqual(model.snapshots.get(`${at} ${incarnation}`)?.snapshot ?? null)
        }
      }
      for (const [position, said] of then) expect({ position, said: answers(store, position) }).toEqual({ position, said })
      store.close()
    }),
    { numRuns: process.env['TROUPE_NIGHTLY'] === undefined ? 30 : 2_000 },
  )
})
