/** Folders of one test file, and the library that all of its faulty disks use: built once, gone when the file is done. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, type TestContext } from 'vitest'
import { skip } from '../runtime/stores/mount.ts'
import { buildLibrary, type Disk, makeDisk, missing } from './disk.ts'

export interface FaultPlace {
  /** A new empty folder. */
  folder(): string
  /** A folder that is not needed any more: sweeps make hundreds. */
  drop(folder: string): void
  /** A disk with a control file of its own. Skips the test, with the reason, where no library can be built; fails there in CI. */
  disk(context: TestContext, watched?: string): Disk
}

export function faultPlace(): FaultPlace {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'troupe-faults-')))
  afterAll(() => rmSync(base, { recursive: true, force: true, maxRetries: 5 }))
  let folders = 0
  let library: string | undefined
  const folder = (): string => {
    const path = join(base, String(++folders))
    mkdirSync(path)
    return path
  }
  return {
    folder,
    drop: (path) => rmSync(path, { recursive: true, force: true, maxRetries: 5 }),
    disk(context, watched) {
      const reason = missing()
      if (reason !== null) needs(context, reason)
      library ??= buildLibrary(base)
      return makeDisk(library, folder(), watched)
    },
  }
}

/** Skips visibly; in CI what is needed has to be there. */
export function needs(context: TestContext, reason: string): never {
  if (process.env['CI'] === 'true') throw new Error(`this must not be skipped in CI: ${reason}`)
  return skip(context, reason)
}
