/**
 * Many parked actors, quickly: rows that the engine wrote for one worker, stamped for a million, through the commits of the store.
 *
 *   engine, one worker in a pool --recorded--> its entries, cell, snapshot --> createRun, own, commit (1,000 workers each), release
 *
 * The store checks and seals them as it does for the engine; what it cannot tell from the engine's own is what a resume then opens.
 */
import { Defect } from '../../src/errors.ts'
import { chain, type JournalEntry } from '../../src/runtime/journal.ts'
import type { CellRow, Commit, Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { childAddress, childId, poolEngine, startChildren } from './pool-run.ts'
import { type Recording, recordingStore } from './recording-store.ts'

const BATCH = 1_000

/** What the engine wrote for one worker, and all that came before. */
export interface Stamp {
  readonly created: NonNullable<Recording['created']>
  readonly owner: NonNullable<Recording['owner']>
  readonly before: readonly Commit[]
  readonly entries: readonly JournalEntry[]
  readonly cell: CellRow
  readonly snapshot: Commit['snapshots'][number]
  /** Which of the entries the snapshot was born with. */
  readonly bornWith: number
  readonly last: Commit
}

/** @param path  a file that does not exist yet. */
export async function stampOf(path: string): Promise<Stamp> {
  const { store, recording } = recordingStore(sqliteStore({ path }))
  const engine = poolEngine(store)
  const session = await engine.start('worker')
  while (session.tree().status !== 'active') await new Promise(setImmediate) // The pool itself, in commits of its own.
  const before = recording.commits.slice()
  await startChildren(session, 0, 1)
  const commits = recording.commits.slice(before.length)
  await session.stop()
  engine.close()
  const ofChild = <T extends { readonly address: string }>(rows: readonly T[]): T | undefined =>
    rows.findLast(({ address }) => address === childAddress(0))
  const entries = commits.flatMap(({ journal }) => journal.filter(({ path }) => path === childAddress(0)))
  const cell = ofChild(commits.flatMap(({ cells }) => cells))
  const snapshot = ofChild(commits.flatMap(({ snapshots }) => snapshots))
  const { created, owner } = recording
  if (created === null || owner === null || cell === undefined || snapshot === undefined || commits.length !== 1)
    throw new Defect('E_BENCH', `the start of one worker came in ${commits.length} commits`)
  const bornWith = Math.max(
    0,
    entries.findIndex(({ pos }) => pos === snapshot.born),
  )
  return { created, owner, before, entries, cell, snapshot, bornWith, last: commits[0]! }
}

/** Makes a run with that many parked workers at `/pool/c0` and on, as a process leaves it that was killed. */
export function populate(store: Store, run: string, actors: number, stamp: Stamp): void {
  const { row, first } = stamp.created
  store.createRun({ ...row, run }, first)
  const owned = store.own(run, stamp.owner)
  let position = row.position
  let hash = row.hash
  for (const commit of stamp.before) {
    owned.commit({ ...commit, run, epoch: owned.epoch, expectedPosition: position })
    position = commit.journal.at(-1)?.pos ?? position
    hash = commit.journal.at(-1)?.hash ?? hash
  }
  for (let from = 0; from < actors; from += BATCH) {
    const batch = batchOf(stamp, { position, hash, from, to: Math.min(actors, from + BATCH) })
    owned.commit({ ...stamp.last, ...batch, run, epoch: owned.epoch, expectedPosition: position })
    position = batch.journal.at(-1)!.pos
    hash = batch.journal.at(-1)!.hash
  }
  owned.release()
}

function batchOf({ entries, cell, snapshot, bornWith }: Stamp, at: { position: number; hash: string; from: number; to: number }) {
  const journal: JournalEntry[] = []
  const cells: Commit['cells'][number][] = []
  const snapshots: Commit['snapshots'][number][] = []
  let { position, hash } = at
  for (let index = at.from; index < at.to; index++) {
    const address = childAddress(index)
    for (const [place, entry] of entries.entries()) {
      const unsealed = { ...entry, path: address, pos: ++position, cause: null }
      hash = chain(hash, unsealed)
      journal.push({ ...unsealed, hash })
      if (place === bornWith) snapshots.push({ ...snapshot, address, born: position })
    }
    cells.push({ ...cell, address, id: childId(index), born: position })
  }
  return { journal, cells, snapshots, machines: [] }
}
