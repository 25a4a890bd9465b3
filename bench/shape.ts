/**
 * One shape of load, measured: a sample run is recorded, checked and laid out as raw writes; then engine and raw take turns, a fresh file each time.
 *
 *   sample (recorded, not counted) -> same rows? -> log size -> engine raw engine raw ... -> medians
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { runEngine } from './engine-side.ts'
import { median, type Spent } from './meter.ts'
import { runRaw, type Write, writesOf } from './raw-side.ts'
import type { Recording } from './recording-store.ts'
import { differences, type Image, imageOf } from './same-rows.ts'

export interface ShapeOptions {
  /** A folder for the files, on the disk that is meant. */
  readonly folder: string
  readonly actors: number
  readonly steps: number
  readonly rounds: number
}

/** Medians over the rounds. Times are per step, in microseconds. */
export interface ShapeResult {
  readonly actors: number
  readonly steps: number
  readonly rounds: number
  readonly commits: number
  readonly engineStepsPerSecond: number
  readonly rawStepsPerSecond: number
  /** Median of the ratios of the rounds: both of a round met the same neighbours. */
  readonly ratio: number
  readonly ratioMin: number
  readonly ratioMax: number
  readonly engineCpuUs: number
  readonly rawCpuUs: number
  /** Processor time of the engine less that of raw: what Troupe itself takes. */
  readonly ownCpuUs: number
  readonly rowsPerStep: number
  readonly bytesPerStep: number
  readonly journalPerStep: number
  readonly walBytesPerStep: number
}

export async function measureShape({ folder, actors, steps, rounds }: ShapeOptions): Promise<ShapeResult> {
  let files = 0
  const next = (): string => join(folder, `${actors}-${++files}.db`)
  const sample = await record({ path: next(), actors, steps })
  const { recording, setup, transactions } = sample
  const walBytes = await checkAndWeigh({ path: next(), ...sample })
  const engine: Spent[] = []
  const raw: Spent[] = []
  await runEngine({ path: next(), actors, steps }) // Compiled code is what is measured: the first tens of thousands of steps cost about twice as much.
  for (let round = 0; round < rounds; round++) {
    engine.push((await runEngine({ path: next(), actors, steps })).spent)
    raw.push(await runRaw({ path: next(), recording, setup, transactions }))
  }
  const ratios = engine.map((spent, round) => raw[round]!.wallUs / spent.wallUs)
  const of = (side: readonly Spent[], what: keyof Spent): number => median(side.map((spent) => spent[what])) / steps
  const writes = transactions.flat()
  return {
    actors,
    steps,
    rounds,
    commits: transactions.length,
    engineStepsPerSecond: 1e6 / of(engine, 'wallUs'),
    rawStepsPerSecond: 1e6 / of(raw, 'wallUs'),
    ratio: median(ratios),
    ratioMin: Math.min(...ratios),
    ratioMax: Math.max(...ratios),
    engineCpuUs: of(engine, 'cpuUs'),
    rawCpuUs: of(raw, 'cpuUs'),
    ownCpuUs: median(engine.map((spent, round) => spent.cpuUs - raw[round]!.cpuUs)) / steps,
    rowsPerStep: writes.length / steps,
    bytesPerStep: writes.reduce((sum, write) => sum + bytesOf(write), 0) / steps,
    journalPerStep: writes.filter(({ table }) => table === 'journal').length / steps,
    walBytesPerStep: walBytes / steps,
  }
}

/** A recorded run: what it wrote, and what its file held afterwards. */
export interface Sample {
  readonly recording: Recording
  readonly setup: number
  readonly transactions: readonly (readonly Write[])[]
  readonly image: Image
}

export async function record({ path, actors, steps }: { path: string; actors: number; steps: number }): Promise<Sample> {
  let image: Image = {}
  let measured = 0
  const { recorded } = await runEngine({
    path,
    actors,
    steps,
    isRecorded: true,
    committed: (recording) => {
      image = imageOf(path)
      measured = recording.commits.length
    },
  })
  const { recording, setup } = recorded!
  return { recording, setup, image, transactions: recording.commits.slice(setup, measured).map(writesOf) }
}

/** Replays a sample once, and throws unless both files hold the same. Returns how many bytes the measured part added to the log. */
export async function checkAndWeigh({ path, recording, setup, transactions, image }: Sample & { path: string }): Promise<number> {
  let walBytes = 0
  let differing: string[] = []
  await runRaw({
    path,
    recording,
    setup,
    transactions,
    keepLog: true,
    committed: () => {
      walBytes = statSync(`${path}-wal`).size
      differing = differences(image, imageOf(path))
    },
  })
  if (differing.length > 0) throw new Error(`the two sides do not write the same rows: ${differing.join(', ')} differ`)
  return walBytes
}

/** Text as UTF-8, a number as 8 bytes: what is handed to SQLite, not what a page takes. */
function bytesOf({ values }: Write): number {
  return values.reduce<number>((sum, value) => sum + (typeof value === 'string' ? Buffer.byteLength(value) : value === null ? 0 : 8), 0)
}
