/** A run to look at: now or at any position of its journal, while it runs or afterwards. Reading changes nothing and asks nobody. */
import type { RunReader } from './engine.ts'
import { frameOf } from './frame.ts'
import { waitingMail } from './past.ts'
import type { Store } from './store.ts'
import { snapshotView, treeView } from './views.ts'

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
