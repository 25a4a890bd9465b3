/**
 * The team as a tree of supervised actors, made from a task.
 *
 *   /team                  supervisor: one_for_one, ends when a significant child ends
 *   /team/coder            permanent
 *   /team/reviewer         permanent
 *   /team/executor         permanent
 *   /team/optimizer        permanent, where models are asked: keeps conversations within their windows
 *   /team/orchestrator     transient, significant: its output is the output of the run
 *
 * The orchestrator is started last, so that everybody it asks is there. A restart goes on from the last committed snapshot.
 */
import { resolve } from 'node:path'
import { errorData, UserError } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import { checkTree } from '../machines/childspec.ts'
import { coder } from '../machines/coder.ts'
import type { CoderInput } from '../machines/coder-rules.ts'
import { executor } from '../machines/executor.ts'
import type { OrchestratorInput } from '../machines/ledger.ts'
import type { RecallLimits } from '../machines/memory-effects.ts'
import { type ModelInput, promptTokensMax } from '../machines/model-call.ts'
import type { Chain } from '../machines/models.ts'
import { type OptimizerInput, optimizer } from '../machines/optimizer.ts'
import { orchestrator } from '../machines/orchestrator.ts'
import { type ReviewerInput, reviewer } from '../machines/reviewer.ts'
import type { Budget, ChildSpec, StaticSupervisorSpec } from '../protocol.ts'
import { CODER } from './prompts/coder.ts'
import { OPTIMIZER } from './prompts/optimizer.ts'
import { ORCHESTRATOR } from './prompts/orchestrator.ts'
import { REVIEWER } from './prompts/reviewer.ts'
import type { Task } from './task.ts'

/** The team's machines by the names that {@link teamTree} uses: `createTroupe({ machines: teamMachines, ... })`. */
export const teamMachines = { orchestrator, coder, reviewer, executor, optimizer }

const OPTIMIZER_ADDRESS = '/team/optimizer'
const peers = { coder: '/team/coder', reviewer: '/team/reviewer', executor: '/team/executor' }

export interface TeamOptions {
  /** Folder that `workspace.dir` of the task is relative to. */
  readonly dir: string
  /** Models of each agent, in the order in which they are asked. Left out: the first provider of the registry answers. */
  readonly models?: TeamModels | undefined
  /** The team remembers the project, within these limits or the default ones; it needs the handlers of memory-effects.ts. Default: it does not. */
  readonly memory?: boolean | RecallLimits | undefined
}

type Thinker = 'orchestrator' | 'coder' | 'reviewer' | 'optimizer'

/** Chains, and the tokens that prompts of each agent may take together with their answer. An empty chain is none. */
export interface TeamModels {
  readonly chains: Readonly<Record<Thinker, Chain>>
  readonly contextTokensMax: Readonly<Record<Thinker, number>>
}

/** What a run of the team is started with. */
export interface TeamStart {
  readonly tree: StaticSupervisorSpec
  readonly input: Json
  /** Of the whole team. Where it is reached the run stands still, and goes on when it is raised. */
  readonly budget: Budget & { readonly whenReached: 'hold' }
  /** Null: no deadline. */
  readonly deadlineMs: number | null
  /** How often the process of the run may crash. Absent: as often as any run's. */
  readonly quarantine?: { readonly crashes: number; readonly periodMs: number }
  readonly name: string | null
}

/**
 * The tree of a task, with everything that its actors need as their input. Pure, so a run that is resumed needs neither file nor task again.
 * @throws {UserError} `E_TASK_INVALID` (exit 3) where its `supervision` breaks a rule of trees.
 */
