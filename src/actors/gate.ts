/**
 * Gates: commands that must pass on exactly the staged files before these are promoted.
 *
 *   staged --copy--> <root>/<run>/gate-<effect>-<attempt>/ --hash = tree?--> check 1, check 2, ... --> evidence for this tree; the checkout is removed
 *
 * The hash is taken from the checkout, after the copy: what is checked is what was hashed, whatever happens to the staged files meanwhile. Safe to
 * repeat: what earlier attempts left is removed first. An attempt that ends late, in a process that was stopped and lost the run, removes its own
 * checkout and not the one of its successor.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Failure } from '../effect.ts'
import type { CommandResult, RunCommand } from './sandbox.ts'
import { runCommand } from './sandboxes/none.ts'
import { stagedPaths, type Workspace } from './workspace.ts'
import { copyPaths } from './workspaces/copy.ts'
import { hashPaths, treeHash } from './workspaces/manifest.ts'
import { linkModules } from './workspaces/modules.ts'

/** Output that is kept of each check: the last bytes. */
const CHECK_OUTPUT_BYTES_MAX = 16_000

export interface Check {
  readonly id: string
  /** Text for `sh -c`. */
  readonly run: string
  /** Default: none. A check that runs longer has failed. */
  readonly timeoutMs?: number | undefined
}

export interface GateOptions {
  readonly workspace: Workspace
  /** Tree hash that the evidence is for. */
  readonly tree: string
  readonly checks: readonly Check[]
  /** The folder that was given to `openWorkspace`. */
  readonly root: string
  readonly run: string
  readonly effect: string
  /** From 1, as the effect's. */
  readonly attempt: number
  readonly signal?: AbortSignal | undefined
  readonly onOutput?: ((text: string) => void) | undefined
  /** Names that checks see of our environment beside the usual ones. */
  readonly envAllow?: readonly string[] | undefined
  /** Default: without isolation. */
  readonly command?: RunCommand | undefined
}

interface CheckResult {
  readonly id: string
  /** Null when a signal or the timeout ended it. */
  readonly exitCode: number | null
  readonly timedOut: boolean
  /** The tail. */
  readonly output: string
  readonly durationMs: number
}

/** Evidence, as plain JSON. */
export interface GateResult {
  /** True when there was at least one check and all ended with 0: nothing checked is nothing proved. */
  readonly passed: boolean
  readonly tree: string
  readonly checks: readonly CheckResult[]
  readonly summary: string
}

/**
 * Runs all checks in order in a fresh checkout. A failing check is a result; later ones run all the same.
 * @throws {Failure} `E_GATE_FAILED` when the staged files are not this tree any more (`data.found`): no check has run; `E_INTERRUPTED` on abort.
 */
export async function runGate(options: GateOptions): Promise<GateResult> {
  const { workspace, tree, root, run, effect, attempt, signal } = options
  const checkout = (of: number): string => join(resolve(root), run, `gate-${effect}-${of}`)
  for (let of = 1; of <= attempt; of++) await rm(checkout(of), { recursive: true, force: true })
  const dir = checkout(attempt)
  try {
    const paths = await stagedPaths(workspace, signal)
    await mkdir(dir, { recursive: true })
    await copyPaths(workspace.dir, dir, paths, signal)
    const found = treeHash(await hashPaths(dir, paths, signal))
    if (found !== tree) throw movedOn(tree, found)
    await linkModules(workspace.source, dir, paths)
    const checks: CheckResult[] = []
    for (const check of options.checks) checks.push(await runCheck(options, dir, check))
    const passed = checks.length > 0 && checks.every((check) => check.exitCode === 0)
    return { passed, tree, checks, summary: summaryOf(checks) }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function runCheck(options: GateOptions, dir: string, check: Check): Promise<CheckResult> {
  const { run, effect, signal, onOutput, envAllow, command = runCommand } = options
  // Tools that look for a repository above the checkout must not find the user's.
  const env = { CI: '1', GIT_CEILING_DIRECTORIES: join(resolve(options.root), run) }
  const common = { run, effect, signal, onOutput, envAllow, env, cwd: dir, outputBytesMax: CHECK_OUTPUT_BYTES_MAX }
  try {
    const result = await command({ ...common, command: check.run, timeoutMs: check.timeoutMs })
    return resultOf(check, result, false)
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'E_COMMAND_TIMEOUT') throw error
    return resultOf(check, { ...(error.details.data as unknown as CommandResult), exitCode: null }, true)
  }
}

function resultOf({ id }: Check, { exitCode, output, durationMs }: CommandResult, timedOut: boolean): CheckResult {
  return { id, exitCode, timedOut, output, durationMs }
}

function movedOn(tree: string, found: string): Failure {
  const message = `the staged files are tree ${found.slice(0, 10)} by now, the gate was asked about ${tree.slice(0, 10)}; nothing was checked`
  return new Failure('E_GATE_FAILED', message, { details: { data: { tree, found } } })
}

function summaryOf(checks: readonly CheckResult[]): string {
  const failed = checks.filter((check) => check.exitCode !== 0)
  if (checks.length === 0) return 'no checks were given'
  if (failed.length === 0) return `${checks.map((check) => check.id).join(', ')} passed`
  return failed
    .map((check) => (check.timedOut ? `${check.id} ran past its timeout` : `${check.id} failed with exit code ${check.exitCode}`))
    .join('; ')
}
