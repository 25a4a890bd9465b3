/** `troupe recover [--dry-run|--all]`: what did not end properly, in all projects. Without `--all` nothing changes unless a person says so. */
import { createInterface } from 'node:readline/promises'
import type { App, StrayProcess } from '../app.ts'
import type { Json, JsonObject } from '../json.ts'
import type { RunStatus } from '../runtime/store.ts'
import { resultObject } from '../view/result.ts'
import { isSafe, type RunItem, recoverObject, recoverTable } from '../view/runs.ts'
import type { Context } from './context.ts'
import { sayResult } from './drive.ts'
import { findRun, shortOf } from './find.ts'
import { itemOf } from './journal.ts'
import { report } from './report.ts'
import { goOn } from './resume.ts'

export interface RecoverFlags {
  readonly dryRun?: boolean
  readonly all?: boolean
}

const UNFINISHED: readonly RunStatus[] = ['running', 'suspended', 'limited', 'interrupted', 'quarantined']
/** The first of these that occurred is the exit code of `--all`. */
const EXITS_BY_WEIGHT = [70, 143, 130, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]

/** Exit 0 where it only lists; with `--all` the worst that occurred. */
export async function recover(context: Context, flags: RecoverFlags): Promise<number> {
  const app = await context.app()
  const items = app.store.runs({ status: UNFINISHED }).map((row) => itemOf(app.store, row))
  const strays = (await app.strays()).filter(({ run }) => items.some(({ row, owned }) => row.run === run && !owned))
  if (flags.all === true) return recoverAll(context, app, items)
  if (context.flags.json || context.flags.jsonl) {
    context.io.json(listObject(items, strays))
    return 0
  }
  list(context, app, items, strays)
  if (flags.dryRun === true || !items.some(isSafe)) return 0
  const chosen = await ask(context, items.filter(isSafe))
  return chosen === null
    ? 0
    : goOnWith(context, app, [
        itemOf(app.store, findRun(app.store, { name: chosen, last: false, project: context.config.project, verb: 'recover' })),
      ])
}

function list({ io, config, now }: Context, app: App, items: readonly RunItem[], strays: readonly StrayProcess[]): void {
  if (items.length === 0) io.out('No run needs recovering.')
  for (const line of recoverTable(items, io.outLook, { nowMs: now(), tabs: !config.stdout.terminal })) io.out(line)
  for (const { pid, command, run } of strays)
    io.err(`stray process ${pid} \`${command}\`, of ${shortOf(app.store, run)}; it ends when the run goes on`)
}

function listObject(items: readonly RunItem[], strays: readonly StrayProcess[]): JsonObject {
  return {
    schema: 'troupe.recover/1',
    type: 'result',
    items: items.map(recoverObject),
    strays: strays.map(({ pid, command, run }) => ({ pid, command, run })),
    truncated: false,
  }
}

/** Which one? Null: none. Only a person is asked; `-y` takes what would have been offered. */
async function ask({ config, flags }: Context, safe: readonly RunItem[]): Promise<string | null> {
  const offered = safe[0]!.short
  if (flags.yes) return offered
  if (!config.prompts) return null
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new Promise<null>((resolve) => prompt.once('close', () => resolve(null)))
  const answer = await Promise.race([prompt.question(`recover which? [${offered}, or none] `), ended])
  prompt.close()
  if (answer === null || answer.trim() === 'none') return null
  return answer.trim() === '' ? offered : answer.trim()
}

async function recoverAll(context: Context, app: App, items: readonly RunItem[]): Promise<number> {
  const [safe, others] = [items.filter(isSafe), items.filter((item) => !isSafe(item) && !item.owned)]
  if (safe.length === 0 && !context.flags.json && !context.flags.jsonl) context.io.out('No run needs recovering.')
  for (const { short } of others) context.io.err(`skipped ${short}: it needs a decision; see troupe recover`)
  return goOnWith(context, app, safe)
}

/** One after the other. A run that cannot go on does not keep the next one waiting; a signal does. */
async function goOnWith(context: Context, app: App, items: readonly RunItem[]): Promise<number> {
  const json = context.flags.json || context.flags.jsonl
  const exits: number[] = []
  const results: Json[] = []
  for (const { row } of items) {
    try {
      const done = await goOn(context, app, row)
      exits.push(json ? done.outcome.exit : sayResult(context, done))
      results.push(resultObject(done))
    } catch (error) {
      const { io, config } = context
      exits.push(
        report(error, {
          io: json ? { ...io, json: (value) => void results.push(value) } : io,
          flags: context.flags,
          reports: config.reports,
          verb: 'recover',
        }),
      )
    }
    if (exits.some((exit) => exit === 130 || exit === 143)) break
  }
  if (json) context.io.json({ schema: 'troupe.recover/1', type: 'result', items: results, strays: [], truncated: false })
  return EXITS_BY_WEIGHT.find((exit) => exits.includes(exit)) ?? 0
}
