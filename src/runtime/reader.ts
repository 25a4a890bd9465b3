/** A run to look at: now or at any position of its journal, while it runs or afterwards. Reading changes nothing and asks nobody. */
import type { Address } from '../protocol.ts'
import type { CellView, Frame, RunSession } from './engine.ts'
import { frameOf } from './frame.ts'
import { type WaitingMail, waitingMail } from './past.ts'
import type { RunRow, SnapshotVersion, Store } from './store.ts'
import { snapshotView, treeView } from './views.ts'

/** Every `at` is a journal position; left out, it is now. Positions after the end are the end. */
export interface RunReader {
  /** The run itself, as of now. */
  readonly run: RunRow
  /** The whole tree: states, mailboxes, open effects, usage. @throws {UserError} `E_POSITION_PRUNED`. */
  tree(at?: number): CellView
  /** One actor's snapshot; null where nobody lived. */
  actor(address: Address, at?: number): ReturnType<RunSession['snapshot']>
  /** What waits for an actor, oldest first. */
  mailbox(address: Address, at?: number): readonly WaitingMail[]
  /** An actor's stored snapshots, newest first: where it can be looked at, and what changed when. */
  history(address: Address, options?: { before?: number; limit?: number }): readonly SnapshotVersion[]
  /** Frames after `since`, at most `limit` (default 1000). */
  frames(since?: number, limit?: number): readonly Frame[]
}

/** @returns null where there is no such run. */
export function readRun(store: Store, run: string): RunReader | null {
  const row = store.run(run)
  if (row === null) return null
  return {
    run: row,
    tree: (at) => treeView(store, run, at),
    actor: (address, at) => snapshotView(store, run, address, at),
    mailbox: (address, at) => waitingMail(store, run, at).filter(({ to }) => to === address),
    history: (address, options) => store.snapshots(run, address, options),
    frames: (since = 0, limit) => store.journal(run, since, limit).map((entry) => frameOf(run, entry)),
  }
}
