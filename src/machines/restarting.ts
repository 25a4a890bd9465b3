/**
 * Decisions of a supervisor about starts, ends and restarts, as pure functions from its context to a {@link Plan}.
 *
 *   one_for_one    the child alone                          restart | delayed, then restart
 *   rest_for_one   the child and all that were started after it  ┐ stop those that live, last first; wait;
 *   one_for_all    everybody                                     ┘ start again one at a time, in order
 *
 * Who had finished or was stopped by hand stays so in the restart of a group, unless the spec says `reviveFinished` (OTP's way). Temporary children are
 * stopped with their group and do not come back. Source: supervisor.erl `restart/3`, `restart_multiple_children/3`.
 */
import type { CellRestart, ExitReason } from '../protocol.ts'
import { backoffMs } from './backoff.ts'
import { type Child, cellStart } from './childspec.ts'
import {
  admission,
  childOf,
  type Ended,
  type Group,
  isAlive,
  isMember,
  type Order,
  type Plan,
  type SupervisedChild,
  type SupervisorContext,
  withChild,
} from './supervised.ts'

const ORDERED: ExitReason = { kind: 'shutdown', detail: 'ordered' }
/** A decision that changes nothing. */
export const NOTHING: Plan = { change: {}, orders: [] }

/** A start that hangs has a limit where it can hang at all: only a child with a ready tag is not ready with its first step. */
function startTimer({ id, readyTag, startTimeoutMs }: Child): readonly Order[] {
  if (readyTag === undefined || startTimeoutMs === null) return []
  return [{ type: 'later', event: { type: 'cell.start_expired', id }, delayMs: startTimeoutMs, timer: `start:${id}` }]
}

/** The answer has come: its limit is of no interest any more. */
export const answered = ({ spec: { id, readyTag, startTimeoutMs } }: SupervisedChild): readonly Order[] =>
  readyTag === undefined || startTimeoutMs === null ? [] : [{ type: 'cancel', timer: `start:${id}` }]

/** The order that starts a child, with its limit. */
export function startOrders(context: SupervisorContext, { spec, incarnation }: SupervisedChild, onRequest = false): readonly Order[] {
  const params = { ...cellStart(spec, context.input, incarnation), ...(onRequest ? { onRequest: { once: false } } : {}) }
  return [{ type: 'cell.start', params }, ...startTimer(spec)]
}

function restartOrders(
  context: SupervisorContext,
  child: SupervisedChild,
  how: Omit<CellRestart, keyof ReturnType<typeof cellStart> | 'max' | 'periodMs'>,
) {
  const { intensity: max, periodMs } = context.flags
  const params = { ...cellStart(child.spec, context.input, child.incarnation), ...how, max, periodMs }
  return [{ type: 'cell.restart', params }, ...startTimer(child.spec)] satisfies readonly Order[]
}

/** Starts the next child that waits, if there is one: the first time, or again as a member of a group. */
export function startNext(context: SupervisorContext): Plan {
  const { group } = context
  const next = context.children.find((child) => child.status === 'waiting')
  if (next === undefined) return NOTHING
  if (group === null) return { change: withChild(context, next.spec.id, { status: 'starting' }), orders: startOrders(context, next) }
  const { trigger, count, backoffMs } = group
  const isTrigger = next.spec.id === trigger
  const how = {
    from: isTrigger ? next.spec.from : 'initial',
    reason: isTrigger ? group.reason : ORDERED,
    count,
    backoffMs,
    group: trigger,
  } as const
  return { change: withChild(context, next.spec.id, { status: 'restarting' }), orders: restartOrders(context, next, how) }
}

/** Stops the next child that lives, last first, one at a time; of a group only its members. */
export function stopNext(context: SupervisorContext): Plan {
  const mine = (child: SupervisedChild): boolean => context.group === null || isMember(context, child)
  if (context.children.some((child) => child.status === 'stopping' && mine(child))) return NOTHING
  const last = context.children.findLast((child) => isAlive(child) && mine(child))
  return last === undefined
    ? NOTHING
    : { change: withChild(context, last.spec.id, { status: 'stopping' }), orders: [...answered(last), stopOrder(last.spec)] }
}

/** By its own rule: in order and then by force, or by force at once. */
export function stopOrder({ id, shutdownMs }: Child): Order {
  return shutdownMs === 'brutal' ? { type: 'cell.kill', params: { id } } : { type: 'cell.stop', params: { id, shutdownMs } }
}

/** The restart of one child alone, at once or after its wait. */
export function restart(context: SupervisorContext, event: Ended): Plan {
  const child = childOf(context, event)
  if (child === undefined) return NOTHING
  const { window, count } = admission(context, event)
  const incarnation = Math.max(child.incarnation, event.incarnation)
  const waitMs = backoffMs(context.flags.backoff, count, event.random ?? 0.5)
  const decided = { reason: event.reason, count, backoffMs: waitMs }
  const status = waitMs === 0 ? 'restarting' : 'delayed'
  const next = { ...child, status, incarnation, ...(waitMs === 0 ? {} : { decided }) } as const
  const change = { ...withChild(context, event.id, next), window }
  if (waitMs === 0) return { change, orders: [...answered(child), ...restartOrders(context, next, { ...decided, from: child.spec.from })] }
  const alarm = { type: 'later', event: { type: 'cell.restart_due', id: event.id }, delayMs: waitMs, timer: `restart:${event.id}` } as const
  return { change, orders: [...answered(child), ...settled(child), alarm] }
}

