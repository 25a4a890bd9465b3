/**
 * The rows that each commit of a recorded run left in the file, read back from it: whatever the store writes, the raw side writes the same.
 *
 *   head       one row a run, changed by every commit: read after each of them, the columns that ever change
 *   growing    rows that are added and never changed: by the journal position that they carry, so by the commit that wrote them
 */
import Database from 'better-sqlite3'
import type { Commit } from '../../src/runtime/store.ts'

/** Tables that a measured step adds to, and where in a row its journal position is. */
const GROWING: Readonly<Record<string, string>> = { journal: 'id % 4294967296' }

export type Value = string | number | Buffer | null

/** One row that is written. */
export interface Write {
  readonly table: string
  readonly values: readonly Value[]
}

/** What is written to which tables, how. */
export interface Layout {
  /** By table. */
  readonly statements: Readonly<Record<string, string>>
  /** One list per commit. */
  readonly transactions: readonly (readonly Write[])[]
}

/** Reads the head of the only run after each commit, while the run goes on. */
export class HeadReader {
  readonly #db: Database.Database
  readonly #statement: Database.Statement<[], Value[]>
  readonly heads: Value[][] = []

  constructor(path: string) {
    this.#db = new Database(path, { readonly: true })
    this.#statement = this.#db.prepare<[], Value[]>('SELECT * FROM head').raw()
  }

  read(): void {
    this.heads.push(this.#statement.get() ?? [])
  }

  close(): void {
    this.#db.close()
  }
}

/**
 * @param commits  those to lay out.
 * @param heads  the head before the first of them, and after each.
 */
export function layoutOf(path: string, commits: readonly Commit[], heads: readonly Value[][]): Layout {
  for (const commit of commits) refuseOthers(commit)
  const db = new Database(path, { readonly: true })
  try {
    const columns = db.prepare<[], string>("SELECT name FROM pragma_table_info('head')").pluck().all()
    const changing = columns.flatMap((name, index) =>
      heads.some((head) => !isSame(head[index], heads[0]![index])) ? [{ name, index }] : [],
    )
    const statements: Record<string, string> = { head: `UPDATE head SET ${changing.map(({ name }) => `${name} = ?`).join(', ')}` }
    const transactions: Write[][] = commits.map((_, place) => [
      { table: 'head', values: changing.map(({ index }) => heads[place + 1]![index]!) },
    ])
    for (const [table, position] of Object.entries(GROWING)) {
      const width = db.prepare(`SELECT * FROM ${table}`).columns().length
      statements[table] = `INSERT INTO ${table} VALUES (${Array.from({ length: width }, () => '?').join(', ')})`
      const rows = db
        .prepare<[number, number], Value[]>(`SELECT * FROM ${table} WHERE ${position} BETWEEN ? AND ? ORDER BY ${position}`)
        .raw()
      for (const [place, { expectedPosition, journal }] of commits.entries()) {
        for (const values of rows.all(expectedPosition + 1, journal.at(-1)!.pos)) transactions[place]!.push({ table, values })
      }
    }
    return { statements, transactions }
  } finally {
    db.close()
  }
}

const isSame = (a: Value | undefined, b: Value | undefined): boolean => (Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b)

/** A measured step writes its facts and its snapshot. Anything else would be missing on the raw side. */
function refuseOthers(commit: Commit): void {
  const others = Object.entries(commit).filter(
    ([key, rows]) => key !== 'journal' && key !== 'snapshots' && Array.isArray(rows) && rows.length > 0,
  )
  if (others.length === 0 && commit.run_ === null) return
  throw new Error(`a measured commit writes ${others.map(([key]) => key).join(', ') || 'run'}`)
}

/** Text as UTF-8, a number as 8 bytes: what is handed to SQLite, not what a page takes. */
export function bytesOf({ values }: Write): number {
  const size = (value: Value): number => (typeof value === 'number' ? 8 : value === null ? 0 : Buffer.byteLength(value))
  return values.reduce<number>((sum, value) => sum + size(value), 0)
}
