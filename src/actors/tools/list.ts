/** `list`: the files of the workspace with their sizes. */
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ListInput, listInput } from '../../machines/tool-inputs.ts'
import { listPaths } from '../workspaces/listing.ts'
import { placeOf } from '../workspaces/paths.ts'

export interface ListOutput {
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  /** Files below the folder; more than listed when `truncated`. */
  readonly total: number
  readonly truncated: boolean
}

export const listDescription = 'List files below a folder with their sizes in bytes. Ignored files, .git and node_modules are left out.'

/** Lists what the workspace shows below a folder, sorted by path. @throws {Failure} `E_WRITE_REFUSED` a path outside the workspace. */
export async function list(dir: string, input: ListInput): Promise<ListOutput> {
  const { path, max } = listInput.parse(input)
  const paths = await pathsBelow(dir, path)
  const files: { path: string; bytes: number }[] = []
  for (const each of paths.slice(0, max)) {
    const stats = await lstat(join(dir, each)).catch(() => null)
    if (stats !== null) files.push({ path: each, bytes: stats.size })
  }
  return { files, total: paths.length, truncated: paths.length > max }
}

/** The paths that the workspace shows at or below a path, sorted. */
export async function pathsBelow(dir: string, path: string): Promise<readonly string[]> {
  const place = await placeOf(dir, path)
  const all = await listPaths(dir)
  return place.path === '.' ? all : all.filter((each) => each === place.path || each.startsWith(`${place.path}/`))
}
