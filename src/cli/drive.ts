/**
 * Takes a run to where nothing moves any more: shows its progress, hears the signals, and says how it ended.
 *
 *   open session --> frames: lines on stderr, or JSON lines on stdout --> done --> tree, result, notes, error --> exit code
 *        '--first signal--> stop and save --> done        '--second signal--> its processes are ended, exit
 */
import { setTimeout as wait } from 'node:timers/promises'
import { type App, isSimulated } from '../app.ts'
import type { Frame, Result, RunSession } from '../runtime/engine.ts'
import { ledgerOf } from '../runtime/ledger.ts'
import { castOf, tokensByActor } from '../view/actors.ts'
import { printable } from '../view/format.ts'
import { frameLine, NOTEWORTHY } from '../view/frame.ts'
import { outcomeOf, teamOutput } from '../view/outcome.ts'
import { problemLines } from '../view/problem.ts'
import { type Report, resultNotes, resultObject, resultTree } from '../view/result.ts'
import type { Context } from './context.ts'
import { shortOf } from './find.ts'
import { framesOf } from './journal.ts'
import { exitAfter, interruption, onSignals, type StopSignal } from './signals.ts'

/** How long the view may lag behind a run that has ended, milliseconds. */
const VIEW_LAG_MS = 5_000

export interface Drive {
  readonly context: Context
  readonly app: App
  readonly open: () => Promise<RunSession>
  /** Called once the session is there, before its frames. */
  readonly begin?: (session: RunSession, short: string) => void
}

/** Runs a session to its end. Rejects when it cannot be opened, and when the store or the lease is lost. */
export async function drive({ context, app, open, begin }: Drive): Promise<Report> {
  const live: { session: RunSession | null; signal: StopSignal | null } = { session: null, signal: null }
  const stop = (): void => {
    if (live.session !== null && live.signal !== null)
      live.session.stop({ status: 'interrupted', reason: interruption(live.signal) }).catch(() => {})
  }
  const unlisten = onSignals({
    first: (signal) => {
      live.signal = signal
      if (!context.flags.quiet) context.io.err('saving the run; the same again ends it at once')
      stop()
    },
    second: (signal) => void endNow(app, live.session?.id ?? null, signal),
  })
  try {
    const session = await open()
    live.session = session
    const short = shortOf(app.store, session.id)
    begin?.(session, short)
    stop() // A signal that came while the run was being opened.
    return await follow({ context, app, session, short })
  } finally {
    unlisten()
  }
}

async function follow(at: { context: Context; app: App; session: RunSession; short: string }): Promise<Report> {
  const { context, app, session, short } = at
  const view = showFrames(context, session, short)
  view.catch(() => {}) // Waited for below; until then a view that fails does not end the run.
  // What happened comes before how it ended, also where this process has lost the run and the frames are another one's.
  const result = await session.done().finally(() => Promise.race([view, wait(VIEW_LAG_MS, undefined, { ref: false })]))
  if (result.status === 'succeeded') await app.tidy(session.id)
  return reportOf(app, result, { short, recovery: session.recovery })
}

/** Everything that is told of a run that stands still, read from the store. */
export function reportOf(app: App, result: Result, more: Pick<Report, 'short' | 'recovery'>): Report {
  const image = app.store.image(result.run)
  const open = image.effects.length
  const effects = app.store.effects(result.run)
  return {
    ...more,
    result: { ...result, usage: { ...result.usage, simulated: result.usage.simulated === true || isSimulated(image.run) } },
    outcome: outcomeOf(result, more.short, open),
    cast: castOf(framesOf(app.store, result.run)),
    tokens: tokensByActor(effects),
    models: ledgerOf(effects).byModel,
    keptAnswers: effects.filter(({ usage }) => usage?.cached === true).length,
  }
}

async function showFrames(context: Context, session: RunSession, short: string): Promise<void> {
  for await (const frame of session.watch({ since: session.recovery?.position ?? 0, gaps: 'fill' })) showFrame(context, frame, short)
}

function showFrame({ flags, io }: Context, frame: Frame, short: string): void {
  if (flags.jsonl) io.json(frame as never)
  else if (!flags.quiet && isShown(frame, flags.verbose)) io.err(frameLine(frame, io.errLook, short))
}

function isShown(frame: Frame, verbose: number): boolean {
  return frame.pos === null ? verbose > 1 : verbose > 0 || NOTEWORTHY.has(frame.type)
}

/** Prints how it ended. @returns the exit code. */
export function sayResult({ flags, io }: Context, report: Report): number {
  const { outcome, result } = report
  if (flags.json || flags.jsonl) {
    io.json(resultObject(report))
    return outcome.exit
  }
  if (!flags.quiet) for (const line of resultTree(report, io.errLook)) io.err(line)
  const { summary } = teamOutput(result.output)
  if (outcome.problem === null && summary !== null) io.out(printable(summary))
  if (!flags.quiet) for (const line of resultNotes(report)) io.err(line)
  if (outcome.problem !== null) for (const line of problemLines(outcome.problem, io.errLook)) io.err(line)
  return outcome.exit
}

/** The person does not want to wait. What is cut off is judged at the next resume. */
async function endNow(app: App, run: string | null, signal: StopSignal): Promise<never> {
  const ended = run === null ? Promise.resolve() : app.endProcesses(run)
  await Promise.race([ended.catch(() => {}), wait(2_000)])
  process.exit(exitAfter(signal))
}
