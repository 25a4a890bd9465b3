/**
 * Errors at the edge: what was thrown becomes lines on stderr or one object on stdout, and an exit code.
 * What nobody expected is a bug: a report is written that holds where it happened, and no prompt, no argument and no environment.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, hostname, platform, release } from 'node:os'
import { join } from 'node:path'
import { exitOf } from '../catalogue.ts'
import type { Flags } from '../config.ts'
import { Defect, UserError } from '../errors.ts'
import { errorObject, problemLines } from '../view/problem.ts'
import { version } from './context.ts'
import type { Io } from './io.ts'

export interface Place {
  readonly io: Io
  readonly flags: Pick<Flags, 'json' | 'jsonl'>
  /** Folder for reports; null where not even the configuration is known. */
  readonly reports: string | null
  readonly verb: string
}

/** Says what was thrown. @returns the exit code. */
export function report(thrown: unknown, place: Place): number {
  const problem = problemOf(thrown, place)
  sayProblem(problem, place)
  return problem.options.exit
}

/** A problem as text on stderr, or as the one object on stdout. */
function sayProblem(problem: UserError, { io, flags }: Pick<Place, 'io' | 'flags'>): void {
  if (flags.json) io.json(errorObject(problem))
  else if (flags.jsonl) io.json({ ...errorObject(problem), type: 'result' })
  else for (const line of problemLines(problem, io.errLook)) io.err(line)
}

function problemOf(thrown: unknown, place: Place): UserError {
  if (thrown instanceof UserError) return thrown
  if (thrown instanceof Defect && thrown.code === 'E_LEASE_LOST' && thrown.details['owner'] !== undefined) return takenOver(thrown)
  const file = writeReport(thrown, place)
  return new UserError('E_INTERNAL', `a bug in troupe: ${headline(thrown)}`, {
    where: place.verb,
    fix: file === null ? 'report it with the line above' : `send ${file}, it holds no prompts and no keys`,
    exit: exitOf('E_INTERNAL'),
    cause: thrown,
  })
}

/** The run goes on elsewhere: nothing is wrong with it, and nothing is left to do here. */
function takenOver({ details }: Defect): UserError {
  const { run, ownerEpoch, owner } = details as { run: string; ownerEpoch: number; owner: { pid: number; host: string } | null }
  const who = owner === null ? '' : ` (pid ${owner.pid}, ${owner.host === hostname() ? 'this host' : owner.host})`
  return new UserError('E_LEASE_LOST', `another process${who} took this run over at epoch ${ownerEpoch}; this one stopped`, {
    where: `run ${run}`,
    fix: `troupe logs ${run} -f`,
    exit: exitOf('E_LEASE_LOST'),
    details: { run, pid: owner?.pid ?? null, host: owner?.host ?? null, epoch: ownerEpoch },
  })
}

/** What is quoted in a message may be somebody's text. */
function headline(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `a thrown ${typeof thrown}`
  const code = (thrown as { code?: unknown }).code
  const message = thrown.message.replace(/(["'`])(?:(?!\1).)*\1/gs, '$1…$1').slice(0, 200)
  return `${thrown.name}${typeof code === 'string' ? ` ${code}` : ''}: ${message}`
}

function writeReport(thrown: unknown, { reports, verb }: Place): string | null {
  if (reports === null) return null
  const frames = thrown instanceof Error ? (thrown.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : []
  const lines = [
    `troupe ${version()}`,
    `node ${process.version} ${platform()} ${release()} ${arch()}`,
    `verb ${verb}`,
    headline(thrown),
    ...frames,
  ]
  const file = join(reports, `${new Date().toISOString().replace(/[:.]/g, '')}-${process.pid}.txt`)
  try {
    mkdirSync(reports, { recursive: true, mode: 0o700 })
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    return file
  } catch {
    return null // A report that cannot be written must not hide the error that it is about.
  }
}
