/**
 * The orchestrator's questions to its peers, and what their answers mean. A question has one id for each time it is asked,
 *
 *   <task | gate | review>/<item>/<round>/<try>
 *
 * so an answer to an earlier one is told apart from the one that is waited for.
 */
import type { z } from 'zod'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { AskEvent, AskParams } from '../protocol.ts'
import { currentItem, type OrchestratorContext } from './ledger.ts'
import { gateFailed, gateResult, reasons, reviewFailed, reviewGiven, taskDone, taskFailed } from './vocabulary.ts'

export type Question = 'task' | 'gate' | 'review'
/** How often one question is asked: again after a peer went down or did not answer. */
const TRIES_MAX = 2

/** `asking` of the context when this question is asked now. */
export function nextAsking(context: OrchestratorContext, question: Question): OrchestratorContext['asking'] {
  const about = `${question}/${currentItem(context)?.id ?? ''}/${context.round}`
  return { about, tries: context.asking.about === about ? context.asking.tries + 1 : 1 }
}

const idOf = ({ asking }: OrchestratorContext): string => `${asking.about}/${asking.tries}`

/** Is this about the question that is open? Anything else is late and of no interest. */
export const isAbout = (context: OrchestratorContext, event: { type: string; id?: string }): boolean => event.id === idOf(context)

export const mayAskAgain = ({ asking }: OrchestratorContext): boolean => asking.tries < TRIES_MAX

/** Parameters of `ask`, after `asking` was set. */
export function askParams(context: OrchestratorContext, question: Question): AskParams {
  const { peers, timeouts } = context
  const id = idOf(context)
  if (question === 'task') return { id, to: peers.coder, timeoutMs: timeouts.coderMs, event: taskEvent(context) }
  if (question === 'gate') return { id, to: peers.executor, timeoutMs: timeouts.gateMs, event: gateEvent(context) }
  return { id, to: peers.reviewer, timeoutMs: timeouts.reviewerMs, event: reviewEvent(context) }
}

function taskEvent(context: OrchestratorContext): AskParams['event'] {
  const { goal, input, workspace, round, feedback } = context
  return { type: 'task.assign', item: currentItem(context), goal, input, workspace: workspace as Json, round, feedback }
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

function read<Good>(context: OrchestratorContext, question: Question, event: AskEvent): Read<Good> {
  if (event.type !== 'ask.answered') return { kind: 'failed', error: noAnswer(event) }
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

/** Why a question has no answer, twice. */
export function noAnswer(event: Exclude<AskEvent, { type: 'ask.answered' }>): ErrorData {
  if (event.type === 'ask.timed_out')
    return { code: 'E_LIMIT_TIME', message: `${event.to} did not answer in time, 2 times`, path: event.to }
  if (event.reason.kind === 'error') return { ...event.reason.error, message: `${event.to} went down twice: ${event.reason.error.message}` }
  return { code: 'E_RUN_FAILED', message: `${event.to} went down twice: ${event.reason.kind}`, path: event.to }
}
