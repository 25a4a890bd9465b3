/** The machine's own clocks, timers and random numbers. */
import { ulid } from 'ulid'
import { HOST_TIMER_MS_MAX } from '../../limits.ts'
import type { Clock } from '../clock.ts'

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, callback) => {
    let timer: NodeJS.Timeout
    // The host's timers end at 2^31-1 ms and fire at once beyond: longer ones are waited for in pieces.
    const wait = (leftMs: number): void => {
      if (leftMs <= HOST_TIMER_MS_MAX) timer = setTimeout(callback, leftMs)
      else timer = setTimeout(() => wait(leftMs - HOST_TIMER_MS_MAX), HOST_TIMER_MS_MAX)
    }
    wait(delayMs)
    return () => clearTimeout(timer)
  },
  defer: (callback) => {
    setImmediate(callback)
  },
  random: () => Math.random(),
}

/** A run id: a ULID, which sorts by time. */
export const newRunId = (wallMs: number): string => ulid(wallMs)
