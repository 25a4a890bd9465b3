/**
 * What a dynamic supervisor decides, as pure functions from its context to a {@link Plan}. Its children are in the table of cells alone: the context holds
 * their number, and by name only those that somebody waits for or that wait for their restart. So the 10,000th child costs what the first did.
 */
import type { Json } from '../json.ts'
import type { ChildRefusal, ChildReply, ExitReason, SupervisorEvent } from '../protocol.ts'
import { backoffMs } from './backoff.ts'
import { isRestarted, type RestartFlags, type Template } from './childspec.ts'
import { canonical, shortHash } from './fingerprint.ts'
import { type Admission, admit, type RestartWindow } from './intensity.ts'
import { ID } from './spec-schema.ts'
import { type Alarm, type Asked, causeOf, type Decided, type Ended, type Order, type Plan, type Request } from './supervised.ts'

export interface PoolContext {
  readonly flags: RestartFlags
  readonly template: Template
  /** Of the tree; for children without one of their own. */
  readonly input?: Json | undefined
  /** Children that have a cell or wait for their restart. */
  readonly active: number
  /** The last number that was given to a child. */
  readonly numbered: number
  readonly window: RestartWindow
  /** Who waits for which child's start or stop. */
  readonly asked: Readonly<Record<string, Asked>>
  /** Who waits for its restart. */
  readonly delayed: Readonly<Record<string, Decided>>
  readonly exit: ExitReason | null
}

export type PoolPlan = Plan<PoolContext>
export const NOTHING_TO_DO: PoolPlan = { change: {}, orders: [] }

const reply = (to: Asked['replyTo'] | undefined, event: ChildReply): Order => ({ type: 'reply', to: to ?? null, event })
const refused = (to: Asked['replyTo'] | undefined, id: string | null, why: ChildRefusal, message: string, cause?: Json): Order =>
  reply(to, { type: 'child.refused', id, why, message, ...(cause === undefined ? {} : { cause }) })
const only = (...orders: Order[]): PoolPlan => ({ change: {}, orders })

function without<T>(record: Readonly<Record<string, T>>, id: string): Readonly<Record<string, T>> {
  const { [id]: _, ...rest } = record
  return rest
}
const has = (record: object, id: string): boolean => Object.hasOwn(record, id)

/** Serves one request. */
export function serve(context: PoolContext, request: Request): PoolPlan {
  const { replyTo } = request
  if (request.type === 'child.list' || request.type === 'child.count') {
    const what = request.type === 'child.list' ? 'list' : 'count'
    return replyTo === undefined ? NOTHING_TO_DO : only({ type: 'cell.report', params: { what, replyTo: replyTo as unknown as Json } })
  }
  if (request.type === 'child.start') return start(context, request)
  const { id } = request as unknown as { readonly id: Json }
  if (request.type === 'child.stop') return stop(context, request)
  const message = `${request.type} is for supervisors whose children are listed; stop the child, and start another`
  return only(refused(replyTo, typeof id === 'string' ? id : null, 'dynamic', message))
}

function start(context: PoolContext, { replyTo, id: given, input, task }: Extract<Request, { type: 'child.start' }>): PoolPlan {
  const { template, active, numbered, asked, delayed } = context
  const stem = template.src.replaceAll(/[^A-Za-z0-9_-]/g, '-')
  let id: string
  try {
    id = given !== undefined ? given : task === undefined ? `${stem}-${numbered + 1}` : `${stem}-${taskKey(task)}`
  } catch {
    return only(refused(replyTo, null, 'invalid', 'task is nested too deep'))
  }
  if (!ID.safeParse(id).success) return only(refused(replyTo, null, 'invalid', 'id must be made of A-Z, a-z, 0-9, _ and -'))
  if (has(asked, id) || has(delayed, id)) return only(refused(replyTo, id, 'already_started', `'${id}' is there already`))
  if (template.childrenMax !== null && active >= template.childrenMax) {
    return only(refused(replyTo, id, 'limit', `${context.flags.id} has ${active} of ${template.childrenMax} children`))
  }
  const own = [input, template.input, context.input].find((one) => one !== undefined) // `null` is an input.
  const params = { ...orderOf(context, id), onRequest: { once: task !== undefined }, ...(own === undefined ? {} : { input: own }) }
  const change = {
    active: active + 1,
    ...(given === undefined && task === undefined ? { numbered: numbered + 1 } : {}),
    asked: { ...asked, [id]: { kind: 'start', replyTo: replyTo ?? null } as const },
  }
  return { change, orders: [{ type: 'cell.start', params }, ...limit(context, id)] }
}

