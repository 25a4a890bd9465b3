/**
 * Child specs: what a supervisor may be told, the defaults for what it is not told, and which exits are followed by a restart.
 * Checked whole, subtrees included, before anything starts: the error names the supervisor or child, its field and the rule.
 *
 *   { id, strategy, intensity, periodMs, autoShutdown, children: [ {id, src, ...} | {id, children, ...} ] }
 *                                                                   a machine        a supervisor below
 *
 * Differences from OTP: unknown fields are refused, a worker's `src` is a name, times are milliseconds.
 * Source: https://www.erlang.org/doc/system/sup_princ.html, supervisor.erl `check_flags`, `check_childspec`.
 */
import { z } from 'zod'
import { Defect } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import { ACTOR_DEPTH_MAX, STATIC_CHILDREN_MAX } from '../limits.ts'
import { type CellStart, type ExitReason, type Restart, SUPERVISOR_MACHINE, type SupervisorSpec } from '../protocol.ts'

/** A supervisor is ready, for the supervisor above it, when all its children have started: its states carry this tag from then on. */
export const SUPERVISOR_READY_TAG = 'ready'
/** Time that a supervisor gets for its ordered stop unless its spec says otherwise: a hundred years, OTP's `infinity` as a number that can be stored. */
export const SUPERVISOR_SHUTDOWN_MS = 3_155_760_000_000

/** A child spec with its defaults filled in. */
export interface Child {
  readonly id: string
  readonly src: string
  readonly input?: Json | undefined
  readonly restart: Restart
  readonly shutdownMs: number | 'brutal'
  readonly significant: boolean
  readonly from: 'initial' | 'checkpoint'
  readonly readyTag?: string | undefined
  /** What it supervises, where it is a supervisor itself. */
  readonly supervises?: SupervisorSpec | undefined
}

/** A supervisor's own flags with their defaults filled in. */
export interface SupervisorFlags {
  readonly id: string
  readonly strategy: 'one_for_one'
  readonly intensity: number
  readonly periodMs: number
  readonly autoShutdown: 'never' | 'any_significant' | 'all_significant'
}

const ID = z.string({ error: 'must be a text' }).regex(/^[A-Za-z0-9_-]+$/, { error: 'must be made of A-Z, a-z, 0-9, _ and -' })
const NAME = z.string({ error: 'must be a text' }).min(1, { error: 'must not be empty' })
const TIME = { error: `must be 'brutal' or whole milliseconds from 0` }
const COUNT = { error: 'must be a whole number from 0' }
const PERIOD = { error: 'must be a number of milliseconds above 0' }
const COMMON = {
  id: ID,
  restart: z.enum(['permanent', 'transient', 'temporary'], { error: 'must be permanent, transient or temporary' }).default('permanent'),
  shutdownMs: z.union([z.literal('brutal'), z.int(TIME).min(0, TIME).max(SUPERVISOR_SHUTDOWN_MS, TIME)], TIME).optional(),
  significant: z.boolean({ error: 'must be true or false' }).default(false),
}
const CHILD = z.strictObject({
  ...COMMON,
  src: NAME.refine((src) => src !== SUPERVISOR_MACHINE, {
    error: 'must be your own machine; a supervisor is given by its own spec, with children',
  }),
  input: z.unknown().optional(),
  from: z.enum(['initial', 'checkpoint'], { error: 'must be initial or checkpoint' }).default('initial'),
  readyTag: NAME.optional(),
})
const SUPERVISOR = z.strictObject({
  ...COMMON,
  strategy: z.enum(['one_for_one'], { error: 'must be one_for_one' }).default('one_for_one'),
  intensity: z.int(COUNT).min(0, COUNT).default(1),
  periodMs: z.number(PERIOD).positive(PERIOD).default(5000),
  autoShutdown: z
    .enum(['never', 'any_significant', 'all_significant'], { error: 'must be never, any_significant or all_significant' })
    .default('never'),
  children: z
    .array(z.unknown(), { error: 'must be a list' })
    .max(STATIC_CHILDREN_MAX, { error: `must hold at most ${STATIC_CHILDREN_MAX} children of a static supervisor` }),
})

/**
 * Reads a supervisor's spec: checks it with everything below it, and fills in the defaults of its own level.
 * Defaults: restart permanent, shutdown 5000 ms (a supervisor: {@link SUPERVISOR_SHUTDOWN_MS}), not significant, from initial, one_for_one, intensity 1
 * in 5000 ms, autoShutdown never.
 * @throws {Defect} `E_TREE_INVALID` with `{where, field, rule}`; `E_NOT_JSON` for an input that cannot be stored. Nothing has been started.
 */
