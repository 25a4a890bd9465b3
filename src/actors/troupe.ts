/**
 * The registry of code and the door for programs: `createTroupe` checks machines and handlers once, `start` and `resume` give live runs.
 * It starts nothing by itself.
 */
import { dirname, join } from 'node:path'
import { checkTree } from '../machines/childspec.ts'
import { dynamic } from '../machines/dynamic.ts'
import { supervisor } from '../machines/supervisor.ts'
import { supervisorMigrations } from '../machines/supervisor-migrations.ts'
import { DYNAMIC_MACHINE, SUPERVISOR_MACHINE, type TreeSpec } from '../protocol.ts'
import type { Engine, Host, ResumeOptions, RunReader, RunSession, StartOptions } from '../runtime/engine.ts'
import { localEngine, type TurnLimits } from '../runtime/engines/local.ts'
import type { MigrationSpec } from '../runtime/migrations.ts'
import { createRegistry, type Handlers, type Machines } from '../runtime/registry.ts'
import type { Store } from '../runtime/store.ts'
import { teamEffects } from './effects.ts'
import type { Providers } from './generating.ts'
import { healthJudge } from './health.ts'
import type { Gates } from './provider-gate.ts'
import { scripted } from './providers/scripted.ts'
import { reap } from './reaper.ts'
import { vitals } from './vitals.ts'

export interface TroupeOptions<M extends Machines> {
  /** Where runs are kept; a shorthand for `engine: localEngine({ store })`. */
  readonly store?: Store
  readonly engine?: Engine
  /** Machines by the name that child specs use as `src`. */
  readonly machines: M
  /** Handlers of the effects that those machines invoke, by the name they invoke them under, or by kind. The team's own are there already. */
  readonly effects?: Handlers<M>
  /**
   * Models by the name that a model of an agent gives as its `provider`. Agents without models ask the first one; without any, every model call is refused with
   * `E_SCRIPT_MISS`.
   */
  readonly providers?: Providers
  /** Gates before those providers, made once in a process: `providerGates(...)`. Left out: everybody is let in at once. */
  readonly gates?: Gates | undefined
  /** Folder for the staged copies of repositories. Default: `work` beside the store's file. */
  readonly workDir?: string
  readonly limits?: Partial<TurnLimits>
  /**
   * What takes the actors of stored runs over when a machine's `version` was raised, by the name of the machine: one function for all older versions, or one
   * for each, applied in their order. A resume that needs one that is not here is refused with `E_MACHINE_CHANGED`. See docs/guide/versions.md.
   */
  readonly migrations?: { readonly [machine in keyof M | `${string}/${string}`]?: MigrationSpec }
  /** Ends what a dead process of this run left running, before anything is probed or repeated. Default: by the tag in their environment, see reaper.ts. */
  readonly reap?: Host['reap']
}

export interface Troupe {
  /** Starts a tree. When this resolves, the run is in the store and goes on after a crash. @throws {Defect} `E_TREE_INVALID`. @throws {UserError} `E_RUN_EXISTS`, `E_USAGE`, `E_PAYLOAD_TOO_LARGE`. */
  start(tree: TreeSpec, options?: StartOptions): Promise<RunSession>
  /** Goes on with a run, from the tree that is stored in it and the code that is registered here. @throws {UserError} `E_RUN_NOT_FOUND`, `E_RUN_FINISHED`, `E_RUN_OWNED`, `E_STORE_DAMAGED`, `E_MACHINE_CHANGED`, `E_MACHINE_UNKNOWN`, `E_MIGRATION_FAILED`. */
  resume(run: string, options?: ResumeOptions): Promise<RunSession>
  /** A run to look at, at any position of its journal, whoever runs it; null where there is no such run. */
  read(run: string): RunReader | null
  /** Closes the store. Runs must have ended or been stopped. */
  close(): void
}

/** @throws {UserError} `E_MACHINE_INVALID` where a machine cannot be hosted, `E_USAGE` where neither a store nor an engine is given. */
export function createTroupe<const M extends Machines>(options: TroupeOptions<M>): Troupe {
  const engine =
    options.engine ?? (options.store === undefined ? undefined : localEngine({ store: options.store, limits: options.limits ?? {} }))
  if (engine === undefined) throw new TypeError('createTroupe needs a store or an engine')
  const isAnybody = Object.keys(options.providers ?? {}).length > 0
  const providers = isAnybody ? options.providers! : { scripted: scripted([]) }
  const root = options.workDir ?? join(dirname(options.store?.path ?? '.'), 'work')
  const host = createRegistry({
    machines: { ...options.machines, [SUPERVISOR_MACHINE]: supervisor, [DYNAMIC_MACHINE]: dynamic },
    effects: { ...teamEffects({ providers, root, gates: options.gates }).handlers, ...options.effects },
    reap: options.reap ?? reap,
    health: healthJudge,
    vitals,
    migrations: { ...options.migrations, [SUPERVISOR_MACHINE]: supervisorMigrations },
  })
  return {
    start: async (tree, start = {}) => {
      checkTree(tree)
      return engine.start(tree, host, start)
    },
    resume: async (run, resume = {}) => engine.resume(run, host, resume),
    read: (run) => engine.read(run),
    close: () => engine.close(),
  }
}
