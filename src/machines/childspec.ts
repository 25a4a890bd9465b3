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
import type { ZodType } from 'zod'
import { Defect } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import { ACTOR_DEPTH_MAX } from '../limits.ts'
import {
  type ActorLimits,
  type CellStart,
  DYNAMIC_MACHINE,
  type DynamicSupervisorSpec,
  type ExitReason,
  type HealthSpec,
  type Restart,
  type Strategy,
  SUPERVISOR_MACHINE,
  type SupervisorSpec,
} from '../protocol.ts'
import { type BackoffPolicy, backoffOf, delaysMs } from './backoff.ts'
import { CHILD, DYNAMIC, ID, SUPERVISOR, TEMPLATE } from './spec-schema.ts'

/** A supervisor is ready, for the supervisor above it, when all its children have started: its states carry this tag from then on. */
export const SUPERVISOR_READY_TAG = 'ready'
/** Time that a supervisor gets for its ordered stop unless its spec says otherwise: a hundred years, OTP's `infinity` as a number that can be stored. */
export const SUPERVISOR_SHUTDOWN_MS = 3_155_760_000_000
/** Time that a start with a ready tag may take unless its spec says otherwise. */
const START_TIMEOUT_MS = 30_000

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
  /** Null: no limit. It only counts where there is a ready tag: any other child is ready with its first step. */
  readonly startTimeoutMs: number | null
  readonly health?: HealthSpec | false | undefined
  readonly limits?: ActorLimits | undefined
  /** What it supervises, where it is a supervisor itself. */
  readonly supervises?: SupervisorSpec | undefined
}

/** What all supervisors have: their own flags with their defaults filled in. */
export interface RestartFlags {
  readonly id: string
  readonly intensity: number
  readonly periodMs: number
  readonly backoff: BackoffPolicy | null
  readonly otpExitReasons: boolean
  readonly limits?: ActorLimits | undefined
}

/** A static supervisor's own flags with their defaults filled in. */
export interface SupervisorFlags extends RestartFlags {
  readonly strategy: Strategy
  readonly autoShutdown: 'never' | 'any_significant' | 'all_significant'
  readonly reviveFinished: boolean
}

/** A template is a child without a name. */
export interface Template extends Omit<Child, 'id' | 'significant' | 'supervises'> {
  readonly childrenMax: number | null
}

/**
 * Reads a static supervisor's spec: checks it with everything below it, and fills in the defaults of its own level.
 * Defaults: restart permanent, shutdown 5000 ms (a supervisor: {@link SUPERVISOR_SHUTDOWN_MS}), not significant, from initial, one_for_one, intensity 1
 * in 5000 ms without backoff, start timeout 30 s (a supervisor: none), autoShutdown never.
 * @throws {Defect} `E_TREE_INVALID` with `{where, field, rule}`; `E_NOT_JSON` for an input that cannot be stored. Nothing has been started.
 */
export function parseSupervisor(spec: unknown): { flags: SupervisorFlags; children: readonly Child[] } {
  return supervisorAt(spec, nameOf(spec, '(root)'), 0)
}

/** The same for a dynamic supervisor. */
export function parseDynamic(spec: unknown): { flags: RestartFlags; template: Template } {
  return dynamicAt(spec, nameOf(spec, '(root)'))
}

/** Checks a whole tree, whatever its root is. @throws {Defect} as {@link parseSupervisor}. */
export function checkTree(spec: unknown): void {
  if (isDynamic(spec)) parseDynamic(spec)
  else parseSupervisor(spec)
}

/** Reads one child spec that is to be added to a supervisor that runs. @throws {Defect} as {@link parseSupervisor}. */
export function parseChild(spec: unknown, flags: SupervisorFlags): Child {
  const above = `/${flags.id}`
  const child = childAt(spec, nameOf(spec, `${above}/(child)`, above), 0)
  if (child.significant) checkSignificant(child, flags, above)
  return child
}

export function isDynamic(spec: unknown): spec is DynamicSupervisorSpec {
  return typeof spec === 'object' && spec !== null && 'dynamic' in spec && spec.dynamic !== undefined
}

function supervisorAt(spec: unknown, where: string, depth: number): { flags: SupervisorFlags; children: readonly Child[] } {
  if (depth > ACTOR_DEPTH_MAX) throw invalid('(tree)', 'children', `must not be nested deeper than ${ACTOR_DEPTH_MAX} levels`)
  if (isDynamic(spec) && 'children' in spec)
    throw invalid(where, 'dynamic', 'must not stand beside children: a supervisor has one or the other')
  const { children: specs, id, intensity, periodMs, backoff, otpExitReasons, limits, ...own } = parse(SUPERVISOR, spec, where)
  const { strategy, autoShutdown, reviveFinished } = own
  const restarts = restartFlags({ id, intensity, periodMs, backoff, otpExitReasons, limits }, where)
  const flags = { ...restarts, strategy, autoShutdown, reviveFinished }
  const children = specs.map((child, index) => childAt(child, nameOf(child, `${where}/children[${index}]`, where), depth))
  const ids = new Set<string>()
  for (const child of children) {
    if (ids.has(child.id)) throw invalid(`${where}/${child.id}`, 'id', `must be unique below ${where}`)
    ids.add(child.id)
    if (child.significant) checkSignificant(child, flags, where)
  }
  if (limits?.children !== undefined && children.length > limits.children)
    throw invalid(where, 'limits', `must allow its ${children.length} children, children is ${limits.children}`)
  return { flags, children }
}

