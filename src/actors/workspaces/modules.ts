/**
 * Lets tests run in a staged copy without installing: `node_modules` becomes a folder of links to the installed packages.
 *
 *   staged/node_modules/vitest   -> source/node_modules/vitest      an installed package
 *   staged/node_modules/@app/ui  -> staged/packages/ui              a package of the same repository: the staged one, not the user's
 *
 * One link to the whole folder would be shorter and wrong twice: packages of a monorepo would resolve to the user's files, so a gate would test code
 * that nobody changed; and tools that write caches or install packages would write into the user's folder. Dot folders (caches) are not linked.
 */
import { lstat, mkdir, readdir, realpath, symlink } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

/** Folders inside `node_modules` whose entries are linked one by one. */
const isScope = (name: string): boolean => name === '.bin' || name.startsWith('@')

/** Links the `node_modules` of every folder that these paths run through. Leaves alone what exists; nothing is written in `source`. */
export async function linkModules(source: string, dir: string, paths: readonly string[]): Promise<void> {
  const folders = new Set(['.'])
  for (const path of paths) for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at)
  for (const folder of folders) {
    const from = join(source, folder, 'node_modules')
    const to = join(dir, folder, 'node_modules')
    if (!(await exists(from)) || (await exists(to))) continue
    await linkEntries({ source, dir }, from, to)
  }
}

async function linkEntries(roots: { source: string; dir: string }, from: string, to: string): Promise<void> {
  const names = await readdir(from).catch(() => [])
  await mkdir(to, { recursive: true })
  for (const name of names) {
    if (isScope(name)) await linkEntries(roots, join(from, name), join(to, name))
    else if (!name.startsWith('.')) await linkEntry(roots, join(from, name), join(to, name))
  }
}

async function linkEntry(roots: { source: string; dir: string }, from: string, to: string): Promise<void> {
  const real = await realpath(from).catch(() => null)
  if (real === null) return
  const inside = relative(roots.source, real)
  const own = inside !== '' && inside !== '..' && !inside.startsWith(`..${sep}`) && !inside.split(sep).includes('node_modules')
  await symlink(own ? join(roots.dir, inside) : real, to)
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
