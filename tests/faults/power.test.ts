/**
 * Power cuts. Everything that a process does to its files is written down, and out of that are made the worst disks that it could have left behind: at
 * any point of its life, with none, all, any or only the last of the writes that no sync had confirmed. Nothing acknowledged may be missing on any.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, type TestContext, test } from 'vitest'
import { Chance, NIGHTLY } from './chance.ts'
import { KEEPS, PowerCut, writeImage } from './crash-images.ts'
import type { Change } from './disk.ts'
import { worldOf } from './life.ts'
import { faultPlace } from './place.ts'
import { Table, verdictOf } from './verdict.ts'
import { startWorker } from './worker.ts'

const place = faultPlace()
const CUTS = NIGHTLY ? 400 : 10

interface Traced {
  readonly folder: string
  readonly changes: readonly Change[]
}

/** Two lives of a run, one that is stopped and one that ends, and all that they did. */
async function traced(context: TestContext, synchronous: 'full' | 'normal'): Promise<Traced> {
  const folder = place.folder()
  const disk = place.disk(context, folder)
  const worker = await startWorker(disk.env)
  await worker.live({ folder, synchronous, stopAfter: 3 })
  expect((await worker.live({ folder, synchronous }))!.status).toBe('succeeded')
  await worker.end()
  return { folder, changes: disk.trace() }
}

/** Cuts the power after each of so many changes, half of them right before a sync, when most is at stake. */
async function cuts({ folder, changes }: Traced, times: number, chance: Chance): Promise<{ table: Table; bad: object[] }> {
  const inStore = changes.flatMap(({ path }, index) => (path.startsWith(join(folder, 'store')) ? [index] : []))
  const syncs = inStore.filter((index) => changes[index]!.kind === 'sync')
  const [table, bad] = [new Table(), [] as object[]]
  for (let number = 0; number < times; number++) {
    const at = chance.one(number % 2 === 0 ? syncs : inStore)
    const keep = KEEPS[number % KEEPS.length]!
    const target = place.folder()
    // What lies outside the store is the world, which does not forget.
    const before = changes.slice(0, at)
    const isWorld = ({ path }: Change): boolean => path.startsWith(worldOf(folder))
    mkdirSync(join(target, 'store'))
    mkdirSync(worldOf(target))
    writeImage(new PowerCut(before.filter(isWorld)).image('all', chance), folder, target)
    const image = new PowerCut(before.filter((change) => !isWorld(change))).image(keep, chance)
    writeImage(new Map([...image].filter(([path]) => !path.endsWith('-shm'))), folder, target)
    const verdict = table.add(await verdictOf(target))
    place.drop(target)
    if (verdict !== 'whole') bad.push({ number, at, keep, verdict })
  }
  return { table, bad }
}

test('a power cut at any point, whatever becomes of what was not synced, loses nothing that was acknowledged, and the run goes on', {
  timeout: 900_000,
}, async (context) => {
  const chance = new Chance('power')
  const life = await traced(context, 'full')
  const { table, bad } = await cuts(life, CUTS, chance)
  process.stderr.write(`power cuts within ${life.changes.length} changes, seed ${chance.seed}: ${table}\n`)
  expect({ seed: chance.seed, bad }).toEqual({ seed: chance.seed, bad: [] })
})

test('a store that syncs at checkpoints only is found out by the same power cuts', { timeout: 900_000 }, async (context) => {
  const { bad } = await cuts(await traced(context, 'normal'), 20, new Chance('power of a lazy store'))
  expect(bad.length).toBeGreaterThan(2)
})
