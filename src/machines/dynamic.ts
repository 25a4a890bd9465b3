/**
 * The dynamic supervisor: any number of children, made from one template while it runs (OTP's `simple_one_for_one`).
 *
 *   running --gave up | shutdown--> stopping --nobody left--> stopped
 *      |  child.start, child.stop, child.list, child.count: by hand
 *      '  cell.exited: restarted by the template's rule, or gone with its address
 *
 * - There is no order among children: they are stopped together, each with the template's time. Restarts do not wait for one another.
 * - A child that is gone leaves nothing: its id is free, unless it was started for a `task`, which is never done twice.
 * - A restart of this supervisor begins empty: its children do not survive it (SUP-56).
 */
import { setup } from 'xstate'
import { type CellRestart, type CellStart, EXIT_KEY, type ExitReason, type ReservedAction, SHUTDOWN_EVENT } from '../protocol.ts'
import { carryOut } from './carry-out.ts'
import { parseDynamic, SUPERVISOR_READY_TAG } from './childspec.ts'
import {
  admission,
  comesBack,
  ended,
  isByHand,
  NOTHING_TO_DO,
  type PoolContext,
  type PoolPlan,
  refuse,
  refuseWhileStopping,
  restart,
  restartDelayed,
  serve,
  started,
  stopAll,
} from './pool.ts'
import type { Ended, GaveUp, Request, SupervisorInbox, SupervisorInput } from './supervised.ts'

type Params<T extends ReservedAction['type']> = Extract<ReservedAction, { type: T }>['params']

const base = setup({
  types: {
    context: {} as PoolContext,
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
    'cell.settle': (_, _params: Params<'cell.settle'>) => {},
    'cell.stop_all': (_, _params: Params<'cell.stop_all'>) => {},
    'cell.report': (_, _params: Params<'cell.report'>) => {},
  },
  guards: {
    isByHand: ({ context, event }) => 'reason' in event && isByHand(context, event),
    comesBack: ({ context, event }) => 'reason' in event && comesBack(context, event) && admission(context, event).allowed,
    isOneTooMany: ({ context, event }) => 'reason' in event && comesBack(context, event),
    nobodyLeft: ({ context }) => context.active <= 0,
    isQuestion: ({ event }) => event.type === 'child.list' || event.type === 'child.count',
  },
})

/** An action that makes a decision and carries it out: the context first, then the orders in their order. */
const decide = (plan: (context: PoolContext, event: SupervisorInbox) => PoolPlan) =>
  base.enqueueActions(({ context, event, enqueue }) => carryOut(enqueue, plan(context, event)))

const atEnd = (plan: (context: PoolContext, event: Ended) => PoolPlan) =>
  decide((context, event) => ('reason' in event ? plan(context, event) : NOTHING_TO_DO))
const onRequest = (plan: (context: PoolContext, request: Request) => PoolPlan) =>
  decide((context, event) => (event.type.startsWith('child.') ? plan(context, event as Request) : NOTHING_TO_DO))

const rules = base.extend({
  actions: {
    serve: onRequest(serve),
    refuse: onRequest((_, request) => refuseWhileStopping(request)),
    noteStarted: decide((context, event) => (event.type === 'cell.started' ? started(context, event) : NOTHING_TO_DO)),
    noteRefused: decide((context, event) => (event.type === 'cell.refused' ? refuse(context, event) : NOTHING_TO_DO)),
    noteEnded: atEnd(ended),
    restart: atEnd(restart),
    restartDelayed: decide((context, event) => (event.type === 'cell.restart_due' ? restartDelayed(context, event.id) : NOTHING_TO_DO)),
    killSlow: decide((context, event) => {
      if (event.type !== 'cell.start_expired') return NOTHING_TO_DO
      const message = `'${event.id}' was not ready within ${context.template.startTimeoutMs} ms`
      return { change: {}, orders: [{ type: 'cell.kill', params: { id: event.id, error: { code: 'E_START_TIMEOUT', message } } }] }
    }),
    stopAll: decide(stopAll),
    giveUp: base.enqueueActions(({ context, event, enqueue }) => {
      if (!('reason' in event)) return
      const { window, count } = admission(context, event)
      const { intensity: max, periodMs } = context.flags
      const facts = { count, max, periodMs, child: event.id, last: event.reason }
      enqueue.assign({ window, active: context.active - 1, exit: { kind: 'shutdown', detail: 'gave_up', output: facts } })
      enqueue.emit({ type: 'supervisor.gave_up', ...facts })
    }),
    obey: base.assign({ exit: { kind: 'shutdown', detail: 'ordered' } }),
    /** An assignment of nothing, so that `can(shutdown)` holds. */
    keepReason: base.assign({}),
  },
})

/** The machine behind every dynamic supervisor spec, registered as DYNAMIC_MACHINE. Ends as `shutdown ordered` or `shutdown gave_up`. */
export const dynamic = rules.createMachine({
  id: 'dynamic',
  version: '1',
  context: ({ input }) => {
    const empty = { ...parseDynamic(input.spec), active: 0, numbered: 0, window: [], asked: {}, delayed: {}, exit: null }
    return input.input === undefined ? empty : { ...empty, input: input.input }
  },
  initial: 'running',
  states: {
    running: {
      tags: SUPERVISOR_READY_TAG,
      on: {
        'cell.started': { actions: 'noteStarted' },
        'cell.refused': { actions: 'noteRefused' },
        'cell.start_failed': [
          { guard: 'isByHand', actions: 'noteEnded' },
          { guard: 'comesBack', actions: 'restart' },
          { guard: 'isOneTooMany', target: 'stopping', actions: 'giveUp' },
          { actions: 'noteEnded' },
        ],
        'cell.exited': [
          { guard: 'isByHand', actions: 'noteEnded' },
          { guard: 'comesBack', actions: 'restart' },
          { guard: 'isOneTooMany', target: 'stopping', actions: 'giveUp' },
          { actions: 'noteEnded' },
        ],
        'cell.restart_due': { actions: 'restartDelayed' },
        'cell.start_expired': { actions: 'killSlow' },
        'child.*': { actions: 'serve' },
        [SHUTDOWN_EVENT]: { target: 'stopping', actions: 'obey' },
      },
    },
    stopping: {
      tags: SUPERVISOR_READY_TAG,
      entry: 'stopAll',
      always: { guard: 'nobodyLeft', target: 'stopped' },
      on: {
        'cell.started': { actions: 'noteStarted' },
        'cell.refused': { actions: 'noteRefused' },
        'cell.start_failed': { actions: 'noteEnded' },
        'cell.exited': { actions: 'noteEnded' },
        'child.*': [{ guard: 'isQuestion', actions: 'serve' }, { actions: 'refuse' }],
        [SHUTDOWN_EVENT]: { actions: 'keepReason' },
      },
    },
    stopped: { type: 'final', tags: SUPERVISOR_READY_TAG },
  },
  output: ({ context }) => ({ [EXIT_KEY]: context.exit ?? { kind: 'shutdown', detail: 'ordered' } }),
})
