/**
 * The right to commit to one run. The lock says that its owner lives; the epoch in `head` says who may write, and is asked in the transaction itself.
 * The high-water mark is written when a commit has returned, and before anybody is told.
 */
import { Defect } from '../../../errors.ts'
import type { Commit, Owned, RunRow } from '../../store.ts'
import type { CommitWriter } from './commit.ts'
import type { Heads } from './head.ts'
import type { MarkWriter } from './mark.ts'
import type { Transactions } from './transaction.ts'

interface OwnedOptions {
  readonly tx: Transactions
  readonly heads: Heads
  readonly write: CommitWriter
  /** Null where none is kept. */
  readonly mark: MarkWriter | null
  /** Who owns the run by now, as its row tells. */
  readonly ownerNow: () => RunRow['owner']
  readonly run: string
  readonly key: number
  readonly epoch: number
  /** Called once. */
  readonly onRelease: () => void
}

export function ownedRun({ tx, heads, write, mark, ownerNow, run, key, epoch, onRelease }: OwnedOptions): Owned {
  let released = false

  function lost(expectedPosition: number | null): Defect {
    const found = heads.read(key)
    const data = { run, epoch, ownerEpoch: found.epoch, position: found.position }
    if (found.epoch === epoch) {
      return new Defect('E_LEASE_LOST', `run ${run}: its journal ends at ${found.position} and not at ${expectedPosition}`, data)
    }
    const message = `run ${run}: epoch ${found.epoch} owns it now, this is epoch ${epoch}`
    return new Defect('E_LEASE_LOST', message, { ...data, owner: ownerNow() })
  }
  function mine(): void {
    tx.check()
    if (released) throw new Defect('E_LEASE_LOST', `run ${run}: epoch ${epoch} was released by this process`, { run, epoch })
  }
  return {
    run,
    epoch,
    commit(commit: Commit) {
      mine()
      if (commit.run !== run) throw new Defect('E_COMMIT_INVALID', `a commit of run ${commit.run} was given to the owner of ${run}`)
      tx.write(() => {
        const right = commit.epoch === epoch && write({ key, epoch, position: commit.expectedPosition }, commit)
        if (!right) throw lost(commit.expectedPosition)
      })
      const last = commit.journal.at(-1)
      if (last !== undefined) mark?.write({ position: last.pos, hash: last.hash, epoch })
    },
    check() {
      mine()
      tx.read(() => {
        if (heads.read(key).epoch !== epoch) throw lost(null)
      })
    },
    release() {
      if (released) return
      released = true
      onRelease()
    },
  }
}
