/**
 * An error for a person, or for a program:
 *
 *   error[E_TASK_INVALID] csv-export.yaml:7:12  agents.coder.model: expected a model alias, got 35
 *      7 |     model: 35
 *     fix: name an alias; the format: ...
 */
import { isRetryable } from '../catalogue.ts'
import type { UserError } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { printable } from './format.ts'
import type { Look } from './look.ts'

const EVIDENCE_LINES_MAX = 6

/** Lines for the screen. A message of several lines says the rest as evidence. */
export function problemLines({ code, message, options }: UserError, look: Look): readonly string[] {
  const [first = '', ...rest] = printable(message)
    .split('\n')
    .filter((line) => line.trim() !== '')
  const evidence = [...rest, ...(options.evidence ?? []).flatMap((text) => printable(text).split('\n'))]
  const more = evidence.length - EVIDENCE_LINES_MAX
  return [
    `${look.paint('bad', `error[${code}]`)} ${options.where}  ${first}`,
    ...evidence.slice(0, EVIDENCE_LINES_MAX).map((line) => `  ${line}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
    `  fix: ${options.fix}`,
  ]
}

const DETAILS: JsonObject = { run: null, path: null, state: null, event: null, workItem: null, cause: null }

/** `troupe.error/1`. */
export function errorObject({ code, message, options }: UserError): JsonObject {
  return {
    schema: 'troupe.error/1',
    code,
    exit: options.exit,
    where: options.where,
    message,
    file: options.file ?? null,
    line: options.line ?? null,
    column: options.column ?? null,
    fix: options.fix,
    retryable: options.retryable ?? isRetryable(code),
    details: { ...DETAILS, ...options.details },
  }
}
