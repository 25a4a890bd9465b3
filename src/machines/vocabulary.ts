/**
 * What the team's actors say to each other, as schemas: work items, results, messages of a conversation, and the events they travel in.
 * Every event is checked against its schema where it enters an actor; one that does not fit is answered by `rejected {reasons}`.
 *
 *   orchestrator --task.assign--> coder         task.done | task.failed | rejected
 *   orchestrator --task.abandon-> coder         task.abandoned
 *   orchestrator --gate.run-----> executor      gate.result | gate.failed | rejected
 *   orchestrator --review.request-> reviewer    review.given | review.failed | rejected
 *   coder --context.compact-> optimizer         context.compacted | context.failed | rejected
 */
import { z } from 'zod'

export const PHASES = ['plan', 'implementation', 'review', 'test', 'docs'] as const

/** A piece of work. `needs` names items that come first; a higher `priority` goes first among those that may. */
export const workItem = z.strictObject({
  id: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, 'letters, digits, `_` and `-`, a letter first, at most 64'),
  description: z.string().trim().min(1).max(20_000),
  phase: z.enum(PHASES).default('implementation'),
  priority: z.int().min(0).max(9).default(1),
  needs: z.array(z.string()).default([]),
  files: z.array(z.string()).default([]),
  /** Of the whole item, all its rounds together, from when it is first assigned; absolute from then on. */
  deadlineMs: z.int().positive().optional(),
})
export type WorkItem = z.infer<typeof workItem>

/** What an agent plans when only a goal is given. It sets no deadlines. */
export const workPlan = z.strictObject({
  work: z
    .array(workItem.omit({ deadlineMs: true }))
    .min(1)
    .max(50),
})

/** An isolated copy of the user's folder. `base` is the tree hash it was opened with. */
export const workspace = z.looseObject({ source: z.string(), dir: z.string(), mode: z.string(), base: z.string() })
export type Workspace = z.infer<typeof workspace>

const errorSchema = z.looseObject({ code: z.string(), message: z.string() })

/** A command that must pass in the staged tree. `timeoutMs` is of this command alone. */
export const check = z.strictObject({ id: z.string(), run: z.string(), timeoutMs: z.int().positive().optional() })
export type Check = z.infer<typeof check>

/** How one check went. `output` is the end of what it printed. */
const checkResult = z.looseObject({
  id: z.string(),
  exitCode: z.number().nullable(),
  output: z.string().optional(),
  durationMs: z.number().optional(),
})

export const taskAssign = z.looseObject({
  item: workItem,
  goal: z.string().nullable(),
  /** Parameters of the task file, for the agent to read. */
  input: z.json(),
  workspace,
  /** From 1. */
  round: z.int().min(1),
  /** What was wrong with the round before; null in the first. */
  feedback: z.string().nullable(),
  /** Which conversation about this item it is: another one after a coder that went in circles. */
  conversation: z.int().min(1).default(1),
  /** Why the conversation before was ended; null in the first. */
  note: z.string().nullable().default(null),
})
export type TaskAssign = z.infer<typeof taskAssign>
export const taskDone = z.looseObject({ type: z.literal('task.done'), summary: z.string() })
export const taskFailed = z.looseObject({ type: z.literal('task.failed'), error: errorSchema })
/** The item is not wanted any more: its time is up. */
export const taskAbandon = z.looseObject({ item: z.string() })
export const taskAbandoned = z.looseObject({ type: z.literal('task.abandoned'), partial: z.json() })

export const gateRun = z.looseObject({ workspace, tree: z.string(), checks: z.array(check) })
export const gateOutcome = z.looseObject({ passed: z.boolean(), tree: z.string(), summary: z.string(), checks: z.array(checkResult) })
export type GateOutcome = z.infer<typeof gateOutcome>
export const gateResult = gateOutcome.extend({ type: z.literal('gate.result') })
export const gateFailed = z.looseObject({ type: z.literal('gate.failed'), error: errorSchema })

export const reviewRequest = z.looseObject({ item: workItem, diff: z.string(), tree: z.string(), round: z.int().min(1) })
export type ReviewRequest = z.infer<typeof reviewRequest>

/** What a reviewer decides. A single line of feedback may be given as a string. */
export const verdict = z.looseObject({
  verdict: z.enum(['approved', 'needs_changes']),
  feedback: z.union([z.array(z.string()), z.string().transform((line) => [line])]).default([]),
})
/** A verdict counts for exactly the tree that it names. */
export const reviewGiven = z.looseObject({
  type: z.literal('review.given'),
  verdict: z.enum(['approved', 'needs_changes']),
  feedback: z.array(z.string()),
  tree: z.string(),
})
export const reviewFailed = z.looseObject({ type: z.literal('review.failed'), error: errorSchema })

/**
 * A stretch of a conversation that a summary is wanted of: `count` messages, the first of which is `back` before the end of the thread. `tokens`: what they
 * take at most. `budgetTokens`: what the summary may take.
 */
export const contextCompact = z.looseObject({
  thread: z.string(),
  back: z.int().positive(),
  count: z.int().positive(),
  tokens: z.int().positive(),
  item: z.string().nullable(),
  budgetTokens: z.int().positive(),
})
export type ContextCompact = z.infer<typeof contextCompact>
export const contextCompacted = z.looseObject({ type: z.literal('context.compacted'), summary: z.string().trim().min(1) })

const toolCall = z.strictObject({ id: z.string(), name: z.string(), args: z.record(z.string(), z.json()) })
export type ToolCall = z.infer<typeof toolCall>

/** One message of a conversation. `scripted` is the place of the reply in the script that gave it. */
export const message = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  toolCalls: z.array(toolCall).optional(),
  toolCallId: z.string().optional(),
  scripted: z.int().min(0).optional(),
  /** What a model thought before it answered, as its provider gave it: opaque, signed, and to be given back unchanged to the same provider. */
  thinking: z.strictObject({ provider: z.string(), blocks: z.array(z.json()) }).optional(),
  /** A summary at the end of the conversation that it shortens, by a user: it stands for `count` messages, the first of which is `back` before it. */
  summaryOf: z.strictObject({ back: z.int().positive(), count: z.int().positive() }).optional(),
  /** Said by nobody: it is shown in the place of so many messages. Made by context.ts, never kept. */
  standsFor: z.int().positive().optional(),
})
export type Message = z.infer<typeof message>

/** Why data does not fit a schema, one line per problem: `item.priority: Too big: expected number to be <=9`. */
export function reasons(error: z.ZodError, prefix = ''): readonly string[] {
  return error.issues.map((issue) => `${[prefix, ...issue.path.map(String)].filter(Boolean).join('.') || 'message'}: ${issue.message}`)
}
