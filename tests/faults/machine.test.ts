/**
 * Power cuts of a real file system: a process works on a mounted ext4 image, at some moment it is stopped, and the image is copied as it is, with nothing
 * flushed. The copy is mounted, its journal replayed, its store opened: every event that was acknowledged before is there, and the run goes on.
 */
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, type TestContext, test } from 'vitest'
import { waitUntil } from '../harness.ts'
import { Chance, NIGHTLY } from './chance.ts'
import { type Machine, machine } from './image.ts'
import { acknowledged, worldOf } from './life.ts'
import { faultPlace } from './place.ts'
import { Table, verdictOf } from './verdict.ts'
import { startWorker } from './worker.ts'

const place = faultPlace()
const LIVES = NIGHTLY ? 8 : 3

/** A folder of a life whose store lies on that machine. */
function folderOn({ root }: Machine, name: string): string {
  const folder = place.folder()
  mkdirSync(worldOf(folder))
  mkdirSync(join(root, name), { recursive: true })
  symlinkSync(join(root, name), join(folder, 'store'))
  return folder
}

/** So many lives on one machine, each cut off at a moment of its own. */
async function cutOff(context: TestContext, lives: number, synchronous: 'full' | 'normal', chance: Chance): Promise<Table> {
  const computer = machine(context, place.folder())
  const table = new Table()
  for (let number = 1; number <= lives; number++) {
    const name = `life-${number}`
    const folder = folderOn(computer, name)
    const worker = await startWorker()
    worker.begin({ folder, synchronous })
    const commits = 3 + chance.below(12)
    const made = (): number => acknowledged(folder).commits.length
    await waitUntil(`${commits} commits are acknowledged`, () => made() >= commits, made)
    worker.signal('SIGSTOP')
    const after = computer.powerCut()
    const left = folderOn(after, name)
    cpSync(worldOf(folder), worldOf(left), { recursive: true })
    await worker.end()
    table.add(await verdictOf(left))
    after.unmount()
  }
  computer.unmount()
  return table
}

test(`what was acknowledged before a power cut is there after it, on a real file system, each of ${LIVES} times`, {
  timeout: 120_000,
}, async (context) => {
  const chance = new Chance('machine')
  const table = await cutOff(context, LIVES, 'full', chance)
  process.stderr.write(`power cuts of a mounted image, seed ${chance.seed}: ${table}\n`)
  expect(String(table)).toBe(`whole ${LIVES}`)
})

test('a store that syncs at checkpoints only is found out by it', { timeout: 120_000 }, async (context) => {
  const table = await cutOff(context, 2, 'normal', new Chance('lazy machine'))
  expect({ table: String(table), whole: table.count('whole') }).toMatchObject({ whole: 0 })
})
