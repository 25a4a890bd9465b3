/** Time for tests that drive a tree by hand: it moves only when it is told to, timer by timer. */
import type { Clock } from '../runtime/clock.ts'

export interface VirtualClock extends Clock {
  /** Moves both clocks on, timer by timer, and lets what they cause settle. */
  advance(ms: number): Promise<void>
  /** Moves the wall clock alone, as when somebody sets it. Negative values move it back. */
  jumpWall(ms: number): void
}

interface Waiting {
  readonly at: number
  readonly callback: () => void
}

/** Where clocks of tests start: 2026-01-01T00:00:00Z, in milliseconds. */
export const NEW_YEAR_MS = 1_767_225_600_000

/** @param options.wallMs  where the wall clock starts. Default 2026-01-01T00:00:00Z. */
export function virtualClock(options: { wallMs?: number; random?: () => number } = {}): VirtualClock {
  let wall = options.wallMs ?? NEW_YEAR_MS
  let monotonic = 0
  const waiting = new Set<Waiting>()
  const next = (until: number): Waiting | undefined => {
    let first: Waiting | undefined
    for (const timer of waiting) if (timer.at <= until && (first === undefined || timer.at < first.at)) first = timer
    return first
  }
  const moveTo = (at: number): void => {
    wall += at - monotonic
    monotonic = at
  }
  return {
    wallMs: () => wall,
    monotonicMs: () => monotonic,
    random: options.random ?? (() => 0.5),
    defer: (callback) => {
      setImmediate(callback)
    },
    setTimer: (delayMs, callback) => {
      const timer = { at: monotonic + delayMs, callback }
      waiting.add(timer)
      return () => waiting.delete(timer)
    },
    jumpWall: (ms) => {
      wall += ms
    },
    advance: async (ms) => {
      const until = monotonic + ms
      await settle()
      for (let timer = next(until); timer !== undefined; timer = next(until)) {
        waiting.delete(timer)
        moveTo(timer.at)
        timer.callback()
        await settle()
      }
      moveTo(until)
      await settle()
    },
  }
}

/** Lets turns, their commits and effects that answer at once come to rest. */
async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await new Promise<void>((resolve) => setImmediate(resolve))
}
