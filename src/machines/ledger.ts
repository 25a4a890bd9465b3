/**
 * What the orchestrator knows, and what follows from it: the context as plain data, which evidence covers which tree, and the answer of the run.
 *
 *   covered(tree)  =  the staged tree is this tree
 *                     and a review approved this tree
 *                     and the gate passed on this tree   (level strict; `warn` wants it run, `off` and an empty list of checks want nothing)
 *
 * Evidence is bound to a tree hash. Staging again forgets it, so nothing that was changed after a gate or a review can be promoted.
 */
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import { type Address, EXIT_KEY, type ExitReason } from '../protocol.ts'
import type { Conversation } from './conversation.ts'
import type { Staged } from './effects.ts'
import { type FeedbackMemory, type FeedbackOptions, type LoopCheck, NO_FEEDBACK } from './loops.ts'
import type { Missions } from './mission.ts'
import { type Calling, callingOf, type ModelInput } from './model-call.ts'
import type { Check, GateOutcome, WorkItem, Workspace } from './vocabulary.ts'
import { acceptWork } from './work.ts'

export interface OrchestratorInput extends ModelInput {
  readonly address: Address
  readonly peers: { readonly coder: Address; readonly reviewer: Address; readonly executor: Address }
  readonly goal?: string | null | undefined
  /** Checked at the door (M7). Left out: planned from the goal. */
  readonly work?: Json | undefined
  /** Parameters for the agents to read. */
  readonly input?: Json | undefined
  readonly workspace: { readonly source: string; readonly mode: 'auto' | 'worktree' | 'copy'; readonly promote: 'gates' | 'never' }
  readonly gates: { readonly level: 'strict' | 'warn' | 'off'; readonly checks: readonly Check[] }
  /** Rounds of one item: the first and its repairs. Default 3. */
  readonly roundsMax?: number | undefined
  /** How long a peer may take for one answer. Defaults: 30 and 15 minutes; a gate: what its checks may take, and a minute. */
  readonly timeouts?: { readonly coderMs?: number; readonly reviewerMs?: number; readonly gateMs?: number } | undefined
  /** The same as limits of the task: whoever misses one is not asked again. */
  readonly deadlines?: { readonly coderMs?: number | undefined; readonly reviewerMs?: number | undefined } | undefined
  /** How rounds that go in circles are judged. */
  readonly loops?: Omit<FeedbackOptions, 'workspace'> | undefined
  /** The role in words, for planning. */
  readonly system: string
  /** Tells the memory of the project of each item that is closed. Default: it does not. */
  readonly memory?: boolean | undefined
}

/** One item in the answer of the run. `partial`: what was there when its time was up. `not_started`: it needs one that was not finished. */
export type WorkRecord = {
  readonly id: string
  readonly status: 'done' | 'failed' | 'timed_out' | 'not_started'
  readonly actor: Address
  readonly attempts: number
  readonly summary: string
  readonly partial?: Json
}

export interface OrchestratorContext extends Calling, Missions {
  readonly address: Address
  readonly peers: OrchestratorInput['peers']
  readonly goal: string | null
  readonly input: Json
  readonly target: OrchestratorInput['workspace']
  readonly gates: OrchestratorInput['gates']
  readonly roundsMax: number
  readonly timeouts: { readonly coderMs: number; readonly reviewerMs: number; readonly gateMs: number }
  /** Questions that are asked once and no more when their time is up. */
  readonly once: readonly string[]
  readonly limits: NonNullable<OrchestratorInput['loops']>
  readonly system: string
  readonly work: readonly WorkItem[]
  readonly finished: readonly WorkRecord[]
  /** Of the item at hand, from 1. */
  readonly round: number
  /** What the coder was told last about this item; null in the first round. */
  readonly feedback: string | null
  /** What it is told next. */
  readonly returned: { readonly feedback: string; readonly code: string } | null
  readonly summary: string
  /** What was sent back about the item at hand, and what the last check of it said. */
  readonly loops: FeedbackMemory
  readonly checked: Pick<LoopCheck, 'abort' | 'reason' | 'loop'> | null
  /** How many coders went in circles on the item at hand, and why the last one was ended. */
  readonly circles: number
  readonly note: string | null
  /** The time of the item at hand is up. */
  readonly expired: { readonly error: ErrorData; readonly partial: Json } | null
  /** Why the run fails in the end, though other items go on. */
  readonly incomplete: ErrorData | null
  readonly workspace: Workspace | null
  readonly staged: Staged | null
  readonly evidence: { readonly gate: GateOutcome | null; readonly reviewed: string | null }
  /** The question that is open, or was last, and how often it was asked. */
  readonly asking: { readonly about: string; readonly tries: number }
  readonly conversations: readonly Conversation[]
  readonly repaired: boolean
  readonly promoted: boolean
  readonly error: ErrorData | null
  readonly reasons: readonly string[]
}

const CHECK_MS = 600_000

/** What is known of an item before it is begun. */
export const NEW_ITEM = {
  round: 1,
  feedback: null,
  returned: null,
  summary: '',
  loops: NO_FEEDBACK,
  checked: null,
  circles: 0,
  note: null,
  expired: null,
} as const

