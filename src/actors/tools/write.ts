/**
 * `write`: a whole file. And the two phases that every change of the staged files goes through, edits included:
 *
 *   planWrite    reads, decides, touches nothing            -> {path, mode, before, after, content}    becomes the effect's input
 *   applyWrite   compare-and-swap on `before`, atomic       E_WRITE_REFUSED when the file is neither `before` nor `after`
 *   proveWrite   after a crash: applied, not applied, unknown
 */
import { dirname, join } from 'node:path'
import type { Verdict } from '../../effect.ts'
import { type EditInput, editInput, type WriteInput, writeInput } from '../../machines/tool-inputs.ts'
import { type Content, pack, readContent, sha256, unpack } from '../workspaces/content.ts'
import { type FileMode, isAbsence, readEntry } from '../workspaces/manifest.ts'
import { placeOf } from '../workspaces/paths.ts'
import { ensureDir, FILES, type FileCalls, replaceFile } from '../workspaces/replace.ts'
import { refused } from '../workspaces/standing.ts'
import { edited } from './edit.ts'

export const writeDescription = 'Create a file, or replace its whole content. Use edit for a small change.'

/** A tool call that changes a file. */
export type WriteRequest = ({ readonly tool: 'edit'; readonly args: EditInput } | { readonly tool: 'write'; readonly args: WriteInput }) & {
  /** Hash of the file as the agent last read it. Given: a file that changed since is refused. Absent: what is there now is taken as seen. */
  readonly seen?: string | undefined
}

/** One change of one staged file, as plain JSON. */
export interface WritePlan {
  /** Real path, relative to the workspace. */
  readonly path: string
  readonly mode: FileMode
  /** Null: the file does not exist yet. */
  readonly before: string | null
  readonly after: string
  readonly content: Content
}

/** What was written. `after` is what the agent has seen from now on. */
export interface Written {
  readonly path: string
  readonly before: string | null
  readonly after: string
}

/**
 * Decides what a tool call would write. Touches nothing.
 * @throws {Failure} `E_WRITE_REFUSED`, `data.reason` `outside`, `stale` (changed since `seen`), `missing`, `not_found`, `ambiguous`, `same`.
 * @throws {ZodError} Arguments that do not fit the tool.
 */
export async function planWrite(dir: string, request: WriteRequest): Promise<WritePlan> {
  ;(request.tool === 'write' ? writeInput : editInput).parse(request.args) // Before anything is looked at: a model may have sent any arguments.
  const { path, file } = await placeOf(dir, request.args.path)
  const entry = await readEntry(file)
  if (entry === 'directory' || entry === 'special') throw refused(path, 'missing', 'is no file')
  const before = entry?.hash ?? null
  if (request.seen !== undefined && request.seen !== before) throw refused(path, 'stale', 'changed since it was read; read it again')
  const bytes = await newBytes(file, path, request)
  const mode = entry?.mode === '100755' ? '100755' : '100644'
  return { path, mode, before, after: sha256(bytes), content: pack(bytes) }
}

/**
 * Writes what was planned, atomically; once it returns it survives power loss. Does nothing where it was written already.
 * @throws {Failure} `E_WRITE_REFUSED` with `data.reason: stale` when the file is neither as planned nor as it was; it is left alone.
 */
export async function applyWrite(dir: string, plan: WritePlan, fs: FileCalls = FILES): Promise<Written> {
  const { path, file } = await placeOf(dir, plan.path)
  if (path !== plan.path) throw refused(plan.path, 'outside', 'is reached through a link by now')
  const { mode } = plan
  const written = { path, before: plan.before, after: plan.after }
  if ((await hashAt(file)) === plan.after) return written
  const confirm = async (): Promise<void> => {
    if ((await hashAt(file)) !== plan.before) throw refused(path, 'stale', 'changed since it was read; read it again')
  }
  const temp = join(dirname(file), `.troupe-${sha256(path).slice(0, 16)}.tmp`)
  try {
    await ensureDir(fs, file.slice(0, file.length - path.length - 1), dirname(path))
    await replaceFile(fs, { file, temp, bytes: unpack(plan.content), mode, confirm })
  } catch (error) {
    await fs.unlink(temp).catch(() => undefined)
    if (isAbsence(error)) throw refused(path, 'outside', 'lies below something that is no folder')
    throw error
  }
  return written
}

/** What became of a write whose outcome was never learned. Touches nothing. */
export async function proveWrite(dir: string, plan: WritePlan): Promise<Verdict<Written>> {
  const { file } = await placeOf(dir, plan.path)
  const now = await hashAt(file)
  const output = { path: plan.path, before: plan.before, after: plan.after }
  if (now === plan.after) return { verdict: 'applied', output, evidence: `${plan.path} has the intended hash` }
  if (now === plan.before) return { verdict: 'not_applied', evidence: `${plan.path} is as it was` }
  return { verdict: 'unknown', evidence: `${plan.path} is neither as it was nor as intended` }
}

async function newBytes(file: string, path: string, request: WriteRequest): Promise<Buffer> {
  if (request.tool === 'write') return Buffer.from(request.args.content, 'utf8')
  const old = await readContent(file).catch((error: unknown) => {
    throw isAbsence(error) ? refused(path, 'missing', 'does not exist; use write') : error
  })
  return edited(old.bytes, request.args)
}

async function hashAt(file: string): Promise<string | null> {
  const entry = await readEntry(file)
  return entry === null ? null : typeof entry === 'object' ? entry.hash : entry
}
