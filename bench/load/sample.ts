/**
 * A recorded run of counters: what it wrote, commit by commit, and what its file held afterwards. Replayed once before anything is counted, to see that
 * the raw side writes the same rows.
 */
import { statSync } from 'node:fs'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { meter, type Spent } from '../meter.ts'
import { checkCounted, drive, startCounters } from './counters.ts'
import { runRaw } from './raw-side.ts'
import { type Recording, recordingStore } from './recording-store.ts'
import { HeadReader, type Layout, layoutOf } from './rows.ts'
import { differences, type Image, imageOf } from './same-rows.ts'

export interface RunOptions {
  /** A file that does not exist yet. */
  readonly path: string
  readonly actors: number
  /** A multiple of `actors`. */
  readonly steps: number
}

export interface Sample {
  readonly recording: Recording
  /** Commits before the first measured one. */
  readonly setup: number
  readonly layout: Layout
  readonly image: Image
}

/** The engine's side: a tree in a fresh store, `steps` measured steps, each taken once. */
export async function runEngine({ path, actors, steps }: RunOptions): Promise<Spent> {
  const counters = await startCounters(sqliteStore({ path }), actors)
  const spent = await meter(() => drive(counters, steps / actors))
  checkCounted(counters, steps / actors + 1)
  await counters.stop()
  return spent
}

export async function record({ path, actors, steps }: RunOptions): Promise<Sample> {
  const plain = sqliteStore({ path })
  const reader = new HeadReader(path)
  const { store, recording } = recordingStore(plain, () => reader.read())
  const counters = await startCounters(store, actors)
  const setup = recording.commits.length
  await drive(counters, steps / actors)
  const measured = recording.commits.length
  const layout = layoutOf(path, recording.commits.slice(setup, measured), reader.heads.slice(setup - 1, measured))
  const image = imageOf(path)
  checkCounted(counters, steps / actors + 1)
  await counters.stop()
  reader.close()
  return { recording, setup, layout, image }
}

/** Replays a sample once, and throws unless both files hold the same. Returns how many bytes the measured part added to the log. */
export async function checkAndWeigh({ image, ...sample }: Sample & { path: string }): Promise<number> {
  const logSize = (): number => statSync(`${sample.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  const log = { before: 0, after: 0 }
  let differing: string[] = []
  await runRaw({
    ...sample,
    keepLog: true,
    prepared: () => {
      log.before = logSize()
    },
    committed: () => {
      log.after = logSize()
      differing = differences(image, imageOf(sample.path))
    },
  })
  if (differing.length > 0) throw new Error(`the two sides do not write the same rows: ${differing.join(', ')} differ`)
  return log.after - log.before
}
