/**
 * The supervisor: a statechart that starts its children in order, restarts them within a limit, and stops them in reverse.
 *
 *   starting --all started--> running --gave up | significant end | shutdown--> stopping --nobody left--> stopped
 *      |
 *      +--a start failed | shutdown--> unwinding --nobody left--> unwound
 *
 * It is a plain machine, and pure: its children are cells of the engine, ordered with `cell.*` actions and reported with `cell.*` events.
 * - One child at a time is started or stopped; the next waits for the answer. Restarts do not wait for one another.
 * - What exits while others are still to be started is decided when they all have, in the order of the exits, as in OTP.
 * - Window, statuses and incarnations are in the context: a crash of the process changes none of them.
 * - Events about another life of a child than the one it is in are not taken.
 * - The first cause to end stays the reason: a `shutdown` during a give-up is accepted and changes nothing.
 *
 * Source: supervisor.erl. Left for later: one_for_all, rest_for_one, dynamic children, operations by hand, backoff, start timeouts.
 */

import { and, setup } from 'xstate'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import { type CellStart, EXIT_KEY, type ExitReason, type ReservedAction, SHUTDOWN_EVENT } from '../protocol.ts'
import { cellStart, isRestarted, parseSupervisor, SUPERVISOR_READY_TAG } from './childspec.ts'
import {
  admission,
  causeOf,
  childOf,
  type GaveUp,
  isAlive,
  isAwaited,
  isOfThisLife,
  type SupervisorContext,
  type SupervisorInbox,
  type SupervisorInput,
  withChild,
} from './supervised.ts'

type Params<T extends ReservedAction['type']> = Extract<ReservedAction, { type: T }>['params']

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
    'cell.restart': (_, _params: Params<'cell.restart'>) => {},
    'cell.delete': (_, _params: Params<'cell.delete'>) => {},
  },
  guards: {
    allStarted: ({ context }) => context.children.every((child) => child.status !== 'waiting' && child.status !== 'starting'),
    nobodyLeft: ({ context }) => context.children.every((child) => !isAlive(child) && child.status !== 'stopping'),
    isCurrent: ({ context, event }) => {
      const child = childOf(context, event)
      return child !== undefined && isOfThisLife(child, event)
    },
    isAwaited: ({ context, event }) => {
      const child = childOf(context, event)
      return child !== undefined && isAwaited(child)
    },
    declined: ({ event }) => event.type === 'cell.started' && event.declined,
    isRestarted: ({ context, event }) => {
      const child = childOf(context, event)
      if (child === undefined || !('reason' in event)) return false
      return event.type === 'cell.start_failed' || isRestarted(child.spec.restart, event.reason)
    },
    withinIntensity: ({ context, event }) => 'reason' in event && admission(context, event).allowed,
    endsSupervisor: ({ context, event }) => {
      const { autoShutdown } = context.flags
      const child = childOf(context, event)
      if (child === undefined || !child.spec.significant || autoShutdown === 'never') return false
      if (autoShutdown === 'any_significant') return true
      return context.children.every((other) => other === child || !other.spec.significant || other.status === 'stopped')
    },
  },
})

