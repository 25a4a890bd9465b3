/** The machine's own clocks and timers. */
import type { Clock } from '../clock.ts'

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
  defer: (callback) => {
    setImmediate(callback)
  },
  random: () => Math.random(),
}
