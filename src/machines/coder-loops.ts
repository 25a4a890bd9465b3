/**
 * The coder's tool calls as the loop guard sees them, and what the model is told about one that comes again (P4, P5).
 *
 *   2nd time   performed, with a hint at the end of its result
 *   3rd time   not performed; the result says so
 *   4th time   the coder's life ends with E_LOOP_ESCALATED: its supervisor starts another one, once, and then a person must decide
 */
import type { ErrorData } from '../errors.ts'
import type { CoderContext, Seen } from './coder-rules.ts'
import { inWords, type Loop } from './loops.ts'
import { blockToolCall, type Call, type Judgement, judgeToolCall, settleToolCall } from './tool-loops.ts'

/** How long a coder may poll without seeing anything new, unless the task says otherwise. */
export const POLLING_MS = 600_000

/** What was made of the call at hand; null where there is none. */
export type Judged = Judgement | null

type Files = Pick<CoderContext, 'seen' | 'partial'>

/** What the coder has made of the workspace so far: the files that it wrote, with their hashes. Nobody else writes there. */
function workspaceOf({ seen, partial }: Files): string {
  const hashOf = (path: string): string => seen.find((file: Seen) => file.path === path)?.hash ?? ''
  return (partial?.files ?? [])
    .map((path) => `${path} ${hashOf(path)}`)
    .sort()
    .join('\n')
}

/**
 * Is the call performed? `done` always is: it ends the round.
 * @param turn  of the model. Calls of the answer in which one was blocked are blocked too: only a model that was told can be stubborn.
 */
export function judged(context: CoderContext, call: Call, turn: number): Judgement {
  if (call.name === 'done') return { verdict: 'allow', polls: false }
  const judgement = judgeToolCall(context.loops, call, workspaceOf(context), context.limits)
  return judgement.verdict === 'escalate' && context.blockedTurn === turn ? { ...judgement, verdict: 'block' } : judgement
}

/** What the memory is after a call, and whether the model is nudged. */
export function settled(context: CoderContext, call: Call, after: Files & { readonly result: string }) {
  const compared = { before: workspaceOf(context), after: workspaceOf(after), result: after.result }
  return settleToolCall(context.loops, call, compared, context.limits)
}

/** Words behind the result of a call that came again; empty where it is a new one. */
export const nudged = (call: Call, loop: Loop | null): string =>
  loop === null
    ? ''
    : `\n[${call.name} was called ${loop.count} times with these arguments and gave the same. It will not change: go another way, or call done.]`

/** The memory after a call that was not performed, and the words about it. */
export function blocked(context: CoderContext, call: Call) {
  const words =
    context.judged !== null && 'loop' in context.judged && context.judged.loop.kind === 'polling'
      ? `not done: ${call.name} was polled for too long and showed nothing new. Go another way, or call done and say what is missing.`
      : `not done: ${call.name} with these arguments gave the same each time, and nothing has changed since. Go another way, or call done and say what is in the way.`
  return { memory: blockToolCall(context.loops, call, context.limits), words }
}

/** Why this life ends. */
export function circleOf({ judged, address, task }: CoderContext, call: Call): ErrorData {
  const loop: Loop | null = judged !== null && 'loop' in judged ? judged.loop : null
  const what = loop === null ? 'a loop' : inWords(loop)
  return { code: 'E_LOOP_ESCALATED', message: `${address}: ${what}: ${call.name}, on ${task?.item ?? ''}`, path: address }
}
