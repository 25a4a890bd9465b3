/**
 * The store as a file: what `db` and `prune` say.
 *
 *   HOME/troupe.db  212 MB, WAL 1.2 MB, schema 3 of 3, 61 runs, 4.1M entries, chain intact, backup 2d ago
 *   would free 148 MB: 38 finished runs; kept 23 (3 unfinished, 20 by --keep-last)
 */
import { isWarning } from '../catalogue.ts'
import type { Json, JsonObject } from '../json.ts'
import type { CheckReport } from '../runtime/store.ts'
import { ago, bytes, count, iso, plural } from './format.ts'

export type Finding = CheckReport['findings'][number]

/** A database file, as far as it can be read. */
export interface StoreFacts extends CheckReport {
  readonly bytes: number
  readonly walBytes: number
  /** 0: no store of ours, or none yet. */
  readonly schemaFound: number
  readonly schemaWanted: number
  /** Journal entries that were committed and are gone. */
  readonly missing: number
  /** False where its schema is another one: then its pages alone were looked at. */
  readonly readable: boolean
  /** Wall clock, milliseconds; null: no backup is known. */
  readonly lastBackupAt: number | null
}

const FINDINGS_SHOWN = 20

/** The chains are whole: null where nobody could look. */
const isIntact = ({ findings, readable }: StoreFacts): boolean | null =>
  findings.some(({ code }) => !isWarning(code)) ? false : readable ? true : null

/** The line of `db status`. */
export function statusLine(facts: StoreFacts, nowMs: number): string {
  const { path, walBytes, schemaFound, schemaWanted, runs, entries, findings, lastBackupAt } = facts
  const intact = isIntact(facts)
  const broken = findings.filter(({ code }) => !isWarning(code)).length
  const parts = [
    bytes(facts.bytes),
    `WAL ${bytes(walBytes)}`,
    `schema ${schemaFound} of ${schemaWanted}`,
    ...(facts.readable ? [plural(runs, 'run'), entries === 1 ? '1 entry' : `${count(entries)} entries`] : []),
    intact === null ? 'not checked' : intact ? 'chain intact' : `${plural(broken, 'finding')}: troupe db check`,
    lastBackupAt === null ? 'no backup' : `backup ${ago(nowMs - lastBackupAt)}`,
  ]
  return `${path}  ${parts.join(', ')}`
}

/** What a check looked at, where it found nothing. */
export function wholeLine({ path, deep, runs, entries, blobs, readable, schemaFound, schemaWanted }: StoreFacts): string {
  if (!readable) return `${path}  pages are whole; schema ${schemaFound} of ${schemaWanted}, its rows are checked after: troupe db migrate`
  const what = deep ? `every page, row, entry and large text fits (${count(blobs)})` : 'what a resume rests on fits; everything: --deep'
  return `${path}  ${plural(runs, 'run')}, ${count(entries)} entries: ${what}`
}

/** Where a finding is. */
export const findingWhere = ({ run }: Finding): string => (run === null ? 'store' : `run ${run}`)

/** Findings as lines: errors before warnings, and how many are not shown. */
export function findingLines(findings: readonly Finding[]): readonly string[] {
  const sorted = [...findings.filter(({ code }) => !isWarning(code)), ...findings.filter(({ code }) => isWarning(code))]
  const more = sorted.length - FINDINGS_SHOWN
  return [
    ...sorted
      .slice(0, FINDINGS_SHOWN)
      .map((finding) => `${isWarning(finding.code) ? 'warning' : 'error'}[${finding.code}] ${findingWhere(finding)}  ${finding.what}`),
    ...(more > 0 ? [`and ${count(more)} more; all of them: --json`] : []),
  ]
}

/** `troupe.db/1`. */
export function storeObject(facts: StoreFacts): JsonObject {
  const { path, bytes: size, walBytes, schemaFound, schemaWanted, runs, entries, blobs, missing, lastBackupAt, deep, findings } = facts
  return {
    schema: 'troupe.db/1',
    type: 'result',
    path,
    bytes: size,
    walBytes,
    schemaFound,
    schemaWanted,
    runs,
    entries,
    blobs,
    deep,
    intact: isIntact(facts),
    missing,
    lastBackupAt: lastBackupAt === null ? null : iso(lastBackupAt),
    findings: findings.map(({ run, code, what, position }) => ({ run, code, what, position })) as Json,
  }
}

/** Entries that go by restoring: one line per run. */
export function lostLine({
  run,
  position,
  entries,
}: {
  readonly run: string
  readonly position: number | null
  readonly entries: number
}): string {
  const lost = entries === 1 ? '1 entry is lost' : `${count(entries)} entries are lost`
  return `run ${run}  ${position === null ? 'is not in the backup' : `goes back to #${position}`}: ${lost}`
}

/** What a prune did, or would do. */
export interface Pruned {
  /** Ids of the runs that go. */
  readonly runs: readonly string[]
  readonly freedBytes: number
  readonly kept: { readonly unfinished: number; readonly young: number; readonly last: number; readonly other: number }
  readonly dryRun: boolean
}

/** The line of `prune`. */
export function pruneLine({ runs, freedBytes, kept, dryRun }: Pruned): string {
  const total = kept.unfinished + kept.young + kept.last + kept.other
  const why = [
    ...(kept.unfinished > 0 ? [`${kept.unfinished} unfinished`] : []),
    ...(kept.young > 0 ? [`${kept.young} younger`] : []),
    ...(kept.last > 0 ? [`${kept.last} by --keep-last`] : []),
    ...(kept.other > 0 ? [`${kept.other} not asked for`] : []),
  ]
  const rest = `kept ${total}${why.length === 0 ? '' : ` (${why.join(', ')})`}`
  if (runs.length === 0) return `nothing to prune; ${rest}`
  return `${dryRun ? 'would free about' : 'freed'} ${bytes(freedBytes)}: ${plural(runs.length, 'run')}; ${rest}${dryRun ? '   do it: -y' : ''}`
}

/** `troupe.prune/1`. */
export function pruneObject({ runs, freedBytes, kept, dryRun }: Pruned, blobs: number | null): JsonObject {
  const total = kept.unfinished + kept.young + kept.last + kept.other
  return { schema: 'troupe.prune/1', type: 'result', runs: runs.length, blobs, freedBytes, kept: total, dryRun, items: runs }
}
