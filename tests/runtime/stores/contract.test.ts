/**
 * Two stores, one contract: the same random commits, refusals, take-overs, reopenings and prunings give the same answers to every read, at every
 * position. Neither is the model of the other: where they part, at least one is wrong. Keys are few, so that lives, versions and deaths meet often.
 */
import { hash } from 'node:crypto'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Chunk, EncodedSnapshot } from '../../../src/runtime/cell.ts'
import { OPEN } from '../../../src/runtime/status.ts'
import type { Commit, Owned, RunRow, Store } from '../../../src/runtime/store.ts'
import { memoryStore, sharedMemory } from '../../../src/runtime/stores/memory.ts'
import { sqliteStore } from '../../../src/runtime/stores/sqlite/store.ts'
import { ask, cell, commit, effect, entries, envelope, folder, OWNER, RUN, runRow, timer } from './samples.ts'

const ADDRESSES = ['/team', '/team/a', '/team/a-1', '/team/b', '/ä', '/\u{1F3AD}', '/\uFFFD']
const THREADS = ['t', 't2', 'T']

const address = fc.constantFrom(...ADDRESSES)
const life = fc.integer({ min: 1, max: 3 })
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 })
/** What `assertJson` lets in: JSON text has a -0 that JSON does not give back. */
const json = fc.json({ maxDepth: 2 }).map((text) => JSON.parse(JSON.stringify(JSON.parse(text))) as never)
/** Where in its commit something happens, as a share of its entries. */
const place = fc.double({ min: 0, max: 0.999, noNaN: true })
const parent = fc.option(address.map((one) => ({ address: one, incarnation: 1 })))

const commits = fc.record({
  op: fc.constant('commit' as const),
  journal: fc.integer({ min: 0, max: 4 }),
  cells: some(
    fc.record({
      row: fc.record({
        address,
        incarnation: life,
        status: fc.constantFrom('starting' as const, 'active' as const, 'ended' as const, 'gone' as const),
        machine: fc.constantFrom('coder', 'reviewer'),
        version: fc.constantFrom('1', '2'),
        nextId: fc.nat(9),
        input: json,
        parent,
        systemIds: fc.dictionary(fc.constantFrom('one', 'two'), fc.record({ address, incarnation: life }), {
          maxKeys: 1,
          noNullPrototype: true,
        }),
      }),
      place,
    }),
  ),
  snapshots: some(fc.record({ address, incarnation: life, context: json, shared: fc.nat(2), own: json })),
  envelopes: some(json),
  envelopesDone: some(fc.nat(30)),
  timers: fc.nat(2),
  timersDone: some(fc.nat(15)),
  asks: fc.nat(2),
  asksDone: some(fc.nat(15)),
  effects: fc.uniqueArray(
    fc.record({
      n: fc.integer({ min: 1, max: 12 }),
      status: fc.constantFrom(...OPEN, 'succeeded' as const),
      input: json,
      output: json,
      place,
    }),
    { maxLength: 3, selector: ({ n }) => n },
  ),
  threads: some(fc.record({ thread: fc.constantFrom(...THREADS), items: some(json), place })),
  machines: fc.uniqueArray(
    fc.record({ name: fc.constantFrom('coder', 'reviewer'), version: fc.constantFrom('1', '2'), definition: json }),
    {
      maxLength: 2,
      selector: ({ name, version }) => name + version,
    },
  ),
  status: fc.option(fc.constantFrom('running' as const, 'suspended' as const, 'failed' as const)),
  output: json,
  requestsDone: some(fc.nat(5)),
  runMs: fc.nat({ max: 1e9 }),
  /** What is wrong with it, if anything. */
  wrong: fc.constantFrom(...Array<null>(8).fill(null), 'epoch', 'position', 'run', 'gap', 'twice', 'ahead', 'bigint'),
})
const steps = fc.oneof(
  { weight: 12, arbitrary: commits },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom('reopen' as const, 'own' as const, 'take' as const, 'release' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('request' as const), data: json }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('prune' as const), share: fc.double({ min: -0.2, max: 1.2, noNaN: true }) }) },
)
type Intent = typeof commits extends fc.Arbitrary<infer T> ? T : never
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never

const sealed = (text: string, chunks: readonly Chunk[] = []): Chunk => ({ hash: hash('sha256', text, 'hex'), text, chunks })
const reference = (chunk: Chunk) => ({ '@troupe.chunk': chunk.hash })

