/**
 * Errors, by who must act. A `Defect` is a broken assumption: the actor crashes and its supervisor decides. A failure of the world is plain data
 * ({@link ErrorData}) that enters a machine as an event. A `UserError` is for the person at the terminal: what, where, and the command that mends it.
 */
import type { Json, JsonObject } from './json.ts'

/** An error as data: what is journaled, sent to parents and supervisors, and shown. It survives a crash; `Error` objects do not. */
export interface ErrorData {
  readonly code: string
  readonly message: string
  readonly name?: string
  /** Address of the actor that failed. */
  readonly path?: string
  /** Where in its statechart it was: `editing.patch`. */
  readonly state?: string
  /** Type of the event that it was handling. */
  readonly event?: string
  readonly hint?: string
  /** What the thrown value carried beside its message, when it was plain data. */
  readonly data?: Json
  readonly [key: string]: Json | undefined
}

/** A broken assumption in a machine or in Troupe. */
export class Defect extends Error {
  override readonly name = 'Defect'
  readonly code: string
  readonly details: JsonObject
  constructor(code: string, message: string, details: JsonObject = {}) {
    super(message)
    this.code = code
    this.details = details
  }
}

export interface UserErrorOptions {
  /** `file:line:col`, `--flag`, a run or address, `store`, or the verb. Never empty. */
  readonly where: string
  /** Something that can be pasted. */
  readonly fix: string
  readonly exit: number
  readonly retryable?: boolean
  readonly evidence?: readonly string[]
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly details?: JsonObject
  readonly cause?: unknown
}

/** What a person is told: `error[CODE] where  what / fix: ...`, with a documented exit code. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly code: string
  readonly options: UserErrorOptions
  constructor(code: string, message: string, options: UserErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.options = options
  }
}

/**
 * Anything thrown, as plain JSON. Strings, numbers and objects can be thrown too, and objects that defend themselves: this never throws.
 * Details of a {@link Defect} that JSON cannot hold (a cycle, a BigInt) are left out.
 */
export function errorData(thrown: unknown, extra: Partial<ErrorData> = {}): ErrorData {
  try {
    return { ...describe(thrown), ...extra }
  } catch {
    return { code: 'E_DEFECT', message: 'something was thrown that cannot be described', ...extra }
  }
}

function describe(thrown: unknown): ErrorData {
  if (thrown instanceof Defect)
    return { ...plainDetails(thrown.details), code: String(thrown.code), message: String(thrown.message), name: thrown.name }
  if (thrown instanceof Error) {
    const code = (thrown as { code?: unknown }).code
    return { code: typeof code === 'string' ? code : 'E_DEFECT', message: String(thrown.message), name: String(thrown.name) }
  }
  const text = typeof thrown === 'string' ? thrown : (JSON.stringify(thrown) ?? String(thrown))
  const data: unknown = isErrorData(thrown) ? JSON.parse(text) : undefined
  return isErrorData(data) ? data : { code: 'E_DEFECT', message: text }
}

function plainDetails(details: JsonObject): JsonObject {
  const plain: Record<string, Json> = {}
  for (const [key, value] of Object.entries(details ?? {})) {
    const text = jsonText(value)
    if (text !== undefined) plain[key] = JSON.parse(text)
  }
  return plain
}

function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined // An error that is told without one of its details is better than none.
  }
}

function isErrorData(value: unknown): value is ErrorData {
  if (typeof value !== 'object' || value === null) return false
  const { code, message } = value as Partial<ErrorData>
  return typeof code === 'string' && typeof message === 'string'
}
