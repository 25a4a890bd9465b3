/**
 * The task format of this version as a schema, and the documented keys that it does not act upon yet: those are refused by name, never ignored.
 * Text becomes plain numbers on the way in: durations (`20m`, `1h30m`, `200ms`) milliseconds, counts (`200k`, `1.5M`) integers.
 */
import { z } from 'zod'
import { PHASES } from '../machines/vocabulary.ts'
import { parseCount, parseDuration } from '../quantities.ts'

/** Longest duration: a year. */
const DURATION_MS_MAX = 365 * 86_400_000
/** Time of one check, where the task gives none. */
const CHECK_MS = 600_000

const expected = (what: string) => ({ error: `expected ${what}` })

const durationFrom = (leastMs: number) =>
  z
    .string(expected('a duration with its unit, like 20m'))
    .refine((text) => parseDuration(text) !== null, expected('a duration with its unit, like 20m'))
    .transform((text) => parseDuration(text) ?? 0)
    .refine((ms) => ms >= leastMs && ms <= DURATION_MS_MAX, expected(`a duration of ${leastMs === 0 ? 'at most 365d' : '1ms to 365d'}`))
const duration = durationFrom(1)

const count = z
  .union([z.number(), z.string()], expected('a whole number, like 200k'))
  .refine((value) => parseCount(String(value)) !== null, expected('a whole number, like 200k'))
  .transform((value) => parseCount(String(value)) ?? 0)
  .refine((value) => value >= 1, expected('a whole number of at least 1'))

const limit = (max: number) =>
  z
    .int(expected(`a whole number from 1 to ${max}`))
    .min(1)
    .max(max)
const text = z.string(expected('text')).trim().min(1, expected('text'))
const id = z.string(expected('an id')).regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, expected('an id: letters, digits, `_`, `-`, a letter first'))

const replySchema = z
  .strictObject({
    agent: z.enum(['*', 'coder', 'reviewer', 'orchestrator']).default('*'),
    item: id.optional(),
    turn: limit(10_000).optional(),
    match: z.string().min(1).refine(isPattern, expected('a regular expression')).optional(),
    times: limit(10_000).optional(),
    reply: z.json().optional(),
    tool_calls: z.array(z.strictObject({ name: text, args: z.record(z.string(), z.json()).default({}) })).default([]),
    tokens: z.strictObject({ input: z.int().min(0), output: z.int().min(0) }).optional(),
    delay: durationFrom(0).optional(),
    error: z
      .strictObject({
        code: z.string().regex(/^E_[A-Z_]+$/, expected('a code like E_PROVIDER_TIMEOUT')),
        retry: z.enum(['never', 'backoff', 'after']).default('never'),
      })
      .optional(),
  })
  .refine(
    (reply) => reply.error !== undefined || reply.reply !== undefined || reply.tool_calls.length > 0,
    expected('reply, tool_calls or error'),
  )
  .refine(
    (reply) => reply.error === undefined || (reply.reply === undefined && reply.tool_calls.length === 0),
    expected('error alone, or reply and tool_calls'),
  )
  .transform(({ agent, item, turn, match, times, reply, tool_calls, tokens, delay, error }) => ({
    agent,
    item: item ?? null,
    turn: turn ?? null,
    match: match ?? null,
    times: times ?? null,
    reply: reply ?? null,
    toolCalls: tool_calls,
    tokens: tokens ?? null,
    delayMs: delay ?? 0,
    error: error ?? null,
  }))

function isPattern(source: string): boolean {
  try {
    new RegExp(source, 'u')
    return true
  } catch {
    return false
  }
}

const itemSchema = z
  .strictObject({
    id,
    description: text,
    phase: z.enum(PHASES).default('implementation'),
    priority: z.int(expected('a whole number from 0 to 9')).min(0).max(9).default(1),
    needs: z.array(id).default([]),
    files: z.array(text).default([]),
    deadline: duration.optional(),
  })
  .transform(({ deadline, ...item }) => (deadline === undefined ? item : { ...item, deadlineMs: deadline }))

const part = (what: string, from = 0) => z.number(expected(what)).min(from, expected(what)).max(1, expected(what))

/** Which model an agent has, and how it is asked. Only what was said is in the task: the rest is the configuration's. */
const wishes = {
  model: text.optional(),
  temperature: z.number(expected('a number from 0 to 2')).min(0).max(2).optional(),
  max_context_tokens: count.optional(),
}

