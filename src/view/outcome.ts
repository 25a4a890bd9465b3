/**
 * How a run ended, in the words and exit codes of the command line.
 */
import { exitOf, fixOf, isRetryable } from '../catalogue.ts'
import { type ErrorData, UserError } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import type { Result } from '../runtime/engine.ts'
import type { RunRow } from '../runtime/store.ts'
import { plural } from './format.ts'
import type { Standing } from './look.ts'

/** What a team answers; every part may be missing in trees of one's own. */
export interface TeamOutput {
  readonly status: string | null
  readonly summary: string | null
  readonly level: string | null
  readonly gates: readonly { readonly id: string; readonly status: string; readonly tree: string }[]
  readonly promoted: boolean
  readonly tree: string | null
  readonly files: readonly string[]
  readonly added: number
  readonly removed: number
  readonly work: readonly Json[]
  readonly error: ErrorData | null
  readonly reasons: readonly string[]
}

/** Reads the output of a tree. */
export function teamOutput(output: Json): TeamOutput {
  const of = (isObject(output) ? output : {}) as { readonly [key: string]: Json | undefined }
  const verification = of['verification']
  const checked = (isObject(verification) ? verification : {}) as { readonly level?: Json; readonly gates?: Json }
  return {
    status: text(of['status']),
    summary: text(of['summary']) ?? text(output),
    level: text(checked.level),
    gates: list(checked.gates) as unknown as TeamOutput['gates'],
    promoted: of['promoted'] === true,
    tree: text(of['tree']),
    files: list(of['files']).map(String),
    added: Number(of['added'] ?? 0),
    removed: Number(of['removed'] ?? 0),
    work: list(of['work']),
    error: isObject(of['error']) ? (of['error'] as unknown as ErrorData) : null,
    reasons: list(of['reasons']).map(String),
  }
}

/** A run's standing, from its row. @param owned  whether a living process owns it. */
export function standingOf(row: Pick<RunRow, 'status'>, owned: boolean): Standing {
  if (row.status === 'running') return owned ? 'running' : 'crashed'
  return row.status
}

/** May `resume` continue a run that stands so? One that met a limit needs a higher one. */
export const canGoOn = (standing: Standing): boolean => ['crashed', 'suspended', 'limited', 'interrupted'].includes(standing)

export interface Outcome {
  readonly standing: Standing
  readonly exit: number
  readonly problem: UserError | null
  /** The command that goes on with it, or null. */
  readonly resume: string | null
}

/** @param short  the run's id as it is shown. @param openEffects  how many effects are not settled. */
export function outcomeOf(result: Result, short: string, openEffects: number): Outcome {
  const standing = standingOf(result, true)
  if (standing === 'succeeded') return { standing, exit: 0, problem: null, resume: null }
  const resumable = canGoOn(standing)
  const reason = reasonOf(result, standing)
  const problem = problemOf(reason, { result, short, standing, resumable, openEffects })
  return { standing, exit: problem.options.exit, problem, resume: resumable ? `troupe resume ${short}` : null }
}

function reasonOf(result: Result, standing: Standing): ErrorData {
  const output = teamOutput(result.output)
  if (result.reason !== null) return result.reason
  if (output.reasons.length > 0) return { code: 'E_WORK_REJECTED', message: output.reasons.join('; ') }
  if (output.error !== null) return output.error
  if (standing === 'suspended') return { code: 'E_EFFECT_IN_DOUBT', message: `${plural(result.usage.inDoubt, 'effect')} in doubt` }
  if (standing === 'interrupted') return { code: 'E_INTERRUPTED', message: 'it was stopped' }
  return { code: standing === 'canceled' ? 'E_RUN_CANCELED' : 'E_RUN_FAILED', message: output.summary ?? 'it failed without saying why' }
}

interface Context {
  readonly result: Result
  readonly short: string
  readonly standing: Standing
  readonly resumable: boolean
  readonly openEffects: number
}

function problemOf(reason: ErrorData, { result, short, standing, resumable, openEffects }: Context): UserError {
  const where = reason.path ?? `run ${short}`
  const saved = resumable && reason.code !== 'E_INTERRUPTED'
  const message =
    reason.code === 'E_INTERRUPTED'
      ? `saved at #${result.position} ${reason.message}, ${plural(openEffects, 'effect')} still open`
      : reason.message
  return new UserError(reason.code, message, {
    where,
    fix: fixOf(reason.code, short, resumable),
    exit: exitFor(reason, standing),
    retryable: isRetryable(reason.code) && resumable,
    evidence: [
      ...(saved ? [`run ${short} is saved at #${result.position}; nothing is lost`] : []),
      ...(reason.hint === undefined ? [] : [String(reason.hint)]),
      ...triedLines(reason['tried']),
    ],
    details: detailsOf(reason, result.run),
  })
}

/** Each model of a chain, and why it could not answer. */
const triedLines = (tried: Json | undefined): readonly string[] =>
  list(tried).flatMap((one) => (isObject(one) ? [`${text(one['alias'])}: ${text(one['reason'])}`] : []))

/** A reason may name its own exit, such as 143 after SIGTERM. A limit is 6 and a waiting run 7, whatever the code. */
function exitFor(reason: ErrorData, standing: Standing): number {
  if (typeof reason['exit'] === 'number') return reason['exit']
  if (standing === 'limited') return 6
  if (standing === 'suspended') return 7
  return exitOf(reason.code)
}

function detailsOf(reason: ErrorData, run: string): JsonObject {
  return {
    run,
    path: reason.path ?? null,
    state: reason.state ?? null,
    event: reason.event ?? null,
    workItem: reason['workItem'] ?? null,
    cause: reason['cause'] ?? null,
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}
