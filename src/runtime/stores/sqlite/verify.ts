/**
 * Is what a run rests on what was committed? Asked whenever it is owned, and by a check. It costs what is open and at most {@link SEAL_ENTRIES} entries and
 * those of a commit, however long the history is.
 *
 *   head          its own sum
 *   mark          is not beyond the journal's end, and the entry at its position is the one that was committed
 *   chain         from the last seal (deep: from the anchor) to the end, and the end is the one that head tells
 *   open rows     each has its sum, and together they give the digest that the last commit left
 *
 * A seal is the hash of every thousandth entry, put into head by the commit that passes it; whoever wrote it had verified what is before, or had made it.
 * What is found is data here: owning throws the first of it, a check lists all of it.
 */
import type { Database } from 'better-sqlite3'
import { isWarning } from '../../../catalogue.ts'
import { UserError } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import { chain } from '../../journal.ts'
import { newestBackup } from './backup.ts'
import { digestOf } from './digest.ts'
import { EXIT_STORE, explain, sqliteCode } from './errors.ts'
import type { Head } from './head.ts'
import type { MarkFound } from './mark.ts'
import type { Rows } from './rows.ts'

/** One thing that is not as it was committed. */
export interface Finding {
  readonly run: string | null
  readonly code: string
  readonly what: string
  readonly position: number | null
  /** Of a lost tail: how many entries are gone. */
  readonly missing?: number
  readonly details?: { readonly [key: string]: Json }
}

export interface RunToVerify {
  readonly run: string
  readonly key: number
  /** Read before the transaction that this runs in began: a mark may be newer than what the transaction sees, and would seem to lead. */
  readonly mark: MarkFound
  /** From the anchor on, and not from the last seal. */
  readonly deep?: boolean
}

const PAGE_ENTRIES = 1_000

/** All that is found; empty: whole. Inside a transaction. Throws only what is no damage: a disk that cannot be read. */
export function verify(db: Database, rows: Rows, wanted: RunToVerify): readonly Finding[] {
  const { run, key, mark } = wanted
  const findings: Finding[] = []
  const look = (work: () => readonly Finding[]): void => void findings.push(...caught(run, work))
  let head: Head | undefined
  look(() => {
    head = rows.heads.read(key)
    return []
  })
  if (head === undefined) return findings
  const { position, hash } = head
  const from = wanted.deep === true ? { pos: head.anchor, hash: head.anchorHash } : { pos: head.seal, hash: head.sealHash }
  look(() => tailFindings(wanted, head!))
  if (mark === 'torn')
    findings.push({ run, code: 'E_MARK_TORN', what: 'its high-water mark cannot be read; it counts as none', position: null })
  look(() => chainFindings(rows, { run, key, from, to: { pos: position, hash } }))
  if (findings.length === 0) look(() => markFindings(rows, wanted, head!))
  look(() => {
    readOpen(rows, key)
    return []
  })
  look(() => (digestOf(db, key) === head!.digest ? [] : [{ ...damage(run, position, DIGEST_WORDS), details: { table: null } }]))
  return findings
}

/** What an image is made of, with the long texts that it names. Cells are read when they are needed. */
function readOpen(rows: Rows, key: number): void {
  rows.envelopes.now(key)
  rows.timers.now(key)
  rows.asks.now(key)
  rows.effects.openNow(key)
  rows.requests.open(key)
}

const DIGEST_WORDS =
  'what is open does not add up to what was committed: a waiting event, timer, effect, ask, cell, snapshot or thread item is missing, or stale'

/** @throws {UserError} the first finding that is more than a warning: `E_STORE_TAIL_LOST`, `E_STORE_DAMAGED`. */
export function throwFirst(findings: readonly Finding[], file: string): void {
  const first = findings.find(({ code }) => code === 'E_STORE_TAIL_LOST') ?? findings.find(({ code }) => !isWarning(code))
  if (first === undefined) return
  const { run, code, what, position, missing, details } = first
  throw new UserError(code, what, {
    where: run === null ? 'store' : `run ${run}`,
    file,
    fix: restoreFix(file),
    exit: EXIT_STORE,
    retryable: false,
    evidence: [`nothing was changed: ${file}`],
    details: { run, position, ...(missing === undefined ? {} : { missing }), ...details },
  })
}