const machine = base.extend({
  actions: {
    startNext: base.enqueueActions(({ context, enqueue }) => {
      const next = context.children.find((child) => child.status === 'waiting')
      if (next === undefined) return
      enqueue.assign(withChild(context, next.spec.id, { status: 'starting' }))
      enqueue({ type: 'cell.start', params: cellStart(next.spec, context.input) })
    }),
    noteStarted: base.assign(({ context, event }) => {
      if (event.type !== 'cell.started') return {}
      const status = childOf(context, event)?.status === 'stopping' ? 'stopping' : 'running'
      return withChild(context, event.id, { status, incarnation: event.incarnation })
    }),
    defer: base.assign(({ context, event }) => {
      if (event.type !== 'cell.exited') return {}
      return { ...withChild(context, event.id, { status: 'down' }), deferred: [...context.deferred, event] }
    }),
    decideDeferred: base.enqueueActions(({ context, enqueue }) => {
      enqueue.assign({ deferred: [] })
      for (const event of context.deferred) enqueue.raise(event)
    }),
    restart: base.enqueueActions(({ context, event, enqueue }) => {
      const child = childOf(context, event)
      if (child === undefined || !('reason' in event)) return
      const { window, count } = admission(context, event)
      const incarnation = Math.max(child.incarnation, event.incarnation)
      enqueue.assign({ ...withChild(context, event.id, { status: 'restarting', incarnation }), window })
      const order = { from: child.spec.from, count, reason: event.reason }
      enqueue({ type: 'cell.restart', params: { ...cellStart(child.spec, context.input), ...order } })
    }),
    /** No cell and no restart: a temporary child leaves with its address, the spec of any other stays. */
    retire: base.enqueueActions(({ context, event, enqueue }) => {
      const child = childOf(context, event)
      if (child === undefined) return
      const { id, restart } = child.spec
      if (restart !== 'temporary') enqueue.assign(withChild(context, id, { status: 'stopped' }))
      else {
        enqueue.assign({ children: context.children.filter((other) => other !== child) })
        enqueue({ type: 'cell.delete', params: { id } })
      }
    }),
    giveUp: base.enqueueActions(({ context, event, enqueue }) => {
      if (!('reason' in event)) return
      const { window, count } = admission(context, event)
      const { intensity: max, periodMs } = context.flags
      const facts = { count, max, periodMs, child: event.id, last: event.reason }
      const exit: ExitReason = { kind: 'shutdown', detail: 'gave_up', output: facts }
      enqueue.assign({ ...withChild(context, event.id, { status: 'stopped' }), window, exit })
      enqueue.emit({ type: 'supervisor.gave_up', ...facts })
    }),
    complete: base.assign(({ context, event }) => {
      if ('reason' in event && (event.reason.kind === 'error' || event.reason.kind === 'killed')) {
        // A temporary child that fails ends its supervisor as in OTP, but nothing was completed.
        const { intensity: max, periodMs } = context.flags
        return { exit: { kind: 'shutdown', detail: 'gave_up', output: { count: 0, max, periodMs, child: event.id, last: event.reason } } }
      }
      const reason = 'reason' in event && (event.reason.kind === 'normal' || event.reason.kind === 'shutdown') ? event.reason : {}
      const { output, failure } = reason as { output?: Json; failure?: ErrorData }
      const exit: ExitReason = {
        kind: 'shutdown',
        detail: 'completed',
        ...(output === undefined ? {} : { output }),
        ...(failure === undefined ? {} : { failure }),
      }
      return { exit }
    }),
    failStart: base.assign(({ context, event }) => {
      if (!('reason' in event)) return {}
      const message = `child '${event.id}' of ${context.flags.id} failed to start: ${causeOf(event.reason)}`
      const error = { code: 'E_START_FAILED', message, child: event.id, cause: event.reason }
      return { ...withChild(context, event.id, { status: 'stopped' }), exit: { kind: 'error', error } }
    }),
    obey: base.assign({ exit: { kind: 'shutdown', detail: 'ordered' } }),
    /** An assignment of nothing, so that `can(shutdown)` holds: an engine ends at once what does not take the event. */
    keepReason: base.assign({}),
    noteEnded: base.assign(({ context, event }) => ('id' in event ? withChild(context, event.id, { status: 'stopped' }) : {})),
    stopNext: base.enqueueActions(({ context, enqueue }) => {
      if (context.children.some((child) => child.status === 'stopping')) return
      const last = context.children.findLast(isAlive)
      if (last === undefined) return
      const { id, shutdownMs } = last.spec
      enqueue.assign(withChild(context, id, { status: 'stopping' }))
      if (shutdownMs === 'brutal') enqueue({ type: 'cell.kill', params: { id } })
      else enqueue({ type: 'cell.stop', params: { id, shutdownMs } })
    }),
  },
})

