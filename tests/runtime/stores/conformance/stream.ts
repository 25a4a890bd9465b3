/** A run that is written to entry by entry, as the cases tell of streams; and snapshots that are what their hashes say. */
import { hash } from 'node:crypto'
import type { Json } from '../../../../src/json.ts'
import type { EncodedSnapshot } from '../../../../src/runtime/cell.ts'
import type { UnsealedEntry } from '../../../../src/runtime/journal.ts'
import type { Commit, Owned, Store } from '../../../../src/runtime/store.ts'
import { cell, commit, entries, OWNER, RUN, runRow } from '../samples.ts'
import type { Place } from './conform.ts'

export interface Stream {
  readonly run: string
  readonly owned: Owned
  /** A commit of `count` entries from where the run stands, not yet given to the store. */
  next(count: number, more?: (at: number) => Partial<Commit>, entry?: Partial<UnsealedEntry>): Commit
  /** Commits it; the last position. `more` is asked with the position of the first entry. */
  append(count: number, more?: (at: number) => Partial<Commit>, entry?: Partial<UnsealedEntry>): number
}

/** Owns a run, made first where there is none. */
export function stream(store: Store, run = RUN): Stream {
  if (store.run(run) === null) store.createRun(runRow(run), commit())
  const owned = store.own(run, OWNER)
  const next: Stream['next'] = (count, more = () => ({}), entry = {}) => {
    const { position, hash: previous } = store.run(run)!
    const journal = entries(count, position, previous, entry)
    return commit({ run, epoch: owned.epoch, expectedPosition: position, journal, ...more(position + 1) })
  }
  return {
    run,
    owned,
    next,
    append(count, more, entry) {
      const made = next(count, more, entry)
      owned.commit(made)
      return made.expectedPosition + made.journal.length
    },
  }
}

/** "Stream p has events 1..5, the last two written as one atomic batch." */
export function five(place: Place, run = RUN): { store: Store; p: Stream } {
  const store = place.open()
  const p = stream(store, run)
  for (const count of [1, 1, 1, 2]) p.append(count)
  return { store, p }
}

/** "Read from..to, at most max", as positions. */
export function read(store: Store, run: string, from = 1, to = Number.POSITIVE_INFINITY, max = Number.POSITIVE_INFINITY): number[] {
  return store.journal(run, from - 1, Math.min(max, to - from + 1)).map(({ pos }) => pos)
}

export function snap(context: Json): EncodedSnapshot {
  const json = JSON.stringify({ status: 'active', value: { a: 'b' }, context })
  return { json, hash: hash('sha256', json, 'hex'), status: 'active', value: { a: 'b' }, tags: ['busy'] }
}

export const ACTOR = '/team/a'

/** A change of an actor's snapshot, for `append`. */
export const taken = (context: Json, address = ACTOR, incarnation = 1) => {
  return (at: number): Partial<Commit> => ({ snapshots: [{ address, incarnation, snapshot: snap(context), born: at }] })
}

/** "Snapshots at 11..15": each in a commit of its own, a second apart; its context is its position. The actor lives from the first entry on. */
export function elevenToFifteen(place: Place): { store: Store; p: Stream } {
  const store = place.open()
  const p = stream(store)
  p.append(10, () => ({ cells: [cell(ACTOR)] }))
  for (let at = 11; at <= 15; at++) p.append(1, taken(at), { at: at * 1_000 })
  return { store, p }
}

/** The context of a snapshot, which tells the tests which one it is. */
export function contextOf(snapshot: EncodedSnapshot | null): Json {
  return snapshot === null ? null : (JSON.parse(snapshot.json) as { context: Json }).context
}
