/**
 * The way from a path that an agent named to a file of its workspace. Links are resolved first, so a path that looks inside and leads outside is refused.
 */
import { lstat, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, sep } from 'node:path'
import { isAbsence } from './manifest.ts'
import { refused } from './standing.ts'

export interface Place {
  /** Relative to the workspace, with `/`, after links; `.` for the workspace itself. */
  readonly path: string
  /** Absolute, a real path up to what exists. */
  readonly file: string
}

/**
 * Where a named path really is. The file need not exist.
 * @throws {Failure} `E_WRITE_REFUSED`, `data.reason: outside`: absolute, upwards out of the workspace, through a link that leads out, or inside `.git`.
 */
export async function placeOf(dir: string, path: string): Promise<Place> {
  if (isAbsolute(path) || path.includes('\0')) throw refused(path, 'outside', 'lies outside of the workspace; paths are relative to it')
  const top = await realpath(dir)
  const file = await realEnd(join(top, path), path)
  const inside = relative(top, file)
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw refused(path, 'outside', 'lies outside of the workspace')
  if (inside.split(sep).some((part) => part.toLowerCase() === '.git')) throw refused(path, 'outside', 'belongs to git')
  return { path: inside === '' ? '.' : inside.split(sep).join('/'), file }
}

/** The real path of what exists, and the rest as named. A link that points nowhere has no real path and is refused: writing there would follow it. */
async function realEnd(file: string, named: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (error) {
    if (!isAbsence(error)) throw error
    if (await isDangling(file)) throw refused(named, 'outside', 'is a link that points nowhere')
    return join(await realEnd(dirname(file), named), file.slice(dirname(file).length))
  }
}

async function isDangling(file: string): Promise<boolean> {
  return lstat(file).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  )
}
