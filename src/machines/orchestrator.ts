/**
 * Leads the team: accepts or plans the work, has each item done, checked and reviewed, and promotes what the evidence covers.
 *
 *   starting --reasons--> rejected
 *      | '--only a goal--> planning --plan--> opening      (one repair of a plan that does not fit, then failed)
 *      '--work--> opening --workspace--> assigning
 *
 *   assigning --task.done--> staging --> gating --passed--> reviewing --approved--> closing --next item--> assigning
 *      ^                                   |                   |                       '--all done--> collecting --covered--> promoting --> done
 *      '---- returning <-- WORKFLOW FAILURE '<-- needs_changes -'
 *               |--the same feedback twice in a row--> failed     E_LOOP_ESCALATED
 *               '--no round left--> failed
 *
 * In `assigning`, `gating` and `reviewing` a peer is asked. One that goes down or does not answer in time is asked once more for the same round; then the
 * run fails. Only a tree that a passed gate and an approving review cover exactly is promoted; the promotion's plan goes from effect to effect.
 */
import { assign } from 'xstate'
import { errorData } from '../errors.ts'
import { askParams, noAnswer } from './asking.ts'
import { conversationOf } from './conversation.ts'
import type { PromotionPlan } from './effects.ts'
import { exitWith, openLedger, outcomeOf } from './ledger.ts'
import {
  failureOf,
  gateReturn,
  loopOf,
  noPlan,
  notCovered,
  outOfRounds,
  PLAN,
  planMessages,
  repairPlan,
  reviewReturn,
  rules,
} from './orchestrator-rules.ts'

