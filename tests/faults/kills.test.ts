/**
 * SIGKILL at the disk: before each write and in the middle of it, before and after each sync. What is left is what a process leaves that dies there, and
 * a healthy life goes on from it. A sample by default, every call at night.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Chance } from './chance.ts'
import type { Disk } from './disk.ts'
import { live } from './life.ts'
import { faultPlace } from './place.ts'
import { Table, verdictOf, wordOf } from './verdict.ts'
import { startWorker } from './worker.ts'

const place = faultPlace()
const SAMPLE = 2
/** Processes that live at a time. */
const LANES = 2

const CASES = (['first', 'resumed'] as const).flatMap((life) =>
  (
    [
      { call: 'write', how: 'kill before' },
      { call: 'write', how: 'torn' },
      { call: 'sync', how: 'kill before' },
      { call: 'sync', how: 'kill after' },
    ] as const
  ).map((fault) => ({ life, ...fault })),
)

test.for(CASES)(
  'a $life life that is killed at a $call ($how) has lost nothing that was acknowledged, and its run goes on',
  {
    timeout: 900_000,
  },
  async ({ life, call, how }, context) => {
    const lanes = Array.from({ length: LANES }, () => place.disk(context))
    const chance = new Chance(`${life} ${call} ${how}`)
    const table = new Table()
    /** A process lives, and is killed at this call; 0: it is not. */
    async function livesOn(disk: Disk, at: number): Promise<string | null> {
      const folder = place.folder()
      if (life === 'resumed') expect((await live({ folder, stopAfter: 2 })).status).toBe('interrupted')
      const worker = await startWorker(disk.env)
      if (at === 0) disk.count(join(folder, 'store'), call)
      else disk.arm(join(folder, 'store'), { call, at, how })
      const outcome = await worker.live({ folder })
      await worker.end()
      if (outcome === null) return folder
      expect({ seed: chance.seed, at, word: wordOf(outcome) }).toEqual({ seed: chance.seed, at, word: 'whole' })
      return null
    }
    await livesOn(lanes[0]!, 0)
    const { calls } = lanes[0]!.counted()
    const points = chance.sample(calls, SAMPLE)
    const work = async (disk: Disk): Promise<void> => {
      for (let at = points.pop(); at !== undefined; at = points.pop()) {
        const killed = await livesOn(disk, at)
        const verdict = table.add(killed === null ? 'not reached' : await verdictOf(killed))
        if (killed !== null) place.drop(killed)
        if (killed !== null) expect({ seed: chance.seed, at, verdict }).toEqual({ seed: chance.seed, at, verdict: 'whole' })
      }
    }
    await Promise.all(lanes.map(work))
    expect(table.count('whole')).toBeGreaterThan(0)
    process.stderr.write(`a ${life} life killed at a ${call} (${how}), ${calls} calls, seed ${chance.seed}: ${table}\n`)
  },
)
