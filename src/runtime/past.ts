/**
 * Time travel for readers: a run as it was when its journal ended at any position, live or afterwards, whoever runs it.
 *
 *   rows     born <= at, not dead by then: cells, snapshots, mail that outlived its commit
 *   journal  entries after `at`, up to the end of its commit: mail that was sent before `at` and taken after it, within one commit. Such mail never
 *            was a row; the entry that took it says what it was, and its cause who had sent it.
 *
 * The cost is that of what there was by then and of one commit; nothing that came later is read.
 */
import type { Address } from '../protocol.ts'
import type { Envelope, EventData } from './cell.ts'
import type { JournalEntry } from './journal.ts'
import type { Store } from './store.ts'

/** An event that waits for an actor. */
export interface WaitingMail {
  /** Null where it was dropped in the end. */
  readonly seq: number | null
  readonly kind: Envelope['kind']
  readonly to: Address
  readonly from: Address | null
  /** Of mail that was dropped in the end only the type is known. */
  readonly event: EventData
  /** Position of the entry that sent it. */
  readonly cause: number | null
}

type PastStore = Pick<Store, 'image' | 'journal' | 'commitEnd'>

/** All mail that waits at a position (default: now), oldest first. @throws {UserError} `E_RUN_NOT_FOUND`, `E_POSITION_PRUNED`. */
export function waitingMail(store: PastStore, run: string, at?: number): readonly WaitingMail[] {
  const rows = store.image(run, at).envelopes.map(({ seq, kind, to, from, event, cause }) => ({ seq, kind, to, from, event, cause }))
  if (at === undefined) return rows
  const end = store.commitEnd(run, at)
  if (end <= at) return rows
  return [...rows, ...takenLater(store, run, at, end)].sort((a, b) => (a.cause ?? 0) - (b.cause ?? 0) || (a.seq ?? 0) - (b.seq ?? 0))
}

function takenLater(store: PastStore, run: string, at: number, end: number): WaitingMail[] {
  const known = new Set(store.image(run, at).envelopes.map(({ seq }) => seq))
  return store
    .journal(run, at, end - at)
    .filter(({ cause }) => cause !== null && cause <= at)
    .flatMap((entry) => mailOf(entry, store, run))
    .filter(({ seq }) => seq === null || !known.has(seq))
}

/** The mail that an entry tells the end of. */
function mailOf(entry: JournalEntry, store: PastStore, run: string): WaitingMail[] {
  const data = JSON.parse(entry.data)
  const from = (): Address | null => store.journal(run, entry.cause! - 1, 1)[0]?.path ?? null
  if (entry.type === 'step.committed')
    return [{ seq: data.seq, kind: data.kind ?? 'mail', to: entry.path!, from: from(), event: data.event, cause: entry.cause }]
  if (entry.type === 'actor.crashed')
    return [{ seq: data.seq ?? null, kind: 'mail', to: entry.path!, from: from(), event: data.deadLetter, cause: entry.cause }]
  if (entry.type === 'message.dropped' && !String(data.event).startsWith('outcome of '))
    return [{ seq: null, kind: 'mail', to: data.to, from: data.from, event: { type: data.event }, cause: entry.cause }]
  return []
}