function orderOf({ template: { src, restart, readyTag, health, limits } }: PoolContext, id: string) {
  return {
    id,
    src,
    restart,
    ...(readyTag === undefined ? {} : { readyTag }),
    ...(health === undefined ? {} : { health }),
    ...(limits === undefined ? {} : { limits }),
  }
}

/** A start that hangs has a limit where it can hang at all. */
function limit({ template }: PoolContext, id: string): readonly Order[] {
  if (template.readyTag === undefined || template.startTimeoutMs === null) return []
  return [{ type: 'later', event: { type: 'cell.start_expired', id }, delayMs: template.startTimeoutMs, timer: `start:${id}` }]
}
const answered = ({ template }: PoolContext, id: string): readonly Order[] =>
  template.readyTag === undefined || template.startTimeoutMs === null ? [] : [{ type: 'cancel', timer: `start:${id}` }]

function stop(context: PoolContext, request: Request & { readonly type: string }): PoolPlan {
  const { replyTo } = request
  const { id } = request as unknown as { readonly id: Json }
  if (typeof id !== 'string' || !ID.safeParse(id).success)
    return only(refused(replyTo, typeof id === 'string' ? id : null, 'not_found', `there is no child ${JSON.stringify(id ?? null)}`))
  const { asked, delayed, active } = context
  if (has(delayed, id)) {
    const orders: Order[] = [
      { type: 'cancel', timer: `restart:${id}` },
      { type: 'cell.delete', params: { id } },
    ]
    return {
      change: { delayed: without(delayed, id), active: active - 1 },
      orders: [...orders, reply(replyTo, { type: 'child.stopped', id })],
    }
  }
  const waiting = asked[id]
  if (waiting?.kind === 'stop') return only(refused(replyTo, id, 'stopping', `'${id}' is being stopped already`))
  const superseded = waiting === undefined ? [] : [refused(waiting.replyTo, id, 'stopping', `'${id}' was stopped before it was ready`)]
  const { shutdownMs } = context.template
  const order: Order =
    shutdownMs === 'brutal'
      ? { type: 'cell.kill', params: { id, onRequest: true } }
      : { type: 'cell.stop', params: { id, shutdownMs, onRequest: true } }
  const change = { asked: { ...asked, [id]: { kind: 'stop', replyTo: replyTo ?? null } as const } }
  return { change, orders: [...superseded, ...answered(context, id), order] }
}

/** A child has started, or declined to. */
export function started(context: PoolContext, { id, incarnation, declined }: Extract<SupervisorEvent, { type: 'cell.started' }>): PoolPlan {
  const waiting = context.asked[id]
  const told =
    waiting?.kind === 'start' ? [reply(waiting.replyTo, { type: 'child.started', id, incarnation: declined ? null : incarnation })] : []
  const asked = waiting?.kind === 'start' || declined ? without(context.asked, id) : context.asked
  return { change: { asked, ...(declined ? { active: context.active - 1 } : {}) }, orders: [...answered(context, id), ...told] }
}

/** What was asked for has not happened: the id is taken, or nobody is there. */
export function refuse(context: PoolContext, { id, why, message }: Extract<SupervisorEvent, { type: 'cell.refused' }>): PoolPlan {
  const waiting = context.asked[id]
  const wasStart = why !== 'not_found' && why !== 'finished'
  const isAnswer = waiting !== undefined && (waiting.kind === 'start') === wasStart
  const told = why === 'finished' ? reply(waiting?.replyTo, { type: 'child.stopped', id }) : refused(waiting?.replyTo, id, why, message)
  const change = { ...(isAnswer ? { asked: without(context.asked, id) } : {}), ...(wasStart ? { active: context.active - 1 } : {}) }
  return { change, orders: [...(wasStart ? answered(context, id) : []), ...(isAnswer ? [told] : [])] }
}

