/** Lives of one run on one place: each is a troupe on a store of its own, and dies between two instructions when it is told to, as a process does. */
import { createTroupe, type Troupe, type TroupeOptions } from '../../../../src/actors/troupe.ts'
import { localEngine } from '../../../../src/runtime/engines/local.ts'
import type { Machines } from '../../../../src/runtime/registry.ts'
import type { Commit, Store } from '../../../../src/runtime/store.ts'
import { Killed } from '../../../harness.ts'
import type { Place } from './conform.ts'

/** Before this commit reaches the store, or after it has and before anybody hears of it. */
export interface Death {
  readonly when: 'before' | 'after'
  readonly at: (commit: Commit, number: number) => boolean
}

export interface LifeOptions<M extends Machines> {
  readonly machines: M
  readonly effects?: TroupeOptions<M>['effects']
  readonly migrations?: TroupeOptions<M>['migrations']
  readonly death?: Death
  readonly turnStepsMax?: number
}

export interface Life {
  readonly store: Store
  readonly troupe: Troupe
  /** Nothing more is committed or started; what was owned is free. */
  die(): void
  isDead(): boolean
}

export function live<const M extends Machines>(place: Place, options: LifeOptions<M>): Life {
  const inner = place.open()
  let dead = false
  let commits = 0
  const die = (): void => {
    dead = true
    inner.close()
  }
  const alive = (): void => {
    if (dead) throw new Killed('this process is dead')
  }
  const dies = (when: Death['when'], commit: Commit): void => {
    if (options.death?.when !== when || !options.death.at(commit, commits)) return
    die()
    alive()
  }
  const store: Store = {
    ...inner,
    own(run, owner, how) {
      alive()
      const owned = inner.own(run, owner, how)
      return {
        ...owned,
        commit(commit) {
          alive()
          commits++
          dies('before', commit)
          owned.commit(commit)
          dies('after', commit)
        },
        check() {
          alive()
          owned.check()
        },
      }
    },
  }
  const engine = localEngine({ store, limits: options.turnStepsMax === undefined ? {} : { turnStepsMax: options.turnStepsMax } })
  const { machines, effects, migrations } = options
  const given = { ...(effects === undefined ? {} : { effects }), ...(migrations === undefined ? {} : { migrations }) }
  const troupe = createTroupe<M>({ engine, machines, ...given, reap: async () => [] })
  return { store, troupe, die, isDead: () => dead }
}
