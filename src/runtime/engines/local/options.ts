/**
 * What a program says of a run when it starts or resumes one. The types say as much, but a value that was computed or read from a file may be another:
 * a limit of `NaN` would be no limit, and a name that is a number no name that comes back. It is refused before anything is stored or owned.
 */
import { UserError } from '../../../errors.ts'
import { assertJson, type Json } from '../../../json.ts'
import { PAYLOAD_BYTES_MAX } from '../../../limits.ts'
import type { ResumeOptions, StartOptions } from '../../engine.ts'

/**
 * @throws {UserError} `E_USAGE` naming the field and what was given; `E_PAYLOAD_TOO_LARGE` for the input.
 * @throws {Defect} `E_NOT_JSON`, `E_PAYLOAD_TOO_LARGE` naming the place in the input.
 */
export function assertStart(options: StartOptions): void {
  for (const field of ['id', 'name', 'project'] as const) assertText(field, options[field])
  // It is shown as it is, in tables and in terminals.
  if (typeof options.name === 'string' && /\p{Cc}/u.test(options.name))
    throw usage('start', 'name', options.name, 'give it in one line, without control characters')
  assertLimits('start', options, 'for none')
  const whenReached: unknown = options.budget?.whenReached
  if (whenReached !== undefined && whenReached !== 'fail' && whenReached !== 'hold')
    throw usage('start', 'budget.whenReached', whenReached, "give 'fail' or 'hold', or leave it out for 'fail'")
  assertQuarantine(options.quarantine)
  assertInput(options.input ?? null)
}

/** @throws {UserError} `E_USAGE` naming the field and what was given. */
export function assertResume(run: string, options: ResumeOptions): void {
  assertLimits(`run ${run}`, options, 'for the one it has')
}

function assertText(field: string, value: unknown): void {
  if (value === undefined || value === null || (typeof value === 'string' && value.isWellFormed())) return
  throw usage('start', field, value, 'give it as text, or leave it out')
}

/** `Infinity` is none as well, but JSON has no such number: who wants no limit says so by leaving it out. */
function assertLimits(where: string, { budget, deadlineMs }: Pick<ResumeOptions, 'budget' | 'deadlineMs'>, without: string): void {
  const given: unknown = budget
  if (given !== undefined && given !== null && typeof given !== 'object')
    throw usage(where, 'budget', given, 'give { tokensMax: 200_000 }, or leave it out')
  const { tokensMax, usdMax, turnsMax } = budget ?? {}
  const limits = { 'budget.tokensMax': tokensMax, 'budget.usdMax': usdMax, 'budget.turnsMax': turnsMax, deadlineMs }
  for (const [field, value] of Object.entries(limits)) {
    if (value === undefined || (Number.isFinite(value) && value >= 0)) continue
    throw usage(where, field, value, `give a number from 0 on, or leave it out ${without}`)
  }
}

function assertQuarantine(given: StartOptions['quarantine']): void {
  if (given === undefined || given === false) return
  const fix = 'give { crashes: 3, periodMs: 600_000 }, or false for no quarantine, or leave it out'
  if (typeof given !== 'object' || given === null) throw usage('start', 'quarantine', given, fix)
  const { crashes, periodMs } = given
  if (!Number.isSafeInteger(crashes) || crashes < 1) throw usage('start', 'quarantine.crashes', crashes, fix)
  if (!Number.isFinite(periodMs) || periodMs <= 0) throw usage('start', 'quarantine.periodMs', periodMs, fix)
}

function assertInput(input: Json): void {
  assertJson(input, 'input')
  const chars = JSON.stringify(input).length
  if (chars <= PAYLOAD_BYTES_MAX) return
  throw new UserError('E_PAYLOAD_TOO_LARGE', `input is ${chars} bytes, ${PAYLOAD_BYTES_MAX} are allowed`, {
    where: 'start',
    fix: 'pass a file name instead',
    exit: 2,
  })
}

function usage(where: string, field: string, value: unknown, fix: string): UserError {
  return new UserError('E_USAGE', `${field} cannot be ${shown(value)}`, { where, fix, exit: 2 })
}

function shown(value: unknown): string {
  if (typeof value === 'number' || value === null) return String(value)
  return typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
