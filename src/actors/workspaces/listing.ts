/**
 * Which files of a folder count. With git: tracked and untracked files that are not ignored, as the user sees them. Without: all but a short list of
 * things that tools leave behind. Never `.git`, `node_modules` or our temporary files, never a path that runs through a symbolic link, never a nested repository.
 * Names that are no valid UTF-8 are left out, and so left alone.
 */
import { lstat, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { git } from './git.ts'
import { isAbsence } from './manifest.ts'

export type Listing = 'git' | 'walk'

/** Never listed, by name of any part of the path, compared without case as some file systems do. */
const NEVER = new Set(['.git', 'node_modules'])
/** Left out where no ignore file is read. */
const LEFT_BEHIND = new Set([
  '.hg',
  '.svn',
  '.troupe',
  '.env',
  '.venv',
  '.cache',
  '.tox',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  '__pycache__',
  '.DS_Store',
])

export interface ListOptions {
  /** Default: `git` where the folder has a `.git`, else `walk`. */
  readonly by?: Listing | undefined
  /** Paths that count although they would be ignored: what was staged stays visible when an ignore file changes. */
  readonly also?: readonly string[] | undefined
  /** A folder inside this one that is ours, not the user's. Relative, with `/`. */
  readonly without?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** The paths of a folder, relative, with `/`, sorted, each once. Entries may be files or links; some may be gone by the time they are read. */
export async function listPaths(dir: string, options: ListOptions = {}): Promise<readonly string[]> {
  const by = options.by ?? ((await hasGit(dir)) ? 'git' : 'walk')
  const listed = by === 'git' ? await listByGit(dir, options.signal) : await walk(dir, '')
  const kept = [...new Set([...listed, ...(options.also ?? [])])].filter((path) => counts(path, options.without))
  const plain = plainParents(dir)
  const sound: string[] = []
  for (const path of kept.sort()) if (await plain(dirname(path))) sound.push(path)
  return sound
}

/** Left by a write that a crash cut off; nobody's file. */
const TEMPORARY = /(?:^|\/)\.troupe-[0-9a-f]{16}\.tmp$/

function counts(path: string, without: string | undefined): boolean {
  if (without !== undefined && (path === without || path.startsWith(`${without}/`))) return false
  return !path.endsWith('/') && !TEMPORARY.test(path) && !path.split('/').some((part) => NEVER.has(part.toLowerCase()))
}

async function listByGit(dir: string, signal: AbortSignal | undefined): Promise<string[]> {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const stdout = await git(dir, args, signal === undefined ? {} : { signal })
  return stdout.split('\0').filter((path) => path !== '')
}

async function walk(dir: string, below: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(join(dir, below), { withFileTypes: true })) {
    if (LEFT_BEHIND.has(entry.name) || NEVER.has(entry.name.toLowerCase())) continue
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) found.push(...(await walk(dir, path)))
    else if (entry.isFile() || entry.isSymbolicLink()) found.push(path)
  }
  return found
}

/** Git lists what its index knows, also below a folder that has become a link: reading that would leave the workspace. */
function plainParents(dir: string): (parent: string) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>([['.', Promise.resolve(true)]])
  const plain = (parent: string): Promise<boolean> => {
    const before = known.get(parent)
    if (before !== undefined) return before
    const answer = plain(dirname(parent)).then((above) => above && isDirectory(join(dir, parent)))
    known.set(parent, answer)
    return answer
  }
  return plain
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory()
  } catch (error) {
    if (isAbsence(error)) return false
    throw error
  }
}

async function hasGit(dir: string): Promise<boolean> {
  return lstat(join(dir, '.git')).then(
    () => true,
    () => false,
  )
}