/** A snapshot of which a part is shared with others, one is its own, and the shared one has a part below it. */
function snapshotOf({ context, shared, own }: Intent['snapshots'][number]): EncodedSnapshot {
  const below = sealed(JSON.stringify({ below: 'b'.repeat(100 * shared) }))
  const parts = [sealed(JSON.stringify([shared, reference(below)]), [below]), sealed(JSON.stringify({ own }))]
  const json = JSON.stringify({ status: 'active', value: { shared }, context: shared === 0 ? context : parts.map(reference) })
  const chunks = shared === 0 ? {} : { chunks: parts }
  return { json, hash: hash('sha256', json, 'hex'), status: 'active', value: { shared }, tags: shared === 1 ? ['busy'] : [], ...chunks }
}

function toCommit(intent: Intent, row: RunRow, epoch: number): Commit {
  const { position, hash: previous, counters } = row
  const last = position + intent.journal
  const at = (share: number): number => (intent.journal === 0 ? position : position + 1 + Math.floor(share * intent.journal))
  const seqs = intent.envelopes.map((_, index) => counters.seq + index + 1)
  const timers = Array.from({ length: intent.timers }, (_, index) => counters.timers + index + 1)
  const asks = Array.from({ length: intent.asks }, (_, index) => counters.timers + index + 1)
  const versions = intent.cells.map(({ row: { address: where, ...more }, place: share }) => ({ ...cell(where, more), born: at(share) }))
  return commit({
    epoch,
    expectedPosition: position,
    journal: entries(intent.journal, position, previous),
    cells: intent.journal === 0 ? [] : versions.sort((a, b) => a.born - b.born),
    snapshots: intent.snapshots.slice(0, intent.journal).map((one, index) => ({
      address: one.address,
      incarnation: one.incarnation,
      snapshot: snapshotOf(one),
      born: position + 1 + index,
    })),
    envelopesAdded: seqs.map((seq, index) => ({
      envelope: envelope(seq, { event: { type: 'x', data: intent.envelopes[index] } }),
      born: at(index / 3),
    })),
    envelopesDone: intent.envelopesDone.map((seq) => ({ seq, died: last, outcome: 'consumed' as const })),
    timersSet: timers.map((id, index) => ({ timer: timer(id), born: at(index / 2) })),
    timersDone: intent.timersDone.map((id) => ({ timer: id, died: last })),
    asksAdded: asks.map((id, index) => ({ ask: ask(id), born: at(index / 2) })),
    asksDone: intent.asksDone.map((id) => ({ ask: id, died: last })),
    effects:
      intent.journal === 0
        ? []
        : intent.effects.map(({ n, place: share, ...more }) => ({ effect: effect(`e${n}`, more), changed: at(share) })),
    threadAppends: intent.threads.map(({ thread, items, place: share }) => ({
      thread,
      items: items.map((item) => JSON.stringify(item)),
      born: at(share),
    })),
    machines: intent.machines,
    requestsDone: intent.requestsDone,
    run_: intent.status === null ? null : { status: intent.status, output: intent.output },
    clock: { runMs: intent.runMs, wallMs: intent.runMs + 1 },
    counters: { seq: counters.seq + seqs.length, effects: 0, timers: counters.timers + Math.max(timers.length, asks.length) },
  })
}

/** A commit that every store must refuse, with the same code and without a trace. */
function spoil(made: Commit, wrong: Intent['wrong']): Commit {
  const last = made.expectedPosition + made.journal.length
  const twice = [9_999, 9_999].map((seq) => ({ envelope: envelope(seq), born: last }))
  const large = { envelope: envelope(9_999, { event: { type: 'x', n: 1n } as never }), born: last }
  if (wrong === 'epoch') return { ...made, epoch: made.epoch + 1 }
  if (wrong === 'position') return { ...made, expectedPosition: made.expectedPosition + 1 }
  if (wrong === 'run') return { ...made, run: 'other' }
  if (wrong === 'gap') return { ...made, journal: [...made.journal, ...entries(1, last + 1)] }
  if (wrong === 'twice') return { ...made, envelopesAdded: twice }
  if (wrong === 'bigint') return { ...made, envelopesAdded: [large] }
  const ahead = {
    address: '/team',
    incarnation: 1,
    snapshot: snapshotOf({ address: '', incarnation: 1, context: 0 as never, shared: 0, own: 0 as never }),
    born: last + 7,
  }
  return wrong === 'ahead' ? { ...made, snapshots: [ahead] } : made
}