/** The first context. Work that is not acceptable leaves its reasons in it. */
export function openLedger(input: OrchestratorInput): OrchestratorContext {
  const { address, peers, gates, system, deadlines = {} } = input
  const timeouts = { ...input.timeouts, ...deadlines }
  const goal = input.goal?.trim() ? input.goal.trim() : null
  const gateMs = gates.checks.reduce((sum, check) => sum + (check.timeoutMs ?? CHECK_MS), 60_000)
  const planned = input.work === undefined || input.work === null
  const checked = planned ? { ok: goal !== null, work: [], reasons: ['goal: there is neither a goal nor work'] } : acceptWork(input.work)
  return {
    address,
    peers,
    goal,
    input: input.input ?? null,
    target: input.workspace,
    gates,
    roundsMax: input.roundsMax ?? 3,
    timeouts: { coderMs: timeouts.coderMs ?? 1_800_000, reviewerMs: timeouts.reviewerMs ?? 900_000, gateMs: timeouts.gateMs ?? gateMs },
    once: [...(deadlines.coderMs === undefined ? [] : ['task']), ...(deadlines.reviewerMs === undefined ? [] : ['review'])],
    limits: input.loops ?? {},
    system,
    work: 'work' in checked ? checked.work : [],
    finished: [],
    ...NEW_ITEM,
    incomplete: null,
    workspace: null,
    staged: null,
    evidence: { gate: null, reviewed: null },
    asking: { about: '', tries: 0 },
    conversations: [],
    repaired: false,
    promoted: false,
    error: null,
    reasons: !checked.ok && 'reasons' in checked ? checked.reasons : [],
    ...callingOf(input),
    ...(input.memory === true ? { memory: true } : {}),
  }
}

/** The item at hand; undefined when all are finished. */
export const currentItem = ({ work, finished }: OrchestratorContext): WorkItem | undefined =>
  work.find((item) => !finished.some((record) => record.id === item.id))

/** What goes on record when the item at hand is closed: itself, and, where its time was up, all that need it. */
export function recordsOf(context: OrchestratorContext): readonly WorkRecord[] {
  const { round, summary, peers, expired, work } = context
  const own = { id: currentItem(context)?.id ?? '', actor: peers.coder, attempts: round }
  if (expired === null) return [{ ...own, status: 'done', summary }]
  const records: WorkRecord[] = [{ ...own, status: 'timed_out', summary: expired.error.message, partial: expired.partial }]
  for (const { id, needs } of work) {
    const missing = needs.find((need) => records.some((record) => record.id === need))
    if (missing === undefined) continue
    records.push({ id, status: 'not_started', actor: peers.coder, attempts: 0, summary: `it needs ${missing}, which is not done` })
  }
  return records
}

/** Is there a gate to pass? */
export const hasGate = ({ gates }: OrchestratorContext): boolean => gates.level !== 'off' && gates.checks.length > 0

/** May exactly this tree be promoted? See the head of this file. */
export function covered(context: OrchestratorContext, tree: string): boolean {
  const { staged, evidence, gates } = context
  if (staged?.tree !== tree || evidence.reviewed !== tree) return false
  if (!hasGate(context)) return true
  return evidence.gate?.tree === tree && (evidence.gate.passed || gates.level === 'warn')
}

/** `verified` only where checks passed on exactly the tree that is the result (P23). */
function verification(context: OrchestratorContext) {
  const { staged, evidence } = context
  const gate = hasGate(context) && evidence.gate !== null && evidence.gate.tree === staged?.tree ? evidence.gate : null
  const verified = gate?.passed === true && evidence.reviewed === gate.tree && context.error === null
  const gates = (gate?.checks ?? []).map(({ id, exitCode }) => ({
    id,
    status: exitCode === 0 ? 'passed' : 'failed',
    tree: gate?.tree ?? '',
  }))
  return { level: verified ? 'verified' : 'unverified', gates }
}

/** The answer of the run. `files`, `added`, `removed` tell of what was staged; `promoted` whether it reached the user's folder. */
export function outcomeOf(context: OrchestratorContext) {
  const { staged, error, finished, reasons } = context
  const status = reasons.length > 0 ? 'rejected' : error === null ? 'done' : 'failed'
  return {
    status,
    summary: summaryOf(context),
    verification: verification(context),
    promoted: context.promoted,
    tree: staged?.tree ?? context.workspace?.base ?? null,
    files: staged?.files ?? [],
    added: staged?.added ?? 0,
    removed: staged?.removed ?? 0,
    work: finished,
    error,
    reasons,
  }
}
export type Outcome = ReturnType<typeof outcomeOf>

/** The outcome as the machine's output: work that did not reach its goal carries its failure as the exit reason. */
export function exitWith(outcome: Outcome): Outcome | { readonly [EXIT_KEY]: ExitReason } {
  if (outcome.status === 'done') return outcome
  const failure = outcome.error ?? { code: 'E_WORK_REJECTED', message: outcome.reasons.join('; ') }
  return { [EXIT_KEY]: { kind: 'normal', output: outcome as unknown as Json, failure: failure as ErrorData } }
}

function summaryOf({ reasons, error, finished }: OrchestratorContext): string {
  if (reasons.length > 0) return `The work was rejected: ${reasons.join('; ')}`
  if (error !== null) return error.message
  if (finished.length === 1) return finished[0]!.summary
  return finished.map((record) => `${record.id}: ${record.summary}`).join('\n')
}
