/** Do two files hold the same rows? Without this the two sides could drift apart and the ratio would mean nothing. */
import { hash } from 'node:crypto'
import Database from 'better-sqlite3'

/** Per table: number of rows, and the SHA-256 of all of them in the order of their texts. */
export type Image = Readonly<Record<string, { readonly rows: number; readonly sha256: string }>>

/** Reads a store that another handle may have open. */
export function imageOf(path: string): Image {
  const db = new Database(path, { readonly: true })
  try {
    const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").pluck().all()
    return Object.fromEntries(
      tables.map((table) => {
        const rows = db.prepare<[], unknown[]>(`SELECT * FROM "${table}"`).raw().all()
        const texts = rows.map((row) => JSON.stringify(row.map(plain))).sort()
        return [table, { rows: rows.length, sha256: hash('sha256', texts.join('\n'), 'hex') }]
      }),
    )
  } finally {
    db.close()
  }
}

const plain = (value: unknown): unknown => (Buffer.isBuffer(value) ? `x'${value.toString('hex')}'` : value)

/** Names of the tables in which two images differ. */
export function differences(a: Image, b: Image): string[] {
  const tables = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return tables.filter((table) => a[table]?.sha256 !== b[table]?.sha256 || a[table]?.rows !== b[table]?.rows)
}
