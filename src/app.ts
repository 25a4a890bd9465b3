/**
 * The composition root: a store, the team's machines and effects, a provider. Doors get runs from here and know nothing of how they are made.
 *
 *   openApp(config) -- start(task) --> createTroupe(...).start(teamTree(task))
 *                  '-- resume(run) --> createTroupe(...).resume(run)      the task is read from the run's own row, not from its file
 *
 * What is heavy is loaded when it is first needed: `ps` opens the store and nothing else.
 */
import { continued, type Tapes } from './actors/cassettes/seam.ts'
import type { Providers } from './actors/generating.ts'
import type { ModelPlan } from './actors/models.ts'
import type { Gates } from './actors/provider-gate.ts'
import type { Task } from './actors/task.ts'
import type { Workspace } from './actors/workspace.ts'
import type { Config } from './config.ts'
import { UserError } from './errors.ts'
import type { Json } from './json.ts'
import type { Budget } from './protocol.ts'
import type { ResumeOptions, RunSession } from './runtime/engine.ts'
import type { RunRow, Store } from './runtime/store.ts'
import { sqliteStore } from './runtime/stores/sqlite/store.ts'

/** What a run keeps of how it was started, so that it can go on without its file. */
export interface RunMeta extends Tapes {
  readonly task: Task
  /** The task file; null for a task given as text. */
  readonly file: string | null
  /** Folder that the task's workspace is relative to. */
  readonly dir: string
  /** Of Troupe. */
  readonly version: string
  /** The models that it began with. Left out: replies are scripted. */
  readonly models?: ModelPlan | undefined
}

export interface StartTask extends RunMeta {
  readonly name: string | null
  readonly project: string
  /** Each limit stands before that of the task, which stands before that of the configuration. */
  readonly budget?: Budget | undefined
  readonly deadlineMs?: number | undefined
}

/** How a run goes on. A tape that is named here is used instead of the one that the run was started with. */
export type ResumeTask = ResumeOptions & Tapes

/** A process that some effect of a run started. */
export interface StrayProcess {
  readonly pid: number
  readonly command: string
  readonly run: string
}

export interface App {
  readonly store: Store
  /** @throws {UserError} `E_MACHINE_INVALID`, `E_STORE_*`. Once it resolves, the run is in the store. */
  start(options: StartTask): Promise<RunSession>
  /** @throws {UserError} `E_RUN_NOT_FOUND`, `E_RUN_FINISHED`, `E_RUN_OWNED`, `E_STORE_DAMAGED`. */
  resume(run: string, options?: ResumeTask): Promise<RunSession>
  /** Removes the staged copy of a run whose changes have reached the user's folder. Otherwise the copy is the result, and stays. */
  tidy(run: string): Promise<void>
  strays(): Promise<readonly StrayProcess[]>
  /** Ends what effects of a run have started, at once. */
  endProcesses(run: string): Promise<void>
  close(): void
}

/** Providers of one run. `close` resolves when all that was said is on the tape, where there is one. */
export interface OpenProviders {
  readonly providers: Providers
  close(): Promise<void>
}

/**
 * Makes the providers that models name, with their keys; what answers from a tape needs none.
 * @throws {UserError} `E_CREDENTIALS_MISSING`, `E_CREDENTIALS_UNSAFE` (exit 4), `E_CASSETTE_INVALID` (8).
 */
export type ProviderSource = (names: readonly string[], tapes?: Tapes & { readonly append?: boolean }) => Promise<OpenProviders>

const NOBODY: ProviderSource = async () => ({ providers: {}, close: async () => {} })

/** What a run may use: what its start says, else its task, else the configuration; each limit by itself. */
export function budgetOf(config: Config, { task, budget = {} }: Pick<StartTask, 'task' | 'budget'>): Budget {
  const set = config.settings().budget
  return {
    tokensMax: budget.tokensMax ?? task.budget.tokensMax ?? set.tokensMax ?? undefined,
    usdMax: budget.usdMax ?? task.budget.usdMax ?? set.usdMax ?? undefined,
    turnsMax: budget.turnsMax ?? task.budget.turnsMax ?? set.turnsMax ?? undefined,
  }
}