/** Ends the children one after another, last first. An end is an end, however it is reported; nobody is restarted. */
const ending = {
  entry: 'stopNext',
  on: {
    'cell.started': [
      { guard: and(['isCurrent', 'declined']), actions: ['noteEnded', 'stopNext'] },
      { guard: 'isCurrent', actions: 'noteStarted' },
    ],
    'cell.start_failed': { guard: 'isCurrent', actions: ['noteEnded', 'stopNext'] },
    'cell.exited': { guard: 'isCurrent', actions: ['noteEnded', 'stopNext'] },
    [SHUTDOWN_EVENT]: { actions: 'keepReason' },
  },
} as const

/**
 * The machine behind every {@link SupervisorSpec}, registered as SUPERVISOR_MACHINE. Ends with output `{ '@troupe.exit': ExitReason }`:
 * `shutdown completed` (`output` of the significant child), `shutdown gave_up` (`output: {count, max, periodMs, child, last}`), `shutdown ordered`,
 * or `error E_START_FAILED` (`child`, `cause`) when a child failed to start before it was ready.
 */
export const supervisor = machine.createMachine({
  id: 'supervisor',
  version: '1',
  context: ({ input }) => {
    const { flags, children } = parseSupervisor(input.spec)
    const waiting = children.map((spec) => ({ spec, status: 'waiting', incarnation: 0 }) as const)
    return { flags, children: waiting, window: [], deferred: [], exit: null, ...(input.input === undefined ? {} : { input: input.input }) }
  },
  initial: 'starting',
  states: {
    starting: {
      entry: 'startNext',
      always: { guard: 'allStarted', target: 'running' },
      on: {
        'cell.started': [
          { guard: and(['isCurrent', 'declined']), actions: ['retire', 'startNext'] },
          { guard: 'isCurrent', actions: ['noteStarted', 'startNext'] },
        ],
        'cell.start_failed': { guard: 'isCurrent', target: 'unwinding', actions: 'failStart' },
        'cell.exited': [
          { guard: and(['isCurrent', 'isAwaited']), target: 'unwinding', actions: 'failStart' },
          { guard: 'isCurrent', actions: 'defer' },
        ],
        [SHUTDOWN_EVENT]: { target: 'unwinding', actions: 'obey' },
      },
    },
    running: {
      tags: SUPERVISOR_READY_TAG,
      entry: 'decideDeferred',
      on: {
        'cell.started': [
          { guard: and(['isCurrent', 'declined']), actions: 'retire' },
          { guard: 'isCurrent', actions: 'noteStarted' },
        ],
        'cell.start_failed': [
          { guard: and(['isCurrent', 'withinIntensity']), actions: 'restart' },
          { guard: 'isCurrent', target: 'stopping', actions: 'giveUp' },
        ],
        'cell.exited': [
          { guard: and(['isCurrent', 'isRestarted', 'withinIntensity']), actions: 'restart' },
          { guard: and(['isCurrent', 'isRestarted']), target: 'stopping', actions: 'giveUp' },
          { guard: and(['isCurrent', 'endsSupervisor']), target: 'stopping', actions: ['complete', 'retire'] },
          { guard: 'isCurrent', actions: 'retire' },
        ],
        [SHUTDOWN_EVENT]: { target: 'stopping', actions: 'obey' },
      },
    },
    stopping: { ...ending, tags: SUPERVISOR_READY_TAG, always: { guard: 'nobodyLeft', target: 'stopped' } },
    unwinding: { ...ending, always: { guard: 'nobodyLeft', target: 'unwound' } },
    stopped: { type: 'final', tags: SUPERVISOR_READY_TAG },
    unwound: { type: 'final' },
  },
  output: ({ context }) => ({ [EXIT_KEY]: context.exit ?? { kind: 'shutdown', detail: 'ordered' } }),
})
