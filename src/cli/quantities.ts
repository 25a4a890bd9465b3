/** Quantities on the command line: durations carry a unit, counts may carry k or M. */
import { InvalidArgumentError } from 'commander'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `20m`, `1h30m`, `200ms`, in milliseconds. */
export function durationMs(text: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) throw new InvalidArgumentError('expected a duration with its unit, like 20m')
  const ms = [...text.matchAll(/([\d.]+)(ms|s|m|h|d)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * UNITS_MS[unit!]!, 0)
  if (ms < 1) throw new InvalidArgumentError('expected at least 1ms')
  return Math.round(ms)
}

/** `200k`, `1.5M`, `312`: a whole number of at least 1. */
export function wholeNumber(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(text) ?? []
  const value = Math.round(Number(digits) * (unit === 'k' ? 1_000 : unit === 'M' ? 1_000_000 : 1))
  if (!(value >= 1 && Number.isSafeInteger(value))) throw new InvalidArgumentError('expected a whole number of at least 1, like 200k')
  return value
}

/** The same, or `0`. */
export const wholeNumberOrNone = (text: string): number => (text === '0' ? 0 : wholeNumber(text))

/** A journal position, `412` or `#412`. */
export function position(text: string): number {
  const [, digits] = /^#?(\d+)$/.exec(text) ?? []
  if (digits === undefined || !Number.isSafeInteger(Number(digits))) throw new InvalidArgumentError('expected a journal position, like 412')
  return Number(digits)
}
