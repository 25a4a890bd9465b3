/**
 * What a supervisor does when it is asked by hand (`child.start`, `child.stop`, ...), as pure functions to a {@link Plan}. Never counted as a restart.
 * Each request gets one {@link ChildReply}: at once, or when the child has started or stopped. Refusals are OTP's: `already_started`, `already_present`,
 * `running`, `restarting`, `not_found`. Source: supervisor.erl `handle_call/3`.
 */
import { errorData } from '../errors.ts'
import type { Json } from '../json.ts'
import { STATIC_CHILDREN_MAX } from '../limits.ts'
import type { ChildRefusal, ChildReply, ChildStanding, SupervisorEvent } from '../protocol.ts'
import { type Child, parseChild } from './childspec.ts'
import { answered, NOTHING, retire, startOrders, stopOrder } from './restarting.ts'
import {
  type Asked,
  causeOf,
  type Order,
  type Plan,
  type Request,
  type SupervisedChild,
  type SupervisorContext,
  withChild,
} from './supervised.ts'

const reply = (to: Asked['replyTo'] | undefined, event: ChildReply): Order => ({ type: 'reply', to: to ?? null, event })
const only = (order: Order): Plan => ({ change: {}, orders: [order] })
const refused = (to: Asked['replyTo'] | undefined, id: string | null, why: ChildRefusal, message: string, cause?: Json): Order =>
  reply(to, { type: 'child.refused', id, why, message, ...(cause === undefined ? {} : { cause }) })

/** Questions change nothing and are answered in every state. */
export const isQuestion = ({ type }: { readonly type: string }): boolean =>
  type === 'child.list' || type === 'child.count' || type === 'child.spec'

/** Serves one request. */
export function serve(context: SupervisorContext, request: Request): Plan {
  const { replyTo } = request
  if (request.type === 'child.list') return only(reply(replyTo, { type: 'child.list', children: standings(context) }))
  if (request.type === 'child.count') return only(reply(replyTo, { type: 'child.count', ...counts(standings(context)) }))
  if (request.type === 'child.start') return start(context, request)
  const { id } = request as { readonly id: unknown } & Request
  const child = context.children.find((other) => other.spec.id === id)
  if (child === undefined)
    return only(
      refused(
        replyTo,
        typeof id === 'string' ? id : null,
        'not_found',
        `there is no child ${typeof id === 'string' ? `'${id}'` : JSON.stringify(id ?? null)}`,
      ),
    )
  if (request.type === 'child.spec')
    return only(reply(replyTo, { type: 'child.spec', id: child.spec.id, spec: child.spec as unknown as Json }))
  if (request.type === 'child.stop') return stop(context, child, request)
  if (request.type === 'child.restart') return restart(context, child, request)
  return request.type === 'child.delete'
    ? remove(context, child, request)
    : only(refused(replyTo, child.spec.id, 'invalid', `${String((request as { type: string }).type)} is no request`))
}

/** Nothing is begun any more. */
export const refuseAll = (requests: readonly Request[]): Plan => ({
  change: {},
  orders: requests.map((request) => refused(request.replyTo, idOf(request), 'stopping', 'the supervisor is stopping')),
})

const idOf = (request: Request): string | null => ('id' in request && typeof request.id === 'string' ? request.id : null)

/** All children, as they are told to who asks. The one that made its group restart is restarting; those that wait behind it are stopped. */
const standings = ({ children, group }: SupervisorContext): ChildStanding[] =>
  children.map((child) =>
    standing(child.status === 'waiting' && child.spec.id === group?.trigger ? { ...child, status: 'delayed' } : child),
  )

/** How a child stands, in OTP's words: what waits for its restart is restarting. */
function standing({ spec, status, incarnation }: SupervisedChild): ChildStanding {
  const kind = spec.supervises === undefined ? 'worker' : 'supervisor'
  const words = { waiting: 'stopped', down: 'restarting', delayed: 'restarting' } as const
  const word = status === 'waiting' || status === 'down' || status === 'delayed' ? words[status] : status
  return { id: spec.id, status: word, incarnation, src: spec.src, kind, restart: spec.restart }
}

/** OTP's `count_children`. */
function counts(children: readonly ChildStanding[]) {
  const supervisors = children.filter(({ kind }) => kind === 'supervisor').length
  const active = children.filter(({ status }) => status === 'running' || status === 'stopping').length
  return { specs: children.length, active, supervisors, workers: children.length - supervisors }
}

function start(context: SupervisorContext, { replyTo, spec: given }: Extract<Request, { type: 'child.start' }>): Plan {
  let spec: Child
  try {
    spec = parseChild(given, context.flags)
  } catch (thrown) {
    const { message, ...cause } = errorData(thrown)
    return only(refused(replyTo, null, 'invalid', message, cause as Json))
  }
  const { id } = spec
  const before = context.children.find((child) => child.spec.id === id)
  if (before !== undefined) {
    const isRunning = before.status === 'running' || before.status === 'starting'
    const [why, word] = isRunning ? (['already_started', 'running'] as const) : (['already_present', 'there'] as const)
    const hint = isRunning ? '' : '; start it with child.restart, or delete its spec first'
    return only(refused(replyTo, id, why, `a child '${id}' is ${word} already${hint}`, { incarnation: before.incarnation }))
  }
  if (context.children.length >= STATIC_CHILDREN_MAX)
    return only(
      refused(replyTo, id, 'limit', `a static supervisor has at most ${STATIC_CHILDREN_MAX} children; a dynamic one has no such limit`),
    )
  const child: SupervisedChild = { spec, status: 'starting', incarnation: 0, asked: { kind: 'start', replyTo: replyTo ?? null } }
  return { change: { children: [...context.children, child] }, orders: startOrders(context, child, true) }
}

