/**
 * Row keys: which run, and which of its rows, in one integer that SQLite keeps as the row's own key and JavaScript holds exactly.
 *
 *   run.k * 2^32 + number      journal (position), envelope, timer, ask (their numbers), cell, effect (nth version)
 *   thread.k * 2^24 + place    thread_item
 */
import { Defect } from '../../../errors.ts'

const RUN_SPAN = 2 ** 32
const THREAD_SPAN = 2 ** 24
/** Runs that one file may ever have had. */
export const RUNS_MAX = 2 ** 20 - 1

/** The key of a row of a run. Number 0 is below all of them. @throws {Defect} `E_STORE_NUMBERS` for one that is none. */
export function rowKey(run: number, number: number): number {
  if (number >= RUN_SPAN || number < 0 || !Number.isInteger(number)) throw outOfNumbers('a run', RUN_SPAN - 1, number)
  return run * RUN_SPAN + number
}

/** Where a range of the run's rows begins or ends: any number may be asked for. */
export function boundKey(run: number, number: number): number {
  return run * RUN_SPAN + Math.min(Math.max(0, Math.trunc(number)), RUN_SPAN - 1)
}

/** The largest key that a row of the run may have. */
export function lastKey(run: number): number {
  return run * RUN_SPAN + RUN_SPAN - 1
}

/** Whose row this is. */
export function runOf(key: number): number {
  return Math.floor(key / RUN_SPAN)
}

/** Which row of its run this is. */
export function numberOf(key: number): number {
  return key % RUN_SPAN
}

/** The key of an item of a thread. Place -1 is below all of them, so that a range may begin there. */
export function itemKey(thread: number, place: number): number {
  if (place >= THREAD_SPAN) throw outOfNumbers('a thread', THREAD_SPAN - 1, place)
  return thread * THREAD_SPAN + place
}

export function lastItemKey(thread: number): number {
  return thread * THREAD_SPAN + THREAD_SPAN - 1
}

export function placeOf(key: number): number {
  return key % THREAD_SPAN
}

function outOfNumbers(what: string, max: number, found: number): Defect {
  return new Defect('E_STORE_NUMBERS', `${found} is no row of ${what}: they are numbered up to ${max}`)
}
