/**
 * How quantities are written by people, in flags, tasks and configuration alike: durations carry their unit, counts may carry k or M.
 *
 *   20m   1h30m   200ms   1.5s        200k   1.5M   312
 */
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/
const COUNT = /^(\d+(?:\.\d+)?)([kM]?)$/

/** Milliseconds, rounded; null where it is no duration. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null
  return Math.round([...text.matchAll(/([\d.]+)(ms|s|m|h|d)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * UNITS_MS[unit!]!, 0))
}

/** A whole number, rounded; null where it is no count, or one too large to be exact. */
export function parseCount(text: string): number | null {
  const [, digits, unit] = COUNT.exec(text) ?? []
  if (digits === undefined) return null
  const value = Math.round(Number(digits) * (unit === 'k' ? 1_000 : unit === 'M' ? 1_000_000 : 1))
  return Number.isSafeInteger(value) ? value : null
}
