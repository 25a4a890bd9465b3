/**
 * Replaces one file so that a crash leaves the old bytes or the new ones, never a mixture:
 * write a temporary file beside it, fsync, rename over it, fsync the folder. The name of the temporary file is given by the caller and the same every
 * time, so that whoever does it again after a crash finds and removes what was left.
 */
import * as node from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FileMode } from './manifest.ts'

/** The file calls that change the user's folder. Tests pass one that dies between any two. */
export type FileCalls = Pick<typeof node, 'open' | 'rename' | 'unlink' | 'mkdir' | 'rmdir' | 'symlink' | 'lstat'>

/** The real ones. */
export const FILES: FileCalls = node

export interface Replacement {
  readonly file: string
  /** In the same folder, so that the rename is atomic. */
  readonly temp: string
  readonly bytes: Buffer
  readonly mode: FileMode
  /** Called with everything ready, right before the rename: throw to leave the file alone. */
  readonly confirm: () => Promise<void>
}

/** Puts these bytes in place of the file, which keeps its permissions but for the executable bits. Once it returns it survives power loss. */
export async function replaceFile(fs: FileCalls, { file, temp, bytes, mode, confirm }: Replacement): Promise<void> {
  await removeFile(fs, temp)
  if (mode === '120000') await fs.symlink(bytes, temp)
  else await writeTemp(fs, { temp, bytes, mode, permissions: await permissionsOf(fs, file) })
  await confirm()
  await fs.rename(temp, file)
  await syncDir(fs, dirname(file))
}

/** Removes a file; one that is not there is fine. */
export async function removeFile(fs: FileCalls, file: string): Promise<void> {
  await fs.unlink(file).catch(unless('ENOENT', 'ENOTDIR'))
}

/** Makes the folders from `top` (which exists) down to `relative`, each durable in its parent. */
export async function ensureDir(fs: FileCalls, top: string, relative: string): Promise<void> {
  let at = top
  for (const part of relative.split('/')) {
    if (part === '.') continue
    const above = at
    at = join(at, part)
    const made = await fs.mkdir(at).then(() => true, unless('EEXIST'))
    if (made === true) await syncDir(fs, above)
  }
}

/** Makes renames and deletions in a folder durable. */
export async function syncDir(fs: FileCalls, dir: string): Promise<void> {
  const handle = await fs.open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A handler for `catch` that lets these error codes pass and throws all others. */
export function unless(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes(String((error as NodeJS.ErrnoException).code))) throw error
  }
}

async function writeTemp(
  fs: FileCalls,
  { temp, bytes, mode, permissions }: { temp: string; bytes: Buffer; mode: FileMode; permissions: number | null },
): Promise<void> {
  const executable = mode === '100755'
  const handle = await fs.open(temp, 'wx', executable ? 0o777 : 0o666)
  try {
    await handle.writeFile(bytes)
    if (permissions !== null) await handle.chmod(executable ? permissions | ((permissions & 0o444) >> 2) : permissions & ~0o111)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function permissionsOf(fs: FileCalls, file: string): Promise<number | null> {
  try {
    const stats = await fs.lstat(file)
    return stats.isFile() ? stats.mode & 0o777 : null
  } catch (error) {
    unless('ENOENT', 'ENOTDIR')(error)
    return null
  }
}