/** What a call answers, or what it refuses with. */
function outcome<T>(call: () => T): unknown {
  try {
    return { answer: call() }
  } catch (error) {
    const { name, code, options, message } = error as Error & { code?: string; options?: { exit: number; retryable?: boolean } }
    return { name, code: code ?? message, exit: options?.exit, retryable: options?.retryable ?? false }
  }
}

/** One store through its life: handles come and go, what is stored stays. */
class Side {
  store: Store
  owned: Owned
  readonly #open: () => Store

  constructor(open: () => Store) {
    this.#open = open
    this.store = open()
    this.store.createRun(runRow(), commit())
    this.owned = this.store.own(RUN, OWNER)
  }

  take(step: Step): unknown {
    if (step.op === 'commit') {
      const made = toCommit(step, this.store.run(RUN)!, this.owned.epoch)
      return outcome(() => this.owned.commit(spoil(made, step.wrong)))
    }
    if (step.op === 'request') return outcome(() => this.store.request(RUN, 'send', step.data))
    if (step.op === 'release') return this.owned.release()
    if (step.op === 'own' || step.op === 'take') return outcome(() => this.#own(step.op === 'take'))
    if (step.op === 'reopen') {
      this.store.close()
      this.store = this.#open()
    }
    if (step.op === 'prune') {
      const refused = outcome(() => this.store.prune(RUN, 1))
      this.owned.release()
      const { position } = this.store.run(RUN)!
      return [
        refused,
        outcome(() => this.store.prune(RUN, this.store.commitEnd(RUN, Math.max(0, Math.round(step.share * position))) + 1)),
        this.#own(false),
      ]
    }
    return this.#own(false)
  }

  #own(takeOver: boolean): number {
    this.owned = this.store.own(RUN, OWNER, { takeOver })
    return this.owned.epoch
  }

  /** Everything that can be asked, at one position. */
  at(position: number | undefined): unknown {
    const { store } = this
    return {
      end: position === undefined ? null : outcome(() => store.commitEnd(RUN, position)),
      image: outcome(() => store.image(RUN, position)),
      cells: outcome(() => store.cells(RUN, position)),
      each: ADDRESSES.map((where) => outcome(() => store.cell(RUN, where, position))),
      snapshots: ADDRESSES.flatMap((where) =>
        [1, 2, 3].map((incarnation) => outcome(() => store.snapshot(RUN, where, incarnation, position))),
      ),
      effects: outcome(() => store.effects(RUN, position)),
      threads: THREADS.map((name) => outcome(() => store.thread(RUN, name, 0, position))),
      rest: outcome(() => store.thread(RUN, 't', 2, position)),
    }
  }

  /** Everything that is asked without a position. */
  now(): unknown {
    const { store } = this
    return {
      runs: store.runs(),
      owned: store.isOwned(RUN),
      journal: [store.journal(RUN, 0), store.journal(RUN, 3, 2)],
      children: ADDRESSES.map((where) => store.children(RUN, where)),
      versions: ADDRESSES.map((where) => [store.snapshots(RUN, where), store.snapshots(RUN, where, { before: 9, limit: 2 })]),
      machines: store.machines(RUN),
      requests: store.requests(RUN),
      findings: store.check({ deep: true }).findings,
    }
  }
}

test('whatever is committed, refused, pruned, reopened or taken over, both stores answer every question alike, at every position', {
  timeout: 600_000,
}, () => {
  const path = folder()
  let trial = 0
  let asked = 0
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 14 }), (sequence) => {
      const file = join(path, String(++trial), 'troupe.db')
      const memory = sharedMemory()
      const sides = [new Side(() => sqliteStore({ path: file, synchronous: 'normal' })), new Side(() => memoryStore(memory))] as const
      const [disk, plain] = sides
      for (const step of sequence) expect(disk.take(step)).toEqual(plain.take(step))
      expect(disk.now()).toEqual(plain.now())
      const { position } = plain.store.run(RUN)!
      for (const at of [undefined, ...Array.from({ length: position + 2 }, (_, n) => n)]) {
        expect([at, disk.at(at)]).toEqual([at, plain.at(at)])
        asked++
      }
      for (const { store } of sides) store.close()
    }),
    { numRuns: process.env['TROUPE_NIGHTLY'] === undefined ? 60 : 1_000 },
  )
  expect(asked).toBeGreaterThan(trial)
})
