/** `troupe logs RUN`: the journal, filtered, cut to its end, and followed if asked. Following outlives restarts of the run and ends with it. */
import { setTimeout as wait } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import type { Frame } from '../runtime/engine.ts'
import type { Store } from '../runtime/store.ts'
import { frameLine, isAbout, matchesGlob, NOTEWORTHY } from '../view/frame.ts'
import { nearest } from '../near.ts'
import type { Context } from './context.ts'
import { findRun, shortOf } from './find.ts'
import { framesOf } from './journal.ts'

export interface LogsOptions {
  readonly last?: boolean
  readonly follow?: boolean
  readonly type?: string
  readonly actor?: string
  readonly since?: number
  readonly lines: number
}

const FINAL = ['succeeded', 'failed', 'canceled']
const POLL_MS = 250

/** @throws {UserError} `E_RUN_NOT_FOUND`, `E_RUN_AMBIGUOUS`, `E_TARGET_NOT_FOUND` (9). */
export async function logs(context: Context, name: string | undefined, options: LogsOptions): Promise<number> {
  const { store } = await context.app()
  const { run } = findRun(store, { name, last: options.last === true, project: context.config.project, verb: 'logs' })
  const short = shortOf(store, run)
  if (options.actor !== undefined) checkActor(store, run, short, options.actor)
  const wanted = (frame: Frame): boolean => isWanted(frame, options, context)
  const { shown, dropped, end } = lastOf(store, run, options, wanted)
  const print = (frame: Frame): void => {
    if (context.flags.jsonl) context.io.json(frame as never)
    else if (!context.flags.json) context.io.out(frameLine(frame, context.io.outLook, short))
  }
  if (dropped > 0 && !context.flags.json && !context.flags.jsonl && !context.flags.quiet)
    context.io.err(`${dropped} earlier entries are not shown; more with -n`)
  shown.forEach(print)
  const followed = options.follow === true ? await follow({ context, store, run, from: end, wanted, print }) : []
  const items = [...shown, ...followed]
  const head = { schema: 'troupe.events/1', type: 'result', run, truncated: dropped > 0 }
  if (context.flags.json) context.io.json({ ...head, items: items as never })
  else if (context.flags.jsonl) context.io.json({ ...head, count: items.length, position: store.run(run)?.position ?? 0 })
  return 0
}

/** Machines get every type; people what is noteworthy, unless they ask for more. */
function isWanted(frame: Frame, { type, actor }: LogsOptions, { flags }: Context): boolean {
  if (actor !== undefined && !isAbout(frame, actor)) return false
  if (type !== undefined) return matchesGlob(type, frame.type)
  return flags.json || flags.jsonl || flags.verbose > 0 || NOTEWORTHY.has(frame.type)
}

function lastOf(store: Store, run: string, { since = 0, lines }: LogsOptions, wanted: (frame: Frame) => boolean) {
  const shown: Frame[] = []
  let dropped = 0
  let end = since
  for (const frame of framesOf(store, run, since)) {
    end = frame.pos ?? end
    if (!wanted(frame)) continue
    shown.push(frame)
    if (shown.length > lines) {
      shown.shift()
      dropped++
    }
  }
  return { shown, dropped, end }
}

interface Following {
  readonly context: Context
  readonly store: Store
  readonly run: string
  readonly from: number
  readonly wanted: (frame: Frame) => boolean
  readonly print: (frame: Frame) => void
}

async function follow({ context, store, run, from, wanted, print }: Following): Promise<readonly Frame[]> {
  const kept: Frame[] = []
  let said = false
  for (let cursor = from; !context.io.outClosed.aborted; ) {
    const row = store.run(run)
    for (const frame of framesOf(store, run, cursor)) {
      cursor = frame.pos ?? cursor
      if (!wanted(frame)) continue
      print(frame)
      if (context.flags.json) kept.push(frame)
    }
    // Read before the entries: what was committed with the end has been seen.
    if (row === null || FINAL.includes(row.status)) break
    if (!said && row.status !== 'running' && !context.flags.quiet) {
      context.io.err(`the run is ${row.status}; this goes on when it does, Ctrl-C ends the view`)
      said = true
    }
    await wait(POLL_MS)
  }
  return kept
}

function checkActor(store: Store, run: string, short: string, actor: string): void {
  const known = new Set<string>()
  for (const frame of framesOf(store, run)) {
    if (isAbout(frame, actor)) return
    if (frame.path !== null) known.add(frame.path)
  }
  const names = [...known].flatMap((path) => [path, path.slice(path.lastIndexOf('/') + 1)])
  const [near] = nearest(actor, names)
  const message = `it has no actor \`${actor}\`${near === undefined ? '' : `; did you mean ${near}?`}`
  throw new UserError('E_TARGET_NOT_FOUND', message, { where: `run ${short}`, fix: `troupe show ${short} --tree`, exit: 9 })
}
