/**
 * One repair turn for a tool call that cannot be used (P20): its arguments do not fit the tool's schema, or it was said as text and is no JSON.
 *
 *   answer ──> fits ──────────────────────────> its calls are performed; the next misfit may be repaired again
 *         '──> misfit, the first in a row ────> nothing of the answer is performed; the model is told what was wrong, once
 *         '──> misfit again ─────────────────> E_PROVIDER_OUTPUT, and another model of the chain is asked
 *
 * All calls of an answer or none: what a model planned together is not done by half. Each call gets a result, since a conversation with open calls is refused.
 * A tool that does not exist is no misfit: the coder tells its model which there are.
 */
import { z } from 'zod'
import type { ErrorData } from '../errors.ts'
import { TOOL_INPUTS } from './tool-inputs.ts'
import { type Message, reasons, type ToolCall } from './vocabulary.ts'

/** A call that does not fit, and why, one line per problem. */
export interface Misfit {
  readonly call: ToolCall
  readonly problems: readonly string[]
}

/** The beginning of a call in a text, in the forms of salvage.ts. */
const BROKEN_CALL = /<tool_call>|<function=\w|^\s*(?:```\w*\s*)?[{[]\s*(?:\{\s*)?"(?:name|function)"\s*:/m
const PROBLEMS_MAX = 8
const VALUE_CHARS_MAX = 400

/** The calls of an answer whose arguments do not fit. */
export const misfitsOf = ({ toolCalls = [] }: Message): readonly Misfit[] =>
  toolCalls.flatMap((call) => {
    const checked = TOOL_INPUTS.get(call.name)?.safeParse(call.args)
    return checked === undefined || checked.success ? [] : [{ call, problems: reasons(checked.error, 'arguments').slice(0, PROBLEMS_MAX) }]
  })

/** Is there a call in the text that nobody could read? Only where the answer has no call that was read. */
const isBrokenCall = ({ toolCalls = [], content }: Message): boolean => toolCalls.length === 0 && BROKEN_CALL.test(content)

/** Must the answer be said again before anything of it is performed? */
export const needsRepair = (message: Message): boolean => misfitsOf(message).length > 0 || isBrokenCall(message)

/** What the model is told after an answer that needs repair: a result for each call, or words where it was text. Say the answer itself before. */
export function repairMessages(message: Message): readonly Message[] {
  const misfits = misfitsOf(message)
  if (misfits.length === 0) return [{ role: 'user', content: BROKEN_WORDS }]
  return (message.toolCalls ?? []).map((call) => {
    const misfit = misfits.find((one) => one.call === call)
    return { role: 'tool', toolCallId: call.id, content: misfit === undefined ? SOUND_WORDS : misfitWords(misfit) }
  })
}

/** Why a model that could not repair its answer is given up for this call. */
export function unrepaired(message: Message): ErrorData {
  const problems = misfitsOf(message).flatMap(({ call, problems }) => problems.map((problem) => `${call.name} ${problem}`))
  const why = problems.length === 0 ? 'a call in its text is no JSON' : problems.slice(0, PROBLEMS_MAX).join('; ')
  return { code: 'E_PROVIDER_OUTPUT', message: `no usable tool call, 2 times: ${why}` }
}

const BROKEN_WORDS =
  'Your tool call could not be read, so nothing was done: it is no JSON, or not all of it. Call the tool again, with arguments that are one JSON object.'
const SOUND_WORDS = 'not done: another call of the same answer could not be used. Call it again together with that one.'

function misfitWords({ call, problems }: Misfit): string {
  const input = TOOL_INPUTS.get(call.name)
  const schema = input === undefined ? '' : `\nThe arguments of ${call.name}, as JSON Schema: ${JSON.stringify(shapeOf(input))}`
  return `not done: the arguments do not fit.\n${problems.map((problem) => `- ${problem.slice(0, VALUE_CHARS_MAX)}`).join('\n')}${schema}`
}

function shapeOf(input: z.ZodType): unknown {
  const { $schema: _, ...shape } = z.toJSONSchema(input, { io: 'input' })
  return shape
}
