/** A store that keeps what the engine gives it: the calls that made the run, and every commit. Composed around the real one; the engine knows nothing of it. */
import type { Commit, Owned, RunRow, Store } from '../../src/runtime/store.ts'

/** What a run was made of, in the order of the calls. */
export interface Recording {
  created: { readonly row: RunRow; readonly first: Parameters<Store['createRun']>[1] } | null
  owner: NonNullable<RunRow['owner']> | null
  readonly commits: Commit[]
}

/**
 * Passes everything on, and keeps commits by reference: nothing is copied.
 * @param committed  called after each commit.
 */
export function recordingStore(store: Store, committed?: () => void): { readonly store: Store; readonly recording: Recording } {
  const recording: Recording = { created: null, owner: null, commits: [] }
  const wrap = (owned: Owned): Owned => ({
    run: owned.run,
    epoch: owned.epoch,
    commit: (commit) => {
      owned.commit(commit)
      recording.commits.push(commit)
      committed?.()
    },
    check: () => owned.check(),
    release: () => owned.release(),
  })
  return {
    recording,
    store: {
      ...store,
      createRun: (row, first) => {
        store.createRun(row, first)
        recording.created = { row, first }
      },
      own: (run, owner, options) => {
        recording.owner = owner
        return wrap(store.own(run, owner, options))
      },
    },
  }
}
