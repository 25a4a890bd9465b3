/**
 * Ordered fallback chains (R3, P22): which model is asked next when one could not answer.
 *
 *   timed out, overloaded, unreachable, unusable answer, key rejected, model unknown  -> the next one that may help
 *   a rate limit                                                                        -> not another model of the same quota group
 *   limits, refused input, a defect of ours                                             -> nobody else: it would be the same
 *   all tried                                                                           -> E_FALLBACK_EXHAUSTED with each reason, never an invented answer
 *
 * Each call begins with the first model again: a model that failed once is not given up for good, and a gate that is closed refuses it at once.
 */
import type { ErrorData } from '../errors.ts'
import type { Chain, ModelRef } from './models.ts'

/** One model that could not answer. `timedOut` stands apart from failures. The reason has no address, no key and no prompt in it. */
export interface Tried {
  readonly alias: string
  readonly code: string
  readonly timedOut: boolean
  readonly reason: string
}

/** Codes for which another model may have the answer. */
const OTHERS_MAY_HELP = [
  'E_PROVIDER_TIMEOUT',
  'E_PROVIDER_OVERLOADED',
  'E_PROVIDER_UNREACHABLE',
  'E_PROVIDER_OUTPUT',
  'E_PROVIDER_REFUSED',
  'E_CREDENTIALS_MISSING',
  'E_CREDENTIALS_REJECTED',
  'E_MODEL_UNKNOWN',
  'E_CONTEXT_TOO_LARGE',
]
const REASON_CHARS_MAX = 160

/** Did the time run out, whoever noticed it? */
const isTimeout = ({ code }: ErrorData): boolean => code === 'E_PROVIDER_TIMEOUT' || code === 'E_EFFECT_TIMEOUT'

/** What the engine says of a call that was late, in the words of models: which time was up. */
export const modelError = (error: ErrorData): ErrorData =>
  error.code === 'E_EFFECT_TIMEOUT' ? { ...error, code: 'E_PROVIDER_TIMEOUT' } : error

/** May another model have the answer? */
export const mayFallBack = (error: ErrorData): boolean => isTimeout(error) || OTHERS_MAY_HELP.includes(error.code)

/** What a person is told of a failure: one line, without addresses, keys and prompts. */
export function sanitised(text: string): string {
  const line = text
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, '<address>')
    .replace(/\b(?:sk|key|tok|pat|ghp|xox[a-z])[-_][\w-]{6,}/gi, '<secret>')
    .replace(/\b(?:bearer|basic)\s+\S+/gi, '<secret>')
    .replace(/\s+/g, ' ')
    .trim()
  return line.length <= REASON_CHARS_MAX ? line : `${line.slice(0, REASON_CHARS_MAX - 3).toWellFormed()}...`
}

/** What goes on record about a model that could not answer. */
export const triedOf = (model: ModelRef, error: ErrorData): Tried => ({
  alias: model.alias,
  code: error.code,
  timedOut: isTimeout(error),
  reason: sanitised(error.message),
})

/**
 * Index of the model to be asked after `index` failed like this, or null where nobody is left.
 * On a rate limit the others of its quota group are passed over.
 */
export function nextModel(chain: Chain, index: number, error: ErrorData): number | null {
  if (!mayFallBack(error)) return null
  const failed = chain[index]
  const isQuota = error.code === 'E_PROVIDER_OVERLOADED'
  const next = chain.findIndex((model, place) => place > index && !(isQuota && model.quotaGroup === failed?.quotaGroup))
  return next === -1 ? null : next
}

/** The error of a call for which no model is left. Of a chain of one it is that model's own. */
export function exhausted(chain: Chain, tried: readonly Tried[], last: ErrorData): ErrorData {
  if (chain.length < 2 || !mayFallBack(last)) return last
  const list = tried.map(({ alias, code, timedOut }) => `${alias} ${timedOut ? 'timed out' : code}`).join(', ')
  const skipped = chain.filter((model) => !tried.some(({ alias }) => alias === model.alias)).map(({ alias }) => alias)
  const rest = skipped.length === 0 ? '' : `; not tried, same quota: ${skipped.join(', ')}`
  return {
    code: 'E_FALLBACK_EXHAUSTED',
    message: `all ${tried.length} models failed: ${list}${rest}`,
    tried: tried.map((one) => ({ ...one })),
    cause: last,
  }
}
