/**
 * Cells: a row for each version of each life of an address.
 *
 *   v1 [3, 7)    v2 [7, 12)    v3 [12, ...          the last one is current; an address has at most one
 *   gone [12, 12)     late [13, 13)                 the last word of an address that is gone, of an older life than the current one: never alive
 *
 * Lives do not overlap, so the version of an address at a position is the one with the smallest death after it: `cell_past` finds it in one seek.
 */
import type { Database } from 'better-sqlite3'
import type { ActorRef } from '../../cell.ts'
import type { CellRow } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow } from './errors.ts'
import { fromText, toText } from './json-text.ts'
import { lastKey, numberOf, rowKey } from './keys.ts'
import { beforeDeath, DIES, deathOf, holds, sumOf, type Tally, withDeath } from './sums.ts'

export interface CellColumns {
  readonly id: number
  readonly run: number
  readonly address: string
  readonly incarnation: number
  readonly machine: string
  readonly version: string
  readonly parent: string | null
  readonly parent_inc: number | null
  /** Do its children hold system ids? */
  readonly system: number
  readonly born: number
  readonly died: number | null
  readonly sum: number
  readonly data: Stored
}

export interface CellRows {
  /** Writes versions in their order. `last` is the birth of those without one. `current` gives the current life of an address, and is told the next one. */
  write(key: number, rows: readonly (CellRow & { readonly born?: number })[], last: number, lives: Lives, tally: Tally): void
  /** Incarnation of the current cell of an address, or null. */
  life(key: number, address: string): number | null
  /** The current cell of an address. */
  now(key: number, address: string): CellRow | null
  at(key: number, address: string, at: number): CellRow | null
  /** All current cells, by address. */
  allNow(key: number): readonly CellRow[]
  /** All cells at a position, by address. `end` is the last position of its commit. */
  allAt(key: number, at: number, end: number): readonly CellRow[]
  /** Current cells whose children hold system ids. */
  systemNow(key: number): readonly CellRow[]
  systemAt(key: number, at: number, end: number): readonly CellRow[]
  children(key: number, address: string): readonly string[]
  /** How many current cells use which machine in which version, as `name NUL version`. */
  machines(key: number): ReadonlyMap<string, number>
}

/** Who lives at an address: asked before a version is written, told afterwards. */
export interface Lives {
  get(address: string): number | null
  set(address: string, incarnation: number | null): void
}

