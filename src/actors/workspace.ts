/**
 * A run's own copy of the user's folder: agents work there, and nothing reaches the user's files before a promotion.
 *
 *   <root>/<run>/staged/          the copy: a detached git worktree, or plain files
 *   <root>/<run>/gate-<effect>/   a gate's checkout, while it runs
 *   <root>/<run>/workspace.json   source, mode and base manifest; written last, so its presence means that the copy is whole
 *
 * Opening: marker there -> adopt. No marker -> a crash came in the middle, or nothing was there: clear, stage, sync, write the marker.
 * The base manifest says what was staged; the difference to it is the change that a promotion brings.
 */
import { lstat, mkdir, open, readdir, readFile, realpath, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { Failure } from '../effect.ts'
import { copyStager } from './workspaces/copy.ts'
import { syncTree } from './workspaces/durable.ts'
import { listPaths } from './workspaces/listing.ts'
import { hashPaths, type Manifest, treeHash } from './workspaces/manifest.ts'
import { linkModules } from './workspaces/modules.ts'
import { FILES, syncDir } from './workspaces/replace.ts'
import type { Stager } from './workspaces/stager.ts'
import { isWorktreeSource, worktreeStager } from './workspaces/worktree.ts'

type WorkspaceMode = 'worktree' | 'copy'

/** Plain JSON: keep it in a context and pass it to every call. */
export interface Workspace {
  /** The user's folder, a real path. */
  readonly source: string
  /** The staged copy, a real path. */
  readonly dir: string
  readonly mode: WorkspaceMode
  /** Tree hash of what was staged or last promoted. */
  readonly base: string
}

export interface OpenOptions {
  readonly source: string
  /** Folder for the copies of all runs. May lie inside `source`; it is never staged into itself. */
  readonly root: string
  readonly run: string
  /** `auto`: a worktree where the source is the top of a git repository with a commit, else a copy. */
  readonly mode: 'auto' | WorkspaceMode
  readonly signal?: AbortSignal | undefined
}

interface Marker extends Workspace {
  readonly v: 1
  readonly manifest: Manifest
}

const STAGERS: Readonly<Record<WorkspaceMode, Stager>> = { worktree: worktreeStager, copy: copyStager }
const markerOf = (dir: string): string => join(dirname(dir), 'workspace.json')

/**
 * Stages the user's folder for a run, or adopts what an earlier process staged for it, edits included. May be called again after any crash.
 * The user's files, index, branches and hooks stay as they are; a worktree adds its entry under `.git/worktrees`.
 * Installed packages are linked in, see {@link linkModules}; ignored files are not staged.
 * @throws {Failure} `E_TARGET_NOT_FOUND` no such folder; `E_CONFIG_INVALID` mode `worktree` without a repository that has a commit;
 *   `E_INPUT_CHANGED` the run was staged from another folder; `E_GIT_REFUSED` with git's words.
 */
export async function openWorkspace({ source, root, run, mode, signal }: OpenOptions): Promise<Workspace> {
  const from = await realpath(source).catch(() => {
    throw new Failure('E_TARGET_NOT_FOUND', `no folder ${source}`)
  })
  const home = join(await makeDir(resolve(root)), run)
  const dir = join(home, 'staged')
  const adopted = await readMarker(dir)
  if (adopted !== null && (await isFolder(dir))) {
    if (adopted.source !== from) throw new Failure('E_INPUT_CHANGED', `run ${run} was staged from ${adopted.source}, not from ${from}`)
    return { source: adopted.source, dir, mode: adopted.mode, base: adopted.base }
  }
  const chosen = await chooseMode(from, mode)
  await clear({ source: from, dir })
  await makeDir(home)
  await STAGERS[chosen].stage({ source: from, dir, without: inside(from, dirname(home)) ?? inside(from, home), signal })
  return await finish({ source: from, dir, mode: chosen }, signal)
}

/** Removes the copy, the gates' checkouts and the worktree entry. May be called again; edits that were not promoted are gone. */
export async function closeWorkspace(workspace: Workspace): Promise<void> {
  await clear(workspace)
  await rmdir(dirname(workspace.dir)).catch(() => undefined) // Others may keep files of the run there.
}

/**
 * What a folder holds: all files but `.git`, `node_modules` and ignored ones (git's rules where it has a `.git`, else a short list).
 * Of a staged copy use {@link stagedManifest}: it also sees staged files that an edited ignore file would hide.
 */
export async function manifest(dir: string, signal?: AbortSignal): Promise<Manifest> {
  return await hashPaths(dir, await listPaths(dir, { signal }), signal)
}

/** What the staged copy holds now. A file of the base counts while it exists: ignoring it later is no deletion. */
export async function stagedManifest(workspace: Workspace, signal?: AbortSignal): Promise<Manifest> {
  return await hashPaths(workspace.dir, await stagedPaths(workspace, signal), signal)
}

/** The paths of {@link stagedManifest}, sorted. */
export async function stagedPaths(workspace: Workspace, signal?: AbortSignal): Promise<readonly string[]> {
  const also = Object.keys(await baseManifest(workspace))
  return await listPaths(workspace.dir, { by: STAGERS[workspace.mode].listing, also, signal })
}

/** What was staged, or last promoted. */
export async function baseManifest(workspace: Workspace): Promise<Manifest> {
  const marker = await readMarker(workspace.dir)
  if (marker === null) throw new Failure('E_TARGET_NOT_FOUND', `no workspace at ${workspace.dir}`)
  return marker.manifest
}

/** Sets the base, after a promotion or its undo. Durable once it returns; calling it again with the same manifest changes nothing. */
export async function setBase(workspace: Workspace, manifest: Manifest): Promise<Workspace> {
  const { source, dir, mode } = workspace
  const next = { source, dir, mode, base: treeHash(manifest) }
  await writeMarker({ v: 1, ...next, manifest })
  return next
}

async function finish(staged: Omit<Workspace, 'base'>, signal: AbortSignal | undefined): Promise<Workspace> {
  const paths = await listPaths(staged.dir, { by: STAGERS[staged.mode].listing, signal })
  const manifest = await hashPaths(staged.dir, paths, signal)
  await linkModules(staged.source, staged.dir, paths)
  await syncTree(staged.dir, paths)
  signal?.throwIfAborted()
  return await setBase({ ...staged, base: '' }, manifest)
}

async function chooseMode(source: string, wanted: 'auto' | WorkspaceMode): Promise<WorkspaceMode> {
  if (wanted === 'copy') return 'copy'
  if (await isWorktreeSource(source)) return 'worktree'
  if (wanted === 'auto') return 'copy'
  const expected = 'expected the top of a git repository with a commit'
  throw new Failure('E_CONFIG_INVALID', `workspace.mode worktree: ${expected}, got ${source}`)
}

/** The marker goes first: without it the rest counts for nothing, wherever the next crash comes. */
async function clear({ source, dir }: { source: string; dir: string }): Promise<void> {
  await rm(markerOf(dir), { force: true })
  await rm(dir, { recursive: true, force: true })
  for (const name of await readdir(dirname(dir)).catch(() => [])) {
    if (name.startsWith('gate-')) await rm(join(dirname(dir), name), { recursive: true, force: true })
  }
  await worktreeStager.forget({ source, dir })
}

async function readMarker(dir: string): Promise<Marker | null> {
  try {
    return JSON.parse(await readFile(markerOf(dir), 'utf8')) as Marker
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function writeMarker(marker: Marker): Promise<void> {
  const file = markerOf(marker.dir)
  const handle = await open(`${file}.tmp`, 'w')
  try {
    await handle.writeFile(JSON.stringify(marker))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${file}.tmp`, file)
  await syncDir(FILES, dirname(file))
}

async function makeDir(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true })
  return await realpath(dir)
}

async function isFolder(dir: string): Promise<boolean> {
  return lstat(dir).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
}

function inside(source: string, dir: string): string | undefined {
  const path = relative(source, dir)
  return path === '' || path === '..' || path.startsWith(`..${sep}`) ? undefined : path.split(sep).join('/')
}