export function teamTree(task: Task, { dir, models, memory = false }: TeamOptions): TeamStart {
  const { strategy, intensity, periodMs, backoff, startTimeoutMs, quarantine } = task.supervision
  const common = { from: 'checkpoint', ...(startTimeoutMs === null ? {} : { startTimeoutMs }) } as const
  const permanent = { restart: 'permanent', ...common } as const
  const children: ChildSpec[] = [
    {
      id: 'coder',
      src: 'coder',
      input: { ...coderInput(task, models), ...(memory === false ? {} : { memory }) },
      ...permanent,
      ...limitsOf(task.agents.coder),
    },
    { id: 'reviewer', src: 'reviewer', input: reviewerInput(models), ...permanent, ...limitsOf(task.agents.reviewer) },
    { id: 'executor', src: 'executor', ...permanent },
    {
      id: 'orchestrator',
      src: 'orchestrator',
      input: { ...orchestratorInput(task, dir, models), ...(memory === false ? {} : { memory: true }) },
      restart: 'transient',
      significant: true,
      ...common,
    },
  ]
  // Conversations with a model have a window; those of a script have none, and nobody to keep them within it.
  const keeper = optimizerInput(models)
  if (keeper !== null) children.unshift({ id: 'optimizer', src: 'optimizer', input: keeper, ...permanent })
  const flags = { strategy, intensity, periodMs, ...(backoff === null ? {} : { backoff }) }
  return {
    tree: checked({ id: 'team', ...flags, autoShutdown: 'any_significant', children }),
    input: task.input,
    budget: { ...task.budget, tokensMax: task.budget.tokensMax ?? undefined, whenReached: 'hold' },
    deadlineMs: task.deadlineMs,
    ...(quarantine === null ? {} : { quarantine }),
    name: task.name,
  }
}

/** What one agent may use, over all its lives. */
const limitsOf = ({ budget }: { budget?: Budget | undefined }) => (budget === undefined ? {} : { limits: { budget } })

/** Rules that hold between keys of `supervision:`, such as a period that its backoff fits into, are the tree's. Who wrote the task is told, in its words. */
function checked(tree: StaticSupervisorSpec): StaticSupervisorSpec {
  try {
    checkTree(tree)
    return tree
  } catch (thrown) {
    const { message } = errorData(thrown)
    throw new UserError('E_TASK_INVALID', `supervision: ${message}`, { where: 'task', fix: 'mend `supervision:` in the task', exit: 3 })
  }
}

/** What an agent is told of its models: data alone, so a run goes on with those that it began with. */
function modelsOf(agent: Thinker, models: TeamModels | undefined): ModelInput {
  const chain = models?.chains[agent] ?? []
  return chain.length === 0 ? {} : { models: chain, contextTokensMax: models!.contextTokensMax[agent] }
}

function reviewerInput(models: TeamModels | undefined): Json {
  const input = { address: peers.reviewer, system: REVIEWER, ...modelsOf('reviewer', models) } satisfies ReviewerInput
  return input as unknown as Json
}

function coderInput(task: Task, models: TeamModels | undefined): JsonObject {
  const { polling, pollingMs } = task.loops
  const { iterationsMax } = task.agents.coder
  const loops = { polling, pollingMs }
  const own = modelsOf('coder', models)
  const input = { address: peers.coder, system: CODER, iterationsMax, loops, ...own, ...windowOf(own) } satisfies CoderInput
  return input as unknown as JsonObject
}

/** The window of the model that is asked first, and who keeps the conversation within it. */
function windowOf({ models: [first] = [], contextTokensMax }: ModelInput): Pick<CoderInput, 'optimizer' | 'window'> {
  if (first === undefined) return {}
  return { optimizer: OPTIMIZER_ADDRESS, window: { promptTokensMax: promptTokensMax(first, contextTokensMax ?? null) } }
}

function optimizerInput(models: TeamModels | undefined): Json | null {
  const own = modelsOf('optimizer', models)
  const [first] = own.models ?? []
  if (first === undefined) return null
  const room = promptTokensMax(first, own.contextTokensMax ?? null)
  const input = { address: OPTIMIZER_ADDRESS, system: OPTIMIZER, promptTokensMax: room, ...own } satisfies OptimizerInput
  return input as unknown as Json
}

function orchestratorInput(task: Task, dir: string, models: TeamModels | undefined): JsonObject {
  const { workspace, gates, agents, goal, work, input, loops } = task
  const { maxConsecutiveRetries, oscillation, similarity } = loops
  const deadlines = {
    ...(agents.coder.deadlineMs === null ? {} : { coderMs: agents.coder.deadlineMs }),
    ...(agents.reviewer.deadlineMs === null ? {} : { reviewerMs: agents.reviewer.deadlineMs }),
  }
  const given: OrchestratorInput = {
    address: '/team/orchestrator',
    peers,
    goal,
    work,
    input,
    workspace: { source: resolve(dir, workspace.dir), mode: workspace.mode, promote: workspace.promote },
    gates,
    roundsMax: agents.reviewer.roundsMax,
    deadlines,
    loops: { maxConsecutiveRetries, oscillation, similarity },
    system: ORCHESTRATOR,
    ...modelsOf('orchestrator', models),
  }
  return given as unknown as JsonObject
}
