/**
 * The supervisor: a statechart that starts its children in order, restarts them within a limit, and stops them in reverse.
 *
 *   starting --all started--> running --gave up | significant end | shutdown--> stopping --nobody left--> stopped
 *      |                        |
 *      |                      steady --a child of a group failed--> regrouping: clearing -> pausing -> restoring --all started--> steady
 *      |                                                                          ^---- another start failed ----'
 *      +--a start failed | shutdown--> unwinding --nobody left--> unwound
 *
 * It is a plain machine, and pure: its children are cells of the engine, ordered with `cell.*` actions and reported with `cell.*` events.
 * - One child at a time is started or stopped; the next waits for the answer. Restarts under one_for_one do not wait for one another.
 * - What exits while others are still to be started is decided when they all have, in the order of the exits, as in OTP. So are requests by hand; questions
 *   are answered at once, and a shutdown is obeyed in every state.
 * - A group that waits for its next try is as good as steady: another exit is decided at once, and its group takes the place of the one that waits.
 * - Window, statuses, waits and incarnations are durable: a crash of the process changes none of them.
 * - Events about another life of a child than the one it is in are not taken.
 * - The first cause to end stays the reason: a `shutdown` during a give-up is accepted and changes nothing.
 *
 * Source: supervisor.erl. Children without number are dynamic.ts.
 */

import { and, not } from 'xstate'
import { EXIT_KEY, SHUTDOWN_EVENT } from '../protocol.ts'
import { parseSupervisor, SUPERVISOR_READY_TAG } from './childspec.ts'
import { rules } from './supervisor-rules.ts'

/** Ends the children one after another, last first. An end is an end, however it is reported; nobody is restarted. */
const ending = {
  entry: ['refuseDeferred', 'stopNext'],
  on: {
    'cell.started': [
      { guard: and(['isCurrent', 'declined']), actions: ['noteEnded', 'stopNext'] },
      { guard: 'isCurrent', actions: 'noteStarted' },
    ],
    'cell.start_failed': { guard: 'isCurrent', actions: ['noteEnded', 'stopNext'] },
    'cell.exited': { guard: 'isCurrent', actions: ['noteEnded', 'stopNext'] },
    'cell.refused': { guard: 'neverStarted', actions: ['noteEnded', 'stopNext'] },
    'child.*': [{ guard: 'isQuestion', actions: 'serve' }, { actions: 'refuse' }],
    [SHUTDOWN_EVENT]: { actions: 'keepReason' },
  },
} as const

/** While children are started or stopped in order, what would cross that waits. */
const busy = {
  'cell.start_expired': { guard: 'isAwaited', actions: 'killSlow' },
  'child.*': [{ guard: 'isQuestion', actions: 'serve' }, { actions: 'defer' }],
} as const

/** Decisions at rest: also while a group waits for its next try. */
const decisions = {
  'cell.started': [
    { guard: and(['isCurrent', 'declined']), actions: 'noteDeclined' },
    { guard: 'isCurrent', actions: 'noteStarted' },
  ],
  'cell.start_failed': [
    { guard: and(['isCurrent', 'isStartedByHand']), actions: 'noteFailed' },
    { guard: and(['isCurrent', 'isStopping']), actions: 'noteStopped' },
    { guard: and(['isCurrent', 'withinIntensity', 'isGroup']), target: '#supervisor.running.regrouping', actions: 'regroup' },
    { guard: and(['isCurrent', 'withinIntensity']), actions: 'restart' },
    { guard: 'isCurrent', target: '#supervisor.stopping', actions: 'giveUp' },
  ],
  'cell.exited': [
    { guard: and(['isCurrent', 'isStopping']), actions: 'noteStopped' },
    { guard: and(['isCurrent', 'isStartedByHand']), actions: 'noteFailed' },
    {
      guard: and(['isCurrent', 'isRestarted', 'withinIntensity', 'isGroup']),
      target: '#supervisor.running.regrouping',
      actions: 'regroup',
    },
    { guard: and(['isCurrent', 'isRestarted', 'withinIntensity']), actions: 'restart' },
    { guard: and(['isCurrent', 'isRestarted']), target: '#supervisor.stopping', actions: 'giveUp' },
    { guard: and(['isCurrent', 'endsSupervisor']), target: '#supervisor.stopping', actions: ['complete', 'retire'] },
    { guard: 'isCurrent', actions: 'retire' },
  ],
  'cell.refused': { guard: 'neverStarted', actions: 'noteFailed' },
  'cell.start_expired': { guard: 'isAwaited', actions: 'killSlow' },
} as const

/**
 * The machine behind every static supervisor spec, registered as SUPERVISOR_MACHINE. Ends with output `{ '@troupe.exit': ExitReason }`:
 * `shutdown completed` (`output` of the significant child), `shutdown gave_up` (`output: {count, max, periodMs, child, last}`), `shutdown ordered`,
 * or `error E_START_FAILED` (`child`, `cause`) when a child failed to start before it was ready.
 */
