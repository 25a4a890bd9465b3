/** `troupe resume [RUN|--last]`: goes on with one run. */
import type { App, ResumeTask, RunMeta } from '../app.ts'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { quarantined } from '../runtime/engines/local/quarantine.ts'
import type { RunRow, Store } from '../runtime/store.ts'
import { ago, iso } from '../view/format.ts'
import { recoveryLines, recoveryObject } from '../view/recovery.ts'
import type { Report } from '../view/result.ts'
import type { Context } from './context.ts'
import { drive, sayResult } from './drive.ts'
import { findRun, shortOf } from './find.ts'
import { type TapeFlags, tapesOf } from './tape-flags.ts'

export interface ResumeFlags extends TapeFlags {
  readonly last?: boolean
  readonly maxTokens?: number
  /** USD. */
  readonly maxUsd?: number
  readonly maxTurns?: number
  readonly timeout?: number
  readonly takeOver?: boolean
  readonly unquarantine?: boolean
}

/** @throws {UserError} `E_RUN_NOT_FOUND`, `E_RUN_AMBIGUOUS` (9), `E_RUN_FINISHED`, `E_RUN_QUARANTINED` (1), `E_RUN_OWNED`, `E_STORE_DAMAGED` (10). */
export async function resume(context: Context, name: string | undefined, flags: ResumeFlags): Promise<number> {
  const app = await context.app()
  const row = findRun(app.store, { name, last: flags.last === true, project: context.config.project, verb: 'resume', resumable: true })
  checkStanding(app.store, row, flags, context.now())
  const own = (row.meta as Partial<RunMeta> | null)?.record?.file ?? null
  const tapes = await tapesOf(context, flags, `resume ${shortOf(app.store, row.run)}`, own)
  if (tapes === null) return 1
  const options: ResumeTask = {
    ...tapes,
    ...(flags.takeOver === true ? { takeOver: true } : {}),
    ...(flags.unquarantine === true ? { unquarantine: true } : {}),
    budget: { tokensMax: flags.maxTokens, usdMax: flags.maxUsd, turnsMax: flags.maxTurns },
    ...(flags.timeout === undefined ? {} : { deadlineMs: flags.timeout }),
  }
  return sayResult(context, await goOn(context, app, row, options))
}

/** Resumes a run, shows what was found, and stays with it to its end. */
export function goOn(context: Context, app: App, before: RunRow, options: ResumeTask = {}): Promise<Report> {
  const { io, flags } = context
  return drive({
    context,
    app,
    open: () =>
      app
        .resume(before.run, options)
        .catch((error: unknown) => Promise.reject(shortened(error, before.run, shortOf(app.store, before.run)))),
    begin: ({ recovery }, short) => {
      if (recovery === null) return
      // Not part of the journal: what was found, for whoever reads the stream, before the run goes on.
      const found = { v: 1, pos: null, at: iso(context.now()), run: before.run, type: 'live.recovery', path: null, inc: null, cause: null }
      if (flags.jsonl) io.json({ ...found, data: recoveryObject(recovery) })
      else if (!flags.quiet) for (const line of recoveryLines({ recovery, before, short, nowMs: context.now() }, io.errLook)) io.err(line)
    },
  })
}

/** A run that has ended, or that somebody has to look at first, is not touched. Whether another one is owned, the store alone can say. */
function checkStanding(store: Store, row: RunRow, flags: ResumeFlags, nowMs: number): void {
  const short = shortOf(store, row.run)
  if (row.status === 'quarantined' && flags.unquarantine !== true) throw shortened(quarantined(row), row.run, short)
  if (!['succeeded', 'failed', 'canceled'].includes(row.status)) return
  const message = `${row.status} ${ago(nowMs - (row.endedAt ?? row.clock.wallMs))}; there is nothing to continue`
  throw new UserError('E_RUN_FINISHED', message, { where: `run ${short}`, fix: `troupe show ${short}`, exit: exitOf('E_RUN_FINISHED') })
}

/** The store knows runs by their whole id; people know them by a part of it. */
function shortened(error: unknown, run: string, short: string): unknown {
  if (!(error instanceof UserError)) return error
  const { where, fix } = error.options
  return new UserError(error.code, error.message, { ...error.options, where: where.replace(run, short), fix: fix.replaceAll(run, short) })
}
