/**
 * Calls that fail. Each write, each sync and each cut of a life fails once, or from there on for ever: the life ends with one clear error or does not
 * need the call; then a healthy one goes on with what is there, and has everything that was acknowledged. A sample by default, all of them at night.
 */
import { join } from 'node:path'
import { afterAll, expect, type TestContext, test } from 'vitest'
import { Chance } from './chance.ts'
import type { Disk, Fault } from './disk.ts'
import { live } from './life.ts'
import { faultPlace } from './place.ts'
import { Table, verdictOf, wordOf } from './verdict.ts'
import { startWorker, type Worker } from './worker.ts'

const place = faultPlace()
const SAMPLE = 2
/** One process for all of them: it outlives its failures, as a program does that keeps other runs going. */
let shared: { readonly disk: Disk; readonly worker: Worker } | undefined
afterAll(() => shared?.worker.end())

/** A folder where a life may begin: empty, or with a run that was stopped half way. */
async function begun(life: 'first' | 'resumed'): Promise<string> {
  const folder = place.folder()
  if (life === 'resumed') expect((await live({ folder, stopAfter: 3 })).status).toBe('interrupted')
  return folder
}

async function atWork(context: TestContext) {
  const disk = shared?.disk ?? place.disk(context)
  shared ??= { disk, worker: await startWorker(disk.env) }
  return shared
}

const CASES = (['first', 'resumed'] as const).flatMap((life) =>
  (['once', 'ever'] as const).flatMap((how) =>
    (
      [
        ['write', 'EIO'],
        ['sync', 'EIO'],
        ['truncate', 'EIO'],
        ['write', 'ENOSPC'],
      ] as const
    ).map(([call, error]) => ({ life, call, how, error })),
  ),
)

test.for(CASES)(
  'a $call of a $life life that fails with $error ($how) is one clear error or none, and nothing acknowledged is lost',
  {
    timeout: 900_000,
  },
  async ({ life, call, how, error }, context) => {
    const { disk, worker } = await atWork(context)
    const chance = new Chance(`${life} ${call} ${how} ${error}`)
    const measured = await begun(life)
    disk.count(join(measured, 'store'), call)
    expect(wordOf((await worker.live({ folder: measured }))!)).toBe('whole')
    const { calls } = disk.counted()
    const [faulty, after] = [new Table(), new Table()]
    // What a full disk says is the same everywhere: at night a sample is enough.
    for (const at of chance.sample(calls, SAMPLE, error === 'ENOSPC' ? 60 : calls)) {
      const folder = await begun(life)
      const fault: Fault = { call, at, how, error }
      disk.arm(join(folder, 'store'), fault)
      const outcome = await worker.live({ folder })
      const { struck } = disk.counted()
      disk.disarm()
      const word = faulty.add(struck === 0 ? 'not reached' : wordOf(outcome!))
      const verdict = after.add(await verdictOf(folder))
      place.drop(folder)
      expect({ seed: chance.seed, fault, word, verdict, silent: word.startsWith('SILENT') }).toMatchObject({
        verdict: 'whole',
        silent: false,
      })
    }
    process.stderr.write(
      `${life} life, ${call} fails ${how} with ${error}, ${calls} calls, seed ${chance.seed}: ${faulty}; afterwards: ${after}\n`,
    )
  },
)