function wishOf(agent: { model?: string | undefined; temperature?: number | undefined; max_context_tokens?: number | undefined }) {
  return {
    ...(agent.model === undefined ? {} : { model: agent.model }),
    ...(agent.temperature === undefined ? {} : { temperature: agent.temperature }),
    ...(agent.max_context_tokens === undefined ? {} : { contextTokensMax: agent.max_context_tokens }),
  }
}

/** How the team is supervised. `quarantine` is for whoever starts the run; the tree spec holds the rest. */
const supervisionSchema = z
  .strictObject({
    strategy: z.enum(['one_for_one', 'one_for_all', 'rest_for_one']).default('one_for_one'),
    intensity: z.int(expected('a whole number from 0 to 1000')).min(0).max(1_000).default(3),
    period: duration.default(60_000),
    backoff: z
      .strictObject({ base_delay: duration, max_delay: duration.optional(), jitter: part('a number from 0 to 1').optional() })
      .refine(
        ({ base_delay, max_delay }) => max_delay === undefined || max_delay >= base_delay,
        expected('a max_delay of at least base_delay'),
      )
      .optional(),
    start_timeout: duration.optional(),
    quarantine: z.strictObject({ crashes: limit(1_000), period: duration }).optional(),
  })
  .transform(({ strategy, intensity, period, backoff, start_timeout, quarantine }) => ({
    strategy,
    intensity,
    periodMs: period,
    backoff: backoff === undefined ? null : backoffOf(backoff),
    startTimeoutMs: start_timeout ?? null,
    quarantine: quarantine === undefined ? null : { crashes: quarantine.crashes, periodMs: quarantine.period },
  }))

function backoffOf({ base_delay, max_delay, jitter }: { base_delay: number; max_delay?: number | undefined; jitter?: number | undefined }) {
  return {
    baseMs: base_delay,
    ...(max_delay === undefined ? {} : { maxMs: max_delay }),
    ...(jitter === undefined ? {} : { jitter }),
  }
}

/** When work goes in circles. A first feedback is no loop, so the count is at least two. */
const loopsSchema = z
  .strictObject({
    max_consecutive_retries: z.int(expected('a whole number from 2 to 100')).min(2).max(100).default(2),
    oscillation: z.boolean(expected('true or false')).default(true),
    similarity: part('a number from 0.5 to 1', 0.5).default(0.95),
    polling: z.array(text).default([]),
    polling_deadline: duration.default(600_000),
  })
  .transform(({ max_consecutive_retries, oscillation, similarity, polling, polling_deadline }) => ({
    maxConsecutiveRetries: max_consecutive_retries,
    oscillation,
    similarity,
    polling,
    pollingMs: polling_deadline,
  }))

const checkSchema = z
  .strictObject({ id, run: text, timeout: duration.default(CHECK_MS) })
  .transform(({ id, run, timeout }) => ({ id, run, timeoutMs: timeout }))

/** Of the run, or of one agent with all its lives. Only what is given is in it. */
const budgetSchema = z
  .strictObject({
    max_tokens: count.optional(),
    max_usd: z.number(expected('an amount of US dollars above 0')).positive(expected('an amount of US dollars above 0')).optional(),
    max_turns: limit(1_000_000).optional(),
  })
  .transform(({ max_tokens, max_usd, max_turns }) => ({
    ...(max_tokens === undefined ? {} : { tokensMax: max_tokens }),
    ...(max_usd === undefined ? {} : { usdMax: max_usd }),
    ...(max_turns === undefined ? {} : { turnsMax: max_turns }),
  }))

const given = <B extends object>({ budget }: { budget?: B | undefined }) =>
  budget === undefined || Object.keys(budget).length === 0 ? {} : { budget }

