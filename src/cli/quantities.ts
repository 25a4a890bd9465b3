/** Quantities on the command line: durations carry a unit, counts may carry k or M. */
import { InvalidArgumentError } from 'commander'
import { parseCount, parseDuration } from '../quantities.ts'

/** `20m`, `1h30m`, `200ms`, in milliseconds. */
export function durationMs(text: string): number {
  const ms = parseDuration(text)
  if (ms === null) throw new InvalidArgumentError('expected a duration with its unit, like 20m')
  if (ms < 1) throw new InvalidArgumentError('expected at least 1ms')
  return ms
}

/** `200k`, `1.5M`, `312`: a whole number of at least 1. */
export function wholeNumber(text: string): number {
  const value = parseCount(text)
  if (value === null || value < 1) throw new InvalidArgumentError('expected a whole number of at least 1, like 200k')
  return value
}

/** `4`, `0.05`, `$2.50`: USD above 0. */
export function dollarAmount(text: string): number {
  const [, digits] = /^\$?(\d+(?:\.\d+)?)$/.exec(text) ?? []
  const usd = Number(digits)
  if (!(usd > 0 && usd <= 1_000_000)) throw new InvalidArgumentError('expected an amount of US dollars above 0, like 0.50')
  return usd
}

/** The same as {@link wholeNumber}, or `0`. */
export const wholeNumberOrNone = (text: string): number => (text === '0' ? 0 : wholeNumber(text))

/** A journal position, `412` or `#412`. */
export function position(text: string): number {
  const [, digits] = /^#?(\d+)$/.exec(text) ?? []
  if (digits === undefined || !Number.isSafeInteger(Number(digits))) throw new InvalidArgumentError('expected a journal position, like 412')
  return Number(digits)
}
