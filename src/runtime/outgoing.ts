/**
 * What may leave a step, checked where it leaves: a bad event, ask, thread or exit reason crashes the actor that made it, with a message that says
 * what is wrong, and never the one that would have to do with it.
 *
 *   events that actors send   { type: 'not empty', ... }, and no `xstate.*`, `cell.*`, `ask.*` or `*`: those are the engine's
 *   `xstate.error`            to the own parent only: XState's way to fail in its eyes
 *   a supervisor              may send `cell.*` and `ask.*` too
 */
import { z } from 'zod'
import { Defect } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import { PAYLOAD_BYTES_MAX } from '../limits.ts'
import { type AskParams, EXIT_KEY, type ExitReason, isRefusedFromOutside, isSupervisor, type ThreadAppend } from '../protocol.ts'
import type { EventData, StepInput } from './cell.ts'

const filled = z.string().min(1)
const event = z.looseObject({ type: filled })
const error = z.looseObject({ code: z.string(), message: z.string() })
const ask = z.looseObject({ id: filled, to: z.string(), event, timeoutMs: z.number().nonnegative() })
const thread = z.looseObject({ thread: filled, items: z.array(z.unknown()) })
const exit = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('normal'), failure: error.optional() }),
  z.looseObject({ kind: z.literal('shutdown'), detail: z.enum(['ordered', 'completed', 'gave_up', 'timeout']), failure: error.optional() }),
  z.looseObject({ kind: z.literal('error'), error }),
  z.looseObject({ kind: z.literal('killed') }),
])

/** @throws {Defect} `E_EVENT_INVALID`: it is no object with a type. */
export function checkedShape(input: StepInput, value: Json, what: string): EventData {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const { type } = value as JsonObject
    if (typeof type === 'string' && type !== '') return value as EventData
  }
  throw new Defect('E_EVENT_INVALID', `${what} of ${input.address} is ${shown(value)}; an event is an object with a type`, {
    hint: "give it a type: { type: 'draft.ready' }",
  })
}

/** @throws {Defect} `E_EVENT_INVALID`; `E_EVENT_REFUSED`: its type is the engine's. */
export function checkedEvent(input: StepInput, value: Json, what: string): EventData {
  const checked = checkedShape(input, value, what)
  if (!isRefusedFromOutside(checked.type)) return checked
  const isOrder = checked.type.startsWith('cell.') || checked.type.startsWith('ask.')
  if (isOrder && isSupervisor(input.machine)) return checked
  throw new Defect('E_EVENT_REFUSED', `${what} of ${input.address} is '${checked.type}', and only the engine sends such events`, {
    hint: 'choose a type that does not begin with xstate., cell. or ask.',
  })
}

/** @throws {Defect} `E_ASK_INVALID` naming the field; and as {@link checkedEvent}. */
export function checkedAsk(input: StepInput, params: Json | undefined): AskParams {
  checkFields(ask, params, 'E_ASK_INVALID', `ask of ${input.address}`, 'ask takes { id, to, event: { type }, timeoutMs }')
  const checked = params as unknown as AskParams
  checkedEvent(input, checked.event as Json, 'question')
  return checked
}

/** @throws {Defect} `E_THREAD_INVALID` naming the field. */
export function checkedThread(input: StepInput, params: Json | undefined): ThreadAppend {
  checkFields(thread, params, 'E_THREAD_INVALID', `thread.append of ${input.address}`, 'thread.append takes { thread, items: [...] }')
  return params as unknown as ThreadAppend
}

/**
 * The exit reason that a machine gives as its output, or undefined where it gives a plain output.
 * @throws {Defect} `E_EXIT_INVALID` naming the field.
 */
export function checkedExit(input: StepInput, output: Json): ExitReason | undefined {
  if (typeof output !== 'object' || output === null || !Object.hasOwn(output, EXIT_KEY)) return undefined
  const reason = (output as JsonObject)[EXIT_KEY]
  checkFields(
    exit,
    reason,
    'E_EXIT_INVALID',
    `exit reason of ${input.address}`,
    "give { kind: 'normal' | 'shutdown' | 'error' | 'killed', ... }",
  )
  return reason as unknown as ExitReason
}

/** The text itself. @throws {Defect} `E_PAYLOAD_TOO_LARGE` saying what is too long. */
export function fitting(text: string, what: string): string {
  if (text.length <= PAYLOAD_BYTES_MAX) return text
  throw new Defect('E_PAYLOAD_TOO_LARGE', `${what} is ${text.length} bytes, ${PAYLOAD_BYTES_MAX} are allowed`, {
    hint: 'pass an address or a file name instead',
  })
}

function checkFields(schema: z.ZodType, value: Json | undefined, code: string, what: string, hint: string): void {
  const parsed = schema.safeParse(value)
  if (parsed.success) return
  const issue = parsed.error.issues[0]
  throw new Defect(code, `${what}: ${issue?.path.join('.') || shown(value)}: ${issue?.message ?? 'is invalid'}`, { hint })
}

function shown(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 80 ? `${text.slice(0, 80)}...` : text
}
