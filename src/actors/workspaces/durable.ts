/** Makes a whole folder of freshly copied files survive power loss. */
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { inParallel } from './parallel.ts'

/** Up to here an fsync for each file is cheaper than `syncfs`, which also waits for what others have written to the same disk. */
const SINGLE_FILES_MAX = 200

/**
 * Returns when these files of a folder are on the disk: an fsync for each file and folder; for many files one `syncfs`, where coreutils offer it.
 * Without it a power cut could leave empty files behind a marker that says they are whole, and they would be taken for edits.
 */
export async function syncTree(dir: string, paths: readonly string[]): Promise<void> {
  if (paths.length > SINGLE_FILES_MAX && (await syncFileSystem(dir))) return
  const folders = new Set(['.'])
  for (const path of paths) for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at)
  await inParallel([...paths, ...folders], async (path) => {
    const handle = await open(join(dir, path), 'r').catch(() => null) // A link that points nowhere has nothing to sync.
    if (handle === null) return
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  })
}

async function syncFileSystem(dir: string): Promise<boolean> {
  return promisify(execFile)('sync', ['-f', dir]).then(
    () => true,
    () => false,
  )
}
