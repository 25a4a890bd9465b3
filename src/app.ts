/**
 * The composition root: a store, the team's machines and effects, a provider. Doors get runs from here and know nothing of how they are made.
 *
 *   openApp(config) -- start(task) --> models of the configuration --> createTroupe(...).start(teamTree(task))
 *                  '-- resume(run) --> createTroupe(...).resume(run)      task and models are read from the run, not from files
 *
 * What is heavy is loaded when it is first needed: `ps` opens the store and nothing else.
 */
import type { Task } from './actors/task.ts'
import type { Workspace } from './actors/workspace.ts'
import type { Say } from './app/models.ts'
import type { Config } from './config.ts'
import { UserError } from './errors.ts'
import type { Json } from './json.ts'
import type { Budget } from './protocol.ts'
import type { ResumeOptions, RunSession } from './runtime/engine.ts'
import type { RunRow, Store } from './runtime/store.ts'
import { sqliteStore } from './runtime/stores/sqlite/store.ts'

/** What a run keeps of how it was started, so that it can go on without its file. */
export interface RunMeta {
  readonly task: Task
  /** The task file; null for a task given as text. */
  readonly file: string | null
  /** Folder that the task's workspace is relative to. */
  readonly dir: string
  /** Of Troupe. */
  readonly version: string
  /** Names of the providers that its models have. Absent in runs of before: scripted. */
  readonly providers?: readonly string[]
}

export interface StartTask extends Omit<RunMeta, 'providers'> {
  readonly name: string | null
  readonly project: string
  /** Each limit stands before that of the task, which stands before that of the configuration. */
  readonly budget?: Budget | undefined
  readonly deadlineMs?: number | undefined
  /** An alias of the configuration, or a model of `provider`: for all agents. */
  readonly model?: string | undefined
  /** Only models of this one. */
  readonly provider?: string | undefined
}

/** A process that some effect of a run started. */
export interface StrayProcess {
  readonly pid: number
  readonly command: string
  readonly run: string
}

export interface App {
  readonly store: Store
  /** @throws {UserError} `E_MACHINE_INVALID`, `E_MODEL_UNKNOWN`, `E_PRICE_UNKNOWN`, `E_CREDENTIALS_MISSING`, `E_CONFIG_INVALID`, `E_STORE_*`. Once it resolves, the run is in the store. */
  start(options: StartTask): Promise<RunSession>
  /** @throws {UserError} `E_RUN_NOT_FOUND`, `E_RUN_FINISHED`, `E_RUN_OWNED`, `E_STORE_DAMAGED`. */
  resume(run: string, options?: ResumeOptions): Promise<RunSession>
  /** Removes the staged copy of a run whose changes have reached the user's folder. Otherwise the copy is the result, and stays. */
  tidy(run: string): Promise<void>
  strays(): Promise<readonly StrayProcess[]>
  /** Ends what effects of a run have started, at once. */
  endProcesses(run: string): Promise<void>
  close(): void
}

/** What a run may use: what its start says, else its task, else the configuration; each limit by itself. */
export function budgetOf(config: Config, { task, budget = {} }: Pick<StartTask, 'task' | 'budget'>): Budget {
  const set = config.settings().budget
  return {
    tokensMax: budget.tokensMax ?? task.budget.tokensMax ?? set.tokensMax ?? undefined,
    usdMax: budget.usdMax ?? task.budget.usdMax ?? set.usdMax ?? undefined,
    turnsMax: budget.turnsMax ?? task.budget.turnsMax ?? set.turnsMax ?? undefined,
  }
}

/** Opens the store of this home, and makes the folder where there is none. `say`: gets what a person should know. @throws {UserError} `E_STORE_*` with exit 10. */
export function openApp(config: Config, say: Say = () => {}): App {
  const store = sqliteStore({ path: config.database })
  return {
    store,
    start: async (options) => {
      const [{ teamTree }, { planOf }] = await Promise.all([import('./actors/team.ts'), import('./app/models.ts')])
      const { task, file, dir, version } = options
      const limits = budgetOf(config, options)
      const models = planOf(config, { modelFlag: options.model, providerFlag: options.provider, task }, limits.usdMax ?? null)
      const { tree, input, budget, deadlineMs, quarantine } = teamTree(task, { dir, models })
      const meta: RunMeta = { task, file, dir, version, providers: models.providers }
      const troupe = await createTeam(store, config, meta, say)
      const deadline = options.deadlineMs ?? deadlineMs
      return troupe.start(tree, {
        name: options.name,
        input,
        project: options.project,
        budget: { ...budget, ...limits },
        meta: meta as unknown as Json,
        ...(deadline === null ? {} : { deadlineMs: deadline }),
        ...(quarantine === undefined ? {} : { quarantine }),
      })
    },
    resume: async (run, options = {}) => {
      const troupe = await createTeam(store, config, metaOf(store, run), say)
      return troupe.resume(run, options)
    },
    tidy: (run) => tidy(store, run),
    strays: async () => (await import('./actors/reaper.ts')).strays(),
    endProcesses: async (run) => {
      const { reap } = await import('./actors/reaper.ts')
      await reap(run, { graceMs: 0 })
    },
    close: () => store.close(),
  }
}

async function createTeam(store: Store, config: Config, { task, providers: names = [SCRIPTED] }: RunMeta, say: Say) {
  const [{ createTroupe }, { teamMachines }, { openProviders }] = await Promise.all([
    import('./actors/troupe.ts'),
    import('./actors/team.ts'),
    import('./app/models.ts'),
  ])
  const providers = await openProviders({ config, names, task, say })
  return createTroupe({ store, machines: teamMachines, providers, workDir: config.work })
}

const SCRIPTED = 'scripted'

/** Does this run get all its replies from a script? A run of a program of one's own is not known to. */
export function isSimulated({ meta }: Pick<RunRow, 'meta'>): boolean {
  const { task, providers = [SCRIPTED] } = (meta ?? {}) as Partial<RunMeta>
  return task !== undefined && providers.every((name) => name === SCRIPTED)
}

/** @throws {UserError} `E_RUN_NOT_FOUND`; `E_INPUT_CHANGED` for a run that was not started from a task. */
function metaOf(store: Store, run: string): RunMeta {
  const row = store.run(run)
  if (row === null)
    throw new UserError('E_RUN_NOT_FOUND', `no run \`${run}\` in ${store.path}`, {
      where: `run ${run}`,
      fix: 'troupe ps --all --everywhere',
      exit: 9,
    })
  const meta = row.meta as unknown as RunMeta | null
  if (meta?.task === undefined) {
    const fix = 'resume it from the program that started it'
    throw new UserError('E_INPUT_CHANGED', 'it was started by a program of its own, not from a task', { where: `run ${run}`, fix, exit: 3 })
  }
  return meta
}

async function tidy(store: Store, run: string): Promise<void> {
  const effects = store.effects(run)
  const promoted = effects.some(({ kind, status }) => kind === 'change.promote' && status === 'succeeded')
  const opened = effects.find(({ kind, status }) => kind === 'workspace.open' && status === 'succeeded')
  if (!promoted || opened?.output === undefined) return
  const { closeWorkspace } = await import('./actors/workspace.ts')
  await closeWorkspace(opened.output as unknown as Workspace)
}
