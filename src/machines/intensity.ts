/**
 * Restart intensity: how many restarts a supervisor tolerates within a period (OTP's `MaxR` and `MaxT`).
 *
 *   window = [t1, t2, ...]   run-clock milliseconds of the restarts that still count, oldest first
 *   t counts at `now` while now - t <= periodMs            (a restart of exactly that age still counts)
 *   allowed while the window, this restart included, holds at most `intensity`
 *
 * The window is part of the supervisor's context, so neither a crash nor a resume empties it. It never holds more than `intensity` + 1 entries.
 * Source: `add_restart/1` of supervisor.erl; there in whole seconds, here in milliseconds.
 */

/** Times of the restarts that still count, in milliseconds of the run clock, oldest first. */
export type RestartWindow = readonly number[]

export interface RestartLimit {
  /** Run clock, milliseconds; never falls. */
  readonly now: number
  /** Restarts that survive within the period. 0: none. */
  readonly intensity: number
  readonly periodMs: number
}

export interface Admission {
  /** The window with this restart, whether it was allowed or not, and without those that no longer count. */
  readonly window: RestartWindow
  readonly allowed: boolean
  /** Restarts within the period, this one included. */
  readonly count: number
}

/** Decides on one restart at `now`. Pure: keep the window that it returns. */
export function admit(window: RestartWindow, limit: RestartLimit): Admission {
  const counted = [...window.filter((at) => limit.now - at <= limit.periodMs), limit.now]
  return { window: counted, allowed: counted.length <= limit.intensity, count: counted.length }
}
