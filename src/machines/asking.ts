/**
 * The orchestrator's questions to its peers, and what their answers mean. A question has one id for each time it is asked,
 *
 *   <task | gate | review | abandon>/<item>/<round>/<try>
 *
 * so an answer to an earlier one is told apart from the one that is waited for.
 */
import type { z } from 'zod'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { AskEvent, AskParams } from '../protocol.ts'
import { currentItem, type OrchestratorContext } from './ledger.ts'
import { gateFailed, gateResult, reasons, reviewFailed, reviewGiven, taskAbandoned, taskDone, taskFailed } from './vocabulary.ts'

export type Question = 'task' | 'gate' | 'review' | 'abandon'
/** How often one question is asked: again after a peer went down or did not answer. */
const TRIES_MAX = 2
/** Time to say what there is of an item that is abandoned. */
const ABANDON_MS = 5_000

/** `asking` of the context when this question is asked now. */
export function nextAsking(context: OrchestratorContext, question: Question): OrchestratorContext['asking'] {
  const about = `${question}/${currentItem(context)?.id ?? ''}/${context.round}`
  return { about, tries: context.asking.about === about ? context.asking.tries + 1 : 1 }
}

const idOf = ({ asking }: OrchestratorContext): string => `${asking.about}/${asking.tries}`

/** Is this about the question that is open? Anything else is late and of no interest. */
export const isAbout = (context: OrchestratorContext, event: { type: string; id?: string }): boolean => event.id === idOf(context)

export const mayAskAgain = ({ asking }: OrchestratorContext): boolean => asking.tries < TRIES_MAX

/** As above, where it was the time that was up: a deadline of the task is no invitation to try once more. */
export const mayAskLate = (context: OrchestratorContext): boolean => mayAskAgain(context) && !context.once.includes(questionOf(context))
/** What is asked at present. */
export const questionOf = ({ asking }: OrchestratorContext): Question => asking.about.split('/')[0] as Question

/** Parameters of `ask`, after `asking` was set. */
export function askParams(context: OrchestratorContext, question: Question): AskParams {
  const { peers, timeouts } = context
  const id = idOf(context)
  if (question === 'task') return { id, to: peers.coder, timeoutMs: timeouts.coderMs, event: taskEvent(context) }
  if (question === 'gate') return { id, to: peers.executor, timeoutMs: timeouts.gateMs, event: gateEvent(context) }
  if (question === 'abandon')
    return { id, to: peers.coder, timeoutMs: ABANDON_MS, event: { type: 'task.abandon', item: currentItem(context)?.id ?? '' } }
  return { id, to: peers.reviewer, timeoutMs: timeouts.reviewerMs, event: reviewEvent(context) }
}

function taskEvent(context: OrchestratorContext): AskParams['event'] {
  const { goal, input, workspace, round, feedback, circles, note } = context
  const item = currentItem(context)
  return { type: 'task.assign', item, goal, input, workspace: workspace as Json, round, feedback, conversation: circles + 1, note }
}

function gateEvent({ workspace, staged, gates }: OrchestratorContext): AskParams['event'] {
  return { type: 'gate.run', workspace: workspace as Json, tree: staged?.tree ?? '', checks: gates.checks }
}

function reviewEvent(context: OrchestratorContext): AskParams['event'] {
  const { staged, round } = context
  return { type: 'review.request', item: currentItem(context), diff: staged?.diff ?? '', tree: staged?.tree ?? '', round }
}

const ANSWERS = { task: [taskDone, taskFailed], gate: [gateResult, gateFailed], review: [reviewGiven, reviewFailed] } as const

/** An answer that was checked, or why it cannot be used. One about another tree than the staged one cannot. */
export type Read<Good> = { readonly kind: 'answer'; readonly answer: Good } | { readonly kind: 'failed'; readonly error: ErrorData }

export const readTask = (context: OrchestratorContext, event: AskEvent) => read<z.infer<typeof taskDone>>(context, 'task', event)
export const readGate = (context: OrchestratorContext, event: AskEvent) =>
  bound(context, read<z.infer<typeof gateResult>>(context, 'gate', event))
export const readReview = (context: OrchestratorContext, event: AskEvent) =>
  bound(context, read<z.infer<typeof reviewGiven>>(context, 'review', event))

/** What there is of an abandoned item: what its coder says, or what was found at the coder when the time was up. */
export function partialOf(event: AskEvent): Json {
  if (event.type === 'ask.answered') return taskAbandoned.safeParse(event.answer).data?.partial ?? null
  return (event as { partial?: Json }).partial ?? null
}

function read<Good>(context: OrchestratorContext, question: Exclude<Question, 'abandon'>, event: AskEvent): Read<Good> {
  if (event.type !== 'ask.answered') return { kind: 'failed', error: event.type === 'ask.down' ? noAnswer(event) : tooLate(context, event) }
  const [good, bad] = ANSWERS[question]
  const answer = good.safeParse(event.answer)
  if (answer.success) return { kind: 'answer', answer: answer.data as Good }
  const failed = bad.safeParse(event.answer)
  if (failed.success) return { kind: 'failed', error: failed.data.error as ErrorData }
  const said =
    event.answer.type === 'rejected' ? `rejected it: ${JSON.stringify(event.answer['reasons'])}` : `answered ${event.answer.type}`
  const problems = event.answer.type === good.shape.type.value ? reasons(answer.error).join('; ') : ''
  return { kind: 'failed', error: { code: 'E_DEFECT', message: `${askParams(context, question).to} ${said} ${problems}`.trim() } }
}

function bound<Good extends { tree: string }>({ staged }: OrchestratorContext, read: Read<Good>): Read<Good> {
  if (read.kind === 'failed' || read.answer.tree === staged?.tree) return read
  return {
    kind: 'failed',
    error: { code: 'E_DEFECT', message: `asked about tree ${staged?.tree}, the answer is about tree ${read.answer.tree}` },
  }
}

/** Why there is no answer in time to the question that is open. */
export function tooLate(context: OrchestratorContext, { to }: Extract<AskEvent, { type: 'ask.timed_out' }>): ErrorData {
  const often = context.asking.tries > 1 ? `, ${context.asking.tries} times` : ''
  return { code: 'E_LIMIT_TIME', message: `work item ${currentItem(context)?.id}: ${to} did not answer in time${often}`, path: to }
}

/** Did the peer end because its tool calls went in circles? */
export const wentInCircles = (event: AskEvent): boolean =>
  event.type === 'ask.down' && event.reason.kind === 'error' && event.reason.error.code === 'E_LOOP_ESCALATED'

/** Why a peer is gone, twice. */
export function noAnswer(event: Extract<AskEvent, { type: 'ask.down' }>): ErrorData {
  if (event.reason.kind === 'error') return { ...event.reason.error, message: `${event.to} went down twice: ${event.reason.error.message}` }
  return { code: 'E_RUN_FAILED', message: `${event.to} went down twice: ${event.reason.kind}`, path: event.to }
}
