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
 *               |--rounds go in circles--> failed     E_LOOP_ESCALATED, for a person to decide
 *               '--no round left--> failed
 *
 *   each of these --the time of the item is up--> abandoning --> closing     timed_out, with what there is; what needs it is not started
 *                                                    closing --others are done too--> failed     E_LIMIT_TIME, with all records
 *
 *   closing --it remembers--> recording --> closed      the memory of the project is told how the item ended; that it cannot be told stops nothing
 *
 * In `assigning`, `gating` and `reviewing` a peer is asked. One that goes down or does not answer in time is asked once more for the same round; then the
 * run fails, or the time of the item is up. A coder whose tool calls went in circles was restarted by its supervisor and begins anew, once. Only a tree that a passed gate and an approving review cover exactly is promoted; the promotion's plan goes from effect to effect.
 */
import { assign } from 'xstate'
import { errorData } from '../errors.ts'
import { askParams, noAnswer, tooLate } from './asking.ts'
import { conversationOf } from './conversation.ts'
import type { PromotionPlan } from './effects.ts'
import { exitWith, openLedger, outcomeOf } from './ledger.ts'
import { missionOf } from './mission.ts'
import { askedOf, failedCall } from './model-call.ts'
import {
  circlesOf,
  failureOf,
  gateReturn,
  itemExpired,
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
  version: '2',
  context: ({ input }) => openLedger(input),
  output: ({ context }) => exitWith(outcomeOf(context)),
  initial: 'starting',
  on: {
    'item.expired': {
      guard: 'isItemAtHand',
      target: '.abandoning',
      actions: { type: 'expire', params: ({ context }) => ({ error: itemExpired(context) }) },
    },
  },
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
          const about = { agent: 'orchestrator', thread, item: null, turn: turns + 1 }
          return { ...about, tools: [], format: 'plan' as const, promptChars: chars, ...askedOf(context) }
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
        onError: [
          {
            guard: { type: 'hasAnotherModel', params: ({ event }) => ({ error: event.error }) },
            target: 'planning',
            reenter: true,
            actions: [
              { type: 'tellSwitched', params: ({ event }) => ({ error: event.error }) },
              { type: 'switchModel', params: ({ event }) => ({ error: event.error }) },
            ],
          },
          { target: 'failed', actions: { type: 'giveUp', params: ({ context, event }) => ({ error: failedCall(context, event.error) }) } },
        ],
      },
    },
    opening: {
      invoke: {
        id: 'open',
        src: 'open',
        input: ({ context }) => ({ source: context.target.source, mode: context.target.mode }),
        onDone: { target: 'assigning', actions: [assign({ workspace: ({ event }) => event.output }), 'beginItem'] },
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
          {
            guard: 'wentInCirclesAgain',
            target: 'failed',
            actions: [
              { type: 'tellEscalated', params: { to: 'person' } },
              { type: 'giveUp', params: ({ context, event }) => circlesOf(context, event) },
            ],
          },
          {
            guard: 'wentInCircles',
            target: 'assigning',
            reenter: true,
            actions: [{ type: 'tellEscalated', params: { to: 'orchestrator' } }, 'takeCircle'],
          },
          { guard: 'mayAskAgain', target: 'assigning', reenter: true },
          { target: 'failed', actions: { type: 'giveUp', params: ({ event }) => ({ error: noAnswer(event) }) } },
        ],
        'ask.timed_out': [
          { guard: 'isLate' },
          { guard: 'mayAskLate', target: 'assigning', reenter: true },
          { target: 'abandoning', actions: { type: 'expire', params: ({ context, event }) => ({ error: tooLate(context, event) }) } },
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
          { guard: 'mayAskLate', target: 'gating', reenter: true },
          { target: 'abandoning', actions: { type: 'expire', params: ({ context, event }) => ({ error: tooLate(context, event) }) } },
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
          { guard: 'mayAskLate', target: 'reviewing', reenter: true },
          { target: 'abandoning', actions: { type: 'expire', params: ({ context, event }) => ({ error: tooLate(context, event) }) } },
        ],
      },
    },
    returning: {
      entry: 'checkLoop',
      always: [
        {
          guard: 'isLoop',
          target: 'failed',
          actions: [
            'tellLoop',
            { type: 'tellEscalated', params: { to: 'person' } },
            { type: 'giveUp', params: ({ context }) => loopOf(context) },
          ],
        },
        { guard: 'hasRounds', target: 'assigning', actions: 'nextRound' },
        { target: 'failed', actions: { type: 'giveUp', params: ({ context }) => outOfRounds(context) } },
      ],
    },
    abandoning: {
      entry: [
        { type: 'beginAsking', params: { question: 'abandon' } },
        { type: 'ask', params: ({ context }) => askParams(context, 'abandon') },
      ],
      on: {
        'ask.answered': [{ guard: 'isLate' }, { target: 'closing', actions: 'takePartial' }],
        'ask.down': [{ guard: 'isLate' }, { target: 'closing' }],
        'ask.timed_out': [{ guard: 'isLate' }, { target: 'closing', actions: 'takePartial' }],
      },
    },
    closing: {
      entry: 'closeItem',
      always: [{ guard: 'mustRecord', target: 'recording' }, { target: 'closed' }],
    },
    recording: {
      invoke: {
        id: 'record',
        src: 'record',
        input: ({ context }) => missionOf(context),
        onDone: { target: 'closed', actions: 'markRecorded' },
        onError: { target: 'closed', actions: 'markRecorded' },
      },
    },
    closed: {
      always: [
        { guard: 'hasNext', target: 'assigning', actions: 'beginItem' },
        { guard: 'isIncomplete', target: 'failed', actions: { type: 'giveUp', params: ({ context }) => ({ error: context.incomplete! }) } },
        { guard: 'staysStaged', target: 'done' },
        { target: 'collecting' },
      ],
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
