/**
 * What a store is worth: everything that is not as it was committed, as data. Damage is never thrown here, and nothing is changed.
 *
 *   shallow   each run as a resume of it would see it                                                    (verify.ts)
 *   deep      and: SQLite's own check of every page and index, chains from their anchors, every row, every large text      (check-rows.ts)
 */
import { hostname } from 'node:os'
import type { Database } from 'better-sqlite3'
import type { CheckReport } from '../../store.ts'
import { type Named, note, rowWalks, strayFindings, textFindings } from './check-rows.ts'
import type { Head } from './head.ts'
import { rowKey } from './keys.ts'
import type { MarkFound, Marks } from './mark.ts'
import { NAMING } from './retention.ts'
import type { Rows } from './rows.ts'
import { type RunColumns, runSum } from './run-row.ts'
import type { Transactions } from './transaction.ts'
import { caught, damage, type Finding, tailLost, verify } from './verify.ts'

export interface CheckParts {
  readonly db: Database
  readonly file: string
  readonly rows: Rows
  readonly tx: Pick<Transactions, 'read'>
  /** Null: the store is in memory. */
  readonly marks: Marks | null
  /** Does somebody live who owns the run, by its lock file of this number? */
  readonly isSeatHeld: (run: string, seat: number) => boolean
}

export interface CheckOptions {
  readonly deep?: boolean
  /** This run alone. */
  readonly run?: string
  /** Also tells which runs processes of other hosts have left unfinished: no damage, but nobody here can see whether they live. */
  readonly owners?: boolean
}

/** What was found, and where each run stands. */
export interface FullReport extends CheckReport {
  readonly findings: readonly Finding[]
  readonly heads: readonly { readonly run: string; readonly position: number; readonly hash: string; readonly epoch: number }[]
  /** Entries that were committed and are gone. */
  readonly missing: number
}

interface RunSeen {
  readonly columns: RunColumns
  readonly head: Head | null
}

/** Errors of SQLite's own check that are told. */
const PAGE_FINDINGS_MAX = 100

/** What the port tells of a check. */
export function reportOf({ path, deep, runs, entries, blobs, findings }: FullReport): CheckReport {
  return { path, deep, runs, entries, blobs, findings: findings.map(({ run, code, what, position }) => ({ run, code, what, position })) }
}

/** One consistent view of the file, whatever others commit meanwhile. Deep, it reads all of it. */
export function checkStore(parts: CheckParts, { deep = false, run, owners = false }: CheckOptions = {}): FullReport {
  const { db, file, tx } = parts
  // Before the view begins: a mark of a commit that the view does not have would seem to lead.
  const marks = readMarks(parts.marks)
  return tx.read(() => {
    const findings: Finding[] = []
    const add = (name: string | null, work: () => readonly Finding[]): void => void findings.push(...caught(name, work))
    if (deep) add(null, () => pageFindings(db))
    const seen: RunSeen[] = []
    add(null, () => {
      for (const columns of runColumns(db, run)) seen.push({ columns, head: headOf(parts.rows, columns.k) })
      return []
    })
    for (const one of seen) add(one.columns.run, () => runFindings(parts, one, marks.get(one.columns.run) ?? 'none', deep))
    if (owners) for (const one of seen) add(one.columns.run, () => ownerFindings(parts, one))
    if (deep) add(null, () => deepFindings(parts, seen, { all: run === undefined, isWhole: findings.length === 0 }))
    const known = new Set(seen.map(({ columns }) => columns.run))
    findings.push(...runsLost(marks, known, run))
    const told = distinct(findings)
    return {
      path: file,
      deep,
      runs: seen.length,
      entries: seen.reduce((sum, { head }) => sum + (head === null ? 0 : head.position - head.anchor), 0),
      blobs: countBlobs(db),
      findings: told,
      heads: seen.flatMap(({ columns, head }) =>
        head === null ? [] : [{ run: columns.run, position: head.position, hash: head.hash, epoch: head.epoch }],
      ),
      missing: told.reduce((sum, { missing = 0 }) => sum + missing, 0),
    }
  })
}

