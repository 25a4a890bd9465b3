/**
 * `troupe demo`: a team repairs a small repository, its process is killed in the middle, and a new one goes on. Every number that is
 * printed is read from the store, from a process, or from the repository's own tests.
 *
 *   copy, git --> tests fail --> process 1: run --SIGKILL at a file.write--> store --> process 2: resume --> tests pass, diff, cost
 */
import { isDeepStrictEqual } from 'node:util'
import { diffOf, type PromotionPlan } from '../actors/promotion.ts'
import type { App } from '../app.ts'
import type { Json, JsonObject } from '../json.ts'
import type { Frame, Recovery } from '../runtime/engine.ts'
import { resultOf } from '../runtime/engines/local/ending.ts'
import { doneTwiceSilently } from '../view/doubles.ts'
import { count, plural } from '../view/format.ts'
import { frameLine, NOTEWORTHY } from '../view/frame.ts'
import { runMark } from '../view/look.ts'
import { verdictWords } from '../view/recovery.ts'
import { type Report, resultTree } from '../view/result.ts'
import { type Context, version } from './context.ts'
import { type Ended, type Running, startProcess } from './demo-process.ts'
import { runTests, type Stage, setStage, type TestCount } from './demo-stage.ts'
import { reportOf } from './drive.ts'
import { shortOf } from './find.ts'
import { framesOf } from './journal.ts'
import { exitAfter, onSignals, type StopSignal } from './signals.ts'

export interface DemoFlags {
  readonly kill: boolean
  readonly keep?: string
  readonly fast?: boolean
}

/** What the kill found, from the store. */
interface Killed {
  readonly pid: number
  /** The effect that was being performed; where its outcome had just been committed, `inside` is false. */
  readonly effect: string
  readonly kind: string
  readonly inside: boolean
  /** Facts that the dead process had reported, and how many of those the store has, unchanged. */
  readonly acknowledged: number
  readonly stored: number
}

/** @throws {UserError} `E_USAGE`. @returns 0 when the tests are green; the exit code of the run where it failed. */
export async function demo(context: Context, flags: DemoFlags): Promise<number> {
  const { config } = context
  const say = sayer(context)
  const stage = setStage(config, { keep: flags.keep, fast: flags.fast === true })
  say(
    `troupe ${version()}  demo: a team repairs a small repository in ${flags.keep === undefined ? 'a temporary folder' : stage.dir}. Simulated: scripted replies, no model, no key, no network.`,
  )
  const before = runTests(config, stage.dir)
  say(`before        ${before.fail} of ${plural(before.tests, 'test')} fail`)
  const live: { running: Running | null; signal: StopSignal | null } = { running: null, signal: null }
  const unlisten = onSignals({
    first: (signal) => {
      live.signal = signal
      live.running?.kill(signal)
    },
    second: (signal) => {
      live.running?.kill('SIGKILL')
      process.exit(exitAfter(signal))
    },
  })
  try {
    return await play({ context, flags, stage, before, say, live })
  } finally {
    unlisten()
  }
}

interface Play {
  readonly context: Context
  readonly flags: DemoFlags
  readonly stage: Stage
  readonly before: TestCount
  readonly say: (line: string) => void
  readonly live: { running: Running | null; signal: StopSignal | null }
}

async function play(play: Play): Promise<number> {
  const { context, flags, stage, say, live } = play
  const first = await runProcess(play, ['run', stage.task, '-C', stage.dir], flags.kill)
  const run = first.ended.frames[0]?.run
  if (run === undefined) return failed(play, first.ended)
  const app = await context.app()
  let last = first.ended
  let killed: Killed | null = null
  if (first.killedAt !== null && last.result === null) {
    killed = afterKill(app, run, last, first.killedAt)
    sayKill(context, say, killed)
    if (live.signal !== null) return exitAfter(live.signal)
    last = (await runProcess(play, ['resume', run, '-C', stage.dir], false)).ended
  }
  if (last.exit !== 0) return failed(play, last)
  return finish(play, { app, run, killed, recovery: last.result?.['recovery'] ?? null, result: last.result })
}

/** Runs the program to its end, or to its kill: at the first start of a file.write, when its intent is committed and its outcome is not. */
async function runProcess(
  { context, say, live }: Play,
  args: readonly string[],
  kill: boolean,
): Promise<{ ended: Ended; killedAt: Frame | null }> {
  const shot: { at: Frame | null } = { at: null }
  const running = startProcess(context.config, args, (frame) => {
    if (kill && shot.at === null && frame.type === 'effect.started' && frame.data['kind'] === 'file.write') {
      shot.at = frame
      running.kill('SIGKILL')
    }
    if (frame.type === 'live.recovery') say(recoveredWords(frame.data as unknown as Recovery))
    else if (frame.pos !== null && NOTEWORTHY.has(frame.type)) say(frameLine(frame, context.io.errLook, frame.run.slice(0, 8)))
  })
  live.running = running
  const ended = await running.ended
  return { ended, killedAt: shot.at }
}