/** Machine of `/team/orchestrator`. Ends with an {@link Outcome}; work that failed is an end in good order with a failure, not a crash. */
export const orchestrator = rules.createMachine({
  id: 'orchestrator',
  version: '1',
  context: ({ input }) => openLedger(input),
  output: ({ context }) => exitWith(outcomeOf(context)),
  initial: 'starting',
  states: {
    starting: {
      always: [
        { guard: 'isRejected', target: 'rejected', actions: 'tellRejected' },
        { guard: 'hasWork', target: 'opening', actions: 'tellAccepted' },
        { target: 'planning', actions: { type: 'say', params: ({ context }) => ({ messages: planMessages(context) }) } },
      ],
    },
    planning: {
      invoke: {
        id: 'generate',
        src: 'generate',
        input: ({ context }) => {
          const { thread, turns, chars } = conversationOf(context, PLAN)
          return { agent: 'orchestrator', thread, item: null, turn: turns + 1, tools: [], format: 'plan', promptChars: chars }
        },
        onDone: [
          {
            guard: 'planFits',
            target: 'opening',
            actions: [{ type: 'say', params: ({ event }) => ({ messages: [event.output.message] }) }, 'takePlan', 'tellAccepted'],
          },
          {
            guard: 'mayRepair',
            target: 'planning',
            reenter: true,
            actions: [{ type: 'say', params: ({ event }) => ({ messages: repairPlan(event) }) }, 'markRepaired'],
          },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noPlan(event) }) } },
        ],
        onError: { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: errorData(event.error) }) } },
      },
    },
    opening: {
      invoke: {
        id: 'open',
        src: 'open',
        input: ({ context }) => ({ source: context.target.source, mode: context.target.mode }),
        onDone: { target: 'assigning', actions: assign({ workspace: ({ event }) => event.output }) },
        onError: { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: errorData(event.error) }) } },
      },
    },
    assigning: {
      entry: [
        'forgetEvidence',
        { type: 'beginAsking', params: { question: 'task' } },
        'tellAssigned',
        { type: 'ask', params: ({ context }) => askParams(context, 'task') },
      ],
      on: {
        'ask.answered': [
          { guard: 'isLate' },
          { guard: 'taskIsDone', target: 'staging', actions: 'takeSummary' },
          { target: 'failed', actions: { type: 'giveUp', params: ({ context, event }) => failureOf(context, event) } },
        ],
        'ask.down': [
          { guard: 'isLate' },
          { guard: 'mayAskAgain', target: 'assigning', reenter: true },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noAnswer(event) }) } },
        ],
        'ask.timed_out': [
          { guard: 'isLate' },
          { guard: 'mayAskAgain', target: 'assigning', reenter: true },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noAnswer(event) }) } },
        ],
      },
    },
    staging: {
      entry: 'forgetEvidence',
      invoke: {
        id: 'stage',
        src: 'stage',
        input: ({ context }) => ({ workspace: context.workspace! }),
        onDone: [
          { guard: 'hasGate', target: 'gating', actions: [assign({ staged: ({ event }) => event.output }), 'tellStaged'] },
          { target: 'reviewing', actions: [assign({ staged: ({ event }) => event.output }), 'tellStaged'] },
        ],
        onError: { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: errorData(event.error) }) } },
      },
    },
    gating: {
      entry: [
        { type: 'beginAsking', params: { question: 'gate' } },
        { type: 'ask', params: ({ context }) => askParams(context, 'gate') },
      ],
      on: {
        'ask.answered': [
          { guard: 'isLate' },
          { guard: 'gateLetsPass', target: 'reviewing', actions: ['takeGate', 'tellGate'] },
          {
            guard: 'gateFails',
            target: 'returning',
            actions: ['takeGate', 'tellGate', { type: 'sendBack', params: ({ context, event }) => gateReturn(context, event) }],
          },
          { target: 'failed', actions: { type: 'giveUp', params: ({ context, event }) => failureOf(context, event) } },
        ],
        'ask.down': [
          { guard: 'isLate' },
          { guard: 'mayAskAgain', target: 'gating', reenter: true },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noAnswer(event) }) } },
        ],
        'ask.timed_out': [
          { guard: 'isLate' },
          { guard: 'mayAskAgain', target: 'gating', reenter: true },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noAnswer(event) }) } },
        ],
      },
    },
    reviewing: {
      entry: [
        { type: 'beginAsking', params: { question: 'review' } },
        { type: 'ask', params: ({ context }) => askParams(context, 'review') },
      ],
      on: {
        'ask.answered': [
          { guard: 'isLate' },
          { guard: 'isApproved', target: 'closing', actions: ['takeApproval', 'tellReview'] },
          {
            guard: 'needsChanges',
            target: 'returning',
            actions: ['tellReview', { type: 'sendBack', params: ({ context, event }) => reviewReturn(context, event) }],
          },
          { target: 'failed', actions: { type: 'giveUp', params: ({ context, event }) => failureOf(context, event) } },
        ],
        'ask.down': [
          { guard: 'isLate' },
          { guard: 'mayAskAgain', target: 'reviewing', reenter: true },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noAnswer(event) }) } },
        ],
        'ask.timed_out': [
          { guard: 'isLate' },
          { guard: 'mayAskAgain', target: 'reviewing', reenter: true },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noAnswer(event) }) } },
        ],
      },
    },
    returning: {
      always: [
        { guard: 'isSameAgain', target: 'failed', actions: ['tellLoop', { type: 'giveUp', params: ({ context }) => loopOf(context) }] },
        { guard: 'hasRounds', target: 'assigning', actions: 'nextRound' },
        { target: 'failed', actions: { type: 'giveUp', params: ({ context }) => outOfRounds(context) } },
      ],
    },
    closing: {
      entry: ['closeItem', 'tellFinished'],
      always: [{ guard: 'hasNext', target: 'assigning' }, { guard: 'staysStaged', target: 'done' }, { target: 'collecting' }],
    },
    collecting: {
      invoke: {
        id: 'plan',
        src: 'plan',
        input: ({ context }) => ({ workspace: context.workspace! }),
        onDone: [
          { guard: { type: 'isCovered', params: ({ event }) => ({ tree: event.output.tree }) }, target: 'promoting' },
          { target: 'failed', actions: { type: 'giveUp', params: ({ context, event }) => notCovered(context, event.output.tree) } },
        ],
        onError: { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: errorData(event.error) }) } },
      },
    },
    promoting: {
      invoke: {
        id: 'promote',
        src: 'promote',
        input: ({ event }) => (event as unknown as { output: PromotionPlan }).output,
        onDone: { target: 'done', actions: [assign({ promoted: true }), 'tellPromoted'] },
        onError: { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: errorData(event.error) }) } },
      },
    },
    done: { type: 'final' },
    failed: { type: 'final' },
    rejected: { type: 'final' },
  },
})
