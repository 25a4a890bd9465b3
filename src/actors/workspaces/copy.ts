/**
 * Stages a folder by copying its files, as copy-on-write clones where the file system has them. No `.git` comes along.
 * Also the way in which a worktree gets its files and a gate its checkout: bytes and executable bits as they are, links as links, no filters.
 */
import { constants } from 'node:fs'
import { copyFile, lstat, mkdir, readlink, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { listPaths } from './listing.ts'
import { isAbsence } from './manifest.ts'
import { inParallel } from './parallel.ts'
import type { Stager } from './stager.ts'

/** Copies these paths from one folder to another. What is gone by now is left out; a link is copied, not what it points at. */
export async function copyPaths(from: string, to: string, paths: readonly string[], signal?: AbortSignal): Promise<void> {
  for (const parent of new Set(paths.map((path) => dirname(path)))) await mkdir(join(to, parent), { recursive: true })
  await inParallel(paths, async (path) => {
    signal?.throwIfAborted()
    try {
      const stats = await lstat(join(from, path))
      if (stats.isSymbolicLink()) await symlink(await readlink(join(from, path), 'buffer'), join(to, path))
      else if (stats.isFile()) await copyFile(join(from, path), join(to, path), constants.COPYFILE_FICLONE)
    } catch (error) {
      if (!isAbsence(error)) throw error
    }
  })
}

/** Works for every folder. */
export const copyStager: Stager = {
  listing: 'walk',
  async stage({ source, dir, without, signal }) {
    await mkdir(dir, { recursive: true })
    await copyPaths(source, dir, await listPaths(source, { by: 'walk', without, signal }), signal)
  },
  async forget() {},
}
