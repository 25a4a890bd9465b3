/**
 * Guards and actions of the coder, by the names under which its statechart uses them, and what it says to its model.
 */
import { type AnyActorRef, assertEvent, assign, enqueueActions, sendTo, setup } from 'xstate'
import { type ErrorData, errorData } from '../errors.ts'
import type { ThreadAppend } from '../protocol.ts'
import { appending, type Conversation, conversationOf, grown, taskMessages } from './conversation.ts'
import { generate, planWrite, read, write } from './effects.ts'
import { type Message, reasons, type TaskAssign, type ToolCall, taskAssign } from './vocabulary.ts'
import { head } from './work.ts'

const READS = ['list', 'read', 'search']
const WRITES = ['edit', 'write']
/** Tools that a coder offers its model. `done {summary}` ends the round. */
export const CODER_TOOLS: readonly string[] = [...READS, ...WRITES, 'done']
/** Characters of one tool's result in a conversation. */
const RESULT_CHARS_MAX = 60_000

/** `system` is the role in words. `iterationsMax` counts answers of the model for one item, over all rounds. */
export interface CoderInput {
  readonly address: string
  readonly system: string
  readonly iterationsMax?: number | undefined
}

/** A file as the model knows it. */
export interface Seen {
  readonly path: string
  readonly hash: string
}

/** Plain data; the conversations themselves are threads outside. */
export interface CoderContext {
  readonly address: string
  readonly system: string
  readonly iterationsMax: number
  readonly replyTo: AnyActorRef | null
  readonly task: { readonly item: string; readonly round: number; readonly dir: string } | null
  /** Calls of the last answer that have no result yet. */
  readonly calls: readonly ToolCall[]
  /** Files of this item with the hash that was read or written last: a write from an older one is refused. */
  readonly seen: readonly Seen[]
  readonly conversations: readonly Conversation[]
}

type CoderEvent = ({ type: 'task.assign'; replyTo?: AnyActorRef } & TaskAssign) | { type: 'shutdown' }

/** Id of the item at hand. */
export const itemOf = (context: CoderContext): string => context.task?.item ?? ''
/** The tool call at hand. */
export const callOf = (context: CoderContext): ToolCall => context.calls[0] ?? { id: '', name: '', args: {} }
/** The conversation about the item at hand. */
export const talk = (context: CoderContext): Conversation => conversationOf(context, itemOf(context))
const pathOf = (path: unknown): string => (typeof path === 'string' ? path.replace(/^(?:\.\/)+/, '') : '')
/** Hash of the file that the call at hand is about, as it was seen last; null where it was never seen. */
export const seenHash = (context: CoderContext): string | null =>
  context.seen.find((file) => file.path === pathOf(callOf(context).args['path']))?.hash ?? null
const remembered = (seen: readonly Seen[], file: Seen): readonly Seen[] => {
  const path = pathOf(file.path)
  return [...seen.filter((known) => known.path !== path), { path, hash: file.hash }]
}
/** What was refused, as the model is told. */
export const refused = (thrown: unknown): string => {
  const error = errorData(thrown)
  return `error[${error.code}] ${error.message}`
}
/** One result for each of these calls. A conversation with open calls is refused by models. */
export const results = (calls: readonly ToolCall[], content: string): readonly Message[] =>
  calls.map((call) => ({ role: 'tool', toolCallId: call.id, content: head(content, RESULT_CHARS_MAX) }))

/** The result of the call at hand, as said to the model. */
export const told = (context: CoderContext, content: string) => ({
  item: itemOf(context),
  messages: results(context.calls.slice(0, 1), content),
})
/** An answer of the model, as it goes into the conversation. */
export const answered = (context: CoderContext, message: Message) => ({ item: itemOf(context), messages: [message] })
/** What the model is told about a tool that does not exist. */
export const noSuchTool = (context: CoderContext): string =>
  `there is no tool '${callOf(context).name}'; there are: ${CODER_TOOLS.join(', ')}`

/** What is said about the calls of work that is replaced. */
export const abandoned = (context: CoderContext) => ({
  item: itemOf(context),
  messages: results(context.calls, 'not done: other work came first'),
})

