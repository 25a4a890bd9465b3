/**
 * What is born once and dies once: envelopes, timers, asks. Their numbers rise over the life of a run, so what there was at a position stands in front of
 * what came later. `born` in an envelope's row is the position of the fact that sent it.
 */
import type { Database } from 'better-sqlite3'
import type { EnvelopeOutcome } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow } from './errors.ts'
import { fromText, toText } from './json-text.ts'
import { lastKey, numberOf, rowKey, runOf } from './keys.ts'
import { beforeDeath, DIES, deathOf, holds, sumOf, type Tally } from './sums.ts'

export type OpenTable = 'envelope' | 'timer' | 'ask'

export interface OpenColumns {
  readonly id: number
  readonly born: number
  readonly died: number | null
  /** Of envelopes alone. */
  readonly outcome?: string | null
  readonly sum: number
  readonly data: Stored
}

export interface OpenRows<T> {
  add(key: number, number: number, born: number, row: T, tally: Tally): void
  /** One that is dead or never was is no error. */
  end(key: number, number: number, died: number, tally: Tally, outcome?: EnvelopeOutcome): void
  /** By number. */
  now(key: number): readonly T[]
  /** Those at a position. `end` is the last position of its commit. */
  at(key: number, at: number, end: number): readonly T[]
}

export function openRows<T>(db: Database, blobs: Blobs, table: OpenTable): OpenRows<T> {
  const hasOutcome = table === 'envelope'
  const insert = db.prepare(`INSERT INTO ${table} (id, born, sum, data) VALUES (?, ?, ?, ?)`)
  const die = db
    .prepare<unknown[], number>(
      `UPDATE ${table} SET ${DIES}${hasOutcome ? ', outcome = ?' : ''} WHERE id = ? AND died IS NULL RETURNING sum`,
    )
    .pluck()
  // INDEXED BY: left alone, SQLite may take the primary key, and an image would read everything that ever was.
  const now = db.prepare<[number, number], OpenColumns>(
    `SELECT * FROM ${table} INDEXED BY ${table}_open WHERE died IS NULL AND id > ? AND id <= ? ORDER BY id`,
  )
  const range = db.prepare<[number, number], OpenColumns>(`SELECT * FROM ${table} WHERE id > ? AND id <= ? ORDER BY id`)

  function whole(columns: OpenColumns): OpenColumns {
    if (!isWholeOpen(columns)) throw damagedRow(db, runOf(columns.id), table, numberOf(columns.id))
    return columns
  }
  const decode = ({ id, data }: OpenColumns): T => fromText<T>(blobs.get(data, runOf(id)))
  return {
    add(key, number, born, row, tally) {
      const id = rowKey(key, number)
      const data = blobs.put(toText(row, `${table} ${number}`))
      const sum = sumOf(id, born, data)
      tally.born(sum)
      insert.run(id, born, sum, data)
    },
    end(key, number, died, tally, outcome) {
      const id = rowKey(key, number)
      const sum = hasOutcome ? die.get(died, deathOf(died, outcome), outcome, id) : die.get(died, deathOf(died), id)
      if (sum !== undefined) tally.died(beforeDeath(sum, died, outcome))
    },
    now: (key) => now.all(rowKey(key, 0), lastKey(key)).map((columns) => decode(whole(columns))),
    at(key, at, end) {
      const found: OpenColumns[] = []
      for (const columns of range.iterate(rowKey(key, 0), lastKey(key))) {
        if (whole(columns).born > end) break // Numbers rise from commit to commit: what comes now came later.
        if (columns.born <= at && (columns.died === null || columns.died > at)) found.push(columns)
      }
      return found.map(decode)
    },
  }
}

export function isWholeOpen({ id, born, died, outcome, sum, data }: OpenColumns): boolean {
  return holds(sum, sumOf(id, born, data), died, outcome ?? null)
}