function stop(context: SupervisorContext, child: SupervisedChild, { replyTo }: Request): Plan {
  const { id } = child.spec
  const done = reply(replyTo, { type: 'child.stopped', id })
  if (child.status === 'stopping') return only(refused(replyTo, id, 'stopping', `'${id}' is being stopped already`))
  if (child.status === 'stopped') return only(done)
  if (child.status === 'delayed' || child.status === 'waiting' || child.status === 'down') {
    const { change, orders } = retire(context, child)
    return { change, orders: [{ type: 'cancel', timer: `restart:${id}` }, ...orders, done] }
  }
  const change = withChild(context, id, { status: 'stopping', asked: { kind: 'stop', replyTo: replyTo ?? null } })
  return { change, orders: [...answered(child), ...supersede(child), stopOrder(child.spec)] }
}

/** Who waited for the start of a child that is stopped instead is told. */
const supersede = ({ spec: { id }, asked }: SupervisedChild): readonly Order[] =>
  asked === undefined ? [] : [refused(asked.replyTo, id, 'stopping', `'${id}' was stopped before it was ready`)]

function restart(context: SupervisorContext, child: SupervisedChild, { replyTo }: Request): Plan {
  const { id } = child.spec
  if (child.status !== 'stopped') return only(refused(replyTo, id, busy(child), `'${id}' is ${busy(child)}`))
  const change = withChild(context, id, { status: 'starting', asked: { kind: 'restart', replyTo: replyTo ?? null } })
  return { change, orders: startOrders(context, child, true) }
}

function remove(context: SupervisorContext, child: SupervisedChild, { replyTo }: Request): Plan {
  const { id } = child.spec
  if (child.status !== 'stopped') return only(refused(replyTo, id, busy(child), `'${id}' is ${busy(child)}; stop it before it is deleted`))
  const orders: Order[] = [{ type: 'cell.delete', params: { id } }, reply(replyTo, { type: 'child.deleted', id })]
  return { change: { children: context.children.filter((other) => other !== child) }, orders }
}

const busy = ({ status }: SupervisedChild): 'running' | 'restarting' =>
  status === 'running' || status === 'starting' || status === 'stopping' ? 'running' : 'restarting'

/** A child has started: who has asked for it is told. */
export function noteStarted(context: SupervisorContext, child: SupervisedChild, incarnation: number): Plan {
  if (child.status === 'stopping') return { change: withChild(context, child.spec.id, { incarnation }), orders: [] }
  const { asked, ...rest } = child
  const started: SupervisedChild = { ...rest, status: 'running', incarnation }
  const children = context.children.map((other) => (other === child ? started : other))
  const told = asked === undefined ? [] : [reply(asked.replyTo, { type: 'child.started', id: child.spec.id, incarnation })]
  return { change: { children }, orders: [...answered(child), ...told] }
}

/** It has declined to start: no cell, no other try, and its spec stays unless it is temporary. */
export function noteDeclined(context: SupervisorContext, child: SupervisedChild): Plan {
  const { change, orders } = retire(context, child)
  const { id } = child.spec
  const told = child.asked === undefined ? [] : [reply(child.asked.replyTo, { type: 'child.started', id, incarnation: null })]
  return { change, orders: [...orders, ...told] }
}

/** What was asked to stop by hand has ended, whatever it says. */
export function noteStopped(context: SupervisorContext, child: SupervisedChild): Plan {
  const { change, orders } = retire(context, child)
  const told = child.asked === undefined ? [] : [reply(child.asked.replyTo, { type: 'child.stopped', id: child.spec.id })]
  return { change, orders: [...orders, ...told] }
}

type Failed = Extract<SupervisorEvent, { type: 'cell.start_failed' | 'cell.exited' | 'cell.refused' }>

/** A start by hand has failed: who asked is told why, nothing is counted, and a spec that came with it goes. */
export function noteFailed(context: SupervisorContext, child: SupervisedChild, event: Failed): Plan {
  const { id } = child.spec
  const { asked } = child
  if (asked === undefined) return NOTHING
  const told =
    event.type === 'cell.refused'
      ? refused(asked.replyTo, id, event.why === 'finished' ? 'not_found' : event.why, event.message)
      : refused(asked.replyTo, id, 'start_failed', `'${id}' failed to start: ${causeOf(event.reason)}`, event.reason as unknown as Json)
  if (asked.kind === 'restart') {
    const { change, orders } = retire(context, child)
    return { change, orders: [...orders, told] }
  }
  const orders: Order[] = event.type === 'cell.refused' ? [told] : [...answered(child), { type: 'cell.delete', params: { id } }, told]
  return { change: { children: context.children.filter((other) => other !== child) }, orders }
}
