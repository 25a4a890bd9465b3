/** Guards and actions of the supervisor, by the names under which its statechart uses them. Decisions are made by restarting.ts and by-hand.ts. */
import { setup } from 'xstate'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import { type CellRestart, type CellStart, EXIT_KEY, type ExitReason, type ReservedAction } from '../protocol.ts'
import { isQuestion, noteDeclined, noteFailed, noteStarted, noteStopped, refuseAll, serve } from './by-hand.ts'
import { carryOut } from './carry-out.ts'
import { isRestarted, type SUPERVISOR_READY_TAG } from './childspec.ts'
import { absorb, disband, leftBehind, NOTHING, regroup, restart, restartDelayed, retire, startNext, stopNext } from './restarting.ts'
import {
  type Alarm,
  admission,
  type CellExited,
  causeOf,
  childOf,
  type GaveUp,
  isAlive,
  isAwaited,
  isMember,
  isOfThisLife,
  type Order,
  type Plan,
  type Request,
  type SupervisorContext,
  type SupervisorInbox,
  type SupervisorInput,
  withChild,
} from './supervised.ts'

type Params<T extends ReservedAction['type']> = Extract<ReservedAction, { type: T }>['params']

const ended = (event: SupervisorInbox) => ('reason' in event ? event : null)
const isRequest = (event: SupervisorInbox): event is Request => event.type.startsWith('child.')

const base = setup({
  types: {
    context: {} as SupervisorContext,
    events: {} as SupervisorInbox,
    input: {} as SupervisorInput,
    output: {} as { readonly [EXIT_KEY]: ExitReason },
    emitted: {} as GaveUp,
    tags: {} as typeof SUPERVISOR_READY_TAG,
  },
  actions: {
    'cell.start': (_, _params: CellStart) => {},
    'cell.stop': (_, _params: Params<'cell.stop'>) => {},
    'cell.kill': (_, _params: Params<'cell.kill'>) => {},
    'cell.restart': (_, _params: CellRestart) => {},
    'cell.delete': (_, _params: Params<'cell.delete'>) => {},
    'cell.retire': (_, _params: Params<'cell.retire'>) => {},
    'cell.settle': (_, _params: Params<'cell.settle'>) => {},
  },
  guards: {
    allStarted: ({ context }) => context.children.every((child) => child.status !== 'waiting' && !isAwaited(child)),
    nobodyLeft: ({ context }) => context.children.every((child) => !isAlive(child) && child.status !== 'stopping'),
    isCleared: ({ context }) =>
      context.children.every((child) => !isMember(context, child) || !(isAlive(child) || child.status === 'stopping')),
    waitsFirst: ({ context }) => (context.group?.backoffMs ?? 0) > 0,
    isGroup: ({ context }) => context.flags.strategy !== 'one_for_one',
    isCurrent: ({ context, event }) => {
      const child = childOf(context, event)
      return child !== undefined && isOfThisLife(child, event)
    },
    isAwaited: ({ context, event }) => {
      const child = childOf(context, event)
      return child !== undefined && isAwaited(child)
    },
    isStopping: ({ context, event }) => childOf(context, event)?.status === 'stopping',
    isMember: ({ context, event }) => {
      const child = childOf(context, event)
      return child !== undefined && isMember(context, child)
    },
    /** Its start was asked for by hand: a failure is an answer, no restart. */
    isStartedByHand: ({ context, event }) => {
      const child = childOf(context, event)
      return child !== undefined && isAwaited(child) && child.asked !== undefined
    },
    /** Its start by hand was refused, whatever it has been ordered since: there is no cell that could end. */
    neverStarted: ({ context, event }) => {
      const child = childOf(context, event)
      return child !== undefined && (isAwaited(child) || child.status === 'stopping') && child.asked !== undefined
    },
    declined: ({ event }) => event.type === 'cell.started' && event.declined,
    isRestarted: ({ context, event }) => {
      const child = childOf(context, event)
      const end = ended(event)
      if (child === undefined || end === null) return false
      return end.type === 'cell.start_failed' || isRestarted(child.spec.restart, end.reason, context.flags.otpExitReasons)
    },
    withinIntensity: ({ context, event }) => {
      const end = ended(event)
      return end !== null && admission(context, end).allowed
    },
    endsSupervisor: ({ context, event }) => {
      const { autoShutdown } = context.flags
      const child = childOf(context, event)
      if (child === undefined || !child.spec.significant || autoShutdown === 'never') return false
      if (autoShutdown === 'any_significant') return true
      return context.children.every((other) => other === child || !other.spec.significant || other.status === 'stopped')
    },
    isQuestion: ({ event }) => isQuestion(event),
    /** The group waits for its next try, and the child that failed is the one that is to stop. */
    stopsTrigger: ({ context, event }) => event.type === 'child.stop' && context.group?.trigger === event.id,
  },
})

/** An action that makes and carries out a decision. */
const decide = (plan: (context: SupervisorContext, event: SupervisorInbox) => Plan) =>
  base.enqueueActions(({ context, event, enqueue }) => carryOut(enqueue, plan(context, event)))

/** The same about the child that the event tells of. */
const about = (plan: (context: SupervisorContext, child: NonNullable<ReturnType<typeof childOf>>, event: SupervisorInbox) => Plan) =>
  decide((context, event) => {
    const child = childOf(context, event)
    return child === undefined ? NOTHING : plan(context, child, event)
  })