/** Was it asked to start or to stop by hand? Then its end is the answer, and no restart. */
export const isByHand = ({ asked }: PoolContext, { id }: Ended): boolean => has(asked, id)
/** Is this end followed by a restart? */
export const comesBack = ({ template, flags }: PoolContext, event: Ended): boolean =>
  event.type === 'cell.start_failed' ? template.restart !== 'temporary' : isRestarted(template.restart, event.reason, flags.otpExitReasons)
/** May there be one more? */
export const admission = ({ window, flags: { intensity, periodMs } }: PoolContext, { now }: Ended): Admission =>
  admit(window, { now, intensity, periodMs })

/** The end of a child that nobody brings back: its address is free. */
export function ended(context: PoolContext, event: Ended): PoolPlan {
  const { id } = event
  const waiting = context.asked[id]
  const cause = event.reason as unknown as Json
  const told =
    waiting === undefined
      ? []
      : waiting.kind === 'stop'
        ? [reply(waiting.replyTo, { type: 'child.stopped', id })]
        : [refused(waiting.replyTo, id, 'start_failed', `'${id}' failed to start: ${causeOf(event.reason)}`, cause)]
  const change = { active: context.active - 1, ...(waiting === undefined ? {} : { asked: without(context.asked, id) }) }
  return { change, orders: [...answered(context, id), { type: 'cell.delete', params: { id } }, ...told] }
}

/** Its restart, at once or after its wait. */
export function restart(context: PoolContext, event: Ended): PoolPlan {
  const { window, count } = admission(context, event)
  const decided: Decided = { reason: event.reason, count, backoffMs: backoffMs(context.flags.backoff, count, event.random ?? 0.5) }
  if (decided.backoffMs === 0) return { change: { window }, orders: [...answered(context, event.id), ...again(context, event.id, decided)] }
  const { id } = event
  const alarm: Alarm = { type: 'cell.restart_due', id }
  const settled: Order[] = context.template.from === 'initial' ? [{ type: 'cell.settle', params: { id } }] : []
  const change = { window, delayed: { ...context.delayed, [id]: decided } }
  return {
    change,
    orders: [...answered(context, id), ...settled, { type: 'later', event: alarm, delayMs: decided.backoffMs, timer: `restart:${id}` }],
  }
}

/** Its wait is over. */
export function restartDelayed(context: PoolContext, id: string): PoolPlan {
  const decided = context.delayed[id]
  return decided === undefined ? NOTHING_TO_DO : { change: { delayed: without(context.delayed, id) }, orders: again(context, id, decided) }
}

function again(context: PoolContext, id: string, decided: Decided): readonly Order[] {
  const { intensity: max, periodMs } = context.flags
  const params = { ...orderOf(context, id), ...decided, from: context.template.from, max, periodMs, keepInput: true } as const
  return [{ type: 'cell.restart', params }, ...limit(context, id)]
}

/** From now on ends are only counted. Those that wait for a restart have no cell that could end. */
export function stopAll(context: PoolContext): PoolPlan {
  const waiting = Object.keys(context.delayed)
  const change = { delayed: {}, active: context.active - waiting.length }
  const cancels = waiting.map((id): Order => ({ type: 'cancel', timer: `restart:${id}` }))
  return { change, orders: [...cancels, { type: 'cell.stop_all', params: { shutdownMs: context.template.shutdownMs } }] }
}

/** Nothing is begun any more. */
export const refuseWhileStopping = (request: Request): PoolPlan =>
  only(refused(request.replyTo, null, 'stopping', 'the supervisor is stopping'))

/** The name of a task: the same for the same JSON, whatever the order of its keys. */
const taskKey = (task: Json): string => shortHash(canonical(task))
