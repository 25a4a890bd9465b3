/** `--record FILE`, `--replay FILE`, `--strict` of `run` and `resume`: checked before anything is started. */
import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Tapes } from '../actors/cassettes/seam.ts'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { confirm } from './confirm.ts'
import type { Context } from './context.ts'

export interface TapeFlags {
  readonly record?: string
  readonly replay?: string
  readonly strict?: boolean
}

/**
 * The tapes that are asked for; null where the person does not want a file replaced.
 * @param verb  as it was called, for the fix: `run task.yaml`.
 * @param own   a tape that the run itself records on: it goes on there, nothing is replaced.
 * @throws {UserError} `E_FLAG_CONFLICT`, `E_USAGE`, `E_CONFIRM_REQUIRED` (2), `E_CASSETTE_INVALID` (8) where the tape to replay is not there.
 */
export async function tapesOf(context: Context, flags: TapeFlags, verb: string, own: string | null = null): Promise<Tapes | null> {
  const { record, replay, strict = false } = flags
  const { dir } = context.config
  if (record !== undefined && replay !== undefined) throw wrong('E_FLAG_CONFLICT', '--record and --replay exclude each other', '--record')
  if (strict && replay === undefined) throw wrong('E_USAGE', '--strict is said of a tape that is replayed', '--strict')
  if (replay !== undefined) {
    const file = resolve(dir, replay)
    if (isFile(file)) return { replay: { file, strict } }
    throw new UserError('E_CASSETTE_INVALID', existsSync(file) ? 'is no file' : 'no such file', {
      where: `--replay ${replay}`,
      fix: `troupe ${verb} --record ${replay}`,
      exit: exitOf('E_CASSETTE_INVALID'),
      file,
    })
  }
  if (record === undefined) return {}
  const file = resolve(dir, record)
  if (file !== own && existsSync(file) && !(await confirm(context, `${verb} --record ${record}`, `replace ${record}`))) return null
  return { record: { file } }
}

const isFile = (path: string): boolean => existsSync(path) && statSync(path).isFile()

const wrong = (code: string, message: string, where: string): UserError =>
  new UserError(code, message, {
    where,
    fix: code === 'E_FLAG_CONFLICT' ? 'leave one out' : 'name a tape with --replay',
    exit: exitOf(code),
  })
