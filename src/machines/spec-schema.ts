/** The shapes of specs: what each field may hold, and the rule that an error names. Defaults that depend on more than the field are childspec.ts's. */
import { z } from 'zod'
import { STATIC_CHILDREN_MAX } from '../limits.ts'
import { DYNAMIC_MACHINE, SUPERVISOR_MACHINE } from '../protocol.ts'

const LONGEST_MS = 3_155_760_000_000
const NAME = z.string({ error: 'must be a text' }).min(1, { error: 'must not be empty' })
const TIME = { error: `must be 'brutal' or whole milliseconds from 0` }
const START = { error: `must be 'infinity' or whole milliseconds from 1` }
const COUNT = { error: 'must be a whole number from 0' }
const AT_LEAST_ONE = { error: 'must be a whole number from 1' }
const MS = { error: 'must be whole milliseconds from 1' }
const PERIOD = { error: 'must be a number of milliseconds above 0' }
const BOOLEAN = { error: 'must be true or false' }

/** `[A-Za-z0-9_-]+`: the last part of an address. */
export const ID = z.string({ error: 'must be a text' }).regex(/^[A-Za-z0-9_-]+$/, { error: 'must be made of A-Z, a-z, 0-9, _ and -' })

const milliseconds = z.int(MS).min(1, MS).max(LONGEST_MS, MS)
const atLeastOne = z.int(AT_LEAST_ONE).min(1, AT_LEAST_ONE)
const BUDGET_RULE = { error: 'must be {tokensMax, usdMax, turnsMax}: whole numbers from 1, usdMax an amount above 0' }
const BUDGET = z.strictObject(
  {
    tokensMax: z.int(BUDGET_RULE).min(1, BUDGET_RULE).optional(),
    usdMax: z.number(BUDGET_RULE).positive(BUDGET_RULE).optional(),
    turnsMax: z.int(BUDGET_RULE).min(1, BUDGET_RULE).optional(),
  },
  BUDGET_RULE,
)
const LIMITS = z.strictObject(
  {
    budget: BUDGET.optional(),
    deadlineMs: milliseconds.optional(),
    depth: atLeastOne.optional(),
    children: atLeastOne.optional(),
    descendants: atLeastOne.optional(),
    perMinute: atLeastOne.optional(),
  },
  { error: 'must be {deadlineMs, budget, depth, children, descendants, perMinute}, each but budget a whole number from 1' },
)
const HEALTH = z.union(
  [
    z.literal(false),
    z
      .strictObject({ suspectMs: milliseconds.optional(), wedgedMs: milliseconds.optional(), degradedErrors: atLeastOne.optional() })
      .refine(({ suspectMs = 60_000, wedgedMs = 300_000 }) => suspectMs <= wedgedMs),
  ],
  { error: 'must be false or {suspectMs, wedgedMs, degradedErrors}, whole numbers from 1, wedgedMs not below suspectMs' },
)
const BACKOFF = z
  .strictObject({
    baseMs: z.number().positive().max(LONGEST_MS),
    maxMs: z.number().positive().max(LONGEST_MS).optional(),
    factor: z.number().min(1).max(100).optional(),
    jitter: z.number().min(0).max(1).optional(),
  })
  .refine(({ baseMs, maxMs = LONGEST_MS }) => baseMs <= maxMs)

const AS_CHILD = {
  restart: z.enum(['permanent', 'transient', 'temporary'], { error: 'must be permanent, transient or temporary' }).default('permanent'),
  shutdownMs: z.union([z.literal('brutal'), z.int(TIME).min(0, TIME).max(LONGEST_MS, TIME)], TIME).optional(),
  startTimeoutMs: z.union([z.literal('infinity'), z.int(START).min(1, START).max(LONGEST_MS, START)], START).optional(),
  limits: LIMITS.optional(),
}
const WORKER = {
  ...AS_CHILD,
  src: NAME.refine((src) => src !== SUPERVISOR_MACHINE && src !== DYNAMIC_MACHINE, {
    error: 'must be your own machine; a supervisor is given by its own spec, with children',
  }),
  input: z.unknown().optional(),
  from: z.enum(['initial', 'checkpoint'], { error: 'must be initial or checkpoint' }).default('initial'),
  readyTag: NAME.optional(),
  health: HEALTH.optional(),
}
const OWN = {
  ...AS_CHILD,
  id: ID,
  significant: z.boolean(BOOLEAN).default(false),
  intensity: z.int(COUNT).min(0, COUNT).default(1),
  periodMs: z.number(PERIOD).positive(PERIOD).default(5000),
  backoff: z
    .unknown()
    .optional()
    .transform((given, context) => {
      if (given === undefined) return undefined
      const parsed = BACKOFF.safeParse(given)
      if (parsed.success) return parsed.data
      const rule =
        'must be {baseMs, maxMs, factor, jitter}: milliseconds above 0, maxMs not below baseMs, factor from 1, jitter from 0 to 1'
      context.addIssue({ code: 'custom', message: rule, input: given })
      return z.NEVER
    }),
  otpExitReasons: z.boolean(BOOLEAN).default(false),
}

/** A child that is a machine. */
export const CHILD = z.strictObject({ ...WORKER, id: ID, significant: z.boolean(BOOLEAN).default(false) })

/** What all children of a dynamic supervisor have in common. */
export const TEMPLATE = z.strictObject({ ...WORKER, childrenMax: atLeastOne.optional() })

/** A supervisor whose children are listed. */
export const SUPERVISOR = z.strictObject({
  ...OWN,
  strategy: z
    .enum(['one_for_one', 'one_for_all', 'rest_for_one'], { error: 'must be one_for_one, one_for_all or rest_for_one' })
    .default('one_for_one'),
  autoShutdown: z
    .enum(['never', 'any_significant', 'all_significant'], { error: 'must be never, any_significant or all_significant' })
    .default('never'),
  reviveFinished: z.boolean(BOOLEAN).default(false),
  children: z
    .array(z.unknown(), { error: 'must be a list' })
    .max(STATIC_CHILDREN_MAX, { error: `must hold at most ${STATIC_CHILDREN_MAX} children of a static supervisor` }),
})

/** A supervisor whose children are made from a template. */
export const DYNAMIC = z.strictObject({ ...OWN, dynamic: z.unknown() })
