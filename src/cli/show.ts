/** `troupe show RUN`: one run closely, live or afterwards. */
import type { App } from '../app.ts'
import { resultOf } from '../runtime/engines/local/ending.ts'
import { ledgerOf } from '../runtime/ledger.ts'
import type { RunRow, Store } from '../runtime/store.ts'
import { treeView } from '../runtime/views.ts'
import { castOf, costByActor, tokensByActor } from '../view/actors.ts'
import { ago, costBasis, money, plural, printable } from '../view/format.ts'
import { runMark } from '../view/look.ts'
import { standingOf, teamOutput } from '../view/outcome.ts'
import { resultNotes, resultTree } from '../view/result.ts'
import { type RunItem, runObject, statusWords, usageOf } from '../view/runs.ts'
import { castView, effectObject, effectTable, sceneLines, treeObject } from '../view/show.ts'
import { usageLines, usageObject } from '../view/usage.ts'
import type { Context } from './context.ts'
import { reportOf } from './drive.ts'
import { findRun } from './find.ts'
import { framesOf, itemOf } from './journal.ts'

export interface ShowFlags {
  readonly last?: boolean
  readonly tree?: boolean
  readonly effects?: boolean
  readonly usage?: boolean
}

const FINAL = ['succeeded', 'failed', 'canceled']

/** @throws {UserError} `E_RUN_NOT_FOUND`, `E_RUN_AMBIGUOUS` (9). */
export async function show(context: Context, name: string | undefined, flags: ShowFlags): Promise<number> {
  const app = await context.app()
  const row = findRun(app.store, { name, last: flags.last === true, project: context.config.project, verb: 'show' })
  const item = itemOf(app.store, row)
  if (flags.usage === true) showUsage(context, app.store, row)
  else if (context.flags.json || context.flags.jsonl) showJson(context, app.store, item)
  else if (flags.effects === true) showEffects(context, item)
  else if (flags.tree === true) for (const line of treeOf(context, app, item)) context.io.out(line)
  else showAll(context, app, item)
  return 0
}

function showAll(context: Context, app: App, item: RunItem): void {
  const { io } = context
  const { row, short, effects } = item
  const standing = standingOf(row, item.owned)
  const usage = usageOf(effects, item.simulated)
  const cost = money(usage.costUsd, costBasis(usage))
  const head = [
    `${runMark(standing, io.outLook)} run ${short}`,
    row.name,
    statusWords(item, standing),
    `started ${ago(context.now() - row.createdAt)}`,
    `#${row.position}`,
    plural(usage.inputTokens + usage.outputTokens, 'token'),
    cost,
  ]
  io.out(head.filter((part) => part !== null).join('  '))
  io.out(`project ${row.project ?? '-'}   task ${fileOf(row) ?? 'given as text'}`)
  for (const line of treeOf(context, app, item)) io.out(line)
  if (!FINAL.includes(row.status)) return
  const { summary } = teamOutput(row.output)
  if (summary !== null) io.out(printable(summary))
  for (const line of resultNotes(endedReport(app, item))) io.out(line)
}

/** The actors of a finished run are gone; its journal tells of them. */
function treeOf(context: Context, app: App, item: RunItem): readonly string[] {
  const { row, effects } = item
  const look = context.io.outLook
  if (FINAL.includes(row.status)) return resultTree(endedReport(app, item), look)
  const sinceCommitMs = item.owned ? Math.max(0, context.now() - row.clock.wallMs) : 0
  const status = statusWords(item, standingOf(row, item.owned))
  const runMs = row.clock.runMs + sinceCommitMs
  const cast = castOf(framesOf(app.store, row.run))
  return sceneLines({ row, tree: treeView(app.store, row.run, undefined, { runMs }), effects, cast, status, runMs }, look)
}

const endedReport = (app: App, { row, short }: RunItem) => reportOf(app, resultOf(row, app.store), { short, recovery: null })

function showEffects({ io, config }: Context, { effects, short }: RunItem): void {
  if (effects.length === 0) io.out(`Run ${short} has no effects yet.`)
  for (const line of effectTable(effects, io.outLook, !config.stdout.terminal)) io.out(line)
}

function showUsage({ io, flags, config }: Context, store: Store, row: RunRow): void {
  const ledger = ledgerOf(store.effects(row.run))
  const cells = store.cells(row.run)
  if (flags.json || flags.jsonl) io.json(usageObject(row, ledger, cells))
  else for (const line of usageLines(row, ledger, cells, io.outLook, !config.stdout.terminal)) io.out(line)
}

function showJson({ io, now }: Context, store: Store, item: RunItem): void {
  const { row, effects } = item
  const tree = FINAL.includes(row.status)
    ? castView(castOf(framesOf(store, row.run)), tokensByActor(effects), costByActor(effects))
    : treeView(store, row.run)
  // The run clock and the wall clock were read together at the last commit.
  const atRunMs = (runMs: number): number => row.clock.wallMs - (row.clock.runMs - runMs)
  io.json({
    schema: 'troupe.run/1',
    type: 'result',
    ...runObject(item, now()),
    output: row.output,
    tree: tree === null ? null : treeObject(tree, atRunMs),
    effects: effects.map((effect) => effectObject(effect, atRunMs)),
  })
}

function fileOf({ meta }: RunRow): string | null {
  const file = typeof meta === 'object' && meta !== null ? (meta as { file?: unknown }).file : null
  return typeof file === 'string' ? file : null
}