function dynamicAt(spec: unknown, where: string): { flags: RestartFlags; template: Template } {
  const { dynamic, id, intensity, periodMs, backoff, otpExitReasons, limits } = parse(DYNAMIC, spec, where)
  const {
    shutdownMs = 5000,
    startTimeoutMs = START_TIMEOUT_MS,
    childrenMax = null,
    input,
    ...given
  } = parse(TEMPLATE, dynamic, `${where}/*`)
  if (input !== undefined) assertJson(input, `${where}: input of the template`)
  const template = { ...given, shutdownMs, childrenMax, startTimeoutMs: endless(startTimeoutMs), ...(input === undefined ? {} : { input }) }
  return { flags: restartFlags({ id, intensity, periodMs, backoff, otpExitReasons, limits }, where), template }
}

function restartFlags(
  { backoff, limits, ...flags }: Omit<RestartFlags, 'backoff'> & { backoff?: Parameters<typeof backoffOf>[0] | undefined },
  where: string,
): RestartFlags {
  const policy = backoff === undefined ? null : backoffOf(backoff)
  const waitsMs =
    policy === null ? 0 : Math.ceil(delaysMs(policy, flags.intensity).reduce((sum, delay) => sum + delay * (1 + policy.jitter), 0))
  if (waitsMs > flags.periodMs) {
    const rule = `must be at least ${waitsMs}, which its backoff may wait before ${flags.intensity} restarts: in ${flags.periodMs} the limit can never be reached`
    throw invalid(where, 'periodMs', rule)
  }
  return { ...flags, backoff: policy, ...(limits === undefined ? {} : { limits }) }
}

const endless = (timeoutMs: number | 'infinity'): number | null => (timeoutMs === 'infinity' ? null : timeoutMs)

function childAt(spec: unknown, where: string, depth: number): Child {
  if (typeof spec === 'object' && spec !== null && ('children' in spec || isDynamic(spec))) {
    if (isDynamic(spec) && !('children' in spec)) dynamicAt(spec, where)
    else supervisorAt(spec, where, depth + 1)
    const parsed = isDynamic(spec) ? parse(DYNAMIC, spec, where) : parse(SUPERVISOR, spec, where)
    const { id, restart, significant, shutdownMs = SUPERVISOR_SHUTDOWN_MS, limits, startTimeoutMs = 'infinity' } = parsed
    const src = isDynamic(spec) ? DYNAMIC_MACHINE : SUPERVISOR_MACHINE
    const own = { src, from: 'initial', readyTag: SUPERVISOR_READY_TAG, supervises: spec as SupervisorSpec } as const
    return {
      id,
      restart,
      significant,
      shutdownMs,
      startTimeoutMs: endless(startTimeoutMs),
      ...own,
      ...(limits === undefined ? {} : { limits }),
    }
  }
  const { shutdownMs = 5000, startTimeoutMs = START_TIMEOUT_MS, input, ...child } = parse(CHILD, spec, where)
  if (input !== undefined) assertJson(input, `${where}: input`)
  return { ...child, shutdownMs, startTimeoutMs: endless(startTimeoutMs), ...(input === undefined ? {} : { input }) }
}

function checkSignificant(child: Child, flags: SupervisorFlags, where: string): void {
  if (flags.autoShutdown === 'never') {
    throw invalid(`${where}/${child.id}`, 'significant', `must be false where ${where} has autoShutdown never`)
  }
  if (child.restart === 'permanent')
    throw invalid(`${where}/${child.id}`, 'significant', 'must be false on a permanent child, which never ends')
}

function parse<T>(schema: ZodType<T>, spec: unknown, where: string): T {
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

/**
 * Is an exit of this kind followed by a restart? A supervisor below that gave up counts as abnormal: its work is not done.
 * @param otp  OTP's reading: `shutdown` is normal for a transient child, whatever led to it.
 */
export function isRestarted(restart: Restart, reason: ExitReason, otp = false): boolean {
  if (restart !== 'transient') return restart === 'permanent'
  if (reason.kind === 'shutdown') return reason.detail === 'gave_up' && !otp
  return reason.kind !== 'normal'
}

/** The order that starts a child. A child without an input of its own gets the tree's; a supervisor below gets its spec and the tree's. */
export function cellStart(child: Child, treeInput: Json | undefined, after = 0): CellStart {
  const own = child.input === undefined ? treeInput : child.input // `null` is an input.
  const input = child.supervises === undefined ? own : { spec: child.supervises as unknown as Json, input: treeInput }
  const { id, src, readyTag, restart, health, limits } = child
  return {
    id,
    src,
    restart,
    ...(input === undefined ? {} : { input }),
    ...(readyTag === undefined ? {} : { readyTag }),
    ...(health === undefined ? {} : { health }),
    ...(limits === undefined ? {} : { limits }),
    ...(after === 0 ? {} : { after }),
  }
}

/**
 * How often each child may be started at most before the tree gives up, if it crashes at each start: the product of intensity + 1 over the supervisors
 * above it, all restarts within their periods (SUP-55).
 */
export function worstStarts(spec: SupervisorSpec, above = '', factor = 1): readonly { readonly path: string; readonly starts: number }[] {
  const path = `${above}/${spec.id}`
  const starts = factor * ((spec.intensity ?? 1) + 1)
  if (isDynamic(spec)) return [{ path: `${path}/*`, starts }]
  return spec.children.flatMap((child) => ('src' in child ? [{ path: `${path}/${child.id}`, starts }] : worstStarts(child, path, starts)))
}
