/**
 * Guards and actions of the coder, by the names under which its statechart uses them, and what it says to its model. Calls that go in circles: coder-loops.ts.
 */
import { type AnyActorRef, assertEvent, assign, cancel, emit, enqueueActions, sendTo, setup } from 'xstate'
import { type ErrorData, errorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { Address, AskEvent, AskParams, ThreadAppend } from '../protocol.ts'
import { cannotRepair, isSilent, misfit, mustRepair, NO_SLIPS, type Slips, slipped } from './coder-answers.ts'
import { blocked, circleOf, type Judged, judged, nudged, POLLING_MS, settled } from './coder-loops.ts'
import { beginRecall, isRecalledFirst, type Remembering } from './coder-recall.ts'
import { isAbout, isFull, learned, openWindow, shortened, type Window, type WindowLimits } from './compacting.ts'
import { appending, type Conversation, conversationOf, grown, taskMessages, topicOf, withConversation } from './conversation.ts'
import { type GenerateOutput, generate, planWrite, read, write } from './effects.ts'
import { type RecallLimits, recall } from './memory-effects.ts'
import { type Calling, freshCall, hasAnother, type ModelInput, switched, switchOf } from './model-call.ts'
import { NO_CALLS, pollingExpired, type ToolLoopOptions, type ToolMemory } from './tool-loops.ts'
import { type Message, reasons, type TaskAssign, type ToolCall, taskAbandon, taskAssign } from './vocabulary.ts'
import { head } from './work.ts'

const READS = ['list', 'read', 'search']
const WRITES = ['edit', 'write']
/** Tools that a coder offers its model. `done {summary}` ends the round. */
export const CODER_TOOLS: readonly string[] = [...READS, ...WRITES, 'done']
/** Characters of one tool's result in a conversation. */
const RESULT_CHARS_MAX = 60_000

/** `system` is the role in words. `iterationsMax` counts answers of the model for one item, over all rounds. */
export interface CoderInput extends ModelInput {
  readonly address: string
  readonly system: string
  readonly iterationsMax?: number | undefined
  /** How circles of tool calls are judged. `pollingMs`: how long it may poll without seeing anything new; default ten minutes. */
  readonly loops?: (ToolLoopOptions & { readonly pollingMs?: number | undefined }) | undefined
  /** Asks the memory of the project before it begins an item, within these limits or the default ones. Default: it does not. */
  readonly memory?: boolean | RecallLimits | undefined
  /** Who makes long conversations shorter; left out: nobody, what does not fit is left out. */
  readonly optimizer?: Address | undefined
  /** What prompts may take. */
  readonly window?: WindowLimits | undefined
}

/** A file as the model knows it. */
export interface Seen {
  readonly path: string
  readonly hash: string
}

/** Plain data; the conversations themselves are threads outside. */
export interface CoderContext extends Calling, Remembering {
  readonly address: string
  readonly system: string
  readonly iterationsMax: number
  readonly replyTo: AnyActorRef | null
  readonly task: { readonly item: string; readonly round: number; readonly dir: string; readonly topic: string } | null
  /** Calls of the last answer that have no result yet. */
  readonly calls: readonly ToolCall[]
  /** Files of this item with the hash that was read or written last: a write from an older one is refused. */
  readonly seen: readonly Seen[]
  readonly conversations: readonly Conversation[]
  readonly limits: NonNullable<CoderInput['loops']>
  /** Calls of this round, and what was made of the one at hand. */
  readonly loops: ToolMemory
  readonly judged: Judged
  /** The answer of the model in which a call was blocked last; 0: none was. */
  readonly blockedTurn: number
  /** What is there of this item so far, for whoever waits for it no longer: files that were written, and answers of the model. */
  readonly partial: { readonly files: readonly string[]; readonly turn: number } | null
  /** Answers in a row that could not be used. Absent: none so far. */
  readonly slips?: Slips | undefined
  /** Why this life ends: tool calls that went in circles. */
  readonly circle: ErrorData | null
  /** What prompts may take, and how long conversations became shorter. Absent in a context of an earlier version. */
  readonly window?: Window
}

type CoderEvent =
  | ({ type: 'task.assign'; replyTo?: AnyActorRef } & TaskAssign)
  | { type: 'task.abandon'; item: string; replyTo?: AnyActorRef }
  | { type: 'polling.expired' }
  | { type: 'shutdown' }
  | AskEvent

/** Id of the item at hand. */
export const itemOf = (context: CoderContext): string => context.task?.item ?? ''
/** The tool call at hand. */
export const callOf = (context: CoderContext): ToolCall => context.calls[0] ?? { id: '', name: '', args: {} }
const topicAtHand = (context: CoderContext): string => context.task?.topic ?? ''
/** The conversation about the item at hand. */
export const talk = (context: CoderContext): Conversation => conversationOf(context, topicAtHand(context))
/** What prompts about it may take. */
export const windowOf = ({ window }: CoderContext): Window => window ?? openWindow(undefined, undefined)
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
const results = (calls: readonly ToolCall[], content: string): readonly Message[] =>
  calls.map((call) => ({ role: 'tool', toolCallId: call.id, content: head(content, RESULT_CHARS_MAX) }))

/** Messages of the conversation at hand. */
export const told = (context: CoderContext, messages: readonly Message[]) => ({ topic: topicAtHand(context), messages })
/** An answer of the model, as it goes into the conversation. */
export const answered = (context: CoderContext, message: Message) => told(context, [message])
/** What the model is told about a tool that does not exist. */
export const noSuchTool = (context: CoderContext): string =>
  `there is no tool '${callOf(context).name}'; there are: ${CODER_TOOLS.join(', ')}`

/** What is said about calls that will not be performed. */
export const unperformed = (context: CoderContext, why: string) => ({ topic: topicAtHand(context), messages: results(context.calls, why) })

/** First words of a round. */
export function opening(context: CoderContext, event: CoderEvent): { topic: string; messages: readonly Message[] } {
  assertEvent(event, 'task.assign')
  const task = taskAssign.parse(event)
  const topic = topicOf(task.item.id, task.conversation)
  if (isRecalledFirst(context, task)) return { topic, messages: [] }
  return { topic, messages: taskMessages(context.system, conversationOf(context, topic).length === 0, task) }
}

/** The summary of a `done` call, or the text beside it. */
export function summaryOf(context: CoderContext): string {
  const summary = callOf(context).args['summary']
  return typeof summary === 'string' && summary.trim() !== '' ? summary : `work item ${itemOf(context)} is done`
}

/** Says something in a conversation: `enqueue` of an action that does more than that. */
function saying(enqueue: unknown, context: CoderContext, { topic, messages }: { topic: string; messages: readonly Message[] }): void {
  if (messages.length === 0) return
  const actions = enqueue as ((action: { type: 'thread.append'; params: ThreadAppend }) => void) & {
    assign(change: Partial<CoderContext>): void
  }
  actions({ type: 'thread.append', params: appending(context, topic, messages) })
  actions.assign({ conversations: grown(context, topic, messages) })
}

export interface CallEnd {
  readonly content: string
  readonly seen: Seen | null
  readonly wrote?: boolean
}
const withFile = ({ partial }: CoderContext, path: string): readonly string[] => [...new Set([...(partial?.files ?? []), pathOf(path)])]

/** Why no turn is left. */
export function outOfTurns(context: CoderContext): ErrorData {
  const { iterationsMax, address } = context
  return { code: 'E_LIMIT_TURNS', message: `${address} used ${iterationsMax} of ${iterationsMax} turns without finishing`, path: address }
}

/** Everything that the statechart in coder.ts refers to by name. */
export const rules = setup({
  types: {
    context: {} as CoderContext,
    events: {} as CoderEvent,
    input: {} as CoderInput,
    emitted: {} as { type: string; [key: string]: Json | undefined },
  },
  actors: { generate, read, planWrite, write, recall },
  guards: {
    isAssignment: ({ event }) => event.type === 'task.assign' && event.replyTo !== undefined && taskAssign.safeParse(event).success,
    isSameRound: ({ context, event }) =>
      event.type === 'task.assign' &&
      event.replyTo !== undefined &&
      taskAssign.safeParse(event).success &&
      context.task?.topic === topicOf(event.item.id, event.conversation ?? 1) &&
      context.task.round === event.round,
    wantsAnswer: ({ event }) => event.type === 'task.assign' && event.replyTo !== undefined,
    isAbandoned: ({ context, event }) =>
      event.type === 'task.abandon' && event.replyTo !== undefined && taskAbandon.safeParse(event).data?.item === itemOf(context),
    wantsToAbandon: ({ event }) => event.type === 'task.abandon' && event.replyTo !== undefined,
    goesInCircles: ({ context }) => context.judged?.verdict === 'escalate',
    isBlocked: ({ context }) => context.judged?.verdict === 'block',
    mustRecall: ({ context }) => (context.recalling ?? null) !== null,
    nothingToCall: ({ context }) => context.calls.length === 0,
    isFull: ({ context }) => context.calls.length === 0 && isFull(windowOf(context), talk(context)),
    isLate: ({ context, event }) => !isAbout(windowOf(context), event as { id?: string }),
    outOfTurns: ({ context }) => context.calls.length === 0 && talk(context).turns >= context.iterationsMax,
    isRead: ({ context }) => READS.includes(callOf(context).name),
    isWrite: ({ context }) => WRITES.includes(callOf(context).name),
    hasAnotherModel: ({ context }, params: { error: unknown }) => hasAnother(context, params.error),
    isDone: ({ context }) => callOf(context).name === 'done',
    mustRepair: ({ context }, params: { output: GenerateOutput }) => mustRepair(context, params.output),
    cannotRepair: ({ context }, params: { output: GenerateOutput }) => cannotRepair(context, params.output),
    givesUpModel: ({ context }, params: { output: GenerateOutput }) =>
      cannotRepair(context, params.output) && hasAnother(context, misfit(params.output)),
    isSilent: ({ context }, params: { output: GenerateOutput }) => isSilent(context, params.output),
    hasCalls: (_, params: { message: Message }) => (params.message.toolCalls ?? []).length > 0,
  },
  actions: {
    'thread.append': (_, _params: ThreadAppend) => {},
    ask: (_, _params: AskParams) => {},
    beginCompacting: assign(({ context }) => ({ window: { ...windowOf(context), asked: windowOf(context).asked + 1 } })),
    /** The stretch is replaced by its summary, or by a line where there is none. */
    compact: enqueueActions(({ context, event, enqueue }) => {
      const made = shortened(windowOf(context), talk(context), event as AskEvent)
      if (made === null) return
      const append = enqueue as unknown as (action: { type: 'thread.append'; params: ThreadAppend }) => void
      append({ type: 'thread.append', params: appending(context, topicAtHand(context), [made.message]) })
      enqueue.assign({ window: made.window, conversations: withConversation(context, made.conversation) })
      enqueue.emit({ type: 'context.compacted', ...made.fact, item: itemOf(context) })
    }),
    /** What the model has counted, before its answer is said. */
    learn: assign(({ context }, output: GenerateOutput) => ({ window: learned(windowOf(context), talk(context), output) })),
    say: enqueueActions(({ context, enqueue }, params: { topic: string; messages: readonly Message[] }) =>
      saying(enqueue, context, params),
    ),
    take: assign(({ context, event }) => {
      assertEvent(event, 'task.assign')
      const { item, round, workspace, conversation } = taskAssign.parse(event)
      const known = itemOf(context) === item.id ? { seen: context.seen, partial: context.partial } : { seen: [], partial: null }
      const task = { item: item.id, round, dir: workspace.dir, topic: topicOf(item.id, conversation) }
      return { task, replyTo: event.replyTo ?? null, calls: [], loops: NO_CALLS, blockedTurn: 0, ...known }
    }),
    beginRecall: assign(({ context, event }) => beginRecall(context, taskAssign.parse(event))),
    endRecall: assign({ recalling: null }),
    takeAsker: assign(({ event }) => ({ replyTo: (event as { replyTo: AnyActorRef }).replyTo })),
    queueCalls: assign(({ context }, params: { message: Message }) => ({
      calls: params.message.toolCalls ?? [],
      partial: { files: context.partial?.files ?? [], turn: talk(context).turns },
    })),
    countSlip: assign(({ context }, params: { kind: keyof Slips }) => ({ slips: slipped(context, params.kind) })),
    forgetSlips: assign(({ context }) => (context.slips === undefined ? {} : { slips: NO_SLIPS })),
    judge: assign(({ context }) => ({
      judged: context.calls.length === 0 ? null : judged(context, callOf(context), talk(context).turns),
      ...freshCall(context),
    })),
    tellSwitched: emit(({ context }, params: { error: unknown }) => ({ type: 'model.switched', ...switchOf(context, params.error) })),
    switchModel: assign(({ context }, params: { error: unknown }) => ({ call: switched(context, params.error) })),
    /** A call that is over: told to the model, its file remembered where it has one, and compared with those before. */
    finishCall: enqueueActions(({ context, enqueue }, { content, seen, wrote = false }: CallEnd) => {
      const after = {
        seen: seen === null ? context.seen : remembered(context.seen, seen),
        partial: {
          turn: talk(context).turns,
          files: wrote && seen !== null ? withFile(context, seen.path) : (context.partial?.files ?? []),
        },
      }
      const { memory, nudge, progress } = settled(context, callOf(context), { ...after, result: content })
      const ended = progress || (context.loops.polling !== null && memory.polling === null)
      if (ended) enqueue.cancel('polling')
      if (memory.polling !== null && (progress || context.loops.polling === null))
        enqueue.raise({ type: 'polling.expired' }, { id: 'polling', delay: context.limits.pollingMs ?? POLLING_MS })
      const said = results(context.calls.slice(0, 1), content)
      const messages = said.map((message) => ({ ...message, content: `${message.content}${nudged(callOf(context), nudge)}` }))
      saying(enqueue, context, { topic: topicAtHand(context), messages })
      enqueue.assign({ ...after, calls: context.calls.slice(1), loops: memory })
    }),
    /** It is not performed, but it counts. */
    blockCall: enqueueActions(({ context, enqueue }) => {
      const { memory, words } = blocked(context, callOf(context))
      saying(enqueue, context, { topic: topicAtHand(context), messages: results(context.calls.slice(0, 1), words) })
      enqueue.assign({ calls: context.calls.slice(1), loops: memory, blockedTurn: talk(context).turns })
    }),
    expirePolling: assign(({ context }) => ({ loops: pollingExpired(context.loops) })),
    takeCircle: assign(({ context }) => ({ circle: circleOf(context, callOf(context)) })),
    tellLoop: emit(({ context }) => ({
      type: 'loop.detected',
      ...(context.judged !== null && 'loop' in context.judged ? context.judged.loop : {}),
      item: itemOf(context),
      tool: callOf(context).name,
      did: context.judged?.verdict === 'block' ? 'blocked' : 'escalated',
    })),
    tellEscalated: emit(({ context }) => ({
      type: 'problem.escalated',
      to: 'supervisor',
      code: 'E_LOOP_ESCALATED',
      item: itemOf(context),
    })),
    forgetPolling: cancel('polling'),
    rest: assign({ replyTo: null, calls: [], judged: null, loops: NO_CALLS }),
    reject: sendTo(
      ({ event }) => (event as { replyTo: AnyActorRef }).replyTo,
      ({ event }) => ({ type: 'rejected', reasons: reasons(taskAssign.safeParse(event).error!) }),
    ),
    tellPartial: sendTo(
      ({ event }) => (event as { replyTo: AnyActorRef }).replyTo,
      ({ context, event }) => ({
        type: 'task.abandoned',
        partial: itemOf(context) === (event as { item: string }).item ? context.partial : null,
      }),
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
