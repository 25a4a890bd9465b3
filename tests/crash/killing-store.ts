/** A store that dies: before commit N reaches it, or after it has and before anybody hears of it. Composed here; the engine knows nothing of it. */
import type { Owned, Store } from '../../src/runtime/store.ts'

export interface KillPoint {
  /** Which commit, from 1, counted over all commits of this store. */
  readonly commit: number
  readonly when: 'before' | 'after'
}

/** What is thrown where the process is not really killed. */
export class Killed extends Error {
  override readonly name = 'Killed'
}

export interface KillingStore extends Store {
  /** Commits that reached the store. */
  commits(): number
  /** Whether the kill point was reached. */
  killed(): boolean
}

/**
 * @param die  what death is: `process.kill(process.pid, 'SIGKILL')`, or nothing, and then {@link Killed} is thrown from every later call as well:
 *             a dead process does nothing more.
 */
export function killingStore(store: Store, point: KillPoint | null, die: () => void = () => {}): KillingStore {
  let commits = 0
  let dead = false
  const kill = (): never => {
    dead = true
    die()
    throw new Killed(`killed ${point?.when} commit ${point?.commit}`)
  }
  const alive = (): void => {
    if (dead) throw new Killed('dead already')
  }
  const wrap = (owned: Owned): Owned => ({
    run: owned.run,
    epoch: owned.epoch,
    commit: (commit) => {
      alive()
      commits++
      if (point?.commit === commits && point.when === 'before') kill()
      owned.commit(commit)
      if (point?.commit === commits && point.when === 'after') kill()
    },
    check: () => {
      alive()
      owned.check()
    },
    release: () => owned.release(),
  })
  return {
    ...store,
    path: store.path,
    own: (run, owner, options) => {
      alive()
      return wrap(store.own(run, owner, options))
    },
    request: (run, kind, data) => store.request(run, kind, data),
    commits: () => commits,
    killed: () => dead,
  }
}
