/**
 * Brings what was staged into the user's folder: all of it, or nothing more than what a crash had already brought.
 *
 *   plan      (path, mode and hash before, mode and hash after, content)     journaled as the effect's input
 *   promote   1. every file is at `before` or at `after`, else E_WORKSPACE_CHANGED and nothing is touched
 *             2. deletions, then folders that became empty, then writes: temp + fsync + rename + fsync of the folder
 *   crash     do it again: files at `after` are skipped, files at `before` are written, a third state stops it with nothing more touched
 *
 * So each file is replaced once however often the process dies, and never over something that the user wrote meanwhile.
 */
import { dirname, join } from 'node:path'
import { Failure, type Verdict } from '../effect.ts'
import { baseManifest, setBase, stagedManifest, type Workspace } from './workspace.ts'
import { pack, readContent, unpack } from './workspaces/content.ts'
import { changesBetween, type Manifest, treeHash } from './workspaces/manifest.ts'
import type { PlannedFile, PromotionPlan } from './workspaces/plan.ts'
import { ensureDir, FILES, type FileCalls, removeFile, replaceFile, syncDir, unless } from './workspaces/replace.ts'
import { assertSafe, blockedParent, changedFailure, leadsOut, otherStates, refused, stateOf, temporaryName } from './workspaces/standing.ts'

export { diffOf } from './workspaces/diff.ts'
export type { PromotionPlan } from './workspaces/plan.ts'

/** What was promoted; the data of `change.promoted`. */
export interface Promoted {
  readonly tree: string
  readonly before: string
  readonly files: readonly string[]
}

export interface PromoteOptions {
  readonly signal?: AbortSignal | undefined
  /** Default: the real file system. */
  readonly fs?: FileCalls | undefined
}

/**
 * Compares the staged copy with its base. Touches nothing.
 * @throws {Failure} `E_WRITE_REFUSED` a staged link leads out of the folder; `E_WORKSPACE_CHANGED` a command still writes in the staged copy.
 */
export async function planPromotion(workspace: Workspace, signal?: AbortSignal): Promise<PromotionPlan> {
  const base = await baseManifest(workspace)
  const staged = await stagedManifest(workspace, signal)
  const { added, changed, removed } = changesBetween(base, staged)
  const files: PlannedFile[] = []
  for (const path of [...added, ...changed, ...removed].sort()) files.push(await planFile(workspace, path, base, staged))
  return { target: workspace.source, before: treeHash(base), tree: treeHash(staged), files }
}

/**
 * Performs a plan, or the rest of it after a crash. Once it returns, all files are at `after` and survive power loss.
 * @throws {Failure} `E_WORKSPACE_CHANGED` with the files that are at neither hash (`data.files`): nothing more is touched;
 *   `E_WRITE_REFUSED` a path that leads out of the target: nothing is touched.
 */
export async function promote(plan: PromotionPlan, { signal, fs = FILES }: PromoteOptions = {}): Promise<Promoted> {
  for (const file of plan.files) assertSafe(file)
  try {
    const others = await otherStates(plan)
    if (others.length > 0) throw changedFailure(others)
    const deletions = plan.files.filter((file) => file.after === null)
    for (const file of deletions) await bring(plan, file, fs, signal)
    await pruneEmpty(plan, deletions, fs)
    for (const file of plan.files) if (file.after !== null) await bring(plan, file, fs, signal)
  } finally {
    await clearTemporary(plan, fs)
  }
  return promoted(plan)
}

/** What became of a promotion whose outcome was never learned. Touches nothing. A third state is for a person: it may have been applied and edited since. */
export async function provePromotion(plan: PromotionPlan): Promise<Verdict<Promoted>> {
  const others = await otherStates(plan)
  if (others.length > 0) return { verdict: 'unknown', evidence: `neither as before nor as promoted: ${others.join(', ')}` }
  const states = await Promise.all(plan.files.map((file) => stateOf(plan, file)))
  const done = states.filter((state) => state === 'after').length
  if (done === states.length) return { verdict: 'applied', output: promoted(plan), evidence: `all ${done} files have the intended hash` }
  return { verdict: 'not_applied', evidence: `${done} of ${states.length} files have the intended hash, the others are as before` }
}