/** A task file, from its YAML as data. What is left out has its default. */
export const taskSchema = z
  .strictObject({
    version: z.literal(1, expected('1, the only version there is')).default(1),
    name: z
      .string(expected('a name'))
      .regex(/^[a-z][a-z0-9-]{0,63}$/, expected('a name: lower case letters, digits and `-`, a letter first'))
      .optional(),
    goal: text.optional(),
    provider: z
      .enum(['scripted', 'ollama', 'anthropic', 'openai-compatible'], expected('scripted, ollama, anthropic or openai-compatible'))
      .optional(),
    input: z.record(z.string(), z.json(), expected('a map')).optional(),
    workspace: z
      .strictObject({
        dir: text.default('.'),
        mode: z.enum(['auto', 'worktree', 'copy']).default('auto'),
        promote: z.enum(['gates', 'never']).default('gates'),
      })
      .prefault({}),
    deadline: duration.optional(),
    budget: budgetSchema.prefault({}),
    agents: z
      .strictObject({
        coder: z
          .strictObject({
            ...wishes,
            max_iterations: limit(1_000).default(30),
            deadline: duration.optional(),
            budget: budgetSchema.optional(),
          })
          .prefault({}),
        reviewer: z
          .strictObject({ ...wishes, max_rounds: limit(100).default(3), deadline: duration.optional(), budget: budgetSchema.optional() })
          .prefault({}),
        orchestrator: z.strictObject(wishes).optional(),
        optimizer: z.strictObject(wishes).optional(),
      })
      .prefault({}),
    supervision: supervisionSchema.prefault({}),
    loops: loopsSchema.prefault({}),
    gates: z
      .strictObject({ level: z.enum(['strict', 'warn', 'off']).default('strict'), checks: z.array(checkSchema).default([]) })
      .prefault({}),
    work: z.array(itemSchema).min(1, expected('at least one work item, or no `work` at all')).max(200).optional(),
    replies: z.array(replySchema).default([]),
  })
  .refine((task) => task.goal !== undefined || task.work !== undefined, expected('`goal` or `work`'))
  .transform(({ name, goal, provider, input, workspace, deadline, budget, agents, supervision, loops, gates, work, replies }) => ({
    version: 1 as const,
    name: name ?? null,
    goal: goal ?? null,
    provider: provider ?? null,
    input: input ?? null,
    workspace,
    deadlineMs: deadline ?? null,
    budget: { tokensMax: null, ...budget },
    agents: {
      coder: {
        iterationsMax: agents.coder.max_iterations,
        deadlineMs: agents.coder.deadline ?? null,
        ...wishOf(agents.coder),
        ...given(agents.coder),
      },
      reviewer: {
        roundsMax: agents.reviewer.max_rounds,
        deadlineMs: agents.reviewer.deadline ?? null,
        ...wishOf(agents.reviewer),
        ...given(agents.reviewer),
      },
      ...(agents.orchestrator === undefined ? {} : { orchestrator: wishOf(agents.orchestrator) }),
      ...(agents.optimizer === undefined ? {} : { optimizer: wishOf(agents.optimizer) }),
    },
    supervision,
    loops,
    gates,
    work: work ?? null,
    replies,
  }))

/** A task that was checked: plain JSON, so a run can keep it and go on without the file. Durations are milliseconds. */
export type Task = z.infer<typeof taskSchema>

/** Documented keys and values that this version does not act upon, by place. `*` stands for any place in a list. */
const LATER_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': ['approvals'],
  budget: ['max_spawns'],
  'agents.coder.budget': ['max_spawns'],
  'agents.reviewer.budget': ['max_spawns'],
  agents: ['executor'],
  'agents.coder': ['count', 'tools', 'max_rounds'],
  'agents.reviewer': ['count', 'max_iterations', 'tools'],
  'agents.orchestrator': ['max_iterations', 'deadline', 'budget', 'tools'],
  'agents.optimizer': ['max_iterations', 'deadline', 'budget', 'tools'],
  supervision: ['restart', 'from', 'spawn'],
  'gates.checks.*': ['needs', 'evidence'],
  'work.*': ['done_when', 'agent', 'review', 'on_failure'],
}
const LATER_VALUES: Readonly<Record<string, readonly unknown[]>> = {
  provider: ['replay'],
  'workspace.promote': ['approval'],
}

const placeOf = (path: readonly PropertyKey[]): string => path.map((part) => (typeof part === 'number' ? '*' : String(part))).join('.')

/** Is this a documented key that a later version acts upon? */
export const isLaterKey = (path: readonly PropertyKey[], key: string): boolean => (LATER_KEYS[placeOf(path)] ?? []).includes(key)

/** Is this a documented value that a later version acts upon? */
export const isLaterValue = (path: readonly PropertyKey[], value: unknown): boolean => (LATER_VALUES[placeOf(path)] ?? []).includes(value)

/** The keys that the format has at a place of the file; empty where it has none of its own. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] {
  let schema = inner(taskSchema)
  for (const part of path) {
    const def = schema.def as { shape?: Record<string, z.ZodType>; element?: z.ZodType }
    const next = typeof part === 'number' ? def.element : def.shape?.[String(part)]
    if (next === undefined) return []
    schema = inner(next)
  }
  return Object.keys((schema.def as { shape?: object }).shape ?? {})
}

/** The schema behind defaults, options and transformations. */
function inner(schema: z.ZodType): z.ZodType {
  const def = schema.def as { type: string; in?: z.ZodType; innerType?: z.ZodType }
  const next = def.type === 'pipe' ? def.in : def.innerType
  return next === undefined ? schema : inner(next)
}