/** Compares what the dead process had reported with what the store has, and finds the effect that it was in. */
function afterKill(app: App, run: string, { pid, frames }: Ended, at: Frame): Killed {
  const stored = new Map([...framesOf(app.store, run)].map((frame) => [frame.pos, frame]))
  const open = app.store.image(run).effects.filter(({ status }) => status === 'started')
  const hit = open.find(({ id }) => id === at.data['id']) ?? open[0]
  return {
    pid,
    effect: hit?.id ?? String(at.data['id']),
    kind: hit?.kind ?? 'file.write',
    inside: hit !== undefined,
    acknowledged: frames.length,
    stored: frames.filter((frame) => isDeepStrictEqual(stored.get(frame.pos), frame)).length,
  }
}

function sayKill({ io }: Context, say: (line: string) => void, { pid, effect, kind, inside, acknowledged, stored }: Killed): void {
  say(`    kill -9 to the whole process, ${inside ? 'in the middle of' : 'just after'} ${effect} ${kind}`)
  const lost = acknowledged === stored ? '' : io.errLook.paint('bad', ` ${acknowledged - stored} are missing.`)
  say(
    `${runMark('interrupted', io.errLook)} pid ${pid} is gone. ${acknowledged} events were acknowledged, ${stored} are in the store.${lost} Resuming in a new process.`,
  )
}

function recoveredWords({ effects, timersOverdue }: Recovery): string {
  const open =
    effects.length === 0
      ? 'no effect was open'
      : `${plural(effects.length, 'effect')} ${effects.length === 1 ? 'was' : 'were'} open: ${verdictWords(effects)}`
  return timersOverdue === 0 ? open : `${open}   ${plural(timersOverdue, 'timer')} overdue, fired once`
}

interface Finished {
  readonly app: App
  readonly run: string
  readonly killed: Killed | null
  readonly recovery: Json
  readonly result: JsonObject | null
}

function finish({ context, flags, stage, before, say }: Play, { app, run, killed, recovery, result }: Finished): number {
  const { io, config } = context
  const row = app.store.run(run)
  if (row === null) throw new Error(`run ${run} is not in the store`)
  const report: Report = reportOf(app, resultOf(row, app.store), { short: shortOf(app.store, run), recovery: null })
  const after = runTests(config, stage.dir)
  const promotions = app.store.effects(run).filter(({ kind, status }) => kind === 'change.promote' && status === 'succeeded')
  const plans = promotions.map(({ input }) => input as unknown as PromotionPlan)
  const files = plans.flatMap((plan) => plan.files.map(({ path }) => path))
  const twice = doneTwiceSilently(framesOf(app.store, run))
  const diff = plans.map((plan) => diffOf(plan)).join('')
  const { usage } = report.result
  for (const line of resultTree(report, io.errLook)) say(line)
  for (const line of diff.trimEnd().split('\n')) say(diffLine(line, context))
  say(`after         ${after.pass} of ${plural(after.tests, 'test')} pass, ${after.fail} fail`)
  say(
    `cost          ${count(usage.inputTokens + usage.outputTokens)} tokens${usage.simulated === true ? ', simulated' : ''}; ${plural(usage.effects, 'effect')}`,
  )
  const green = after.fail === 0 && after.pass > 0
  if (context.flags.json || context.flags.jsonl) {
    io.json({
      schema: 'troupe.demo/1',
      type: 'result',
      run,
      killed: killed as unknown as Json,
      recovery,
      tests: { before: { ...before }, after: { ...after } },
      files,
      doneTwiceSilently: twice,
      diff,
      result,
    })
  } else {
    const once = new Set(files).size === files.length ? 'each written once' : 'some written more than once'
    io.out(
      `Tests ${green ? 'green' : 'red'}: ${plural(new Set(files).size, 'file')} repaired, ${once}, ${plural(twice, 'effect')} done twice silently.`,
    )
  }
  say(`look: npx troupe show --last   npx troupe logs --last${flags.keep === undefined ? '' : `   the repository: ${stage.dir}`}`)
  stage.strike()
  return green && twice === 0 && (killed === null || killed.acknowledged === killed.stored) ? 0 : 1
}

/** The run did not come to its end: what it said is what there is to say, and the copy stays for a resume. */
function failed({ context, say, stage }: Play, ended: Ended): number {
  const { io, flags } = context
  if ((flags.json || flags.jsonl) && ended.result !== null) io.json(ended.result)
  for (const line of ended.stderr.trimEnd().split('\n').filter(Boolean)) say(line)
  const error = (ended.result?.['error'] ?? ended.result) as { code?: string; where?: string; message?: string; fix?: string } | null
  if (error?.code !== undefined)
    io.err(`error[${error.code}] ${error.where ?? 'demo'}  ${error.message ?? ''}\n  fix: ${error.fix ?? 'troupe logs --last'}`)
  else
    io.err(
      `error[E_RUN_FAILED] demo  pid ${ended.pid} ended (exit ${ended.exit}, signal ${ended.signal}) without a result\n  fix: troupe logs --last`,
    )
  io.err(`the copy is kept in ${stage.dir}`)
  return ended.exit ?? 1
}

function diffLine(line: string, { io }: Context): string {
  const tone = /^(?:\+\+\+|---|@@)/.test(line) ? 'dim' : line.startsWith('+') ? 'good' : line.startsWith('-') ? 'bad' : null
  return tone === null ? line : io.errLook.paint(tone, line)
}

function sayer({ io, flags }: Context): (line: string) => void {
  return flags.quiet || flags.json || flags.jsonl ? () => {} : (line) => io.err(line)
}
