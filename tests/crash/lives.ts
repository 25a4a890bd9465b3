/** Lives of one run in process: each ends at its kill point, by a store that throws there and from then on; the last one ends by itself. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Json } from '../../src/json.ts'
import type { Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Killed, type KillPoint, killingStore } from './killing-store.ts'
import { type Audit, audit, Ledger } from './ledger.ts'
import { drive, makeTroupe, tree } from './world.ts'

export interface Survival {
  readonly output: Json
  /** Null where the run had ended already when its process was killed. */
  readonly restarts: number | null
  readonly found: Audit
  /** Commits of the last life. */
  readonly commits: number
  readonly lives: number
}

export interface SurviveOptions {
  readonly folder: string
  readonly points: readonly KillPoint[]
  readonly turnStepsMax?: number
  /** A bug, planted between the engine and its store. */
  readonly plant?: (store: Store) => Store
}

/** Runs the world until a life of it ends by itself. Throws what no crash may cause: an acknowledged event that is gone. */
export async function survive({ folder, points, turnStepsMax = 256, plant = (store) => store }: SurviveOptions): Promise<Survival> {
  mkdirSync(folder, { recursive: true })
  const ledger = new Ledger(join(folder, 'ledger'))
  const acknowledged = new Set<number>()
  let run: string | undefined
  for (let life = 0; ; life++) {
    const store = killingStore(plant(sqliteStore({ path: join(folder, 'troupe.db') })), points[life] ?? null)
    const troupe = makeTroupe({ store, folder, ledger, turnStepsMax })
    try {
      run ??= store.runs({})[0]?.run
      const row = run === undefined ? null : store.run(run)
      if (row?.status === 'succeeded')
        return { output: row.output, restarts: null, found: audit(store, row.run, ledger), commits: 0, lives: life + 1 }
      const session = run === undefined ? await troupe.start(tree, { quarantine: false }) : await troupe.resume(run)
      run = session.id
      const driven = drive(session, acknowledged, (n) => acknowledged.add(n)).then(
        () => null,
        (error: unknown) => error,
      )
      const outcome = await Promise.race([
        session.done(),
        driven.then((error) => (error === null || error instanceof Killed ? session.done() : Promise.reject(error))),
      ])
      return {
        output: outcome.output,
        restarts: outcome.usage.restarts,
        found: audit(store, run, ledger),
        commits: store.commits(),
        lives: life + 1,
      }
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    } finally {
      store.close()
    }
  }
}
