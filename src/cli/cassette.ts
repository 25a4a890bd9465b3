/** `troupe cassette ls|verify|scrub`: tapes of what models said, as files that are kept beside the code. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { inspectTape, scrubTape } from '../actors/cassettes/upkeep.ts'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import type { Json } from '../json.ts'
import { scrubLine, type TapeFacts, tapeFindings, tapeLine, tapesObject, tapeTable } from '../view/tapes.ts'
import { confirm } from './confirm.ts'
import type { Context } from './context.ts'

/** Where `ls` looks when no folder is named. */
const FOLDER = 'tapes'

/** Always exit 0: how tapes stand is an answer. @throws {UserError} `E_USAGE` where the folder is none. */
export async function cassetteLs(context: Context, folder: string | undefined): Promise<number> {
  const { config, io } = context
  const dir = resolve(config.dir, folder ?? FOLDER)
  const names = existsSync(dir) && statSync(dir).isDirectory() ? readdirSync(dir).filter((name) => name.endsWith('.jsonl')) : null
  if (names === null && folder !== undefined) {
    throw new UserError('E_USAGE', 'no such folder', { where: folder, fix: 'name a folder that has tapes', exit: exitOf('E_USAGE') })
  }
  const files = (names ?? []).sort().map((name) => join(relative(config.dir, dir), name))
  const tapes = await Promise.all(files.map((file) => inspected(context, file)))
  if (isJson(context)) io.json(tapesObject(tapes))
  else if (tapes.length === 0) io.err(`no tapes in ${folder ?? FOLDER}; record one: troupe run TASK --record ${FOLDER}/NAME.jsonl`)
  else for (const line of tapeTable(tapes, io.outLook, config.stdout.width === null)) io.out(line)
  return 0
}

/** Exit 0 where all are whole, hold no secret and match today's requests; 1 where one does not, or is not there. */
export async function cassetteVerify(context: Context, files: readonly string[]): Promise<number> {
  const { io } = context
  const tapes = await Promise.all(files.map((file) => inspected(context, file).catch((error: unknown) => unreadable(file, error))))
  if (isJson(context)) io.json(tapesObject(tapes))
  else {
    for (const tape of tapes) {
      io.out(tapeLine(tape))
      for (const line of tapeFindings(tape)) io.err(line)
    }
  }
  return tapes.every(({ ok }) => ok) ? 0 : 1
}

/** Replaces the tape, or writes another file. @throws {UserError} `E_CASSETTE_INVALID` (8), `E_CONFIRM_REQUIRED` (2). */
export async function cassetteScrub(context: Context, file: string, { output }: { readonly output?: string }): Promise<number> {
  const { config, io } = context
  const [from, to] = [resolve(config.dir, file), resolve(config.dir, output ?? file)]
  const isOther = to !== from && existsSync(to)
  if (isOther && !(await confirm(context, `cassette scrub ${file} -o ${output}`, `replace ${output}`))) return 1
  const scrubbed = await scrubTape(from, to).catch((error: unknown) => Promise.reject(named(error, from, file)))
  const told = { ...scrubbed, file: output ?? file }
  if (isJson(context)) io.json(tapesObject([await inspected(context, told.file)], { scrubbed: { ...told } as unknown as Json }))
  else io.out(scrubLine(told))
  return 0
}

async function inspected({ config }: Context, file: string): Promise<TapeFacts> {
  const path = resolve(config.dir, file)
  const report = await inspectTape(path).catch((error: unknown) => Promise.reject(named(error, path, file)))
  return { ...report, file }
}

/** A tape that cannot be read does not hide what is wrong with the others. */
function unreadable(file: string, error: unknown): TapeFacts {
  if (!(error instanceof UserError)) throw error
  const problems = [{ line: 0, cause: error.message }]
  return { file, ok: false, bytes: 0, exchanges: 0, models: [], recordedAt: null, secrets: 0, drift: [], problems }
}

/** The file as the person has named it. */
function named(error: unknown, path: string, file: string): unknown {
  if (!(error instanceof UserError)) return error
  const { where, fix } = error.options
  return new UserError(error.code, error.message, { ...error.options, where: where.replace(path, file), fix: fix.replace(path, file) })
}

const isJson = ({ flags }: Context): boolean => flags.json || flags.jsonl
