/**
 * When a run whose process crashes again and again is not started any more. The window is part of the run, so it survives every process:
 *
 *   crash   crash       resume   crash   resume   crash   resume
 *   --x-------x-----------|--------x-------|--------x-------|  three within the period: quarantined, until somebody says otherwise
 *           [<------------------- periodMs -------->]
 *
 * A crash is an end without a goodbye. Its time is that of the last commit before it, on the run clock: the last sign of life that is proved.
 */
import { RUN_CRASHES_MAX, RUN_CRASHES_PERIOD_MS } from '../limits.ts'
import type { Address } from '../protocol.ts'
import type { JournalEntry } from './journal.ts'
import { stateName } from './step.ts'

/** How often the process of a run may die. `false`: as often as it likes. */
export type Quarantine = { readonly crashes: number; readonly periodMs: number } | false

/** One crash, with the last that was heard of before it. */
export interface Crash {
  /** Run clock, milliseconds. */
  readonly at: number
  /** Whose step or effect was last; null where nobody's is among the newest entries. */
  readonly path: Address | null
  /** In which state that actor was. */
  readonly state: string | null
  /** The entry, in words: `effect.started e3 file.write (#120)`. */
  readonly last: string | null
}

/** Stored with the run's limits; absent in runs without a say in it: the defaults. */
export interface CrashWindow {
  /** So many within the period are too many; null: none are. */
  readonly max: number | null
  readonly periodMs: number
  /** Those within the period, oldest first. */
  readonly seen: readonly Crash[]
}

/** The window of a run that has one of its own or none. */
export const windowOf = (stored: CrashWindow | undefined): CrashWindow =>
  stored ?? { max: RUN_CRASHES_MAX, periodMs: RUN_CRASHES_PERIOD_MS, seen: [] }

/** The window that a start asks for; undefined: the default, which is not stored. */
export function windowFor(quarantine: Quarantine | undefined): CrashWindow | undefined {
  if (quarantine === undefined) return undefined
  if (quarantine === false) return { max: null, periodMs: RUN_CRASHES_PERIOD_MS, seen: [] }
  return { max: quarantine.crashes, periodMs: quarantine.periodMs, seen: [] }
}

/** With one crash more, and without those that are older than the period by then. */
export function withCrash(window: CrashWindow, crash: Crash): CrashWindow {
  if (window.max === null) return window
  return { ...window, seen: [...window.seen.filter(({ at }) => crash.at - at < window.periodMs), crash] }
}

/** Has it crashed too often to be started again? */
export const isTooMany = ({ max, seen }: CrashWindow): boolean => max !== null && seen.length >= max

/** How far back the last sign of life is looked for. */
const ENTRIES_BACK = 200
const SIGNS = ['step.committed', 'effect.started', 'effect.told', 'actor.started']

export interface Traces {
  readonly journal: (since: number, limit: number) => readonly JournalEntry[]
  /** No supervisor's own step ends a process. */
  readonly isSupervisor: (path: Address) => boolean
}

/** Where a run was when its process died, as far as its newest entries can tell. Another actor may have been at work as well. */
export function crashIn({ journal, isSupervisor }: Traces, position: number, at: number): Crash {
  const newest = journal(Math.max(0, position - ENTRIES_BACK), ENTRIES_BACK)
  const sign = newest.findLast(({ type, path }) => path !== null && SIGNS.includes(type) && !isSupervisor(path))
  if (sign === undefined) return { at, path: null, state: null, last: null }
  const step = newest.findLast(({ type, path }) => path === sign.path && type === 'step.committed')
  const { id, kind, event } = dataOf(sign) as { id?: string; kind?: string; event?: { type?: string } | string }
  const isEffect = sign.type.startsWith('effect.')
  const words = [sign.type, ...(isEffect ? [id, kind] : [typeof event === 'object' ? event.type : event])].filter(
    (word) => word !== undefined,
  )
  return {
    at,
    path: sign.path,
    state: step === undefined ? null : stateName(dataOf(step)['to']),
    last: `${words.join(' ')} (#${sign.pos})`,
  }
}

const dataOf = ({ data }: JournalEntry): Readonly<Record<string, unknown>> => JSON.parse(data) as Record<string, unknown>

/** `crashed 3 times in 10m, each at /team/coder in \`editing.run\``: the evidence of a window that is full. */
export function crashWords({ seen, periodMs }: CrashWindow): string {
  const [last] = seen.slice(-1)
  const where = last === undefined || last.path === null ? '' : `, ${isSamePlace(seen) ? 'each' : 'the last'} at ${last.path}`
  const state = where === '' || last?.state === null ? '' : ` in \`${last?.state}\``
  return `crashed ${seen.length === 1 ? 'once' : `${seen.length} times`} in ${periodWords(periodMs)}${where}${state}`
}

const isSamePlace = (seen: readonly Crash[]): boolean =>
  seen.length > 1 && new Set(seen.map(({ path, state }) => `${path} ${state}`)).size === 1

function periodWords(ms: number): string {
  if (ms % 60_000 === 0) return `${ms / 60_000}m`
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`
}
