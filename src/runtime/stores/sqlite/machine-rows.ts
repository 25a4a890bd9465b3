/** Machines as a run knew them when it used them first: what a resume compares the registered ones with. A row for each version of a name. */
import type { Database } from 'better-sqlite3'
import type { MachineRow } from '../../store.ts'
import type { Blobs, Stored } from './blob.ts'
import { damagedRow } from './errors.ts'
import { fromText, toText } from './json-text.ts'
import { sumOf, type Tally } from './sums.ts'

export interface MachineColumns {
  readonly run: number
  readonly name: string
  readonly version: string
  readonly born: number
  readonly sum: number
  readonly definition: Stored
}

export interface MachineRows {
  /** One that is there is replaced. */
  write(key: number, machines: readonly MachineRow[], born: number, tally: Tally): void
  /** By name and version. */
  read(key: number): readonly MachineRow[]
}

export function machineRows(db: Database, blobs: Blobs): MachineRows {
  const before = db.prepare<[number, string, string], number>('SELECT sum FROM machine WHERE run = ? AND name = ? AND version = ?').pluck()
  const insert = db.prepare('INSERT OR REPLACE INTO machine VALUES (?, ?, ?, ?, ?, ?)')
  const list = db.prepare<[number], MachineColumns>('SELECT * FROM machine WHERE run = ? ORDER BY name, version')
  return {
    write(key, machines, born, tally) {
      for (const { name, version, definition } of machines) {
        const text = blobs.put(toText(definition, `definition of machine ${name}`))
        const columns = { run: key, name, version, born, definition: text }
        const sum = machineSum(columns)
        tally.died(before.get(key, name, version) ?? 0)
        tally.born(sum)
        insert.run(key, name, version, born, sum, text)
      }
    },
    read: (key) =>
      list.all(key).map((columns) => {
        const { name, version } = columns
        if (machineSum(columns) !== columns.sum) throw damagedRow(db, key, 'machine', `${name} ${version}`)
        return { name, version, definition: fromText(blobs.get(columns.definition, key)) }
      }),
  }
}

export function machineSum({ run, name, version, born, definition }: Omit<MachineColumns, 'sum'>): number {
  return sumOf(run, name, version, born, definition)
}