/** First words of a round. */
export function opening(context: CoderContext, event: CoderEvent): readonly Message[] {
  assertEvent(event, 'task.assign')
  const fresh = conversationOf(context, event.item.id).length === 0
  return taskMessages(context.system, fresh, taskAssign.parse(event))
}

/** The summary of a `done` call, or the text beside it. */
export function summaryOf(context: CoderContext): string {
  const summary = callOf(context).args['summary']
  return typeof summary === 'string' && summary.trim() !== '' ? summary : `work item ${itemOf(context)} is done`
}

/** Why no turn is left. */
export function outOfTurns(context: CoderContext): ErrorData {
  const { iterationsMax, address } = context
  return { code: 'E_LIMIT_TURNS', message: `${address} used ${iterationsMax} of ${iterationsMax} turns without finishing`, path: address }
}

/** Everything that the statechart in coder.ts refers to by name. */
export const rules = setup({
  types: { context: {} as CoderContext, events: {} as CoderEvent, input: {} as CoderInput },
  actors: { generate, read, planWrite, write },
  guards: {
    isAssignment: ({ event }) => event.type === 'task.assign' && event.replyTo !== undefined && taskAssign.safeParse(event).success,
    isSameRound: ({ context, event }) =>
      event.type === 'task.assign' &&
      event.replyTo !== undefined &&
      taskAssign.safeParse(event).success &&
      context.task?.item === event.item.id &&
      context.task.round === event.round,
    wantsAnswer: ({ event }) => event.type === 'task.assign' && event.replyTo !== undefined,
    nothingToCall: ({ context }) => context.calls.length === 0,
    outOfTurns: ({ context }) => context.calls.length === 0 && talk(context).turns >= context.iterationsMax,
    isRead: ({ context }) => READS.includes(callOf(context).name),
    isWrite: ({ context }) => WRITES.includes(callOf(context).name),
    isDone: ({ context }) => callOf(context).name === 'done',
    hasCalls: (_, params: { message: Message }) => (params.message.toolCalls ?? []).length > 0,
  },
  actions: {
    'thread.append': (_, _params: ThreadAppend) => {},
    say: enqueueActions(({ context, enqueue }, params: { item: string; messages: readonly Message[] }) => {
      if (params.messages.length === 0) return
      const append = enqueue as unknown as (action: { type: 'thread.append'; params: ThreadAppend }) => void
      append({ type: 'thread.append', params: appending(context, params.item, params.messages) })
      enqueue.assign({ conversations: grown(context, params.item, params.messages) })
    }),
    take: assign(({ context, event }) => {
      assertEvent(event, 'task.assign')
      const { item, round, workspace } = taskAssign.parse(event)
      const seen = itemOf(context) === item.id ? context.seen : []
      return { task: { item: item.id, round, dir: workspace.dir }, replyTo: event.replyTo ?? null, calls: [], seen }
    }),
    takeAsker: assign(({ event }) => ({ replyTo: (event as { replyTo: AnyActorRef }).replyTo })),
    queueCalls: assign((_, params: { message: Message }) => ({ calls: params.message.toolCalls ?? [] })),
    /** A call that is over: its file and hash are remembered where it has one. */
    settleCall: assign(({ context }, params: { seen: Seen | null }) => ({
      calls: context.calls.slice(1),
      seen: params.seen === null ? context.seen : remembered(context.seen, params.seen),
    })),
    rest: assign({ replyTo: null, calls: [] }),
    reject: sendTo(
      ({ event }) => (event as { replyTo: AnyActorRef }).replyTo,
      ({ event }) => ({ type: 'rejected', reasons: reasons(taskAssign.safeParse(event).error!) }),
    ),
    finish: sendTo(
      ({ context }) => context.replyTo!,
      (_, params: { summary: string }) => ({ type: 'task.done', summary: params.summary }),
    ),
    fail: sendTo(
      ({ context }) => context.replyTo!,
      (_, params: { error: ErrorData }) => ({ type: 'task.failed', error: params.error }),
    ),
  },
})
