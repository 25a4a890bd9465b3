/**
 * `troupe db status|check|backup|migrate|restore`: the store as a file. All but `migrate` read it as it is, of any schema and in any state, and change
 * nothing: a damaged file must not be opened like a whole one.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { exitOf, isWarning } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { backUp, newestBackup } from '../runtime/stores/sqlite/backup.ts'
import type { CheckOptions } from '../runtime/stores/sqlite/check.ts'
import { checkFile } from '../runtime/stores/sqlite/check-file.ts'
import { EXIT_STORE } from '../runtime/stores/sqlite/errors.ts'
import { planRestore, type RestoreOptions, restore } from '../runtime/stores/sqlite/restore.ts'
import { bytes, plural } from '../view/format.ts'
import { findingLines, findingWhere, lostLine, type StoreFacts, statusLine, storeObject, wholeLine } from '../view/upkeep.ts'
import { confirm } from './confirm.ts'
import type { Context } from './context.ts'

/** How long these wait for a writer, milliseconds. */
const BUSY_TIMEOUT_MS = 5_000

/** Always exit 0: how a store stands is an answer. */
export async function dbStatus(context: Context): Promise<number> {
  const facts = factsOf(context, { deep: false })
  if (isJson(context)) context.io.json(storeObject(facts))
  else context.io.out(existsSync(facts.path) ? statusLine(facts, context.now()) : `${facts.path}  no store yet`)
  return 0
}

/** Exit 0 where it is whole, with warnings too; 10 where it is not. */
export async function dbCheck(context: Context, flags: { readonly deep?: boolean }): Promise<number> {
  const facts = factsOf(context, { deep: flags.deep === true, owners: flags.deep === true })
  const { io } = context
  const errors = facts.findings.filter(({ code }) => !isWarning(code))
  if (isJson(context)) io.json(storeObject(facts))
  else {
    for (const line of findingLines(facts.findings)) io.err(line)
    if (errors.length > 0) {
      io.err('  nothing runs on what is damaged; the file was not changed')
      io.err(`  fix: ${fixOf(facts.path)}`)
    } else io.out(existsSync(facts.path) ? wholeLine(facts) : `${facts.path}  no store yet`)
  }
  return errors.length === 0 ? 0 : EXIT_STORE
}

/** @throws {UserError} `E_FILE_EXISTS` (2), `E_RUN_NOT_FOUND` where there is no store, `E_STORE_*` (10). */
export async function dbBackup(context: Context, file: string | undefined, flags: { readonly force?: boolean }): Promise<number> {
  const { config, io } = context
  mustExist(config.database)
  const target = file === undefined ? join(config.home, 'backups', `${stamp(context.now())}.db`) : resolve(config.dir, file)
  if (flags.force === true && existsSync(target) && !(await confirm(context, 'db backup', `replace ${target}`))) return 1
  await backUp({ file: config.database, busyTimeoutMs: BUSY_TIMEOUT_MS, target, force: flags.force === true })
  const copy: StoreFacts = { ...checkFile(target, { deep: false }), lastBackupAt: context.now() }
  if (isJson(context)) io.json(storeObject(copy))
  else io.out(`${target}  ${bytes(copy.bytes)}${copy.readable ? `, ${plural(copy.runs, 'run')}` : ''}, checked`)
  for (const finding of copy.findings) io.err(`warning[${finding.code}] ${findingWhere(finding)}  ${finding.what}; it was copied as it is`)
  return 0
}

/** Opens the store, which brings it to this release's schema and keeps the old file beside it. */
export async function dbMigrate(context: Context): Promise<number> {
  const { config, io } = context
  mustExist(config.database)
  const { schemaFound, schemaWanted } = checkFile(config.database, { deep: false })
  const backup = `${config.database}.v${schemaFound}.bak`
  await context.app()
  const facts = factsOf(context, { deep: false })
  if (isJson(context)) io.json(storeObject(facts))
  else if (schemaFound === schemaWanted) io.out(`${config.database}  schema ${schemaFound} of ${schemaWanted}, nothing to do`)
  else io.out(`${config.database}  schema ${schemaFound} became ${facts.schemaFound}; as it was: ${backup}`)
  return 0
}

/** Goes back to a backup, where a person says so. What is there is kept under another name. */
export async function dbRestore(context: Context, file: string): Promise<number> {
  const { config, io, flags } = context
  const options: RestoreOptions = {
    file: config.database,
    backup: resolve(config.dir, file),
    busyTimeoutMs: BUSY_TIMEOUT_MS,
    nowMs: context.now(),
  }
  const plan = planRestore(options)
  if (!isJson(context) && !flags.quiet) for (const lost of plan.lost) io.err(lostLine(lost))
  const question = `replace ${config.database} by this backup of ${plural(plan.backup.runs, 'run')}`
  if (!(await confirm(context, `db restore ${file}`, question))) return 1
  const { kept, lost } = await restore(options)
  if (isJson(context)) io.json({ ...storeObject(factsOf(context, { deep: false })), kept, lost: lost.map((each) => ({ ...each })) })
  else {
    io.out(`${config.database}  restored: ${plural(plan.backup.runs, 'run')}`)
    for (const path of kept) io.err(`kept as ${path}`)
  }
  return 0
}

function factsOf({ config }: Context, options: CheckOptions): StoreFacts {
  return { ...checkFile(config.database, options), lastBackupAt: newestBackup(config.database)?.atMs ?? null }
}

function fixOf(file: string): string {
  const newest = newestBackup(file)
  return newest === null ? 'troupe db restore FILE, with a backup of yours' : `troupe db restore ${newest.path}`
}

function mustExist(file: string): void {
  if (existsSync(file)) return
  throw new UserError('E_RUN_NOT_FOUND', `there is no store yet: ${file}`, {
    where: 'store',
    fix: 'start a run, or name another folder with --home',
    exit: exitOf('E_RUN_NOT_FOUND'),
  })
}

const isJson = ({ flags }: Context): boolean => flags.json || flags.jsonl

/** `20261120T091500Z`. */
const stamp = (atMs: number): string => new Date(atMs).toISOString().replace(/[-:]|\.\d+/g, '')
