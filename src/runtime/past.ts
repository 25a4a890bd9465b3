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
    .flatMap(mailOf)
    .filter(({ seq, cause }) => cause !== null && cause <= at && (seq === null || !known.has(seq)))
}

/** The mail that an entry tells the end of. */
function mailOf({ type, path, cause, data }: JournalEntry): WaitingMail[] {
  const told = JSON.parse(data)
  const { seq = null, kind = 'mail', sender = null, letter, sent = cause } = told
  switch (type) {
    case 'step.committed':
      return [{ seq, kind, to: path!, from: sender, event: told.event, cause }]
    case 'actor.crashed':
      return [{ seq, kind, to: path!, from: sender, event: told.deadLetter, cause }]
    case 'effect.told':
      return [{ seq, kind, to: told.to, from: sender, event: told.event, cause }]
    case 'message.dropped':
    case 'message.buried':
      return letter === undefined ? [] : [{ seq, kind, to: told.to ?? path, from: told.from, event: letter, cause: sent }]
    case 'actor.stopped':
      return letter === undefined ? [] : [{ seq, kind: 'stop', to: path!, from: sender, event: letter, cause }]
    case 'ask.settled':
      return told.answer === undefined ? [] : [{ seq, kind, to: `/@ask/${told.ask}`, from: told.from ?? null, event: told.answer, cause }]
    case 'timer.cleared':
      return letter === undefined ? [] : [{ seq, kind: 'timer', to: path!, from: path, event: letter, cause: told.fired ?? null }]
    default:
      return []
  }
}
