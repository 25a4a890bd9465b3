/** Makes a whole folder of freshly copied files survive power loss in one go. */
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { inParallel } from './parallel.ts'

/**
 * Returns when these files of a folder are on the disk. One `syncfs` where coreutils offer it (`sync -f`), else an fsync for each file and folder.
 * Without it a power cut could leave empty files behind a marker that says they are whole, and they would be taken for edits.
 */
export async function syncTree(dir: string, paths: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('sync', ['-f', dir])
  } catch {
    const folders = new Set(paths.map((path) => dirname(path)))
    await inParallel([...paths, ...folders, '.'], async (path) => {
      const handle = await open(join(dir, path), 'r').catch(() => null) // A link that points nowhere has nothing to sync.
      if (handle === null) return
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    })
  }
}
