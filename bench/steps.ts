/**
 * Durable steps a second, beside raw better-sqlite3 that writes the same rows: `npm run bench -- [--steps N] [--rounds N] [--dir DIR] [--json]`.
 * What the figures mean and what they do not: docs/benchmarks.md.
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { runPlain } from './engine-side.ts'
import { median } from './meter.ts'
import { measureShape, type ShapeResult } from './shape.ts'

/** Steps in one commit are cheap, so more of them are taken. */
const SHAPES = [
  { actors: 1, factor: 1 },
  { actors: 64, factor: 6 },
]
const TMPFS = 0x01021994

const values = flags()
const steps = count(values.steps, '--steps')
const rounds = count(values.rounds, '--rounds')

/** What is printed with `--json`. */
interface Report {
  readonly schema: 'troupe.bench.steps/1'
  readonly machine: ReturnType<typeof machine>
  readonly shapes: readonly ShapeResult[]
  readonly plainStepsPerSecond: number
}

const folder = mkdtempSync(join(values.dir, 'troupe-bench-'))
try {
  const shapes: ShapeResult[] = []
  for (const { actors, factor } of SHAPES) {
    shapes.push(await measureShape({ folder, actors, steps: Math.ceil((steps * factor) / actors) * actors, rounds }))
  }
  const plain = await plainStepsPerSecond()
  const report: Report = { schema: 'troupe.bench.steps/1', machine: machine(), shapes, plainStepsPerSecond: plain }
  process.stdout.write(`${values.json ? JSON.stringify(report) : text(report)}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function flags() {
  try {
    return parseArgs({
      options: {
        steps: { type: 'string', default: '2048' },
        rounds: { type: 'string', default: '11' },
        dir: { type: 'string', default: tmpdir() },
        json: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
}

function usage(message: string): never {
  process.stderr.write(`${message}\nusage: npm run bench -- [--steps N] [--rounds N] [--dir DIR] [--json]\n`)
  process.exit(2)
}

function count(text: string, flag: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  return usage(`${flag} ${text}: a whole number above 0 is wanted`)
}

async function plainStepsPerSecond(): Promise<number> {
  const each: number[] = []
  for (let round = 0; round < rounds; round++) each.push((steps / (await runPlain(steps)).wallUs) * 1e6)
  return median(each)
}

function machine() {
  const db = new Database(':memory:')
  const sqlite = String(db.prepare('SELECT sqlite_version()').pluck().get())
  db.close()
  return {
    processor: cpus()[0]?.model.trim() ?? '?',
    cores: cpus().length,
    load1m: loadavg()[0] ?? 0,
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    sqlite,
    tmpfs: statfsSync(values.dir).type === TMPFS,
    at: new Date().toISOString(),
  }
}

function text({ machine: on, shapes, plainStepsPerSecond: plain }: Report): string {
  return [
    'durable steps: an event from outside, a transition, snapshot and journal, synchronous=FULL; context of about 1 KB',
    `${on.at}  ${on.processor}, ${on.cores} cores, load ${on.load1m.toFixed(1)}, ${on.platform}, node ${on.node}, sqlite ${on.sqlite}`,
    'other processes may have run meanwhile; each figure is a median over rounds in which engine and raw took turns',
    ...(on.tmpfs ? ['the folder is in memory (tmpfs): a sync costs nothing there, give --dir on a disk'] : []),
    ...shapes.flatMap(shapeText),
    '',
    `createActor, nothing stored: ${whole(plain)} steps/s`,
  ].join('\n')
}

function shapeText(shape: ShapeResult): string[] {
  const { actors, commits } = shape
  return [
    '',
    `${actors} ${actors === 1 ? 'actor, sends one after another' : `actors, ${actors} sends in flight`}: ${shape.steps} steps in ${commits} commits, ${shape.rounds} rounds`,
    `  engine   ${whole(shape.engineStepsPerSecond)} steps/s   ${shape.engineCpuUs.toFixed(1)} us of processor a step`,
    `  raw      ${whole(shape.rawStepsPerSecond)} steps/s   ${shape.rawCpuUs.toFixed(1)} us of processor a step`,
    `  ratio    ${shape.ratio.toFixed(2)} (${shape.ratioMin.toFixed(2)} to ${shape.ratioMax.toFixed(2)})   the engine's own: ${shape.ownCpuUs.toFixed(1)} us of processor a step`,
    `  a step   ${shape.rowsPerStep.toFixed(2)} rows, ${whole(shape.bytesPerStep)} bytes of values, ${whole(shape.walBytesPerStep)} bytes of log, ${shape.journalPerStep.toFixed(2)} journal entries`,
  ]
}

function whole(number: number): string {
  return Math.round(number).toLocaleString('en-US')
}
