/** A disk that is really full, under a whole run: one clear error that says so, nothing acknowledged is lost, and when there is space the run goes on. */
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { smallDisk } from '../runtime/stores/mount.ts'
import { acknowledged } from './life.ts'
import { faultPlace } from './place.ts'
import { verdictOf } from './verdict.ts'
import { startWorker } from './worker.ts'

const place = faultPlace()
const DISK_KB = 2_048

/** How much is free when the run begins: too little to make a store, to start a run, or to finish it. */
test.for([16, 48, 96, 160, 240])(
  'a disk with %i KB left is one clear error; with space again the run goes on and has all that was acknowledged',
  {
    timeout: 60_000,
  },
  async (freeKb, context) => {
    const disk = smallDisk(context, DISK_KB)
    const folder = place.folder()
    symlinkSync(disk, join(folder, 'store'))
    writeFileSync(join(disk, 'ballast'), Buffer.alloc((DISK_KB - freeKb) * 1_024))
    const worker = await startWorker()
    const outcome = (await worker.live({ folder }))!
    expect(outcome.refused).toMatchObject({ name: 'UserError', code: 'E_STORE_FULL', fix: expect.stringContaining('free space') })
    expect((await worker.live({ folder }))!.refused).toMatchObject({ code: 'E_STORE_FULL' })
    const { commits } = acknowledged(folder)
    rmSync(join(disk, 'ballast'))
    expect({ freeKb, verdict: await verdictOf(folder), commits: commits.length }).toMatchObject({ freeKb, verdict: 'whole' })
    await worker.end()
  },
)
