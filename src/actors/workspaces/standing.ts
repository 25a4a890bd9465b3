/**
 * Where each file of a promotion stands in the user's folder: `before`, `after`, or at a third state, which stops it.
 * A symbolic link on the way to a file is never walked through: it would lead a write out of the folder.
 */
import { lstat } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { Failure } from '../../effect.ts'
import { sha256, unpack } from './content.ts'
import { isAbsence, readEntry } from './manifest.ts'
import type { PlannedFile, PromotionPlan } from './plan.ts'

export type Standing = 'before' | 'after' | 'other'

/**
 * Where a file stands. `plan`: as the whole plan sees it, where a file may still be in the way of a folder that comes instead.
 * `now`: at its turn, after the deletions, where nothing may be in the way.
 */
export async function stateOf(plan: PromotionPlan, file: PlannedFile, when: 'plan' | 'now' = 'plan'): Promise<Standing> {
  const blocked = await blockedParent(plan, file.path)
  if (blocked !== null && !(when === 'plan' && isDeleted(plan, blocked))) return file.after === null ? 'after' : 'other'
  const entry = blocked === null ? await readEntry(join(plan.target, file.path)) : null
  const absent = entry === null || (entry === 'directory' && (file.after === null || when === 'plan') && holdsPlanned(plan, file.path))
  const at = (hash: string | null, mode: string | null): boolean =>
    hash === null ? absent : typeof entry === 'object' && entry?.hash === hash && entry.mode === mode
  if (at(file.after, file.mode)) return 'after'
  return at(file.before, file.modeBefore) ? 'before' : 'other'
}

/** Paths of all files that are at neither state. */
export async function otherStates(plan: PromotionPlan): Promise<readonly string[]> {
  const states = await Promise.all(plan.files.map(async (file) => [file.path, await stateOf(plan, file)] as const))
  return states.filter(([, state]) => state === 'other').map(([path]) => path)
}

/** The temporary file beside a planned one: the same name every time, and no other plan's. */
export function temporaryName(plan: PromotionPlan, file: PlannedFile): string {
  const name = sha256(`${plan.before}\0${plan.tree}\0${file.path}`).slice(0, 16)
  return join(plan.target, dirname(file.path), `.troupe-${name}.tmp`)
}

/**
 * Refuses a path that is no plain way down from the target, git's own files, and content that is not what the hash says.
 * @throws {Failure} `E_WRITE_REFUSED` with `data.reason` `outside` or `content`.
 */
export function assertSafe({ path, after, content }: PlannedFile): void {
  const parts = path.split('/')
  const plain = parts.every((part) => part !== '' && part !== '.' && part !== '..' && part.toLowerCase() !== '.git')
  if (!plain || path.includes('\0') || (sep === '\\' && path.includes('\\'))) throw refused(path, 'outside', 'lies outside of the folder')
  if (after === null) return
  if (content === null || sha256(unpack(content)) !== after) throw refused(path, 'content', 'is not the content that was planned')
}

/** Does a link at this path of a folder lead out of it, or into git's own files? */
export function leadsOut(dir: string, path: string, target: string): boolean {
  const end = relative(dir, resolve(dir, dirname(path), target)).split(sep)
  return isAbsolute(target) || end[0] === '..' || end[0]?.toLowerCase() === '.git'
}

/** The refusal that names what the user changed. */
export function changedFailure(files: readonly string[]): Failure {
  const message = `${files.length} ${files.length === 1 ? 'file' : 'files'} changed here while the team worked: ${files.join(', ')}`
  return new Failure('E_WORKSPACE_CHANGED', message, { details: { data: { files } } })
}

/** The refusal of one file. `reason`: `outside`, `content`, `stale`, `missing`, `ambiguous`. */
export function refused(file: string, reason: string, why: string): Failure {
  return new Failure('E_WRITE_REFUSED', `may not write ${file}: it ${why}`, { details: { data: { file, reason } } })
}

/** The first part of the way to a path that exists and is no folder. */
export async function blockedParent(plan: PromotionPlan, path: string): Promise<string | null> {
  const parts = path.split('/').slice(0, -1)
  for (let count = 1; count <= parts.length; count++) {
    const parent = parts.slice(0, count).join('/')
    try {
      if (!(await lstat(join(plan.target, parent))).isDirectory()) return parent
    } catch (error) {
      if (isAbsence(error)) return null
      throw error
    }
  }
  return null
}

const isDeleted = (plan: PromotionPlan, path: string): boolean => plan.files.some((file) => file.path === path && file.after === null)
const holdsPlanned = (plan: PromotionPlan, path: string): boolean => plan.files.some((file) => file.path.startsWith(`${path}/`))