/** What the life before had begun ends now, and not only when the next one begins; where a checkpoint goes on with it, it is kept. */
function settled({ spec: { id, from } }: SupervisedChild): readonly Order[] {
  return from === 'initial' ? [{ type: 'cell.settle', params: { id } }] : []
}

/** The wait of one child is over. */
export function restartDelayed(context: SupervisorContext, id: string): Plan {
  const child = context.children.find((other) => other.spec.id === id)
  if (child?.decided === undefined) return NOTHING
  const { decided, ...rest } = child
  const children = context.children.map((other) => (other === child ? ({ ...rest, status: 'restarting' } as const) : other))
  return { change: { children }, orders: restartOrders(context, child, { ...decided, from: child.spec.from }) }
}

/** A child has failed and takes others along. Those that live are stopped next; the others wait for their start, or stay what they are. */
export function regroup(context: SupervisorContext, event: Ended): Plan {
  const failed = childOf(context, event)
  if (failed === undefined) return NOTHING
  const { window, count } = admission(context, event)
  const { strategy, reviveFinished, backoff } = context.flags
  const first = strategy === 'one_for_all' ? 0 : context.children.indexOf(failed)
  const orders: Order[] = [...answered(failed), ...settled(failed)]
  const children = context.children.flatMap((child, index): SupervisedChild[] => {
    if (child === failed) return [{ ...child, status: 'waiting', incarnation: Math.max(child.incarnation, event.incarnation) }]
    if (index < first) return [child]
    if (child.status === 'down') return absorbed(child, orders)
    return [child.status === 'stopped' && reviveFinished ? { ...child, status: 'waiting' } : child]
  })
  const members = children.slice(first).map(({ spec }) => spec.id)
  const waitMs = backoffMs(backoff, count, event.random ?? 0.5)
  const group: Group = { trigger: event.id, reason: event.reason, count, backoffMs: waitMs, members }
  const deferred = context.deferred.filter((other) => other.type !== 'cell.exited' || !members.includes(other.id))
  return { change: { children, window, group, deferred }, orders }
}

/** Its end is part of the group's: it waits for its next life, or leaves where it is temporary. */
function absorbed(child: SupervisedChild, orders: Order[]): SupervisedChild[] {
  const { id, restart } = child.spec
  const { asked, ...rest } = child
  if (asked?.kind === 'stop') orders.push({ type: 'reply', to: asked.replyTo, event: { type: 'child.stopped', id } as never })
  if (restart === 'temporary') {
    orders.push({ type: 'cell.delete', params: { id } })
    return []
  }
  if (asked?.kind !== 'stop') return [{ ...child, status: 'waiting' }]
  orders.push({ type: 'cell.retire', params: { id } })
  return [{ ...rest, status: 'stopped' }]
}

/** Who crashes although it was told to stop leaves behind what it had begun, and who lives below it. Nobody waits for those: they end now. */
export const leftBehind = (event: { readonly id: string; readonly reason?: ExitReason | undefined }): readonly Order[] =>
  event.reason?.kind === 'error' ? [{ type: 'cell.settle', params: { id: event.id } }] : []

/** A member of the group has ended while the group is cleared. */
export function absorb(
  context: SupervisorContext,
  event: { readonly id: string; readonly incarnation: number; readonly reason?: ExitReason | undefined },
): Plan {
  const orders: Order[] = [...leftBehind(event)]
  const children = context.children.flatMap((child) =>
    child.spec.id === event.id ? absorbed({ ...child, incarnation: Math.max(child.incarnation, event.incarnation) }, orders) : [child],
  )
  return { change: { children }, orders }
}

/** The restart of the group is called off: who waits for it stays stopped. */
export function disband(context: SupervisorContext): Plan {
  const waiting = context.children.filter(({ status }) => status === 'waiting')
  const children = context.children.map((child) => (child.status === 'waiting' ? ({ ...child, status: 'stopped' } as const) : child))
  const orders = waiting.map(({ spec: { id } }): Order => ({ type: 'cell.retire', params: { id } }))
  return { change: { children, group: null }, orders: [{ type: 'cancel', timer: 'restart:(group)' }, ...orders] }
}

/** No cell and no restart: a temporary child leaves with its address, the spec of any other stays. */
export function retire(context: SupervisorContext, child: SupervisedChild): Plan {
  const { id, restart } = child.spec
  if (restart === 'temporary') {
    const orders: Order[] = [...answered(child), { type: 'cell.delete', params: { id } }]
    return { change: { children: context.children.filter((other) => other.spec.id !== id) }, orders }
  }
  const { asked: _asked, decided: _decided, ...rest } = child
  const children = context.children.map((other) => (other.spec.id === id ? ({ ...rest, status: 'stopped' } as const) : other))
  return { change: { children }, orders: [...answered(child), { type: 'cell.retire', params: { id } }] }
}