/** The command that goes back to the newest backup that is known. */
function restoreFix(file: string): string {
  const newest = newestBackup(file)
  return newest === null
    ? 'troupe db restore FILE, with a backup of yours; what is wrong: troupe db check --deep'
    : `troupe db restore ${newest.path}`
}

/** Damage that a reader met, as findings. Everything else that is thrown passes. */
export function caught(run: string | null, work: () => readonly Finding[]): readonly Finding[] {
  try {
    return work()
  } catch (error) {
    const told = explain(error, 'the file', 0)
    if (!(told instanceof Error)) throw told
    const { code, options, details } = told as Error & {
      code?: string
      options?: { details?: Finding['details'] }
      details?: Finding['details']
    }
    if (code !== 'E_STORE_DAMAGED' && code !== 'E_SNAPSHOT_DAMAGED') throw told
    const data = options?.details ?? details ?? {}
    const what =
      sqliteCode(error) === '' ? `${String(data['table'] ?? 'row')} ${String(data['id'] ?? '')} is not what was written` : told.message
    const id = data['table'] === 'journal' ? data['id'] : (data['position'] ?? null)
    return [{ run, code, what, position: typeof id === 'number' ? id : null, details: data }]
  }
}

export function damage(run: string | null, position: number | null, what: string): Finding {
  return { run, code: 'E_STORE_DAMAGED', what, position }
}

/** What the mark tells and the journal does not. */
function tailFindings({ run, mark }: RunToVerify, head: Head): readonly Finding[] {
  if (typeof mark === 'string') return []
  if (mark.position > head.position) return [tailLost(run, head.position, mark.position)]
  return mark.epoch > head.epoch ? [epochLost(run, head, mark.epoch)] : []
}

/** Is the entry at the mark's position the one that was committed there? */
function markFindings({ journal }: Rows, { run, key, mark }: RunToVerify, head: Head): readonly Finding[] {
  if (typeof mark === 'string' || mark.position < head.anchor) return []
  const { position } = mark
  const found = position === head.anchor ? head.anchorHash : journal.hashAt(key, position)
  if (found === mark.hash) return []
  const what = found === null ? 'missing' : 'not the one that was committed, as the mark outside the store tells'
  return [damage(run, position, `entry ${position} is ${what}`)]
}

/** What was committed and is not there. */
export function tailLost(run: string, found: number, committed: number, where = `the journal ends at #${found}`): Finding {
  const missing = committed - found
  const what = `${where}, #${committed} was committed: ${missing} ${missing === 1 ? 'entry is' : 'entries are'} missing`
  return { run, code: 'E_STORE_TAIL_LOST', what, position: found, missing, details: { found, committed } }
}

function epochLost(run: string, head: Head, given: number): Finding {
  const what = `epoch ${head.epoch} is the last one of the run, epoch ${given} was given: what its owner committed is missing`
  return { run, code: 'E_STORE_TAIL_LOST', what, position: head.position, missing: 0, details: { epoch: head.epoch, given } }
}

interface ChainPart {
  readonly run: string
  readonly key: number
  /** Where the hash is known. */
  readonly from: { readonly pos: number; readonly hash: string }
  /** Where it must end. */
  readonly to: { readonly pos: number; readonly hash: string }
}

/** The first entry that is missing, too much, or another one. */
function chainFindings({ journal }: Rows, { run, key, from, to }: ChainPart): readonly Finding[] {
  let last: { readonly pos: number; readonly hash: string } = from
  for (;;) {
    const page = journal.read(key, last.pos, PAGE_ENTRIES)
    if (page.length === 0) break
    for (const entry of page) {
      if (entry.pos !== last.pos + 1) return [damage(run, last.pos + 1, `entry ${last.pos + 1} is missing`)]
      if (entry.pos > to.pos) return [damage(run, entry.pos, `entry ${entry.pos} lies behind the end of the journal, ${to.pos}`)]
      if (chain(last.hash, entry) !== entry.hash) return [damage(run, entry.pos, `entry ${entry.pos} does not fit the hash chain`)]
      last = entry
    }
  }
  if (last.pos === to.pos && last.hash === to.hash) return []
  return [
    damage(
      run,
      last.pos,
      last.pos < to.pos ? `entries ${last.pos + 1} to ${to.pos} are missing` : `entry ${to.pos} is not the last one that was committed`,
    ),
  ]
}
