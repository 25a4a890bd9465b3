/**
 * The effects of the team, as declarations: what goes in, what comes out, and what to do when a crash hides the outcome. The handlers are in
 * `actors/effects.ts`, by `kind`.
 *
 *   kind              after a crash   why
 *   llm.generate      repeat          an answer that was never learned changed nothing; its reserved tokens stay spent
 *   workspace.open    repeat          opening again adopts what is there
 *   workspace.plan    repeat          reads only
 *   promotion.plan    repeat          reads only
 *   tool.read         repeat          reads only
 *   write.plan        repeat          reads only; its outcome holds the hashes that the write is proved by
 *   file.write        prove           the file has the hash before, or the hash after, or it is somebody else's
 *   gate.run          repeat          in a fresh checkout of the tree
 *   change.promote    prove           the same, over all files of the plan
 */
import { z } from 'zod'
import { type Deadlines, effect, type Reserve, type RetryPolicy } from '../effect.ts'
import { modelRef } from './models.ts'
import { worstCase } from './prices.ts'
import { check, gateOutcome, message, workspace } from './vocabulary.ts'

/** Transient failures of a provider of whose model nothing is said: 3 attempts, 1 s and 2 s apart (jittered), at most 30 s. */
const MODEL_RETRY: RetryPolicy = { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 30_000, exponentialBase: 2 }
/** Longest answer that is asked for, in tokens; part of what a call reserves. */
export const OUTPUT_TOKENS_MAX = 4_096
/** Tokens of a UTF-16 unit at most: it has three bytes in UTF-8, and a token has at least one. */
const TOKENS_PER_CHAR_MAX = 3
/** The system prompt, and what a template puts around messages, where they are not counted in `promptChars`: at most so many tokens. */
const FRAME_TOKENS_MAX = 2_000
/** What the tools' descriptions add to a prompt at most, in tokens. */
const TOOL_TOKENS_MAX = 1_000

const generateInput = z.strictObject({
  agent: z.string(),
  /** The conversation so far; its last message is what is answered. */
  thread: z.string(),
  item: z.string().nullable(),
  /** Which answer of this conversation this is, from 1. */
  turn: z.int().min(1),
  tools: z.array(z.string()),
  /** What the answer must be: free text, or JSON of a known shape. */
  format: z.enum(['text', 'plan', 'verdict']),
  /** Length of the conversation in characters, for the reservation. */
  promptChars: z.int().min(0),
  /** Who is asked. Left out: the first provider of the registry, as it likes. */
  model: modelRef.optional(),
  /** Tokens that the prompt may take, tools included; what does not fit is left out as context.ts says. Left out: all of the conversation. */
  promptTokensMax: z.int().positive().optional(),
  /** Somebody else can be asked: where the provider is known to be down, it fails at once instead of waiting for it. */
  failFast: z.boolean().optional(),
  /** Somebody of another quota group can be asked: a long pause after a rate limit is not waited for. */
  impatient: z.boolean().optional(),
  /** What `model` has counted for this conversation as it was `since` messages ago, tools included. The whole of it may fit although the worst case would not. */
  known: z.strictObject({ model: z.string().nullable(), tokens: z.int().min(0), since: z.int().min(0) }).optional(),
  /** Part of another thread that is shown as text before the conversation: `count` messages, the first of which is `back` before its end. */
  stretch: z.strictObject({ thread: z.string(), back: z.int().positive(), count: z.int().positive() }).optional(),
})
export type GenerateInput = z.infer<typeof generateInput>

const usage = z.strictObject({
  inputTokens: z.number(),
  outputTokens: z.number(),
  costUsd: z.number().nullable(),
  cacheReadTokens: z.number().optional(),
  cacheWriteTokens: z.number().optional(),
  reasoningTokens: z.number().optional(),
  provider: z.string().optional(),
  model: z.string().optional(),
  local: z.boolean().optional(),
  estimated: z.boolean().optional(),
  simulated: z.boolean().optional(),
})
const generateOutput = z.strictObject({ message, usage, finish: z.string() })
export type GenerateOutput = z.infer<typeof generateOutput>

/** A token is at least two characters of prose or code in every tokenizer that was looked at; this never estimates too little there. */
const promptTokens = (chars: number): number => Math.ceil(chars / 2)

export const generate = effect({
  kind: 'llm.generate',
  input: generateInput,
  output: generateOutput,
  repeat: 'repeat',
  deadlines: ({ model }) => deadlinesOf(model),
  retry: ({ model }) => model?.retry ?? MODEL_RETRY,
  reserve: reserveOf,
})