export function cellRows(db: Database, blobs: Blobs): CellRows {
  const newest = db.prepare<[number, number], number | null>('SELECT max(id) FROM cell WHERE id > ? AND id <= ?').pluck()
  const die = db.prepare<[number, number, number, string], { id: number; sum: number }>(
    `UPDATE cell SET ${DIES} WHERE run = ? AND address = ? AND died IS NULL RETURNING id, sum`,
  )
  const insert = db.prepare('INSERT INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const life = db
    .prepare<[number, string], number>('SELECT incarnation FROM cell INDEXED BY cell_open WHERE run = ? AND address = ? AND died IS NULL')
    .pluck()
  const now = db.prepare<[number, string], CellColumns>(
    'SELECT * FROM cell INDEXED BY cell_open WHERE run = ? AND address = ? AND died IS NULL',
  )
  const past = db.prepare<[number, string, number], CellColumns>(
    'SELECT * FROM cell INDEXED BY cell_past WHERE run = ? AND address = ? AND died > ? AND died > born ORDER BY died LIMIT 1',
  )
  const allNow = db.prepare<[number], CellColumns>(
    'SELECT * FROM cell INDEXED BY cell_open WHERE run = ? AND died IS NULL ORDER BY address',
  )
  const system = db.prepare<[number], CellColumns>(
    'SELECT * FROM cell INDEXED BY cell_system WHERE run = ? AND died IS NULL AND system = 1 ORDER BY address',
  )
  const range = db.prepare<[number, number], CellColumns>('SELECT * FROM cell WHERE id > ? AND id <= ? ORDER BY id')
  const children = db
    .prepare<[number, string], string>(
      'SELECT address FROM cell INDEXED BY cell_parent WHERE run = ? AND parent = ? AND died IS NULL ORDER BY address',
    )
    .pluck()
  const machines = db.prepare<[number], { machine: string; version: string; cells: number }>(
    'SELECT machine, version, count(*) AS cells FROM cell INDEXED BY cell_open WHERE run = ? AND died IS NULL GROUP BY machine, version',
  )

  function checked(columns: CellColumns): CellColumns {
    if (!isWholeCell(columns)) throw damagedRow(db, columns.run, 'cell', `${columns.address} of position ${columns.born}`)
    return columns
  }
  const decoded = (columns: CellColumns): CellRow => decode(columns, blobs.get(columns.data, columns.run))
  const whole = (columns: CellColumns): CellRow => decoded(checked(columns))
  function end(key: number, address: string, died: number, tally: Tally): void {
    const dead = die.get(died, deathOf(died), key, address)
    if (dead !== undefined) tally.died(beforeDeath(dead.sum, died))
  }
  function aliveAt(key: number, at: number, last: number): CellColumns[] {
    const found: CellColumns[] = []
    for (const columns of range.iterate(rowKey(key, 0), lastKey(key))) {
      // Versions stand in the order of their commits: what comes now came later. Checked first, for a birth or death that is wrong would be believed.
      if (checked(columns).born > last) break
      if (columns.born <= at && (columns.died === null || columns.died > at)) found.push(columns)
    }
    return found.sort((a, b) => Buffer.compare(Buffer.from(a.address), Buffer.from(b.address)))
  }
  return {
    write(key, rows, last, lives, tally) {
      if (rows.length === 0) return
      let id = newest.get(rowKey(key, 0), lastKey(key)) ?? rowKey(key, 0)
      for (const { born = last, ...row } of rows) {
        const { address, incarnation } = row
        const current = lives.get(address)
        const isLate = current !== null && current > incarnation
        const isCurrent = !isLate && row.status !== 'gone'
        if (!isLate) {
          if (current !== null) end(key, address, born, tally)
          lives.set(address, isCurrent ? incarnation : null)
        }
        const values = encode(rowKey(key, numberOf(++id)), key, row, born, blobs)
        const sum = sumOf(...values)
        if (isCurrent) tally.born(sum)
        const [died, kept] = isCurrent ? [null, sum] : [born, withDeath(sum, born)]
        insert.run(...values.slice(0, -1), died, kept, values.at(-1))
      }
    },
    life: (key, address) => life.get(key, address) ?? null,
    now(key, address) {
      const columns = now.get(key, address)
      return columns === undefined ? null : whole(columns)
    },
    at(key, address, at) {
      const current = now.get(key, address)
      const columns = current !== undefined && current.born <= at ? current : past.get(key, address, at)
      return columns === undefined || columns.born > at ? null : whole(columns)
    },
    allNow: (key) => allNow.all(key).map(whole),
    allAt: (key, at, last) => aliveAt(key, at, last).map(decoded),
    systemNow: (key) => system.all(key).map(whole),
    systemAt: (key, at, last) =>
      aliveAt(key, at, last)
        .filter((columns) => columns.system === 1)
        .map(decoded),
    children: (key, address) => children.all(key, address),
    machines: (key) => new Map(machines.all(key).map(({ machine, version, cells }) => [`${machine}\0${version}`, cells])),
  }
}

export function isWholeCell(c: CellColumns): boolean {
  const { id, run, address, incarnation, machine, version, parent, parent_inc, system, born } = c
  return holds(c.sum, sumOf(id, run, address, incarnation, machine, version, parent, parent_inc, system, born, c.data), c.died)
}

/** The columns without death and sum, `data` last. */
function encode(id: number, key: number, row: CellRow, born: number, blobs: Blobs) {
  const { address, incarnation, machine, version, parent, ...rest } = row
  const system = Number(Object.keys(row.systemIds).length > 0)
  const data = blobs.put(toText(rest, address))
  const place = parent === null ? [null, null] : [parent.address, parent.incarnation]
  return [id, key, address, incarnation, machine, version, ...place, system, born, data]
}

function decode({ address, incarnation, machine, version, parent, parent_inc }: CellColumns, text: string): CellRow {
  const ref: ActorRef | null = parent === null ? null : { address: parent, incarnation: parent_inc! }
  return { ...fromText<CellRow>(text), address, incarnation, machine, version, parent: ref }
}
