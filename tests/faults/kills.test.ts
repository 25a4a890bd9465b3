/**
 * SIGKILL at the disk: before each write and in the middle of it, before and after each sync. What is left is what a process leaves that dies there, and
 * a healthy life goes on from it. A sample by default, every call at night.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Chance } from './chance.ts'
import type { Fault } from './disk.ts'
import { live } from './life.ts'
import { faultPlace } from './place.ts'
import { Table, verdictOf } from './verdict.ts'
import { startWorker } from './worker.ts'

const place = faultPlace()
const SAMPLE = 6
/** Processes that live at a time. */
const LANES = 2

test.for([
  { call: 'write', how: 'kill before' },
  { call: 'write', how: 'torn' },
  { call: 'sync', how: 'kill before' },
  { call: 'sync', how: 'kill after' },
] as const)(
  'a process that is killed at a $call ($how) has lost nothing that was acknowledged, and its run goes on',
  { timeout: 900_000 },
  async ({ call, how }, context) => {
    const disks = Array.from({ length: LANES }, () => place.disk(context))
    const chance = new Chance(`${call} ${how}`)
    const table = new Table()
    const begun = async (): Promise<string> => {
      const folder = place.folder()
      if (chance.below(2) === 0) await live({ folder, stopAfter: 2 })
      return folder
    }
    async function die(lane: number, at: number): Promise<void> {
      const folder = await begun()
      const fault: Fault = { call, at, how }
      const worker = await startWorker(disks[lane]!.env)
      disks[lane]!.arm(join(folder, 'store'), fault)
      const outcome = await worker.live({ folder })
      await worker.end()
      const verdict = table.add(outcome === null ? await verdictOf(folder) : 'not reached')
      expect({ seed: chance.seed, fault, verdict, outcome }).toMatchObject(
        outcome === null ? { verdict: 'whole' } : { outcome: { refused: null } },
      )
    }
    const measured = place.folder()
    const worker = await startWorker(disks[0]!.env)
    disks[0]!.count(join(measured, 'store'), call)
    await worker.live({ folder: measured })
    await worker.end()
    const { calls } = disks[0]!.counted()
    const points = chance.sample(calls, SAMPLE)
    await Promise.all(
      disks.map(async (_, lane) => {
        for (let at = points.pop(); at !== undefined; at = points.pop()) await die(lane, at)
      }),
    )
    expect(table.count('whole')).toBeGreaterThan(0)
    process.stderr.write(`killed at a ${call} (${how}), ${calls} calls, seed ${chance.seed}: ${table}\n`)
  },
)