/** Everything that the statechart in supervisor.ts refers to by name. */
export const rules = base.extend({
  actions: {
    startNext: decide(startNext),
    stopNext: decide(stopNext),
    noteStarted: about((context, child, event) =>
      event.type === 'cell.started' ? noteStarted(context, child, event.incarnation) : NOTHING,
    ),
    noteDeclined: about(noteDeclined),
    noteStopped: about(noteStopped),
    noteFailed: about((context, child, event) =>
      ended(event) !== null || event.type === 'cell.refused'
        ? noteFailed(context, child, event as Parameters<typeof noteFailed>[2])
        : NOTHING,
    ),
    defer: base.assign(({ context, event }) => {
      if (isRequest(event)) return { deferred: [...context.deferred, event] }
      if (event.type !== 'cell.exited') return {}
      return { ...withChild(context, event.id, { status: 'down' }), deferred: [...context.deferred, event] }
    }),
    decideDeferred: base.enqueueActions(({ context, enqueue }) => {
      enqueue.assign({ deferred: [], group: null })
      for (const event of context.deferred) enqueue.raise(event)
    }),
    refuseDeferred: decide(({ deferred }) => ({ ...refuseAll(deferred.filter(isRequest)), change: { deferred: [], group: null } })),
    serve: decide((context, event) => (isRequest(event) ? serve(context, event) : NOTHING)),
    refuse: decide((_, event) => (isRequest(event) ? refuseAll([event]) : NOTHING)),
    restart: decide((context, event) => (ended(event) === null ? NOTHING : restart(context, ended(event)!))),
    restartDelayed: decide((context, event) =>
      'id' in event && event.type === 'cell.restart_due' ? restartDelayed(context, event.id) : NOTHING,
    ),
    regroup: decide((context, event) => (ended(event) === null ? NOTHING : regroup(context, ended(event)!))),
    absorb: decide((context, event) => ('incarnation' in event ? absorb(context, event) : NOTHING)),
    disband: decide(disband),
    wait: base.enqueueActions(({ context, enqueue }) => {
      const event: Alarm = { type: 'cell.restart_due', id: '(group)' }
      enqueue.raise(event, { delay: context.group?.backoffMs ?? 0, id: 'restart:(group)' })
    }),
    endWait: base.cancel('restart:(group)'),
    killSlow: about((_, { spec }) => {
      const message = `'${spec.id}' was not ready within ${spec.startTimeoutMs} ms`
      return { change: {}, orders: [{ type: 'cell.kill', params: { id: spec.id, error: { code: 'E_START_TIMEOUT', message } } }] }
    }),
    retire: about(retire),
    giveUp: base.enqueueActions(({ context, event, enqueue }) => {
      const end = ended(event)
      const child = childOf(context, event)
      if (end === null || child === undefined) return
      const { window, count } = admission(context, end)
      const { intensity: max, periodMs } = context.flags
      const facts = { count, max, periodMs, child: end.id, last: end.reason }
      const exit: ExitReason = { kind: 'shutdown', detail: 'gave_up', output: facts }
      enqueue.assign({ ...withChild(context, end.id, { status: 'stopped' }), window, exit })
      // It is not restarted: what it had begun, and who lives below it, ends now and not with the last of its siblings.
      enqueue({ type: 'cell.settle', params: { id: end.id } })
      enqueue.emit({ type: 'supervisor.gave_up', ...facts })
    }),
    complete: base.assign(({ context, event }) => ({ exit: completion(context, event as CellExited) })),
    failStart: base.enqueueActions(({ context, event, enqueue }) => {
      const end = ended(event)
      if (end === null) return
      const message = `child '${end.id}' of ${context.flags.id} failed to start: ${causeOf(end.reason)}`
      const error = { code: 'E_START_FAILED', message, child: end.id, cause: end.reason }
      enqueue.assign({ ...withChild(context, end.id, { status: 'stopped' }), exit: { kind: 'error', error } })
      enqueue({ type: 'cell.settle', params: { id: end.id } })
    }),
    obey: base.assign({ exit: { kind: 'shutdown', detail: 'ordered' } }),
    /** An assignment of nothing, so that `can(shutdown)` holds: an engine ends at once what does not take the event. */
    keepReason: base.assign({}),
    noteEnded: about((context, child, event) => {
      const told: Order[] =
        child.asked?.kind === 'stop'
          ? [{ type: 'reply', to: child.asked.replyTo, event: { type: 'child.stopped', id: child.spec.id } as never }]
          : []
      const refusals =
        child.asked === undefined || child.asked.kind === 'stop'
          ? []
          : refuseAll([
              { type: 'child.stop', id: child.spec.id, ...(child.asked.replyTo === null ? {} : { replyTo: child.asked.replyTo }) },
            ]).orders
      const { asked: _asked, ...rest } = child
      return {
        change: { children: context.children.map((other) => (other === child ? { ...rest, status: 'stopped' } : other)) },
        orders: [...('reason' in event ? leftBehind(event) : []), ...told, ...refusals],
      }
    }),
  },
})

/** Why a supervisor ends with a significant child. A temporary one that fails ends it as in OTP, but nothing was completed. */
function completion(context: SupervisorContext, { id, reason }: CellExited): ExitReason {
  if (reason.kind === 'error' || reason.kind === 'killed') {
    const { intensity: max, periodMs } = context.flags
    return { kind: 'shutdown', detail: 'gave_up', output: { count: 0, max, periodMs, child: id, last: reason } }
  }
  const { output, failure } = reason as { output?: Json; failure?: ErrorData }
  return {
    kind: 'shutdown',
    detail: 'completed',
    ...(output === undefined ? {} : { output }),
    ...(failure === undefined ? {} : { failure }),
  }
}
