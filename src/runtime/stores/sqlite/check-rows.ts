/**
 * Every row and every text of a database, one after the other: what a deep check adds to what a resume looks at.
 *
 *   rows     the sum of each, and births and deaths within the journal of a run that is there
 *   names    the large texts that rows and snapshots refer to  ->  are all there, and what they say has their hash
 *   texts    that nobody names: harmless, and gone with the next prune
 */
import { hash } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { refsIn } from '../../chunks.ts'
import type { Blobs, Stored } from './blob.ts'
import { type CellColumns, isWholeCell } from './cell-rows.ts'
import { type EffectColumns, isWholeEffect } from './effect-rows.ts'
import { type JournalColumns, journalSum } from './journal-rows.ts'
import { itemKey, lastItemKey, lastKey, numberOf, placeOf, rowKey, runOf } from './keys.ts'
import { type MachineColumns, machineSum } from './machine-rows.ts'
import { isWholeOpen, type OpenColumns } from './open-rows.ts'
import { isWholeRequest, type RequestColumns } from './request-rows.ts'
import { NAMING } from './retention.ts'
import { hexOf } from './sums.ts'
import { type ItemColumns, itemSum, type ThreadColumns, threadSum } from './thread-rows.ts'
import { damage, type Finding } from './verify.ts'

/** A run as far as its rows are judged by it. */
export interface RunFrame {
  readonly run: string
  readonly key: number
  /** Where its journal ends; null: not known, its head is damaged. */
  readonly position: number | null
}

type Row = Readonly<Record<string, string | number | null | Uint8Array>>
type Names = Map<string, { readonly run: string | null; readonly what: string; readonly position: number | null }>

/** A table whose keys begin with the run. */
interface Table {
  readonly table: 'journal' | 'cell' | 'effect' | 'envelope' | 'timer' | 'ask'
  readonly isWhole: (row: Row) => boolean
  /** What the row is called. */
  readonly name: (row: Row) => string | number
}

const as = <T>(row: Row): T => row as unknown as T
const TABLES: readonly Table[] = [
  { table: 'journal', isWhole: (row) => journalSum(as<JournalColumns>(row)) === row['sum'], name: numbered },
  { table: 'cell', isWhole: (row) => isWholeCell(as<CellColumns>(row)), name: ({ address, born }) => `${address} of position ${born}` },
  { table: 'effect', isWhole: (row) => isWholeEffect(as<EffectColumns>(row)), name: ({ n, born }) => `e${n} of position ${born}` },
  { table: 'envelope', isWhole: (row) => isWholeOpen(as<OpenColumns>(row)), name: numbered },
  { table: 'timer', isWhole: (row) => isWholeOpen(as<OpenColumns>(row)), name: numbered },
  { table: 'ask', isWhole: (row) => isWholeOpen(as<OpenColumns>(row)), name: numbered },
]

function numbered(row: Row): number {
  return numberOf(row['id'] as number)
}

/** The names of large texts that were met, with who names them; snapshots' own chunks among `roots`. */
export interface Named {
  readonly names: Names
  readonly roots: Names
}

/** All rows of a run, a walk for each table, so that a page that cannot be read ends one of them alone. @param named  gets what the rows refer to. */
export function rowWalks(db: Database, blobs: Blobs, frame: RunFrame, named: Named): readonly Iterable<Finding>[] {
  const numbered = TABLES.map((table) => tableFindings(db, blobs, frame, table, named))
  return [...numbered, threadFindings(db, frame, named), machineFindings(db, frame, named), requestFindings(db, frame, named)]
}

function* tableFindings(
  db: Database,
  blobs: Blobs,
  { run, key, position }: RunFrame,
  { table, isWhole, name }: Table,
  named: Named,
): Generator<Finding> {
  const rows = db.prepare<[number, number], Row>(`SELECT * FROM ${table} WHERE id > ? AND id <= ? ORDER BY id`)
  for (const row of rows.iterate(rowKey(key, 0), lastKey(key))) {
    const at = table === 'journal' ? numbered(row) : (row['born'] as number)
    const what = `${table} ${name(row)}`
    if (!isWhole(row)) yield damage(run, at, `${what} is not what was written`)
    else if (position !== null && table !== 'journal' && !isLife(row, position)) {
      yield damage(run, at, `${what} lived from ${row['born']} to ${row['died'] ?? 'now'}, its journal ends at ${position}`)
    }
    note(row, NAMING[table], { run, what, position: at }, named.names)
    if (table === 'journal' && row['snap'] !== null) yield* snapshotFindings(blobs, run, row, named)
  }
}

function isLife(row: Row, position: number): boolean {
  const [born, died] = [row['born'] as number, row['died'] as number | null]
  return born <= position && (died === null || (died >= born && died <= position))
}

function* snapshotFindings(blobs: Blobs, run: string, row: Row, { roots }: Named): Generator<Finding> {
  const [snap, position] = [row['snap'] as Stored, numbered(row)]
  const what = `the snapshot of ${row['snap_path'] ?? row['path']} at ${position}`
  const wanted = hexOf(row['snap_hash'] as Uint8Array)
  const text = blobs.find(snap)
  if (text === null || hash('sha256', text, 'hex') !== wanted) {
    yield { run, code: 'E_SNAPSHOT_DAMAGED', what: `${what} is not what was committed`, position }
    return
  }
  for (const ref of refsIn(text)) if (!roots.has(ref)) roots.set(ref, { run, what, position })
}