export const supervisor = rules.createMachine({
  id: 'supervisor',
  version: '2',
  context: ({ input }) => {
    const { flags, children } = parseSupervisor(input.spec)
    const waiting = children.map((spec) => ({ spec, status: 'waiting', incarnation: 0 }) as const)
    const first = { flags, children: waiting, window: [], deferred: [], group: null, exit: null }
    return input.input === undefined ? first : { ...first, input: input.input }
  },
  initial: 'starting',
  states: {
    starting: {
      entry: 'startNext',
      always: { guard: 'allStarted', target: 'running' },
      on: {
        'cell.started': [
          { guard: and(['isCurrent', 'declined']), actions: ['noteDeclined', 'startNext'] },
          { guard: 'isCurrent', actions: ['noteStarted', 'startNext'] },
        ],
        'cell.start_failed': { guard: 'isCurrent', target: 'unwinding', actions: 'failStart' },
        'cell.exited': [
          { guard: and(['isCurrent', 'isAwaited']), target: 'unwinding', actions: 'failStart' },
          { guard: 'isCurrent', actions: 'defer' },
        ],
        ...busy,
        [SHUTDOWN_EVENT]: { target: 'unwinding', actions: 'obey' },
      },
    },
    running: {
      tags: SUPERVISOR_READY_TAG,
      initial: 'steady',
      on: { [SHUTDOWN_EVENT]: { target: 'stopping', actions: 'obey' } },
      states: {
        steady: {
          entry: 'decideDeferred',
          on: {
            ...decisions,
            'cell.restart_due': { actions: 'restartDelayed' },
            'child.*': { actions: 'serve' },
          },
        },
        regrouping: {
          initial: 'clearing',
          states: {
            clearing: {
              entry: 'stopNext',
              always: [
                { guard: and(['isCleared', 'waitsFirst']), target: 'pausing' },
                { guard: 'isCleared', target: 'restoring' },
              ],
              on: {
                'cell.started': [
                  { guard: and(['isCurrent', 'declined', 'isMember']), actions: ['absorb', 'stopNext'] },
                  { guard: 'isCurrent', actions: 'noteStarted' },
                ],
                'cell.start_failed': [
                  { guard: and(['isCurrent', 'isMember']), actions: ['absorb', 'stopNext'] },
                  { guard: 'isCurrent', actions: 'noteFailed' },
                ],
                'cell.refused': { guard: 'neverStarted', actions: ['noteFailed', 'stopNext'] },
                'cell.exited': [
                  { guard: and(['isCurrent', 'isMember']), actions: ['absorb', 'stopNext'] },
                  { guard: and(['isCurrent', 'isStopping']), actions: 'noteStopped' },
                  { guard: 'isCurrent', actions: 'defer' },
                ],
                ...busy,
              },
            },
            pausing: {
              entry: 'wait',
              exit: 'endWait',
              on: {
                ...decisions,
                'cell.restart_due': { target: 'restoring' },
                'child.*': [
                  { guard: 'stopsTrigger', target: '#supervisor.running.steady', actions: ['serve', 'disband'] },
                  { actions: 'serve' },
                ],
              },
            },
            restoring: {
              entry: 'startNext',
              always: { guard: 'allStarted', target: '#supervisor.running.steady' },
              on: {
                'cell.started': [
                  { guard: and(['isCurrent', 'declined']), actions: ['noteDeclined', 'startNext'] },
                  { guard: and(['isCurrent', not('isStopping')]), actions: ['noteStarted', 'startNext'] },
                ],
                'cell.start_failed': [
                  { guard: and(['isCurrent', 'isStartedByHand']), actions: 'noteFailed' },
                  { guard: and(['isCurrent', 'withinIntensity']), target: 'clearing', actions: 'regroup' },
                  { guard: 'isCurrent', target: '#supervisor.stopping', actions: 'giveUp' },
                ],
                'cell.refused': { guard: 'neverStarted', actions: 'noteFailed' },
                'cell.exited': [
                  { guard: and(['isCurrent', 'isStopping']), actions: 'noteStopped' },
                  { guard: and(['isCurrent', 'isStartedByHand']), actions: 'noteFailed' },
                  { guard: and(['isCurrent', 'isAwaited', 'withinIntensity']), target: 'clearing', actions: 'regroup' },
                  { guard: and(['isCurrent', 'isAwaited']), target: '#supervisor.stopping', actions: 'giveUp' },
                  { guard: 'isCurrent', actions: 'defer' },
                ],
                ...busy,
              },
            },
          },
        },
      },
    },
    stopping: { ...ending, tags: SUPERVISOR_READY_TAG, always: { guard: 'nobodyLeft', target: 'stopped' } },
    unwinding: { ...ending, always: { guard: 'nobodyLeft', target: 'unwound' } },
    stopped: { type: 'final', tags: SUPERVISOR_READY_TAG },
    unwound: { type: 'final' },
  },
  output: ({ context }) => ({ [EXIT_KEY]: context.exit ?? { kind: 'shutdown', detail: 'ordered' } }),
})
