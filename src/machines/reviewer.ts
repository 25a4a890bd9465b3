/**
 * Reads a change and gives a verdict on exactly the tree that it was shown.
 *
 *   idle --review.request--> judging --verdict--> idle           answers review.given {verdict, feedback, tree}
 *    |                         | '--no verdict, first time--> judging      told what was wrong with its answer
 *    |                         | '--no verdict again | model failed--> idle    answers review.failed {error}
 *    |                         '--review.request--> judging      asked again for the same round: only the asker is new
 *    '--shutdown--> stopped
 *
 * A request that does not fit its schema is answered by `rejected {reasons}`, in every state.
 */
import { type AnyActorRef, assertEvent, assign, enqueueActions, sendTo, setup } from 'xstate'
import { type ErrorData, errorData } from '../errors.ts'
import type { ThreadAppend } from '../protocol.ts'
import { appending, type Conversation, conversationOf, grown, reviewMessages } from './conversation.ts'
import { type GenerateOutput, generate } from './effects.ts'
import { type Message, type ReviewRequest, reasons, reviewRequest, verdict } from './vocabulary.ts'
import { readAnswer, repairRequest } from './work.ts'

/** `system` is the role in words, said first in every conversation. */
export interface ReviewerInput {
  readonly address: string
  readonly system: string
}

/** Plain data. The diff is in the thread, not here. */
type ReviewerContext = ReviewerInput & {
  readonly replyTo: AnyActorRef | null
  readonly review: { readonly item: string; readonly tree: string; readonly round: number } | null
  readonly repaired: boolean
  readonly conversations: readonly Conversation[]
}

type ReviewerEvent = ({ type: 'review.request'; replyTo?: AnyActorRef } & ReviewRequest) | { type: 'shutdown' }

const itemOf = (context: ReviewerContext): string => context.review?.item ?? ''
const outputOf = (event: unknown): GenerateOutput => (event as { output: GenerateOutput }).output
const verdictOf = (event: unknown) => readAnswer(verdict, outputOf(event).message.content)
const problemsOf = (event: unknown): readonly string[] => {
  const read = verdictOf(event)
  return read.ok ? [] : read.reasons
}
const opening = (context: ReviewerContext, event: ReviewerEvent): readonly Message[] => {
  assertEvent(event, 'review.request')
  return reviewMessages(context.system, conversationOf(context, event.item.id).length === 0, reviewRequest.parse(event))
}
const repair = (event: unknown): readonly Message[] => [
  outputOf(event).message,
  { role: 'user', content: repairRequest(problemsOf(event)) },
]
const unusable = (event: unknown): ErrorData => ({
  code: 'E_PROVIDER_OUTPUT',
  message: `no usable verdict, 2 times: ${problemsOf(event).join('; ')}`,
})

const base = setup({
  types: { context: {} as ReviewerContext, events: {} as ReviewerEvent, input: {} as ReviewerInput },
  actors: { generate },
  guards: {
    isRequest: ({ event }) => event.type === 'review.request' && event.replyTo !== undefined && reviewRequest.safeParse(event).success,
    isSameRound: ({ context, event }) =>
      event.type === 'review.request' &&
      event.replyTo !== undefined &&
      reviewRequest.safeParse(event).success &&
      context.review !== null &&
      event.item.id === context.review.item &&
      event.tree === context.review.tree &&
      event.round === context.review.round,
    wantsAnswer: ({ event }) => event.type === 'review.request' && event.replyTo !== undefined,
    hasVerdict: ({ event }) => verdictOf(event).ok,
    mayRepair: ({ context }) => !context.repaired,
  },
  actions: {
    'thread.append': (_, _params: ThreadAppend) => {},
    say: enqueueActions(({ context, enqueue }, params: { item: string; messages: readonly Message[] }) => {
      const append = enqueue as unknown as (action: { type: 'thread.append'; params: ThreadAppend }) => void
      append({ type: 'thread.append', params: appending(context, params.item, params.messages) })
      enqueue.assign({ conversations: grown(context, params.item, params.messages) })
    }),
    take: assign(({ event }) => {
      assertEvent(event, 'review.request')
      return { review: { item: event.item.id, tree: event.tree, round: event.round }, replyTo: event.replyTo ?? null, repaired: false }
    }),
    takeAsker: assign(({ event }) => ({ replyTo: (event as { replyTo: AnyActorRef }).replyTo })),
    markRepaired: assign({ repaired: true }),
    reset: assign({ review: null, replyTo: null, repaired: false }),
    reject: sendTo(
      ({ event }) => (event as { replyTo: AnyActorRef }).replyTo,
      ({ event }) => ({ type: 'rejected', reasons: reasons(reviewRequest.safeParse(event).error!) }),
    ),
    giveVerdict: sendTo(
      ({ context }) => context.replyTo!,
      ({ context, event }) => {
        const read = verdictOf(event)
        const given = read.ok ? read.value : { verdict: 'needs_changes', feedback: read.reasons }
        return { type: 'review.given', verdict: given.verdict, feedback: given.feedback, tree: context.review?.tree ?? '' }
      },
    ),
    fail: sendTo(
      ({ context }) => context.replyTo!,
      (_, params: { error: ErrorData }) => ({ type: 'review.failed', error: params.error }),
    ),
  },
})

/** Machine of `/team/reviewer`. */
export const reviewer = base.createMachine({
  id: 'reviewer',
  version: '1',
  context: ({ input }) => ({ ...input, replyTo: null, review: null, repaired: false, conversations: [] }),
  initial: 'idle',
  on: {
    'review.request': [
      { guard: 'isSameRound', target: '.judging', actions: 'takeAsker' },
      {
        guard: 'isRequest',
        target: '.judging',
        actions: [{ type: 'say', params: ({ context, event }) => ({ item: event.item.id, messages: opening(context, event) }) }, 'take'],
      },
      { guard: 'wantsAnswer', actions: 'reject' },
    ],
  },
  states: {
    idle: { entry: 'reset', on: { shutdown: 'stopped' } },
    judging: {
      invoke: {
        id: 'generate',
        src: 'generate',
        input: ({ context }) => {
          const { thread, turns, chars } = conversationOf(context, itemOf(context))
          return { agent: 'reviewer', thread, item: itemOf(context), turn: turns + 1, tools: [], format: 'verdict', promptChars: chars }
        },
        onDone: [
          {
            guard: 'hasVerdict',
            target: 'idle',
            actions: [
              { type: 'say', params: ({ context, event }) => ({ item: itemOf(context), messages: [event.output.message] }) },
              'giveVerdict',
            ],
          },
          {
            guard: 'mayRepair',
            target: 'judging',
            reenter: true,
            actions: [
              { type: 'say', params: ({ context, event }) => ({ item: itemOf(context), messages: repair(event) }) },
              'markRepaired',
            ],
          },
          { target: 'idle', actions: { type: 'fail', params: ({ event }) => ({ error: unusable(event) }) } },
        ],
        onError: [
          // The answer crashed us and we were restarted: the model is asked again. A bug that stays ends in the supervisor's intensity.
          { guard: ({ event }) => errorData(event.error).code === 'E_POISON', target: 'judging', reenter: true },
          { target: 'idle', actions: { type: 'fail', params: ({ event }) => ({ error: errorData(event.error) }) } },
        ],
      },
    },
    stopped: { type: 'final' },
  },
})