/**
 * The worst case of one answer. Of a known model it is sure: a prompt is cut to `promptTokensMax`, and no tokenizer of bytes gives a UTF-16 unit more than three
 * tokens. Without one nothing is known of prices.
 */
function reserveOf({ model, promptChars, promptTokensMax, tools }: GenerateInput): Reserve {
  const toolTokens = tools.length > 0 ? TOOL_TOKENS_MAX : 0
  if (model === undefined) return { tokens: promptTokens(promptChars) + toolTokens + OUTPUT_TOKENS_MAX, turns: 1 }
  const most = promptChars * TOKENS_PER_CHAR_MAX + toolTokens + FRAME_TOKENS_MAX
  return worstCase(model, Math.min(promptTokensMax ?? model.contextTokens, most))
}

/** A model that is loaded first has its time for that; of any other, what comes first is its first token. */
function deadlinesOf(model: GenerateInput['model']): Deadlines {
  if (model === undefined) return { totalMs: 600_000 }
  const { loadMs, firstTokenMs, idleMs, totalMs } = model.timeouts
  return { ...(model.vramGb === null ? {} : { startMs: loadMs }), firstMs: firstTokenMs, idleMs, totalMs }
}

const openInput = z.strictObject({ source: z.string(), mode: z.enum(['auto', 'worktree', 'copy']) })
export const open = effect({ kind: 'workspace.open', input: openInput, output: workspace, repeat: 'repeat', timeoutMs: 600_000 })

/** What is staged, in short: names and counts of what changed, and the diff up to a cap. */
const staged = z.strictObject({
  tree: z.string(),
  files: z.array(z.string()),
  added: z.int(),
  removed: z.int(),
  diff: z.string(),
  truncated: z.boolean(),
})
export type Staged = z.infer<typeof staged>
export const stage = effect({
  kind: 'workspace.plan',
  input: z.strictObject({ workspace }),
  output: staged,
  repeat: 'repeat',
  timeoutMs: 120_000,
})

/** A whole promotion: every file with its hash before and after and its content. It travels from effect to effect and is never kept in a context. */
const promotionPlan = z.looseObject({ target: z.string(), tree: z.string(), files: z.array(z.looseObject({ path: z.string() })) })
export type PromotionPlan = z.infer<typeof promotionPlan>
export const plan = effect({
  kind: 'promotion.plan',
  input: z.strictObject({ workspace }),
  output: promotionPlan,
  repeat: 'repeat',
  timeoutMs: 120_000,
})
const promoted = z.strictObject({ tree: z.string(), files: z.array(z.string()) })
export type Promoted = z.infer<typeof promoted>
export const promote = effect({ kind: 'change.promote', input: promotionPlan, output: promoted, repeat: 'prove' })

const args = z.record(z.string(), z.json())
const readInput = z.strictObject({ dir: z.string(), tool: z.enum(['list', 'read', 'search']), args })
/** `content` is what the model is told; `seen` is the file and hash that a read was of. */
const readOutput = z.strictObject({ content: z.string(), seen: z.strictObject({ path: z.string(), hash: z.string() }).nullable() })
export type ReadInput = z.infer<typeof readInput>
export type ReadOutput = z.infer<typeof readOutput>
export const read = effect({ kind: 'tool.read', input: readInput, output: readOutput, repeat: 'repeat', timeoutMs: 60_000 })

const writePlanInput = z.strictObject({ dir: z.string(), tool: z.enum(['edit', 'write']), args, seen: z.string().nullable() })
/** One change of one file, with its content. `before: null`: the file is new. */
const writePlan = z.looseObject({ path: z.string(), before: z.string().nullable(), after: z.string() })
export type WritePlanInput = z.infer<typeof writePlanInput>
export type WritePlan = z.infer<typeof writePlan>
export const planWrite = effect({ kind: 'write.plan', input: writePlanInput, output: writePlan, repeat: 'repeat', timeoutMs: 60_000 })
const writeInput = z.strictObject({ dir: z.string(), plan: writePlan })
const written = z.strictObject({ path: z.string(), hash: z.string() })
export type WriteInput = z.infer<typeof writeInput>
export type Written = z.infer<typeof written>
export const write = effect({ kind: 'file.write', input: writeInput, output: written, repeat: 'prove', timeoutMs: 60_000 })

export const gate = effect({
  kind: 'gate.run',
  input: z.strictObject({ workspace, tree: z.string(), checks: z.array(check) }),
  output: gateOutcome,
  repeat: 'repeat',
})
