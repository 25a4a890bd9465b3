/** The digest of a run, added up from its rows: what a resume compares with the one that commits have kept. See sums.ts for what is in it. */
import type { Database } from 'better-sqlite3'
import { type CellColumns, isWholeCell } from './cell-rows.ts'
import { type EffectColumns, isWholeEffect } from './effect-rows.ts'
import { damagedRow } from './errors.ts'
import { itemKey, lastItemKey, lastKey, numberOf, placeOf, rowKey } from './keys.ts'
import { type MachineColumns, machineSum } from './machine-rows.ts'
import { isWholeOpen, type OpenColumns } from './open-rows.ts'
import { snapshotPin, Tally, threadPin } from './sums.ts'
import { type ItemColumns, type ThreadColumns, threadSum } from './thread-rows.ts'

/**
 * Reads everything open by the indexes that an image is read by: costs what is open, and one seek for each cell and thread.
 * @param key  `run.k`
 * @throws {UserError} `E_STORE_DAMAGED` naming the first row that is not what was written, or the index that misses one.
 */
export function digestOf(db: Database, key: number): number {
  const tally = new Tally(0)
  for (const table of ['envelope', 'timer', 'ask'] as const) addOpen(db, key, table, tally)
  addEffects(db, key, tally)
  addCells(db, key, tally)
  addThreads(db, key, tally)
  addMachines(db, key, tally)
  return tally.digest
}

function addOpen(db: Database, key: number, table: 'envelope' | 'timer' | 'ask', tally: Tally): void {
  const sql = `SELECT * FROM ${table} INDEXED BY ${table}_open WHERE died IS NULL AND id > ? AND id <= ?`
  for (const columns of db.prepare<[number, number], OpenColumns>(sql).iterate(rowKey(key, 0), lastKey(key))) {
    if (!isWholeOpen(columns)) throw damagedRow(db, key, table, numberOf(columns.id))
    tally.born(columns.sum)
  }
}

function addEffects(db: Database, key: number, tally: Tally): void {
  const sql = 'SELECT * FROM effect INDEXED BY effect_open WHERE died IS NULL AND open = 1 AND id > ? AND id <= ?'
  for (const columns of db.prepare<[number, number], EffectColumns>(sql).iterate(rowKey(key, 0), lastKey(key))) {
    if (!isWholeEffect(columns)) throw damagedRow(db, key, 'effect', `e${columns.n}`)
    tally.born(columns.sum)
  }
}

function addCells(db: Database, key: number, tally: Tally): void {
  const found = { cell_parent: 0, cell_system: 0 }
  for (const columns of currentCells(db, key)) {
    if (!isWholeCell(columns)) throw damagedRow(db, key, 'cell', columns.address)
    tally.born(columns.sum)
    found.cell_parent++
    found.cell_system += columns.system
  }
  tally.born(snapshotPins(db, key))
  for (const index of ['cell_parent', 'cell_system'] as const) {
    const where = index === 'cell_system' ? ' AND system = 1' : ''
    const sql = `SELECT count(*) FROM cell INDEXED BY ${index} WHERE run = ? AND died IS NULL${where}`
    const count = db.prepare<[number], number>(sql).pluck().get(key)
    if (count !== found[index]) throw damagedRow(db, key, 'index', index)
  }
}

function currentCells(db: Database, key: number): IterableIterator<CellColumns> {
  return db.prepare<[number], CellColumns>('SELECT * FROM cell INDEXED BY cell_open WHERE run = ? AND died IS NULL').iterate(key)
}

/** What the snapshots of current cells add to the digest. */
export function snapshotPins(db: Database, key: number): number {
  const newest = db
    .prepare<[string, number, number, number], number>(
      `SELECT id FROM journal INDEXED BY journal_snap WHERE coalesce(snap_path, path) = ? AND coalesce(snap_inc, inc) = ?
      AND snap IS NOT NULL AND id > ? AND id <= ? ORDER BY id DESC LIMIT 1`,
    )
    .pluck()
  const tally = new Tally(0)
  for (const { address, incarnation } of currentCells(db, key)) {
    const id = newest.get(address, incarnation, rowKey(key, 0), lastKey(key))
    if (id !== undefined) tally.born(snapshotPin(address, incarnation, numberOf(id)))
  }
  return tally.digest
}

function addThreads(db: Database, key: number, tally: Tally): void {
  const last = db.prepare<[number, number], ItemColumns>('SELECT * FROM thread_item WHERE id > ? AND id <= ? ORDER BY id DESC LIMIT 1')
  const threads = db.prepare<[number], ThreadColumns>('SELECT * FROM thread WHERE run = ? ORDER BY name')
  for (const columns of threads.iterate(key)) {
    const { k, name, sum } = columns
    if (threadSum(columns) !== sum) throw damagedRow(db, key, 'thread', name)
    const item = last.get(itemKey(k, -1), lastItemKey(k))
    if (item !== undefined) tally.born(threadPin(name, placeOf(item.id) + 1, item.sum))
  }
}

function addMachines(db: Database, key: number, tally: Tally): void {
  for (const columns of db.prepare<[number], MachineColumns>('SELECT * FROM machine WHERE run = ?').iterate(key)) {
    if (machineSum(columns) !== columns.sum) throw damagedRow(db, key, 'machine', `${columns.name} ${columns.version}`)
    tally.born(columns.sum)
  }
}
