/**
 * Keeps the conversations of others within their model's window (P16): makes a summary of the stretch that it is asked about. It reads the stretch where it is,
 * in the thread of whoever asks; nothing of it travels in events.
 *
 *   idle --context.compact--> summarising --a summary that fits--> idle        answers context.compacted {summary, back, count}
 *    |                          |--too long, empty or cut off, first time--> summarising      told what was wrong with its answer
 *    |                          |--the model failed, another may help--> summarising
 *    |                          |--such an answer again | nobody left--> idle                  answers context.failed {error}
 *    |                          '--context.compact--> summarising      it waits; asked for the same again, only the asker is new
 *    |--context.compact of more than its own model could read--> idle          answers context.failed E_CONTEXT_TOO_LARGE at once
 *    '--shutdown--> stopped
 *
 * A stretch that is too long for its model is shown with long messages cut in the middle, up to {@link SHORTENED_MAX} times; above, nothing could be said of it.
 * Whoever asks goes on without a summary after a failure, so no conversation waits for ever. A request that does not fit its schema is answered by
 * `rejected {reasons}`.
 */
import { type AnyActorRef, assign, emit, enqueueActions, sendTo, setup } from 'xstate'
import { type ErrorData, errorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { ThreadAppend } from '../protocol.ts'
import { appending, type Conversation, conversationOf, grown } from './conversation.ts'
import { type GenerateOutput, generate } from './effects.ts'
import { askedOf, type Calling, callingOf, failedCall, freshCall, hasAnother, type ModelInput, switched, switchOf } from './model-call.ts'
import { tokensOfMessage } from './tokens.ts'
import { type ContextCompact, contextCompact, type Message, reasons } from './vocabulary.ts'
import { head } from './work.ts'

/** How often one stretch is asked about. */
const ATTEMPTS_MAX = 2
/** Characters of a refused answer that its model is shown again. */
const ANSWER_CHARS_MAX = 400
/** How many times longer than its room a stretch may be. */
const SHORTENED_MAX = 4

/** `system` is the role in words. `promptTokensMax`: tokens that its own prompts may take; default: no limit is known. */
export interface OptimizerInput extends ModelInput {
  readonly address: string
  readonly system: string
  readonly promptTokensMax?: number | undefined
}

type Request = ContextCompact & { readonly replyTo: AnyActorRef }

/** Plain data. `waiting`: who has asked, in order; the first is served. `served` names the conversation about it. */
type OptimizerContext = Pick<OptimizerInput, 'address' | 'system' | 'promptTokensMax'> &
  Calling & {
    readonly waiting: readonly Request[]
    readonly served: number
    readonly attempts: number
    readonly conversations: readonly Conversation[]
  }
type OptimizerEvent = ({ type: 'context.compact'; replyTo?: AnyActorRef } & ContextCompact) | { type: 'shutdown' }

const topicOf = ({ waiting, served }: OptimizerContext): string => `${waiting[0]?.item ?? 'conversation'}~${served}`
const outputOf = (event: unknown): GenerateOutput => (event as { output: GenerateOutput }).output
const isFor = (one: ContextCompact, other: ContextCompact): boolean => one.thread === other.thread

/** Those that wait after this request: one of the same thread that is not served yet is out of date. */
function queued(waiting: readonly Request[], request: Request): readonly Request[] {
  const [first, ...rest] = waiting
  if (first === undefined) return [request]
  if (isFor(first, request) && first.back === request.back && first.count === request.count) return [request, ...rest]
  return [first, ...rest.filter((other) => !isFor(other, request)), request]
}

const instruction = ({ count, budgetTokens }: ContextCompact): string =>
  `Above are ${count} messages. Summarise them in at most ${Math.floor(budgetTokens / 2)} words.`

/** What is wrong with a summary; null: nothing. */
function problemOf({ message, finish }: GenerateOutput, request: ContextCompact): string | null {
  const summary = message.content.trim()
  if (summary === '') return 'it is empty'
  if (finish === 'length') return 'it was cut off because it is too long'
  const tokens = tokensOfMessage({ role: 'user', content: summary })
  if (tokens >= request.tokens) return 'it is longer than what it stands for'
  return tokens > request.budgetTokens ? `it takes ~${tokens} tokens, ${request.budgetTokens} are allowed` : null
}

/** The answer in short and what is wrong with it: one that is far too long must leave room for another. */
const repair = ({ waiting: [request] }: OptimizerContext, output: GenerateOutput): readonly Message[] => [
  { role: 'assistant', content: head(output.message.content, ANSWER_CHARS_MAX) },
  { role: 'user', content: `This summary cannot be used: ${problemOf(output, request!)}. ${instruction(request!)}` },
]

/** Is the stretch so long that its model would see next to nothing of it? */
const isHopeless = ({ promptTokensMax }: OptimizerContext, { tokens, budgetTokens }: ContextCompact): boolean =>
  promptTokensMax !== undefined && (tokens > SHORTENED_MAX * promptTokensMax || budgetTokens > promptTokensMax)

const tooLarge = ({ promptTokensMax }: OptimizerContext, { tokens }: ContextCompact): ErrorData => ({
  code: 'E_CONTEXT_TOO_LARGE',
  message: `a summary of ~${tokens} tokens is wanted, the model reads ${promptTokensMax}`,
})

const unusable = (context: OptimizerContext, event: unknown): ErrorData => ({
  code: 'E_PROVIDER_OUTPUT',
  message: `no usable summary, ${ATTEMPTS_MAX} times: ${problemOf(outputOf(event), context.waiting[0]!)}`,
})

const requestOf = (event: unknown): Request => ({ ...contextCompact.parse(event), replyTo: (event as Request).replyTo })

const base = setup({
  types: {
    context: {} as OptimizerContext,
    events: {} as OptimizerEvent,
    input: {} as OptimizerInput,
    emitted: {} as { type: string; [key: string]: Json | undefined },
  },
  actors: { generate },
  guards: {
    isRequest: ({ event }) => event.type === 'context.compact' && event.replyTo !== undefined && contextCompact.safeParse(event).success,
    isHopeless: ({ context, event }) =>
      event.type === 'context.compact' &&
      event.replyTo !== undefined &&
      contextCompact.safeParse(event).success &&
      isHopeless(context, requestOf(event)),
    wantsAnswer: ({ event }) => event.type === 'context.compact' && event.replyTo !== undefined,
    someoneWaits: ({ context }) => context.waiting.length > 0,
    isUsable: ({ context, event }) => problemOf(outputOf(event), context.waiting[0]!) === null,
    mayTryAgain: ({ context }) => context.attempts < ATTEMPTS_MAX,
    hasAnotherModel: ({ context }, params: { error: unknown }) => hasAnother(context, params.error),
  },
  actions: {
    'thread.append': (_, _params: ThreadAppend) => {},
    say: enqueueActions(({ context, enqueue }, { messages }: { messages: readonly Message[] }) => {
      const append = enqueue as unknown as (action: { type: 'thread.append'; params: ThreadAppend }) => void
      append({ type: 'thread.append', params: appending(context, topicOf(context), messages) })
      enqueue.assign({ conversations: grown(context, topicOf(context), messages) })
    }),
    queue: assign(({ context, event }) => ({ waiting: queued(context.waiting, requestOf(event)) })),
    begin: assign(({ context }) => ({ served: context.served + 1, attempts: 1, conversations: [], ...freshCall(context) })),
    countAttempt: assign(({ context }) => ({ attempts: context.attempts + 1, ...freshCall(context) })),
    tellSwitched: emit(({ context }, params: { error: unknown }) => ({ type: 'model.switched', ...switchOf(context, params.error) })),
    switchModel: assign(({ context }, params: { error: unknown }) => ({ call: switched(context, params.error) })),
    next: assign(({ context }) => ({ waiting: context.waiting.slice(1), conversations: [] })),
    reject: sendTo(
      ({ event }) => (event as Request).replyTo,
      ({ event }) => ({ type: 'rejected', reasons: reasons(contextCompact.safeParse(event).error!) }),
    ),
    refuse: sendTo(
      ({ event }) => (event as Request).replyTo,
      ({ context, event }) => ({ type: 'context.failed', error: tooLarge(context, requestOf(event)) }),
    ),
    give: sendTo(
      ({ context }) => context.waiting[0]!.replyTo,
      ({ context, event }) => {
        const { back, count } = context.waiting[0]!
        return { type: 'context.compacted', summary: outputOf(event).message.content.trim(), back, count }
      },
    ),
    fail: sendTo(
      ({ context }) => context.waiting[0]!.replyTo,
      (_, params: { error: ErrorData }) => ({ type: 'context.failed', error: params.error }),
    ),
  },
})

/** Machine of `/team/optimizer`. */
export const optimizer = base.createMachine({
  id: 'optimizer',
  version: '1',
  context: ({ input: { models, contextTokensMax, ...own } }) => ({
    ...own,
    waiting: [],
    served: 0,
    attempts: 0,
    conversations: [],
    ...callingOf({ models, contextTokensMax }),
  }),
  initial: 'idle',
  on: {
    'context.compact': [
      { guard: 'isHopeless', actions: 'refuse' },
      { guard: 'isRequest', actions: 'queue' },
      { guard: 'wantsAnswer', actions: 'reject' },
    ],
  },
  states: {
    idle: { always: { guard: 'someoneWaits', target: 'summarising', actions: 'begin' }, on: { shutdown: 'stopped' } },
    summarising: {
      initial: 'instructing',
      states: {
        instructing: {
          always: {
            target: 'asking',
            actions: {
              type: 'say',
              params: ({ context }) => ({
                messages: [
                  { role: 'system', content: context.system },
                  { role: 'user', content: instruction(context.waiting[0]!) },
                ],
              }),
            },
          },
        },
        asking: {
          invoke: {
            id: 'generate',
            src: 'generate',
            input: ({ context }) => {
              const { thread, turns, chars } = conversationOf(context, topicOf(context))
              const { thread: read, back, count, tokens, item } = context.waiting[0]!
              const { promptTokensMax } = context
              return {
                ...{ agent: 'optimizer', thread, item, turn: turns + 1, tools: [], format: 'text' as const },
                // What is reserved is half of the characters: all of the stretch, or what fits.
                promptChars: chars + 2 * Math.min(tokens, promptTokensMax ?? tokens),
                stretch: { thread: read, back, count },
                ...(promptTokensMax === undefined ? {} : { promptTokensMax }),
                ...askedOf(context),
              }
            },
            onDone: [
              {
                guard: 'isUsable',
                target: '#optimizer.idle',
                actions: [{ type: 'say', params: ({ event }) => ({ messages: [event.output.message] }) }, 'give', 'next'],
              },
              {
                guard: 'mayTryAgain',
                target: 'asking',
                reenter: true,
                actions: [
                  {
                    type: 'say',
                    params: ({ context, event }) => ({
                      messages: repair(context, event.output),
                    }),
                  },
                  'countAttempt',
                ],
              },
              {
                target: '#optimizer.idle',
                actions: [{ type: 'fail', params: ({ context, event }) => ({ error: unusable(context, event) }) }, 'next'],
              },
            ],
            onError: [
              // The answer crashed us and we were restarted: the model is asked again. A bug that stays ends in the supervisor's intensity.
              { guard: ({ event }) => errorData(event.error).code === 'E_POISON', target: 'asking', reenter: true },
              {
                guard: { type: 'hasAnotherModel', params: ({ event }) => ({ error: event.error }) },
                target: 'asking',
                reenter: true,
                actions: [
                  { type: 'tellSwitched', params: ({ event }) => ({ error: event.error }) },
                  { type: 'switchModel', params: ({ event }) => ({ error: event.error }) },
                ],
              },
              {
                target: '#optimizer.idle',
                actions: [{ type: 'fail', params: ({ context, event }) => ({ error: failedCall(context, event.error) }) }, 'next'],
              },
            ],
          },
        },
      },
    },
    stopped: { type: 'final' },
  },
})
