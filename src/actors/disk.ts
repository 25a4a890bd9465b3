/**
 * What the file system refuses, told as failures with codes of ours: a full disk and files that may not be touched are the world's, and are nobody's bug.
 *
 *   ENOSPC, EDQUOT        E_DISK_FULL        free space
 *   EACCES, EPERM, EROFS  E_FILE_REFUSED     permissions
 */
import { Failure } from '../effect.ts'

const CODES: Readonly<Record<string, readonly [code: string, words: string]>> = {
  ENOSPC: ['E_DISK_FULL', 'the disk is full'],
  EDQUOT: ['E_DISK_FULL', 'the quota of the disk is used up'],
  EACCES: ['E_FILE_REFUSED', 'not permitted'],
  EPERM: ['E_FILE_REFUSED', 'not permitted'],
  EROFS: ['E_FILE_REFUSED', 'the file system is read-only'],
}

/** Does it, and says in our words what the file system refuses. Everything else that is thrown passes. @throws {Failure} `E_DISK_FULL`, `E_FILE_REFUSED`. */
export async function onDisk<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof Error) || error instanceof Failure) throw error
    const { code = '', path, dest } = error as NodeJS.ErrnoException & { dest?: string }
    const known = CODES[code]
    if (known === undefined) throw error
    const file = dest ?? path
    throw new Failure(known[0], file === undefined ? known[1] : `${known[1]}: ${file}`)
  }
}
