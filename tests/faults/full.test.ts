/** A disk that is really full, under a whole run: one clear error that says so, nothing acknowledged is lost, and when there is space the run goes on. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { smallDisk } from '../runtime/stores/mount.ts'
import { faultPlace } from './place.ts'
import { Table, verdictOf, wordOf } from './verdict.ts'
import { startWorker } from './worker.ts'

const place = faultPlace()
const DISK_KB = 8_192

/** What is free when the run begins: too little to make a store, to start a run, to finish it; and enough at last. */
const FREE_KB = [8, 24, 64, 128, 192, 256, 384, 7_168]

test('however little space is left, it is one clear error; with space again the run goes on and has all that was acknowledged', {
  timeout: 120_000,
}, async (context) => {
  const disk = smallDisk(context, DISK_KB)
  const worker = await startWorker()
  const table = new Table()
  for (const freeKb of FREE_KB) {
    const folder = place.folder()
    mkdirSync(join(disk, String(freeKb)))
    symlinkSync(join(disk, String(freeKb)), join(folder, 'store'))
    writeFileSync(join(disk, 'ballast'), Buffer.alloc((DISK_KB - freeKb) * 1_024))
    const outcome = (await worker.live({ folder }))!
    const word = table.add(wordOf(outcome))
    if (outcome.refused !== null) {
      expect(outcome.refused).toMatchObject({ name: 'UserError', code: 'E_STORE_FULL', fix: expect.stringContaining('free space') })
      expect({ freeKb, again: wordOf((await worker.live({ folder }))!) }).toEqual({ freeKb, again: word })
    }
    rmSync(join(disk, 'ballast'))
    expect({ freeKb, word, verdict: await verdictOf(folder) }).toMatchObject({ verdict: 'whole' })
    rmSync(join(disk, String(freeKb)), { recursive: true })
  }
  await worker.end()
  process.stderr.write(`disks with ${FREE_KB.join(', ')} KB left: ${table}\n`)
  expect([table.count('refused') >= 3, table.count('whole') >= 1]).toEqual([true, true])
})
