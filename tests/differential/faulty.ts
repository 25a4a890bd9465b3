/** A life with a fault in it: in the host that makes steps, or in the store that gives back the tree. The engine between them is the real one. */
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import { createTroupe } from '../../src/actors/troupe.ts'
import type { StepResult } from '../../src/runtime/cell.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Engine, Host, RunSession } from '../../src/runtime/engine.ts'
import { localEngine } from '../../src/runtime/engines/local.ts'
import type { Image, Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Killed, type Life } from '../harness.ts'
import { ROOT } from './build.ts'

export interface FaultyOptions {
  readonly machines: Readonly<Record<string, AnyStateMachine>>
  readonly clock: Clock
  readonly turnStepsMax: number
  readonly step: ((result: StepResult) => StepResult) | undefined
  readonly image: ((image: Image) => Image) | undefined
}

/** As `openLife`, with the faults of the options. Steps of supervisors are left alone. */
export function openFaulty(
  folder: string,
  { machines, clock, turnStepsMax, step = (same) => same, image = (same) => same }: FaultyOptions,
): Life {
  const inner = sqliteStore({ path: join(folder, 'troupe.db') })
  let dead = false
  const store: Store = {
    ...inner,
    image: (run, at) => image(inner.image(run, at)),
    own: (run, owner, how) => {
      const owned = inner.own(run, owner, how)
      return {
        ...owned,
        commit: (rows) => {
          if (dead) throw new Killed('this process is dead')
          owned.commit(rows)
        },
      }
    },
  }
  const faulty = (host: Host): Host => ({
    ...host,
    step: (input) => (input.address.startsWith(ROOT) ? step(host.step(input)) : host.step(input)),
  })
  const local = localEngine({ store, clock, limits: { turnStepsMax } })
  const engine: Engine = {
    ...local,
    start: (tree, host, options) => local.start(tree, faulty(host), { quarantine: false, ...options }),
    resume: (run, host, options) => local.resume(run, faulty(host), options),
  }
  const troupe = createTroupe({ engine, machines, reap: async () => [] })
  onTestFinished(() => inner.close())
  const kill = async (session?: RunSession): Promise<void> => {
    dead = true
    await session?.send(session.tree().address, { type: 'last.breath' }).catch(() => {})
    inner.close()
  }
  return { store, troupe, kill }
}
