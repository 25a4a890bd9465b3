/**
 * Reads a change and gives a verdict on exactly the tree that it was shown.
 *
 *   idle --review.request--> judging --verdict--> idle           answers review.given {verdict, feedback, tree}
 *    |                         | '--no verdict, first time--> judging      told what was wrong with its answer
 *    |                         | '--the model failed, another may help--> judging
 *    |                         | '--no verdict again | nobody left--> idle       answers review.failed {error}
 *    |                         '--review.request--> judging      asked again for the same round: only the asker is new
 *    '--shutdown--> stopped
 *
 * A request that does not fit its schema is answered by `rejected {reasons}`, in every state.
 */
import { type AnyActorRef, assertEvent, assign, emit, enqueueActions, sendTo, setup } from 'xstate'
import { type ErrorData, errorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { ThreadAppend } from '../protocol.ts'
import { appending, type Conversation, conversationOf, grown, reviewMessages } from './conversation.ts'
import { type GenerateOutput, generate } from './effects.ts'
import { askedOf, type Calling, callingOf, failedCall, freshCall, hasAnother, type ModelInput, switched, switchOf } from './model-call.ts'
import { type Message, type ReviewRequest, reasons, reviewRequest, verdict } from './vocabulary.ts'
import { readAnswer, repairRequest } from './work.ts'

/** `system` is the role in words, said first in every conversation. */
export interface ReviewerInput extends ModelInput {
  readonly address: string
  readonly system: string
}

/** Plain data. The diff is in the thread, not here. */
type ReviewerContext = Pick<ReviewerInput, 'address' | 'system'> &
  Calling & {
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
  types: {
    context: {} as ReviewerContext,
    events: {} as ReviewerEvent,
    input: {} as ReviewerInput,
    emitted: {} as { type: string; [key: string]: Json | undefined },
  },
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
    hasAnotherModel: ({ context }, params: { error: unknown }) => hasAnother(context, params.error),
  },
  actions: {
    'thread.append': (_, _params: ThreadAppend) => {},
    say: enqueueActions(({ context, enqueue }, params: { item: string; messages: readonly Message[] }) => {
      const append = enqueue as unknown as (action: { type: 'thread.append'; params: ThreadAppend }) => void
      append({ type: 'thread.append', params: appending(context, params.item, params.messages) })
      enqueue.assign({ conversations: grown(context, params.item, params.messages) })
    }),
    take: assign(({ context, event }) => {
      assertEvent(event, 'review.request')
      const review = { item: event.item.id, tree: event.tree, round: event.round }
      return { review, replyTo: event.replyTo ?? null, repaired: false, ...freshCall(context) }
    }),
    tellSwitched: emit(({ context }, params: { error: unknown }) => ({ type: 'model.switched', ...switchOf(context, params.error) })),
    switchModel: assign(({ context }, params: { error: unknown }) => ({ call: switched(context, params.error) })),
    takeAsker: assign(({ event }) => ({ replyTo: (event as { replyTo: AnyActorRef }).replyTo })),
    markRepaired: assign(({ context }) => ({ repaired: true, ...freshCall(context) })),
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
  context: ({ input: { address, system, ...models } }) => ({
    address,
    system,
    replyTo: null,
    review: null,
    repaired: false,
    conversations: [],
    ...callingOf(models),
  }),
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
          const about = { agent: 'reviewer', thread, item: itemOf(context), turn: turns + 1 }
          return { ...about, tools: [], format: 'verdict' as const, promptChars: chars, ...askedOf(context) }
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
          {
            guard: { type: 'hasAnotherModel', params: ({ event }) => ({ error: event.error }) },
            target: 'judging',
            reenter: true,
            actions: [
              { type: 'tellSwitched', params: ({ event }) => ({ error: event.error }) },
              { type: 'switchModel', params: ({ event }) => ({ error: event.error }) },
            ],
          },
          { target: 'idle', actions: { type: 'fail', params: ({ context, event }) => ({ error: failedCall(context, event.error) }) } },
        ],
      },
    },
    stopped: { type: 'final' },
  },
})
