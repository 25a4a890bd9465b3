/**
 * Puts a backup in the place of a database, and loses nothing of what was there.
 *
 *   the backup is checked  ->  copied to <file>.part, synced  ->  nobody owns a run of the target, and nobody gets one now
 *     ->  -wal, -shm  renamed to <file>.damaged-<time>-wal, -shm
 *     ->  the file    a second name <file>.damaged-<time>, then the part takes the first
 *     ->  marks that lead the restored file, renamed
 *
 * A crash before the part takes its place leaves a file whose log is gone: its marks lead, so nothing runs on it. A crash after it leaves marks
 * that lead: the same. Restoring again mends both. A process that has the old file open without owning a run goes on reading the old one until it
 * opens it again; it can write nothing to the new one. There is always a file under the name, so that nobody makes an empty one there.
 */
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { UserError } from '../../../errors.ts'
import { backUp, explainFile, syncFolder } from './backup.ts'
import { checkFile, type FileReport } from './check-file.ts'
import { EXIT_STORE, explain, sqliteCode, storeError } from './errors.ts'
import { isHeld } from './lock.ts'
import { type Mark, marksOf } from './mark.ts'

export interface RestoreOptions {
  /** The database to replace; damaged, or missing. */
  readonly file: string
  readonly backup: string
  readonly busyTimeoutMs: number
  /** Wall clock, milliseconds: what is moved aside is named after it. */
  readonly nowMs: number
}

/** What going back costs a run. */
interface GoneBack {
  readonly run: string
  /** Where its journal ends in the backup; null: the run is not in it. */
  readonly position: number | null
  /** Entries that were committed after that. */
  readonly entries: number
}

export interface RestorePlan {
  readonly backup: FileReport
  /** Runs that lose entries, by id. Read from marks, and from the damaged file where it can be read. */
  readonly lost: readonly GoneBack[]
}

export interface Restored extends RestorePlan {
  /** New names of what was there before: the file, its log, marks. */
  readonly kept: readonly string[]
}

/**
 * What a restore would do. Changes nothing.
 * @throws {UserError} `E_STORE_DAMAGED` where the backup is not whole; `E_STORE_NEWER`; `E_STORE_WRONG_FILE`; `E_RUN_OWNED`.
 */
export function planRestore({ file, backup }: RestoreOptions): RestorePlan {
  if (!existsSync(backup)) throw storeError('E_STORE_WRONG_FILE', `no such file: ${backup}`, backup, `ls ${join(dirname(file), 'backups')}`)
  const report = checkFile(backup, { deep: true })
  const broken = report.findings[0]
  if (broken !== undefined)
    throw storeError('E_STORE_DAMAGED', `the backup is not whole: ${broken.what}`, backup, 'name an older backup; nothing was changed')
  refuseOwned(file)
  const reached = new Map(report.heads.map(({ run, position }) => [run, position]))
  const lost = [...committed(file)].flatMap(([run, position]) => {
    const kept = reached.get(run) ?? null
    return position > (kept ?? 0) ? [{ run, position: kept, entries: position - (kept ?? 0) }] : []
  })
  return { backup: report, lost: lost.sort((a, b) => (a.run < b.run ? -1 : 1)) }
}

/**
 * Restores. What was there is renamed, never deleted; the backup stays where it is.
 * @throws {UserError} what {@link planRestore} throws; `E_STORE_BUSY` while somebody writes to the target; `E_STORE_FULL`, `E_STORE_READ_ONLY`, `E_STORE_IO`.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { file, backup, busyTimeoutMs, nowMs } = options
  const plan = planRestore(options)
  const fresh = `${file}.restored`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    rmSync(`${fresh}.part`, { force: true })
    await backUp({ file: backup, busyTimeoutMs, target: fresh, force: true })
    const release = holdStill(file, busyTimeoutMs)
    try {
      refuseOwned(file)
      const aside = `damaged-${new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '')}`
      return { ...plan, kept: [...replace(file, fresh, aside), ...moveMarks(file, plan.backup.heads, aside)] }
    } finally {
      release()
    }
  } catch (error) {
    rmSync(fresh, { force: true })
    throw explainFile(error, file)
  }
}

/** Keeps everybody from committing to the target, where it can still be opened as a database at all. */
function holdStill(file: string, busyTimeoutMs: number): () => void {
  if (!existsSync(file)) return () => {}
  let db: Database.Database | undefined
  try {
    db = new Database(file, { timeout: busyTimeoutMs })
    db.exec('BEGIN IMMEDIATE')
    const held = db
    return () => held.close()
  } catch (error) {
    db?.close()
    if (sqliteCode(error).startsWith('SQLITE_BUSY')) throw explain(error, file, busyTimeoutMs)
    return () => {} // What cannot be opened cannot be committed to by others either.
  }
}

function refuseOwned(file: string): void {
  const folder = join(dirname(file), 'locks')
  const locks = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.lock')) : []
  const held = locks.filter((name) => isHeld(join(folder, name))).map((name) => name.replace(/(?:\.\d+)?\.lock$/, ''))
  if (held.length === 0) return
  throw new UserError(
    'E_RUN_OWNED',
    `${held.length === 1 ? 'a run' : `${held.length} runs`} of this store ${held.length === 1 ? 'is' : 'are'} running: ${held.join(' ')}`,
    {
      where: 'store',
      file,
      fix: 'stop them (Ctrl-C, or kill), then again',
      exit: EXIT_STORE,
      retryable: true,
      details: { runs: held },
    },
  )
}

/** How far each run is known to have been committed. */
function committed(file: string): Map<string, number> {
  const reached = new Map<string, number>()
  const heads = existsSync(file) ? checkFile(file).heads : []
  for (const { run, position } of heads) reached.set(run, position)
  const marks = marksOf(file)
  for (const run of marks.runs()) {
    const mark = marks.read(run)
    if (typeof mark !== 'string') reached.set(run, Math.max(reached.get(run) ?? 0, mark.position))
  }
  return reached
}

function replace(file: string, fresh: string, aside: string): readonly string[] {
  const kept: string[] = []
  for (const log of ['-wal', '-shm']) {
    if (!existsSync(file + log)) continue
    renameSync(file + log, `${file}.${aside}${log}`)
    // The index of a log is made anew from the log, and an empty log holds nothing: they move along, and nobody needs to know.
    if (log === '-wal' && statSync(`${file}.${aside}${log}`).size > 0) kept.push(`${file}.${aside}${log}`)
  }
  if (existsSync(file)) {
    keepName(file, `${file}.${aside}`)
    kept.unshift(`${file}.${aside}`)
  }
  renameSync(fresh, file)
  syncFolder(dirname(file))
  return kept
}

/** A second name, so that the first is never free; where the file system has no links, a moment without. */
function keepName(file: string, aside: string): void {
  try {
    linkSync(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error
    renameSync(file, aside)
  }
}

function moveMarks(file: string, heads: FileReport['heads'], aside: string): readonly string[] {
  const marks = marksOf(file)
  const restored = new Map(heads.map((head) => [head.run, head]))
  const leads = (run: string, mark: Mark): boolean => {
    const head = restored.get(run)
    return (
      head === undefined ||
      mark.position > head.position ||
      mark.epoch > head.epoch ||
      (mark.position === head.position && mark.hash !== head.hash)
    )
  }
  return marks.runs().flatMap((run) => {
    const mark = marks.read(run)
    return mark === 'none' || (mark !== 'torn' && !leads(run, mark)) ? [] : [marks.moveAside(run, `.${aside}`)]
  })
}
