/** `troupe cache stats|validate|purge`: answers of models that are kept, so that the same question is not paid for twice. */
import { join } from 'node:path'
import { inspectCache, type Purge, purgeable, purgeCache } from '../actors/caches/folder.ts'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { bytes } from '../view/format.ts'
import { cacheLine, cacheObject, purgedLine, validLine } from '../view/tapes.ts'
import { confirm } from './confirm.ts'
import type { Context } from './context.ts'

export interface PurgeFlags {
  readonly all?: boolean
  readonly invalid?: boolean
  /** Milliseconds. */
  readonly olderThan?: number
}

/** The folder of the cache of this home. */
const rootOf = ({ config }: Context): string => join(config.home, 'cache')

/** Always exit 0. Entries are counted, not read. */
export async function cacheStats(context: Context): Promise<number> {
  const facts = await inspectCache(rootOf(context), context.now(), false)
  if (isJson(context)) context.io.json(cacheObject(facts))
  else context.io.out(cacheLine(facts))
  return 0
}

/** Reads every entry. Exit 1 where one is invalid. */
export async function cacheValidate(context: Context): Promise<number> {
  const facts = await inspectCache(rootOf(context), context.now(), true)
  if (isJson(context)) context.io.json(cacheObject(facts))
  else context.io.out(validLine(facts))
  return facts.invalid?.length === 0 ? 0 : 1
}

/** @throws {UserError} `E_USAGE` where nothing is chosen, `E_CONFIRM_REQUIRED` (2). */
export async function cachePurge(context: Context, flags: PurgeFlags): Promise<number> {
  const { io } = context
  const root = rootOf(context)
  const chosen = await purgeable(root, purgeOf(flags), context.now())
  const size = chosen.reduce((sum, entry) => sum + entry.bytes, 0)
  const what = `remove ${chosen.length} cached ${chosen.length === 1 ? 'answer' : 'answers'} (${bytes(size)})`
  if (chosen.length > 0 && !(await confirm(context, `cache purge ${wordsOf(flags)}`, what))) return 1
  const facts = await purgeCache(root, chosen, context.now())
  if (isJson(context)) io.json(cacheObject(facts))
  else io.out(purgedLine(facts))
  return 0
}

function purgeOf({ all, invalid, olderThan }: PurgeFlags): Purge {
  if (all === true) return { what: 'all' }
  if (invalid === true) return { what: 'invalid' }
  if (olderThan !== undefined) return { what: 'older', olderThanMs: olderThan }
  throw new UserError('E_USAGE', 'what is to go is not said', {
    where: 'cache purge',
    fix: 'troupe cache purge --invalid, --older-than 30d or --all',
    exit: exitOf('E_USAGE'),
  })
}

const wordsOf = ({ all, invalid, olderThan }: PurgeFlags): string =>
  all === true ? '--all' : invalid === true ? '--invalid' : `--older-than ${Math.round((olderThan ?? 0) / 1_000)}s`

const isJson = ({ flags }: Context): boolean => flags.json || flags.jsonl
