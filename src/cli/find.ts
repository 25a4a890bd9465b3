/** Finds the run that a person means: by a prefix of its id, by its name, or the newest of this project. */
import { UserError } from '../errors.ts'
import type { RunRow, Store } from '../runtime/store.ts'
import { plural, shortRun } from '../view/format.ts'
import { nearest } from '../near.ts'
import { canGoOn, standingOf } from '../view/outcome.ts'

export interface Wanted {
  /** As typed; undefined: none. */
  readonly name: string | undefined
  readonly last: boolean
  readonly project: string
  readonly verb: string
  /** Only runs that `resume` can continue are meant by `--last` or by nothing. */
  readonly resumable?: boolean
}

const PREFIX_MIN = 4

/** @throws {UserError} `E_RUN_NOT_FOUND`, `E_RUN_AMBIGUOUS` (exit 9), `E_USAGE` (exit 2) where no run is named. */
export function findRun(store: Store, wanted: Wanted): RunRow {
  const { name, last, verb } = wanted
  if (name !== undefined && last) {
    throw new UserError('E_FLAG_CONFLICT', `\`${name}\` and --last exclude each other`, { where: '--last', fix: 'leave one out', exit: 2 })
  }
  if (name !== undefined) return named(store, name)
  const here = store
    .runs({ project: wanted.project })
    .filter((row) => wanted.resumable !== true || canGoOn(standingOf(row, store.isOwned(row.run))))
  const [newest, ...others] = here
  if (newest !== undefined && (last || (wanted.resumable === true && others.length === 0))) return newest
  const fix = 'troupe ps --all --everywhere'
  if (newest === undefined && (last || wanted.resumable === true)) {
    const what = wanted.resumable === true ? 'no run of this project can go on' : 'this project has no run yet'
    throw new UserError('E_RUN_NOT_FOUND', what, { where: last ? '--last' : verb, fix, exit: 9 })
  }
  const choice = wanted.resumable === true ? `; ${plural(here.length, 'run')} can go on: ${listed(store, here)}` : ''
  throw new UserError('E_USAGE', `no run is named${choice}`, { where: verb, fix: `troupe ${verb} RUN, or --last; see troupe ps`, exit: 2 })
}

/** The run's id as it is shown: 8 characters, more where that would fit two runs. */
export function shortOf(store: Store, run: string): string {
  return shortRun(
    run,
    store.runs().map((row) => row.run),
  )
}

function named(store: Store, name: string): RunRow {
  const all = store.runs()
  const prefix = name.toUpperCase()
  const byId = name.length < PREFIX_MIN ? [] : all.filter(({ run }) => run.toUpperCase().startsWith(prefix))
  if (byId.length === 1) return byId[0]!
  // A name may be used again once its run has ended: the newest is meant.
  const byName = all.find((row) => row.name === name)
  if (byName !== undefined) return byName
  if (byId.length > 1) {
    const message = `fits ${byId.length} runs: ${listed(store, byId)}`
    throw new UserError('E_RUN_AMBIGUOUS', message, { where: `run ${name}`, fix: 'type one more character, or --last', exit: 9 })
  }
  throw notFound(store, name, all)
}

function notFound(store: Store, name: string, all: readonly RunRow[]): UserError {
  const known = all.flatMap((row) => [
    shortRun(
      row.run,
      all.map(({ run }) => run),
    ),
    ...(row.name === null ? [] : [row.name]),
  ])
  const near = nearest(name, known)
  const short = name.length < PREFIX_MIN ? `; a prefix has ${PREFIX_MIN} characters or more` : ''
  const message = `no run \`${name}\` in ${store.path}${short}${near.length === 0 ? '' : `; near: ${near.join(' ')}`}`
  return new UserError('E_RUN_NOT_FOUND', message, { where: `run ${name}`, fix: 'troupe ps --all --everywhere', exit: 9 })
}

function listed(store: Store, rows: readonly RunRow[]): string {
  const all = store.runs().map(({ run }) => run)
  const shown = rows.slice(0, 6).map(({ run }) => shortRun(run, all))
  return `${shown.join(' ')}${rows.length > shown.length ? ` and ${rows.length - shown.length} more` : ''}`
}
