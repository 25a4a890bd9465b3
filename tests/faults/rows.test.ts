/**
 * Damage inside rows. A page that is damaged may give any value for any column, also of a type that the table would never take: nothing of it may come
 * out as a stack trace, a wrong result, or another history. Any column of any table with row numbers is tried, in its
 * first, a middle and its last row.
 */
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { Chance, NIGHTLY } from './chance.ts'
import { storeOf } from './life.ts'
import { faultPlace } from './place.ts'
import { closedStore, copyOf } from './scene.ts'
import { isSame, Table, verdictOf } from './verdict.ts'

const place = faultPlace()
const TIMES = NIGHTLY ? 400 : 12
const VALUES: Readonly<Record<string, unknown>> = {
  null: null,
  'a number': 7,
  'a fraction': 1.5,
  'a text': 'x',
  bytes: Buffer.from([1, 2, 3]),
}

interface Harm {
  readonly table: string
  readonly column: string
  readonly value: string
  /** Which row: 0 the first, 1 the last. */
  readonly where: number
}

function harms(file: string): Harm[] {
  const db = new Database(file, { readonly: true })
  const columns = db
    .prepare<[], { table: string; column: string }>(
      `SELECT t.name AS "table", c.name AS "column" FROM pragma_table_list t JOIN pragma_table_info(t.name) c
       WHERE t.schema = 'main' AND t.type = 'table' AND t.wr = 0 AND t.name NOT LIKE 'sqlite_%'`,
    )
    .all()
  const filled = columns.filter(({ table }) => db.prepare(`SELECT count(*) FROM "${table}"`).pluck().get() !== 0)
  db.close()
  return filled.flatMap((one) => Object.keys(VALUES).flatMap((value) => [0, 0.5, 1].map((where) => ({ ...one, value, where }))))
}

/** Takes the rules from the tables, changes the row, and gives the rules back. */
function harm(file: string, { table, column, value, where }: Harm): void {
  const db = new Database(file)
  db.unsafeMode(true)
  const schema = db
    .prepare<[], { name: string; sql: string }>("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL")
    .all()
  const rules = (change: (sql: string) => string): void => {
    db.pragma('writable_schema = ON')
    for (const { name, sql } of schema) db.prepare('UPDATE sqlite_schema SET sql = ? WHERE name = ?').run(change(sql), name)
    db.pragma('writable_schema = RESET')
  }
  rules((sql) => sql.replaceAll(/ NOT NULL| STRICT$/g, ''))
  const rows = db.prepare<[], number>(`SELECT rowid FROM "${table}" ORDER BY rowid`).pluck().all()
  const row = rows[Math.floor(where * (rows.length - 1))]!
  try {
    db.prepare(`UPDATE "${table}" SET "${column}" = ? WHERE rowid = ?`).run(VALUES[value], row)
  } catch (error) {
    // A number of its own cannot be anything else, not even on a damaged page.
    if (!/MISMATCH|CONSTRAINT/.test((error as { code?: string }).code ?? '')) throw error
  }
  rules((sql) => sql)
  db.close()
}

test('a value that no commit has written, in any column of any table, is told or of no account, and never silent', {
  timeout: 900_000,
}, async () => {
  const scene = await closedStore(place)
  const all = harms(storeOf(scene))
  const chance = new Chance('rows')
  const [table, silent] = [new Table(), [] as object[]]
  for (let number = 0; number < TIMES; number++) {
    const done = chance.one(all)
    const folder = copyOf(scene, place)
    harm(storeOf(folder), done)
    const verdict = table.add(await verdictOf(folder))
    const again = verdict.startsWith('refused') ? await verdictOf(folder) : verdict
    place.drop(folder)
    if (verdict.startsWith('SILENT') || !isSame(verdict, again)) silent.push({ ...done, verdict, again })
  }
  process.stderr.write(`values of another kind, ${all.length} possible, seed ${chance.seed}: ${table}\n`)
  expect({ seed: chance.seed, silent }).toEqual({ seed: chance.seed, silent: [] })
})
