/**
 * The restart matrix: what follows from the end of a child, for each strategy, restart type and reason. From the rules as they are said in words, and from
 * nothing in src, so that the machines are held against them.
 *
 *   1. A permanent child comes back after every end, a transient one after an abnormal one, a temporary one never.
 *   2. Abnormal: an error, killed, and a supervisor below that gave up (which OTP calls normal: `otpExitReasons`).
 *   3. Who comes back takes along: nobody (one_for_one, dynamic), all (one_for_all), those started after it (rest_for_one). That is one restart.
 *   4. Who does not come back takes nobody along, and nothing is counted. The spec of a transient child stays; temporary and dynamic ones leave nothing.
 *   5. Taken along, a child that runs is stopped and starts again, unless it is temporary: then it leaves. One that had finished or was stopped by hand
 *      stays so, unless `reviveFinished` asks for OTP's way.
 */
import type { ExitReason, Restart } from '../../src/protocol.ts'
import { CRASH, KILLED, NORMAL, shutdown } from './actors.ts'

export const STRATEGIES = ['one_for_one', 'one_for_all', 'rest_for_one', 'dynamic'] as const
export const RESTARTS = ['permanent', 'transient', 'temporary'] as const

export interface Reason {
  readonly name: string
  readonly reason: ExitReason
  readonly isAbnormal: boolean
  readonly otpExitReasons?: true
}

export const REASONS: readonly Reason[] = [
  { name: 'normal', reason: NORMAL, isAbnormal: false },
  { name: 'shutdown ordered', reason: shutdown('ordered'), isAbnormal: false },
  { name: 'shutdown completed', reason: shutdown('completed'), isAbnormal: false },
  { name: 'shutdown timeout', reason: shutdown('timeout'), isAbnormal: false },
  { name: 'shutdown gave_up', reason: shutdown('gave_up'), isAbnormal: true },
  { name: 'shutdown gave_up, `otpExitReasons`', reason: shutdown('gave_up'), isAbnormal: false, otpExitReasons: true },
  { name: 'error', reason: CRASH, isAbnormal: true },
  { name: 'killed', reason: KILLED, isAbnormal: true },
]

export type Fate = 'restarted' | 'untouched' | 'stays stopped' | 'gone'

export interface Cell {
  readonly strategy: (typeof STRATEGIES)[number]
  readonly restart: Restart
  readonly reason: Reason
  readonly expected: { readonly child: Fate; readonly before: Fate; readonly after: Fate; readonly counted: number }
}

export const CELLS: readonly Cell[] = STRATEGIES.flatMap((strategy) =>
  RESTARTS.flatMap((restart) => REASONS.map((reason) => ({ strategy, restart, reason, expected: expectedOf(strategy, restart, reason) }))),
)

function expectedOf(strategy: Cell['strategy'], restart: Restart, { isAbnormal }: Reason): Cell['expected'] {
  const comesBack = restart === 'permanent' || (restart === 'transient' && isAbnormal)
  if (!comesBack) {
    const child = restart === 'temporary' || strategy === 'dynamic' ? 'gone' : 'stays stopped'
    return { child, before: 'untouched', after: 'untouched', counted: 0 }
  }
  const before = strategy === 'one_for_all' ? 'restarted' : 'untouched'
  const after = strategy === 'one_for_all' || strategy === 'rest_for_one' ? 'restarted' : 'untouched'
  return { child: 'restarted', before, after, counted: 1 }
}

const STANDINGS = ['running', 'finished', 'stopped by hand'] as const

/** A child that is taken along by a group restart. */
export interface Bystander {
  readonly restart: Restart
  readonly standing: (typeof STANDINGS)[number]
  readonly reviveFinished: boolean
  readonly expected: Exclude<Fate, 'untouched'>
}

/** A permanent child cannot have finished: it would have come back. */
export const BYSTANDERS: readonly Bystander[] = RESTARTS.flatMap((restart) =>
  STANDINGS.filter((standing) => restart !== 'permanent' || standing !== 'finished').flatMap((standing) =>
    [false, true].map((reviveFinished) => ({ restart, standing, reviveFinished, expected: fateOf(restart, standing, reviveFinished) })),
  ),
)

function fateOf(restart: Restart, standing: Bystander['standing'], reviveFinished: boolean): Bystander['expected'] {
  if (restart === 'temporary') return 'gone'
  return standing === 'running' || reviveFinished ? 'restarted' : 'stays stopped'
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), `|${'---|'.repeat(head.length)}`, ...rows.map(row)].join('\n')

/** Both tables as they stand on the page. */
export function markdown(): { readonly matrix: string; readonly bystanders: string } {
  const matrix = table(
    ['strategy', 'restart', 'the child ends with', 'the child', 'one before it', 'one after it', 'counted'],
    CELLS.map(({ strategy, restart, reason, expected: { child, before, after, counted } }) => [
      strategy,
      restart,
      reason.name,
      child,
      before,
      after,
      String(counted),
    ]),
  )
  const bystanders = table(
    ['restart', 'before the group restart', '`reviveFinished`', 'after it'],
    BYSTANDERS.map(({ restart, standing, reviveFinished, expected }) => [restart, standing, reviveFinished ? 'true' : 'false', expected]),
  )
  return { matrix, bystanders }
}