/**
 * Opens the store of this home, and makes the folder where there is none. @throws {UserError} `E_STORE_*` with exit 10.
 * @param source  asked when a run starts or goes on; runs whose replies are scripted need none.
 */
export function openApp(config: Config, source: ProviderSource = NOBODY): App {
  const store = sqliteStore({ path: config.database })
  let gates: Promise<Gates> | null = null
  const parts: Parts = { store, config, source, gates: () => (gates ??= openGates(config)) }
  return {
    store,
    start: async (options) => {
      const { teamTree } = await import('./actors/team.ts')
      const { task, file, dir, version, models, record, replay } = options
      const { tree, input, budget, deadlineMs, quarantine } = teamTree(task, {
        dir,
        models: models?.simulated === false ? models : undefined,
      })
      const meta: RunMeta = { task, file, dir, version, models, record, replay }
      const { troupe, close } = await createTeam(parts, meta)
      const deadline = options.deadlineMs ?? deadlineMs
      const session = await troupe.start(tree, {
        name: options.name,
        input,
        project: options.project,
        budget: { ...budget, ...budgetOf(config, options) },
        meta: JSON.parse(JSON.stringify(meta)) as Json,
        ...(deadline === null ? {} : { deadlineMs: deadline }),
        ...(quarantine === undefined ? {} : { quarantine }),
      })
      return closing(session, close)
    },
    resume: async (run, { record, replay, ...options } = {}) => {
      const meta = metaOf(store, run)
      const tapes = continued(meta, { record, replay })
      const { troupe, close } = await createTeam(parts, { ...meta, ...tapes }, tapes.append)
      return closing(await troupe.resume(run, options), close)
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

/** What was opened for a run is closed when it has ended, however it did. */
function closing(session: RunSession, close: () => Promise<void>): RunSession {
  void session.done().then(close, close)
  return session
}

interface Parts {
  readonly store: Store
  readonly config: Config
  readonly source: ProviderSource
  /** One for each provider of this process, whatever the run. */
  readonly gates: () => Promise<Gates>
}

async function openGates(config: Config): Promise<Gates> {
  const [{ providerGates }, { placeOf }, { systemClock }] = await Promise.all([
    import('./actors/provider-gate.ts'),
    import('./actors/provider-places.ts'),
    import('./runtime/clocks/system.ts'),
  ])
  const settings = config.settings()
  const vramGb = settings.general.totalVramGb - settings.general.reserveVramGb
  return providerGates({ clock: systemClock, settings: (name) => ({ ...placeOf(settings, name), vramGb }) })
}

async function createTeam({ store, config, source, gates }: Parts, meta: RunMeta, append = false) {
  const [{ createTroupe }, { teamMachines }, { scripted }] = await Promise.all([
    import('./actors/troupe.ts'),
    import('./actors/team.ts'),
    import('./actors/providers/scripted.ts'),
  ])
  const { task, models, record, replay } = meta
  const script = { scripted: scripted(task.replies) }
  const common = { store, machines: teamMachines, workDir: config.work }
  if (models === undefined || models.simulated) return { troupe: createTroupe({ ...common, providers: script }), close: async () => {} }
  const { providers, close } = await source(models.providers, { record, replay, append })
  return { troupe: createTroupe({ ...common, providers: { ...providers, ...script }, gates: await gates() }), close }
}

/** Does this run get its replies from a script or a tape? A run of a program of one's own has its own models. */
export function isSimulated({ meta }: Pick<RunRow, 'meta'>): boolean {
  const { task, models, replay } = (meta ?? {}) as Partial<RunMeta>
  return task !== undefined && (replay !== undefined || (models?.simulated ?? true))
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
