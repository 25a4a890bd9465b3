/** The machine's own clocks, timers and random numbers. */
import { ulid } from 'ulid'
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

/** A run id: a ULID, which sorts by time. */
export const newRunId = (wallMs: number): string => ulid(wallMs)
