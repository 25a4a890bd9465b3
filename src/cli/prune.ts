/**
 * `troupe prune [RUN...]`: deletes runs that have ended, with everything that only they used. What was freed is used again by the store; its file does
 * not get smaller.
 */
import type { RunRow, Store } from '../runtime/store.ts'
import { roomOf, weigh } from '../runtime/stores/sqlite/weigh.ts'
import { bytes, plural } from '../view/format.ts'
import type { Standing } from '../view/look.ts'
import { standingOf } from '../view/outcome.ts'
import { type Pruned, pruneLine, pruneObject } from '../view/upkeep.ts'
import { confirm } from './confirm.ts'
import type { Context } from './context.ts'
import { findRun } from './find.ts'

export interface PruneFlags {
  /** Milliseconds. */
  readonly olderThan?: number
  readonly keepLast?: number
  readonly status?: Standing
  readonly dryRun?: boolean
}

const ENDED: readonly Standing[] = ['succeeded', 'failed', 'canceled']
/** Ended runs that stay, the newest, unless another number is given or runs are named. */
const KEEP_LAST = 20

/** Exit 0, also where nothing is to do. @throws {UserError} `E_RUN_NOT_FOUND` (9), `E_RUN_OWNED` (10), `E_CONFIRM_REQUIRED` (2). */
export async function prune(context: Context, names: readonly string[], flags: PruneFlags): Promise<number> {
  const { store } = await context.app()
  const chosen = names.length > 0 ? named(store, names, context.config.project) : selected(store, flags, context.now())
  const runs = chosen.rows.map(({ run }) => run)
  const plan: Pruned = { runs, freedBytes: weigh(store.path, runs), kept: chosen.kept, dryRun: flags.dryRun === true }
  if (runs.length === 0 || plan.dryRun) return say(context, plan, null)
  const question = `delete ${plural(runs.length, 'run')} (about ${bytes(plan.freedBytes)}) for good`
  if (!(await confirm(context, ['prune', ...names].join(' '), question))) return 1
  const before = roomOf(store.path)
  for (const run of runs) store.remove(run)
  const after = roomOf(store.path)
  const freedBytes = Math.max(0, after.freeBytes - before.freeBytes)
  return say(context, { ...plan, freedBytes }, Math.max(0, before.texts - after.texts))
}

function say(context: Context, plan: Pruned, blobs: number | null): number {
  if (context.flags.json || context.flags.jsonl) context.io.json(pruneObject(plan, blobs))
  else context.io.out(pruneLine(plan))
  return 0
}

interface Chosen {
  readonly rows: readonly RunRow[]
  readonly kept: Pruned['kept']
}

/** Runs that are named go as they are, ended or not; the store refuses those that are running. */
function named(store: Store, names: readonly string[], project: string): Chosen {
  const rows = [
    ...new Map(names.map((name) => findRun(store, { name, last: false, project, verb: 'prune' })).map((row) => [row.run, row])).values(),
  ]
  return { rows, kept: { unfinished: 0, young: 0, last: 0, other: store.runs().length - rows.length } }
}

function selected(store: Store, { olderThan, keepLast = KEEP_LAST, status }: PruneFlags, nowMs: number): Chosen {
  const kept = { unfinished: 0, young: 0, last: 0, other: 0 }
  const rows: RunRow[] = []
  let ended = 0
  for (const row of store.runs()) {
    const standing = standingOf(row, row.status === 'running' && store.isOwned(row.run))
    const isEnded = ENDED.includes(standing)
    if (isEnded) ended++
    if (standing === 'running' || (!isEnded && status !== standing)) kept.unfinished++
    else if (status !== undefined && status !== standing) kept.other++
    else if (isEnded && ended <= keepLast) kept.last++
    else if (olderThan !== undefined && nowMs - (row.endedAt ?? row.clock.wallMs) < olderThan) kept.young++
    else rows.push(row)
  }
  return { rows, kept }
}
