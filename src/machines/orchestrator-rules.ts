/**
 * Guards and actions of the orchestrator, by the names under which its statechart uses them. Guards read the answer that has come; actions keep it, say
 * it to a peer or tell it to whoever watches (`tell...`: facts for the journal).
 */
import { assign, emit, enqueueActions, setup } from 'xstate'
import type { ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { AskEvent, AskParams, ThreadAppend } from '../protocol.ts'
import {
  isAbout,
  mayAskAgain,
  mayAskLate,
  nextAsking,
  partialOf,
  type Question,
  questionOf,
  type Read,
  readGate,
  readReview,
  readTask,
  wentInCircles,
} from './asking.ts'
import { appending, grown } from './conversation.ts'
import { type GenerateOutput, generate, open, plan, promote, stage } from './effects.ts'
import {
  covered,
  currentItem,
  hasGate,
  NEW_ITEM,
  type OrchestratorContext,
  type OrchestratorInput,
  recordsOf,
  type WorkRecord,
} from './ledger.ts'
import { checkRetryLoop } from './loops.ts'
import { record } from './memory-effects.ts'
import { mustRecord } from './mission.ts'
import { freshCall, hasAnother, switched, switchOf } from './model-call.ts'
import { type Message, workPlan } from './vocabulary.ts'
import { acceptWork, gateFeedback, readAnswer, repairRequest, tail } from './work.ts'

/** Characters of the failed checks' output that go back to the coder. */
const FEEDBACK_CHARS_MAX = 8_000
/** Name of the planning conversation. */
export const PLAN = 'plan'

const planOf = (event: unknown) => {
  const read = readAnswer(workPlan, (event as { output: GenerateOutput }).output.message.content)
  return read.ok ? acceptWork(read.value.work) : { ok: false as const, reasons: read.reasons }
}
const problemsOf = (event: unknown): readonly string[] => {
  const read = planOf(event)
  return read.ok ? [] : read.reasons
}
/** What an answer of a model that is no plan is followed by. */
export const repairPlan = (event: unknown): readonly Message[] => [
  (event as { output: GenerateOutput }).output.message,
  { role: 'user', content: repairRequest(problemsOf(event)) },
]
/** Why planning is given up. */
export const noPlan = (event: unknown): ErrorData => ({
  code: 'E_PROVIDER_OUTPUT',
  message: `no usable plan, 2 times: ${problemsOf(event).join('; ')}`,
})
/** First words of planning. */
export const planMessages = ({ system, goal, input }: OrchestratorContext): readonly Message[] => [
  { role: 'system', content: system },
  { role: 'user', content: `Goal: ${goal}${input === null ? '' : `\nInput: ${JSON.stringify(input)}`}` },
]

const asAsk = (event: unknown): AskEvent => event as AskEvent
const answerOf = <Good>(read: Read<Good>): Good | null => (read.kind === 'answer' ? read.answer : null)
const taskOf = (context: OrchestratorContext, event: unknown) => answerOf(readTask(context, asAsk(event)))
const gateOf = (context: OrchestratorContext, event: unknown) => answerOf(readGate(context, asAsk(event)))
const reviewOf = (context: OrchestratorContext, event: unknown) => answerOf(readReview(context, asAsk(event)))

/** What a failed gate says to the coder, in the wording of R6, with the end of what the failed checks printed. */
export const gateReturn = (context: OrchestratorContext, event: unknown) => {
  const gate = gateOf(context, event)
  const failed = (gate?.checks ?? []).filter((check) => check.exitCode !== 0)
  const share = Math.floor(FEEDBACK_CHARS_MAX / Math.max(1, failed.length))
  const outputs = failed.map((check) => `\n--- ${check.id} ---\n${tail(check.output ?? '', share)}`)
  return { feedback: gateFeedback(`${gate?.summary ?? ''}${outputs.join('')}`), code: 'E_GATE_FAILED' }
}
/** What a reviewer who wants changes says to the coder. */
export const reviewReturn = (context: OrchestratorContext, event: unknown) => {
  const lines = reviewOf(context, event)?.feedback ?? []
  return { feedback: lines.length > 0 ? lines.join('\n') : 'The reviewer wants changes and gave no reason.', code: 'E_RUN_FAILED' }
}
/** Why an answer ends the run. */
export const failureOf = (context: OrchestratorContext, event: unknown): { error: ErrorData } => {
  const readers = { task: readTask, gate: readGate, review: readReview, abandon: readTask }
  const read: Read<unknown> = readers[questionOf(context)](context, asAsk(event))
  return { error: read.kind === 'failed' ? read.error : { code: 'E_DEFECT', message: 'the answer fits nowhere' } }
}
/** Why rounds that go in circles end the run (R1). */
export const loopOf = (context: OrchestratorContext): { error: ErrorData } => ({
  error: {
    code: 'E_LOOP_ESCALATED',
    message: `${context.address}: ${context.checked?.reason} on ${currentItem(context)?.id}: ${context.returned?.feedback}`,
    path: context.address,
  },
})
/** Why a second coder that goes in circles ends the run. */
export const circlesOf = (context: OrchestratorContext, event: AskEvent): { error: ErrorData } => {
  const error = event.type === 'ask.down' && event.reason.kind === 'error' ? event.reason.error : { code: '', message: '' }
  return { error: { ...error, code: 'E_LOOP_ESCALATED', message: `${error.message}; ${context.circles + 1} coders went in circles` } }
}
/** Why the time of an item is up. */
export const itemExpired = (context: OrchestratorContext): ErrorData => {
  const item = currentItem(context)
  const message = `work item ${item?.id} was not finished within its ${item?.deadlineMs} ms`
  return { code: 'E_LIMIT_TIME', message, path: context.address }
}
/** Why no round is left. */
export const outOfRounds = (context: OrchestratorContext): { error: ErrorData } => ({
  error: {
    code: context.returned?.code ?? 'E_RUN_FAILED',
    message: `work item ${currentItem(context)?.id} is not accepted after ${context.roundsMax} rounds; last: ${context.returned?.feedback}`,
    path: context.address,
  },
})
/** Why a plan that the evidence does not cover is not promoted. */
export const notCovered = ({ staged }: OrchestratorContext, tree: string): { error: ErrorData } => ({
  error: { code: 'E_GATE_FAILED', message: `tree ${tree} was to be promoted, the evidence is about tree ${staged?.tree}` },
})

const circlesNote = (event: AskEvent): string =>
  event.type === 'ask.down' && event.reason.kind === 'error' ? `The coder before you was stopped: ${event.reason.error.message}.` : ''
const finishedFact = ({ id, status, partial }: WorkRecord) =>
  status === 'timed_out' ? { type: 'work.finished', item: id, status, partial } : { type: 'work.finished', item: id, status }

/** Everything that the statechart in orchestrator.ts refers to by name. */
export const rules = setup({
  types: {
    context: {} as OrchestratorContext,
    events: {} as AskEvent | { type: 'item.expired'; item: string },
    input: {} as OrchestratorInput,
    emitted: {} as { type: string; [key: string]: Json | undefined },
  },
  actors: { generate, open, stage, plan, promote, record },
  guards: {
    isRejected: ({ context }) => context.reasons.length > 0,
    hasWork: ({ context }) => context.work.length > 0,
    planFits: ({ event }) => planOf(event).ok,
    mayRepair: ({ context }) => !context.repaired,
    hasAnotherModel: ({ context }, params: { error: unknown }) => hasAnother(context, params.error),
    isLate: ({ context, event }) => !isAbout(context, asAsk(event)),
    mayAskAgain: ({ context }) => mayAskAgain(context),
    mayAskLate: ({ context }) => mayAskLate(context),
    wentInCircles: ({ event }) => wentInCircles(asAsk(event)),
    wentInCirclesAgain: ({ context, event }) => context.circles > 0 && wentInCircles(asAsk(event)),
    isItemAtHand: ({ context, event }) =>
      event.type === 'item.expired' && context.expired === null && currentItem(context)?.id === event.item,
    taskIsDone: ({ context, event }) => taskOf(context, event) !== null,
    hasGate: ({ context }) => hasGate(context),
    gateLetsPass: ({ context, event }) =>
      gateOf(context, event)?.passed === true || (gateOf(context, event) !== null && context.gates.level === 'warn'),
    gateFails: ({ context, event }) => gateOf(context, event) !== null,
    isApproved: ({ context, event }) => reviewOf(context, event)?.verdict === 'approved',
    needsChanges: ({ context, event }) => reviewOf(context, event)?.verdict === 'needs_changes',
    isLoop: ({ context }) => context.checked !== null && context.checked.loop !== null,
    hasRounds: ({ context }) => context.checked?.abort === false,
    mustRecord: ({ context }) => mustRecord(context),
    isIncomplete: ({ context }) => context.incomplete !== null,
    hasNext: ({ context }) => currentItem(context) !== undefined,
    staysStaged: ({ context }) => context.target.promote === 'never' || (context.staged?.files.length ?? 0) === 0,
    isCovered: ({ context }, params: { tree: string }) => covered(context, params.tree),
  },
  actions: {
    ask: (_, _params: AskParams) => {},
    'thread.append': (_, _params: ThreadAppend) => {},
    say: enqueueActions(({ context, enqueue }, params: { messages: readonly Message[] }) => {
      const append = enqueue as unknown as (action: { type: 'thread.append'; params: ThreadAppend }) => void
      append({ type: 'thread.append', params: appending(context, PLAN, params.messages) })
      enqueue.assign({ conversations: grown(context, PLAN, params.messages) })
    }),
    beginAsking: assign(({ context }, params: { question: Question }) => ({ asking: nextAsking(context, params.question) })),
    takePlan: assign(({ event }) => {
      const read = planOf(event)
      return { work: read.ok ? read.work : [] }
    }),
    markRepaired: assign(({ context }) => ({ repaired: true, ...freshCall(context) })),
    tellSwitched: emit(({ context }, params: { error: unknown }) => ({ type: 'model.switched', ...switchOf(context, params.error) })),
    switchModel: assign(({ context }, params: { error: unknown }) => ({ call: switched(context, params.error) })),
    /** What was gathered about an earlier tree counts for nothing any more. */
    forgetEvidence: assign({ evidence: { gate: null, reviewed: null } }),
    /** The outputs stay behind: they are in the journal and, where a check failed, in the feedback. */
    takeGate: assign(({ context, event }) => {
      const gate = gateOf(context, event)
      if (gate === null) return {}
      const checks = gate.checks.map(({ id, exitCode }) => ({ id, exitCode }))
      return { evidence: { ...context.evidence, gate: { passed: gate.passed, tree: gate.tree, summary: gate.summary, checks } } }
    }),
    takeApproval: assign(({ context, event }) => ({
      evidence: { ...context.evidence, reviewed: reviewOf(context, event)?.tree ?? null },
    })),
    takeSummary: assign(({ context, event }) => ({ summary: taskOf(context, event)?.summary ?? '' })),
    sendBack: assign((_, params: { feedback: string; code: string }) => ({ returned: params })),
    nextRound: assign(({ context }) => ({ round: context.round + 1, feedback: context.returned?.feedback ?? null, returned: null })),
    /** The deadline of an item runs from its first assignment to its end, over all its rounds. */
    beginItem: enqueueActions(({ context, enqueue }) => {
      const item = currentItem(context)
      if (item?.deadlineMs === undefined) return
      enqueue.raise({ type: 'item.expired', item: item.id }, { id: 'item', delay: item.deadlineMs })
    }),
    checkLoop: assign(({ context }) => {
      const { returned, round, roundsMax, loops, limits, staged } = context
      // Who wants changes is part of it: a gate and then the reviewer may both want some of the same tree.
      const workspace = `${returned?.code} ${staged?.tree}`
      const check = checkRetryLoop('needs_changes', [returned?.feedback ?? ''], round, roundsMax, loops, { ...limits, workspace })
      return { loops: check.memory, checked: { abort: check.abort, reason: check.reason, loop: check.loop } }
    }),
    takeCircle: assign(({ context, event }) => ({ circles: context.circles + 1, note: circlesNote(asAsk(event)) })),
    expire: assign(({ event }, params: { error: ErrorData }) => ({ expired: { error: params.error, partial: partialOf(asAsk(event)) } })),
    takePartial: assign(({ context: { expired }, event }) => ({
      expired: expired === null ? null : { ...expired, partial: partialOf(asAsk(event)) ?? expired.partial },
    })),
    closeItem: enqueueActions(({ context, enqueue }) => {
      const records = recordsOf(context)
      const { finished, incomplete, expired } = context
      enqueue.cancel('item')
      enqueue.assign({ ...NEW_ITEM, finished: [...finished, ...records], incomplete: incomplete ?? expired?.error ?? null })
      for (const record of records) enqueue.emit(finishedFact(record))
    }),
    /** Told or not, it is not told again. */
    markRecorded: assign(({ context }) => ({ recorded: context.finished.length })),
    /** Why the run fails. The item at hand goes on record as failed. */
    giveUp: assign(({ context }, params: { error: ErrorData }) => {
      const { round, peers, finished, workspace } = context
      const item = workspace === null ? undefined : currentItem(context)
      const record = { id: item?.id ?? '', status: 'failed' as const, actor: peers.coder, attempts: round, summary: params.error.message }
      return { error: params.error, finished: item === undefined ? finished : [...finished, record] }
    }),
    tellAccepted: enqueueActions(({ context, enqueue }) => {
      for (const item of context.work) enqueue.emit({ type: 'work.accepted', item: item.id, description: item.description })
    }),
    tellRejected: emit(({ context }) => ({ type: 'work.rejected', reasons: context.reasons })),
    tellAssigned: emit(({ context }) => ({
      type: 'work.assigned',
      item: currentItem(context)?.id,
      to: context.peers.coder,
      round: context.round,
    })),
    tellStaged: emit(({ context }) => ({ type: 'change.staged', files: context.staged?.files ?? [], tree: context.staged?.tree })),
    tellGate: enqueueActions(({ context, event, enqueue }) => {
      const gate = gateOf(context, event)
      for (const { id, exitCode } of gate?.checks ?? []) {
        const type = exitCode === 0 ? 'gate.passed' : 'gate.failed'
        enqueue.emit({ type, gate: id, tree: gate?.tree, level: context.gates.level })
      }
    }),
    tellReview: emit(({ context, event }) => {
      const review = reviewOf(context, event)
      return { type: 'review.given', item: currentItem(context)?.id, verdict: review?.verdict, feedback: review?.feedback ?? [] }
    }),
    tellLoop: emit(({ context }) => ({
      type: 'loop.detected',
      ...context.checked?.loop,
      item: currentItem(context)?.id,
      did: 'escalated',
    })),
    tellEscalated: emit(({ context }, params: { to: 'orchestrator' | 'person' }) => ({
      type: 'problem.escalated',
      to: params.to,
      code: 'E_LOOP_ESCALATED',
      item: currentItem(context)?.id,
    })),
    tellPromoted: emit(({ context }) => ({ type: 'change.promoted', tree: context.staged?.tree, files: context.staged?.files ?? [] })),
  },
})