function* threadFindings(db: Database, { run, key, position }: RunFrame, { names }: Named): Generator<Finding> {
  for (const thread of db.prepare<[number], ThreadColumns>('SELECT * FROM thread WHERE run = ?').all(key)) {
    if (threadSum(thread) !== thread.sum) yield damage(run, null, `thread ${thread.name} is not what was written`)
    const items = db.prepare<[number, number], ItemColumns>('SELECT * FROM thread_item WHERE id > ? AND id <= ? ORDER BY id')
    let [before, place] = [0, 0]
    for (const item of items.iterate(itemKey(thread.k, -1), lastItemKey(thread.k))) {
      const what = `item ${placeOf(item.id)} of thread ${thread.name}`
      if (placeOf(item.id) !== place) yield damage(run, item.born, `item ${place} of thread ${thread.name} is missing`)
      else if (itemSum(item, before) !== item.sum) yield damage(run, item.born, `${what} is not what was written`)
      else if (position !== null && item.born > position)
        yield damage(run, item.born, `${what} was born at ${item.born}, its journal ends at ${position}`)
      note(as<Row>({ ...item } as unknown as Row), NAMING.thread_item, { run, what, position: item.born }, names)
      before = item.sum
      place = placeOf(item.id) + 1
    }
  }
}

function* machineFindings(db: Database, { run, key }: RunFrame, { names }: Named): Generator<Finding> {
  for (const row of db.prepare<[number], Row>('SELECT * FROM machine WHERE run = ?').iterate(key)) {
    const what = `machine ${row['name']} ${row['version']}`
    if (machineSum(as<MachineColumns>(row)) !== row['sum']) yield damage(run, null, `${what} is not what was written`)
    note(row, NAMING.machine, { run, what, position: null }, names)
  }
}

function* requestFindings(db: Database, { run, key }: RunFrame, { names }: Named): Generator<Finding> {
  for (const row of db.prepare<[number], Row>('SELECT * FROM request WHERE run = ?').iterate(key)) {
    const what = `request ${row['request']}`
    if (!isWholeRequest(as<RequestColumns>(row))) yield damage(run, null, `${what} is not what was written`)
    note(row, NAMING.request, { run, what, position: null }, names)
  }
}

/** Remembers which large texts a row names. */
export function note(
  row: Row,
  columns: readonly string[],
  by: { run: string | null; what: string; position: number | null },
  names: Names,
): void {
  for (const column of columns) {
    const value = row[column]
    if (value instanceof Uint8Array && !names.has(hexOf(value))) names.set(hexOf(value), by)
  }
}

/** Rows of runs that are not there. */
export function strayFindings(db: Database, keys: ReadonlySet<number>): readonly Finding[] {
  return TABLES.flatMap(({ table }) => {
    const found: Finding[] = []
    const next = db.prepare<[number], number | null>(`SELECT min(id) FROM ${table} WHERE id > ?`).pluck()
    for (let id = next.get(-1); id != null; id = next.get(lastKey(runOf(id)))) {
      if (!keys.has(runOf(id))) found.push(damage(null, null, `${table} holds rows of a run that is not there (key ${runOf(id)})`))
    }
    return found
  })
}

/**
 * Reads every large text, and compares what is there with what is named.
 * @param all  whether every row of the file was noted and is whole; else nobody can say what nobody names.
 */
export function textFindings(db: Database, blobs: Blobs, { names, roots }: Named, all: boolean): readonly Finding[] {
  const findings: Finding[] = []
  const below = new Map<string, readonly string[]>()
  const whole = new Set<string>()
  for (const key of db.prepare<[], Buffer>('SELECT hash FROM blob').pluck().iterate()) {
    const text = blobs.find(key)
    if (text === null)
      findings.push(damage(null, null, `the text ${hexOf(key)} is not what was written${namedBy(names, roots, hexOf(key))}`))
    whole.add(hexOf(key))
    const refs = text === null ? [] : refsIn(text)
    if (refs.length > 0) below.set(hexOf(key), refs)
  }
  const reached = reach(roots, below)
  for (const [ref, by] of new Map([...reached, ...names])) {
    if (!whole.has(ref))
      findings.push({
        ...by,
        code: by.what.startsWith('the snapshot') ? 'E_SNAPSHOT_DAMAGED' : 'E_STORE_DAMAGED',
        what: `${by.what} names the text ${ref}, which is missing`,
      })
  }
  const orphans = [...whole].filter((ref) => !reached.has(ref) && !names.has(ref)).length
  if (all && findings.length === 0 && orphans > 0) findings.push(orphaned(orphans))
  return findings
}

function orphaned(texts: number): Finding {
  const what =
    texts === 1
      ? '1 large text is named by nobody; the next prune removes it'
      : `${texts} large texts are named by nobody; the next prune removes them`
  return { run: null, code: 'E_BLOB_ORPHAN', what, position: null }
}

/** Everything that snapshots name, over any number of levels. */
function reach(roots: Names, below: ReadonlyMap<string, readonly string[]>): Names {
  const reached: Names = new Map()
  const waiting = [...roots]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [ref, by] = next
    if (reached.has(ref)) continue
    reached.set(ref, by)
    for (const each of below.get(ref) ?? []) waiting.push([each, by])
  }
  return reached
}

function namedBy(names: Names, roots: Names, ref: string): string {
  const by = names.get(ref) ?? roots.get(ref)
  return by === undefined ? '' : `, which ${by.what}${by.run === null ? '' : ` of run ${by.run}`} names`
}