/** What two walks met is told once. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Map(findings.map((finding) => [`${finding.run} ${finding.code} ${finding.position} ${finding.what}`, finding]))
  return [...seen.values()]
}

/** Runs that are gone whole: their marks tell of them. */
export function runsLost(marks: ReadonlyMap<string, MarkFound>, known: ReadonlySet<string>, run?: string): readonly Finding[] {
  return [...marks].flatMap(([name, mark]) => {
    if (known.has(name) || typeof mark === 'string' || (run !== undefined && run !== name)) return []
    return [tailLost(name, 0, mark.position, 'the run is not in the store')]
  })
}

export function readMarks(marks: Marks | null): ReadonlyMap<string, MarkFound> {
  return new Map(marks?.runs().map((run) => [run, marks.read(run)]) ?? [])
}

function runColumns(db: Database, run: string | undefined): Iterable<RunColumns> {
  return run === undefined
    ? db.prepare<[], RunColumns>('SELECT * FROM run ORDER BY run').all()
    : db.prepare<[string], RunColumns>('SELECT * FROM run WHERE run = ?').all(run)
}

function headOf(rows: Rows, key: number): Head | null {
  let head: Head | null = null
  caught(null, () => {
    head = rows.heads.read(key)
    return []
  })
  return head
}

function runFindings(parts: CheckParts, { columns, head }: RunSeen, mark: MarkFound, deep: boolean): readonly Finding[] {
  const { db, rows } = parts
  const { run, k: key } = columns
  return [
    ...(runSum(columns) === columns.sum ? [] : [damage(run, null, "the run's own row is not what was written")]),
    ...verify(db, rows, { run, key, mark, deep }),
    ...(head === null ? [] : endFindings(db, run, key, head)),
  ]
}

/** The last entry ends a commit, or part of that commit is missing. */
function endFindings(db: Database, run: string, key: number, { position, anchor }: Head): readonly Finding[] {
  if (position === anchor) return []
  const ends = db.prepare<[number], number>('SELECT ends FROM journal WHERE id = ?').pluck().get(rowKey(key, position))
  return ends === 0 ? [damage(run, position, `entry ${position} is the last one and ends no commit`)] : []
}

/** Locks of another host are not seen from here. */
function ownerFindings({ isSeatHeld }: CheckParts, { columns, head }: RunSeen): readonly Finding[] {
  const { run, status, owner } = columns
  const host = owner === null || runSum(columns) !== columns.sum ? null : (JSON.parse(owner) as { host: string }).host
  if (status !== 'running' || host === null || host === hostname() || isSeatHeld(run, head?.seat ?? 0)) return []
  return [{ run, code: 'E_OWNER_FOREIGN', what: `${host} ran it; whether its process lives cannot be seen from here`, position: null }]
}

function pageFindings(db: Database): readonly Finding[] {
  const said = db.pragma(`integrity_check(${PAGE_FINDINGS_MAX})`) as readonly { readonly integrity_check: string }[]
  return said.flatMap(({ integrity_check: text }) => (text === 'ok' ? [] : [damage(null, null, `SQLite: ${text.replaceAll('\n', ' ')}`)]))
}

function deepFindings(
  { db, rows }: CheckParts,
  seen: readonly RunSeen[],
  { all, isWhole }: { all: boolean; isWhole: boolean },
): readonly Finding[] {
  const named: Named = { names: new Map(), roots: new Map() }
  const findings: Finding[] = []
  for (const { columns, head } of seen) {
    const { run, k: key } = columns
    note({ ...columns }, NAMING.run, { run, what: "the run's own row", position: null }, named.names)
    for (const walk of rowWalks(db, rows.blobs, { run, key, position: head?.position ?? null }, named)) findings.push(...walked(run, walk))
  }
  if (all) findings.push(...caught(null, () => strayFindings(db, new Set(seen.map(({ columns }) => columns.k)))))
  findings.push(...caught(null, () => textFindings(db, rows.blobs, named, all && isWhole && findings.length === 0)))
  return findings
}

/** What a walk found until its end, or until it met something that cannot be read. */
function walked(run: string, walk: Iterable<Finding>): readonly Finding[] {
  const found: Finding[] = []
  const stopped = caught(run, () => {
    for (const finding of walk) found.push(finding)
    return []
  })
  return [...found, ...stopped]
}

function countBlobs(db: Database): number {
  let blobs = 0
  caught(null, () => {
    blobs = db.prepare<[], number>('SELECT count(*) FROM blob').pluck().get() ?? 0
    return []
  })
  return blobs
}