export function parseSupervisor(spec: unknown): { flags: SupervisorFlags; children: readonly Child[] } {
  return supervisorAt(spec, nameOf(spec, '(root)'), 0)
}

function supervisorAt(spec: unknown, where: string, depth: number): { flags: SupervisorFlags; children: readonly Child[] } {
  if (depth > ACTOR_DEPTH_MAX) throw invalid('(tree)', 'children', `must not be nested deeper than ${ACTOR_DEPTH_MAX} levels`)
  const {
    children: specs,
    restart: _restart,
    significant: _significant,
    shutdownMs: _shutdownMs,
    ...flags
  } = parse(SUPERVISOR, spec, where)
  const children = specs.map((child, index) => childAt(child, nameOf(child, `${where}/children[${index}]`, where), depth))
  const ids = new Set<string>()
  for (const child of children) {
    if (ids.has(child.id)) throw invalid(`${where}/${child.id}`, 'id', `must be unique below ${where}`)
    ids.add(child.id)
    if (child.significant) checkSignificant(child, flags, where)
  }
  return { flags, children }
}

function childAt(spec: unknown, where: string, depth: number): Child {
  if (typeof spec === 'object' && spec !== null && 'children' in spec) {
    supervisorAt(spec, where, depth + 1)
    const { id, restart, significant, shutdownMs = SUPERVISOR_SHUTDOWN_MS } = parse(SUPERVISOR, spec, where)
    const own = { src: SUPERVISOR_MACHINE, from: 'initial', readyTag: SUPERVISOR_READY_TAG, supervises: spec as SupervisorSpec } as const
    return { id, restart, significant, shutdownMs, ...own }
  }
  const { shutdownMs = 5000, input, ...child } = parse(CHILD, spec, where)
  if (input !== undefined) assertJson(input, `${where}: input`)
  return { ...child, shutdownMs, ...(input === undefined ? {} : { input }) }
}

function checkSignificant(child: Child, flags: SupervisorFlags, where: string): void {
  if (flags.autoShutdown === 'never') {
    throw invalid(`${where}/${child.id}`, 'significant', `must be false where ${where} has autoShutdown never`)
  }
  if (child.restart === 'permanent')
    throw invalid(`${where}/${child.id}`, 'significant', 'must be false on a permanent child, which never ends')
}

function parse<T>(schema: z.ZodType<T>, spec: unknown, where: string): T {
  const parsed = schema.safeParse(spec)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  if (issue?.code === 'unrecognized_keys') throw invalid(where, String(issue.keys[0]), 'is not a field of a spec')
  const field = String(issue?.path[0] ?? 'spec')
  throw invalid(where, field, issue?.path.length === 0 ? 'must be an object' : (issue?.message ?? 'is invalid'))
}

function invalid(where: string, field: string, rule: string): Defect {
  return new Defect('E_TREE_INVALID', `${where}: ${field} ${rule}`, { where, field, rule })
}

/** `/team/coder`, or where it stands when it has no id that could name it. */
function nameOf(spec: unknown, otherwise: string, above = ''): string {
  const id = typeof spec === 'object' && spec !== null && 'id' in spec ? spec.id : undefined
  return ID.safeParse(id).success ? `${above}/${id}` : otherwise
}

/** Is an exit of this kind followed by a restart? A supervisor below that gave up counts as abnormal, unlike in OTP: its work is not done. */
export function isRestarted(restart: Restart, reason: ExitReason): boolean {
  if (restart !== 'transient') return restart === 'permanent'
  if (reason.kind === 'shutdown') return reason.detail === 'gave_up'
  return reason.kind !== 'normal'
}

/** The order that starts a child. A child without an input of its own gets the tree's; a supervisor below gets its spec and the tree's. */
export function cellStart(child: Child, treeInput: Json | undefined): CellStart {
  const own = child.input === undefined ? treeInput : child.input // `null` is an input.
  const input = child.supervises === undefined ? own : { spec: child.supervises as unknown as Json, input: treeInput }
  const { id, src, readyTag, restart } = child
  return { id, src, restart, ...(input === undefined ? {} : { input }), ...(readyTag === undefined ? {} : { readyTag }) }
}
