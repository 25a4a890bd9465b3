/** Lives of the team on its example repository: composed like the program does it, with a store that kills and handlers that bear witness. */
import { cpSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { teamEffects } from '../../src/actors/effects.ts'
import type { Providers } from '../../src/actors/generating.ts'
import { scripted } from '../../src/actors/providers/scripted.ts'
import { strays } from '../../src/actors/reaper.ts'
import { parseTask } from '../../src/actors/task.ts'
import { type TeamModels, teamMachines, teamTree } from '../../src/actors/team.ts'
import { createTroupe, type Troupe } from '../../src/actors/troupe.ts'
import { manifest } from '../../src/actors/workspace.ts'
import { treeHash } from '../../src/actors/workspaces/manifest.ts'
import type { EffectHandler } from '../../src/effect.ts'
import type { Store } from '../../src/runtime/store.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { Killed, type KillingStore, type KillPoint, killingStore } from './killing-store.ts'
import { type Audit, audit, Ledger } from './ledger.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))
const TASK = join(EXAMPLES, 'greeter.task.yaml')

/** How a run of the team ended, and what the repository looks like. */
export interface TeamSurvival {
  readonly status: string
  readonly output: unknown
  /** Hash over all files of the repository. */
  readonly files: string
  readonly found: Audit
  /** Commits of the last life. */
  readonly commits: number
  /** Processes of the run that are alive after its end. */
  readonly left: number
}

/** Models that are asked over the wire, instead of the script in the process. */
export interface Wire {
  readonly providers: Providers
  readonly models: TeamModels
  /** Wraps each handler, inside of the witness. */
  readonly wrap?: ((handler: EffectHandler<unknown, unknown>) => EffectHandler<unknown, unknown>) | undefined
}

/** One life: starts the run in this folder or goes on with it. Throws {@link Killed} where the store kills in process. */
export async function teamLife(
  folder: string,
  point: KillPoint | null,
  die?: () => void,
  turnStepsMax = 256,
  wire?: Wire,
): Promise<TeamSurvival> {
  const repository = join(folder, 'greeter')
  if (!existsSync(repository)) {
    // Whole or not at all: the process may be killed while it copies.
    cpSync(join(EXAMPLES, 'greeter'), `${repository}.part`, { recursive: true })
    renameSync(`${repository}.part`, repository)
  }
  const store = killingStore(sqliteStore({ path: join(folder, 'troupe.db') }), point, die)
  try {
    return await live(store, folder, repository, turnStepsMax, wire)
  } finally {
    store.close()
  }
}

async function live(store: KillingStore, folder: string, repository: string, turnStepsMax: number, wire?: Wire): Promise<TeamSurvival> {
  const ledger = new Ledger(join(folder, 'ledger'))
  const task = parseTask(readFileSync(TASK, 'utf8').replace(/delay: \w+/g, 'delay: 1ms'), TASK)
  const providers = wire?.providers ?? { scripted: scripted(task.replies) }
  const { handlers } = teamEffects({ providers, root: join(folder, 'work') })
  const inner = (handler: EffectHandler<unknown, unknown>) => ledger.witness(wire?.wrap?.(handler) ?? handler)
  const troupe = witnessed(store, handlers, inner, turnStepsMax)
  const before = store.runs({})[0]
  const ended = before?.status === 'succeeded' || before?.status === 'failed'
  const { tree, input, budget } = teamTree(task, { dir: repository, models: wire?.models })
  const session = ended
    ? null
    : before === undefined
      ? await troupe.start(tree, { input, budget, quarantine: false })
      : await troupe.resume(before.run)
  if (session !== null && before !== undefined && strays(session.id).length > 0) throw new Error('processes of the life before are alive')
  await session?.done()
  const row = store.runs({})[0]!
  return {
    status: row.status,
    output: row.output,
    files: treeHash(await manifest(repository)),
    found: audit(store, row.run, ledger),
    commits: store.commits(),
    left: strays(row.run).length,
  }
}

type Wrap = (handler: EffectHandler<unknown, unknown>) => EffectHandler<unknown, unknown>

function witnessed(store: Store, handlers: object, wrap: Wrap, turnStepsMax: number): Troupe {
  const all = Object.entries(handlers).map(([kind, handler]) => [kind, wrap(handler as EffectHandler<unknown, unknown>)] as const)
  return createTroupe({ store, machines: teamMachines, effects: Object.fromEntries(all), limits: { turnStepsMax } })
}

/** Lives until one ends by itself. */
export async function teamSurvives(folder: string, points: readonly KillPoint[], turnStepsMax = 256, wire?: Wire): Promise<TeamSurvival> {
  for (let life = 0; ; life++) {
    try {
      return await teamLife(folder, points[life] ?? null, undefined, turnStepsMax, wire)
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    }
  }
}
