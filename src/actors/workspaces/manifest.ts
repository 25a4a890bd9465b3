/**
 * What a folder holds, by content: path -> {mode, hash, bytes}, and one hash over all of it, the *tree*.
 *
 *   tree = SHA-256( mode SP hash SP path NUL ... )    over the paths in code unit order
 *
 * Two folders with the same tree hold the same files with the same bytes and the same executable bits. Evidence and promotions are bound to it.
 * Modes are git's: `100644` a file, `100755` an executable, `120000` a symbolic link, whose content is its target; links are never followed.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from './content.ts'
import { inParallel } from './parallel.ts'

export type FileMode = '100644' | '100755' | '120000'

/** One file as it was read. */
export interface FileEntry {
  readonly mode: FileMode
  /** SHA-256 of the bytes, hex; of a link's target. */
  readonly hash: string
  readonly bytes: number
}

/** Paths are relative to the folder, with `/`. Plain JSON. */
export type Manifest = Readonly<Record<string, FileEntry>>

const WHOLE_BYTES_MAX = 8_000_000

/** What is at a path: an entry, `directory`, `special` (a socket, a device), or null for nothing. Follows no link at its end. */
export async function readEntry(file: string): Promise<FileEntry | 'directory' | 'special' | null> {
  try {
    const stats = await lstat(file)
    if (stats.isDirectory()) return 'directory'
    if (stats.isSymbolicLink()) {
      const target = await readlink(file, 'buffer')
      return { mode: '120000', hash: sha256(target), bytes: target.length }
    }
    if (!stats.isFile()) return 'special'
    const mode = (stats.mode & 0o100) === 0 ? '100644' : '100755'
    if (stats.size > WHOLE_BYTES_MAX) return { mode, ...(await hashStream(file)) }
    const bytes = await readFile(file)
    return { mode, hash: sha256(bytes), bytes: bytes.length }
  } catch (error) {
    if (isAbsence(error)) return null
    throw error
  }
}

/** Did the call fail because nothing is there? */
export function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Reads the named files of a folder. Those that are gone, and anything that is neither file nor link, are left out. */
export async function hashPaths(dir: string, paths: readonly string[], signal?: AbortSignal): Promise<Manifest> {
  const found: [string, FileEntry][] = []
  await inParallel(paths, async (path) => {
    signal?.throwIfAborted()
    const entry = await readEntry(join(dir, path))
    if (entry !== null && typeof entry === 'object') found.push([path, entry])
  })
  found.sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(found)
}

/** The tree hash of a manifest. */
export function treeHash(manifest: Manifest): string {
  const sum = createHash('sha256')
  for (const path of Object.keys(manifest).sort()) sum.update(`${manifest[path]?.mode} ${manifest[path]?.hash} ${path}\0`)
  return sum.digest('hex')
}

/** Which paths differ between two manifests, each list sorted. A change of mode alone is a change. */
export function changesBetween(before: Manifest, after: Manifest): { added: string[]; changed: string[]; removed: string[] } {
  const had = (path: string): boolean => Object.hasOwn(before, path)
  const has = (path: string): boolean => Object.hasOwn(after, path)
  const differs = (path: string): boolean => before[path]?.hash !== after[path]?.hash || before[path]?.mode !== after[path]?.mode
  return {
    added: Object.keys(after)
      .filter((path) => !had(path))
      .sort(),
    changed: Object.keys(after)
      .filter((path) => had(path) && differs(path))
      .sort(),
    removed: Object.keys(before)
      .filter((path) => !has(path))
      .sort(),
  }
}

async function hashStream(file: string): Promise<{ hash: string; bytes: number }> {
  const sum = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(file)) {
    sum.update(chunk as Buffer)
    bytes += (chunk as Buffer).length
  }
  return { hash: sum.digest('hex'), bytes }
}
