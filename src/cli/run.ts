/** `troupe run <task.yaml|"text"|->`: starts a team on a task and stays with it. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { checkPrices, type ModelPlan, planModels, vramWarnings } from '../actors/models.ts'
import { parseTask, type Task, taskFromText } from '../actors/task.ts'
import { type App, budgetOf } from '../app.ts'
import { UserError } from '../errors.ts'
import type { Budget } from '../protocol.ts'
import { dollars, nanoUsd } from '../usage.ts'
import { count, duration, printable } from '../view/format.ts'
import { canGoOn, standingOf } from '../view/outcome.ts'
import { type Context, version } from './context.ts'
import { drive, sayResult } from './drive.ts'
import { shortOf } from './find.ts'
import { settingsOf } from './settings.ts'
import { type TapeFlags, tapesOf } from './tape-flags.ts'

export interface RunOptions extends TapeFlags {
  readonly name?: string
  readonly maxTokens?: number
  /** USD. */
  readonly maxUsd?: number
  readonly maxTurns?: number
  /** Milliseconds. */
  readonly timeout?: number
  /** An alias. */
  readonly model?: string
  readonly provider?: string
}

interface Given {
  readonly task: Task
  readonly file: string | null
}

/**
 * @throws {UserError} `E_TASK_NOT_FOUND`, `E_TASK_INVALID`, `E_CONFIG_INVALID`, `E_SECRET_IN_CONFIG`, `E_MODEL_UNKNOWN`, `E_PRICE_UNKNOWN` (3), `E_USAGE` (2),
 *   `E_FLAG_CONFLICT`, `E_CONFIRM_REQUIRED` (2), `E_CREDENTIALS_MISSING`, `E_CREDENTIALS_UNSAFE` (4), `E_CASSETTE_INVALID` (8). Nothing has been started then,
 *   and no store was made.
 */
export async function run(context: Context, argument: string, options: RunOptions): Promise<number> {
  const { task, file } = await readTask(argument, context.config.dir)
  const { io, flags, config } = context
  const tapes = await tapesOf(context, options, `run ${argument}`)
  if (tapes === null) return 1
  const { plan, budget } = await modelsAtTheDoor(context, task, options)
  const app = await context.app()
  const name = nameFor(app, task, options.name)
  if (plan.unconfigured && !flags.quiet) {
    io.err('note: no model is configured; replies are scripted (simulated) and come from `replies:` of the task')
  }
  const deadlineMs = options.timeout ?? task.deadlineMs ?? config.settings().budget.timeMs ?? undefined
  const report = await drive({
    context,
    app,
    open: () =>
      app.start({
        ...{ task, file, dir: config.dir, version: version(), models: plan, name, project: config.project, budget, deadlineMs },
        ...tapes,
      }),
    begin: (_session, short) => {
      if (!flags.quiet && !flags.jsonl) io.err(heading({ short, name, plan, budget, deadlineMs }))
    },
  })
  return sayResult(context, report)
}

/** Models, prices and keys, before anything is made. What is configured is never replaced by a script. */
async function modelsAtTheDoor(context: Context, task: Task, options: RunOptions) {
  const { flags, io, config } = context
  const settings = settingsOf(context)
  const plan = planModels(settings, { modelFlag: options.model, providerFlag: options.provider, task })
  const given = { tokensMax: options.maxTokens, usdMax: options.maxUsd, turnsMax: options.maxTurns }
  const budget = budgetOf(config, { task, budget: given })
  checkPrices(plan, budget.usdMax ?? null)
  for (const warning of flags.quiet ? [] : vramWarnings(settings, plan))
    io.err(`${io.errLook.paint('attention', 'warning')} vram  ${warning}`)
  if (options.replay === undefined) await context.providers(plan.providers)
  return { plan, budget }
}

interface Heading {
  readonly short: string
  readonly name: string | null
  readonly plan: ModelPlan
  readonly budget: Budget
  readonly deadlineMs: number | undefined
}

function heading(of: Heading): string {
  const limits = [
    ...(of.budget.usdMax === undefined ? [] : [dollars(nanoUsd(of.budget.usdMax))]),
    ...(of.budget.tokensMax === undefined ? [] : [`${count(of.budget.tokensMax)} tokens`]),
    ...(of.budget.turnsMax === undefined ? [] : [`${count(of.budget.turnsMax)} turns`]),
    ...(of.deadlineMs === undefined ? [] : [duration(of.deadlineMs)]),
  ]
  const budget = limits.length === 0 ? 'no budget' : `budget ${limits.join(', ')}`
  return [`troupe ${version()}`, `run ${of.short}`, ...(of.name === null ? [] : [of.name]), modelWords(of.plan), budget].join('  ')
}

/** `ollama qwen3:14b, anthropic claude-sonnet-5-5`: whom agents ask first. */
function modelWords({ chains, simulated }: ModelPlan): string {
  if (simulated) return 'scripted (simulated)'
  const first = Object.values(chains).flatMap((chain) => chain.slice(0, 1))
  return [...new Set(first.map(({ provider, model }) => printable(`${provider} ${model}`)))].join(', ')
}

/** The task of an argument: a file, stdin, or a goal in words. A single word is more likely a file that is not there. @throws {UserError} `E_TASK_NOT_FOUND`, `E_TASK_INVALID`, `E_USAGE`. */
export async function readTask(argument: string, dir: string): Promise<Given> {
  if (argument === '-') {
    const given = await readAll(process.stdin)
    return { task: looksLikeTask(given) ? parseTask(given, '-') : taskFromText(given.trim()), file: null }
  }
  const path = resolve(dir, argument)
  if (existsSync(path) && statSync(path).isFile()) return { task: parseTask(readFileSync(path, 'utf8'), argument), file: path }
  if (['.ts', '.js', '.mjs'].includes(extname(argument))) {
    throw new UserError('E_USAGE', 'scripts are started by `node`, not by this release of troupe', {
      where: argument,
      fix: `node ${argument}`,
      exit: 2,
    })
  }
  if (/\s/.test(argument.trim()) && !/\.ya?ml$/.test(argument)) return { task: taskFromText(argument), file: null }
  const fix = 'name a task file, or quote the text of a task: troupe run "Add a --version flag"'
  throw new UserError('E_TASK_NOT_FOUND', 'no such file', { where: argument === '' ? '<task>' : argument, fix, exit: 3, file: path })
}

/** A task file has one of its keys at the start of a line. */
const looksLikeTask = (text: string): boolean => /^\s*[{]|^(?:goal|work|version|name):/m.test(text)

/** A task's own name is taken only where no unfinished run has it; one that was asked for is insisted on. */
function nameFor(app: App, task: Task, wanted: string | undefined): string | null {
  if (wanted !== undefined && !/^[a-z][a-z0-9-]{0,63}$/.test(wanted)) {
    throw new UserError('E_USAGE', `\`${wanted}\` is no name: lower case letters, digits and -, a letter first`, {
      where: '--name',
      fix: '--name csv-export',
      exit: 2,
    })
  }
  const name = wanted ?? task.name
  const holder = app.store.runs().find((row) => {
    const standing = standingOf(row, app.store.isOwned(row.run))
    return row.name === name && (standing === 'running' || standing === 'quarantined' || canGoOn(standing))
  })
  if (name === null || holder === undefined) return name
  if (wanted === undefined) return null
  const short = shortOf(app.store, holder.run)
  throw new UserError('E_USAGE', `run ${short} has the name \`${name}\` and is not finished`, {
    where: '--name',
    fix: 'choose another name',
    exit: 2,
  })
}