/**
 * The plan that takes a promotion back; its own undo is the promotion again.
 * @throws {Failure} `E_UNDO_REFUSED` where it is not known what was there before.
 */
export function undoPlan(plan: PromotionPlan): PromotionPlan {
  const lost = plan.files.filter((file) => file.before !== null && file.was === null).map((file) => file.path)
  if (lost.length > 0)
    throw new Failure('E_UNDO_REFUSED', `what was in ${lost.join(', ')} is not known`, { details: { data: { files: lost } } })
  const files = plan.files.map(({ path, mode, modeBefore, before, after, content, was }) => {
    return { path, mode: modeBefore, modeBefore: mode, before: after, after: before, content: was, was: content }
  })
  return { target: plan.target, before: plan.tree, tree: plan.before, files }
}

/** Makes what was promoted the base of further work. Call it after {@link promote}, with the plan; again after a crash, it changes nothing. */
export async function rebase(workspace: Workspace, plan: PromotionPlan): Promise<Workspace> {
  const base = new Map(Object.entries(await baseManifest(workspace)))
  for (const { path, mode, after, content } of plan.files) {
    if (mode === null || after === null || content === null) base.delete(path)
    else base.set(path, { mode, hash: after, bytes: unpack(content).length })
  }
  return await setBase(workspace, Object.fromEntries([...base].sort(([a], [b]) => (a < b ? -1 : 1))))
}

async function planFile(workspace: Workspace, path: string, base: Manifest, staged: Manifest): Promise<PlannedFile> {
  const old = Object.hasOwn(base, path) ? base[path] : undefined
  const next = Object.hasOwn(staged, path) ? staged[path] : undefined
  const content = next === undefined ? null : await readContent(join(workspace.dir, path))
  if (content !== null && content.hash !== next?.hash) throw changedFailure([path])
  if (content !== null && next?.mode === '120000' && leadsOut(workspace.dir, path, content.bytes.toString())) {
    throw refused(path, 'outside', 'is a link that leads out of the folder')
  }
  const was = old === undefined ? null : await readContent(join(workspace.source, path)).catch(() => null)
  return {
    path,
    mode: next?.mode ?? null,
    modeBefore: old?.mode ?? null,
    before: old?.hash ?? null,
    after: next?.hash ?? null,
    content: content === null ? null : pack(content.bytes),
    was: was !== null && was.hash === old?.hash ? pack(was.bytes) : null,
  }
}

async function bring(plan: PromotionPlan, file: PlannedFile, fs: FileCalls, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  const state = await stateOf(plan, file, 'now')
  if (state === 'after') return
  if (state === 'other') throw changedFailure([file.path])
  const path = join(plan.target, file.path)
  if (file.mode === null || file.content === null) {
    await removeFile(fs, path)
    await syncDir(fs, dirname(path))
    return
  }
  await ensureDir(fs, plan.target, dirname(file.path))
  const confirm = async (): Promise<void> => {
    if ((await stateOf(plan, file, 'now')) !== 'before') throw changedFailure([file.path])
  }
  await replaceFile(fs, { file: path, temp: temporaryName(plan, file), bytes: unpack(file.content), mode: file.mode, confirm })
}

/** Folders that the deletions left empty, deepest first. Done again after a crash: an empty folder is not worth a journal. */
async function pruneEmpty(plan: PromotionPlan, deletions: readonly PlannedFile[], fs: FileCalls): Promise<void> {
  const folders = new Set<string>()
  for (const { path } of deletions) for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at)
  for (const folder of [...folders].sort().reverse()) {
    if ((await blockedParent(plan, `${folder}/.`)) !== null) continue
    await fs.rmdir(join(plan.target, folder)).catch(unless('ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'))
  }
}

/** Temporary files of this plan, also those of a crash. Not being able to remove one is no reason to hide how the promotion went. */
async function clearTemporary(plan: PromotionPlan, fs: FileCalls): Promise<void> {
  for (const file of plan.files) if (file.after !== null) await removeFile(fs, temporaryName(plan, file)).catch(() => undefined)
}

function promoted({ tree, before, files }: PromotionPlan): Promoted {
  return { tree, before, files: files.map((file) => file.path) }
}
