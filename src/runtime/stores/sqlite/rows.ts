/** The rows of a handle: one object a table, each with its statements prepared, for whoever writes, reads, checks or forgets. */
import type { Database } from 'better-sqlite3'
import type { UserError } from '../../../errors.ts'
import type { Envelope } from '../../cell.ts'
import type { AskRow, TimerRow } from '../../store.ts'
import { type Blobs, blobs as blobRows } from './blob.ts'
import { type CellRows, cellRows } from './cell-rows.ts'
import { type EffectRows, effectRows } from './effect-rows.ts'
import { damagedRow } from './errors.ts'
import { type Heads, heads as headRows } from './head.ts'
import { type JournalRows, journalRows } from './journal-rows.ts'
import { type MachineRows, machineRows } from './machine-rows.ts'
import { type OpenRows, openRows } from './open-rows.ts'
import { type Pins, pins } from './pins.ts'
import { type RequestRows, requestRows } from './request-rows.ts'
import { type RunRows, runRows } from './run-row.ts'
import { type ThreadRows, threadRows } from './thread-rows.ts'
import type { Transactions } from './transaction.ts'

export interface Rows {
  /** What is thrown for a row that is missing, or is not what was written. */
  damaged(key: number, table: string, id: string | number): UserError
  readonly blobs: Blobs
  readonly heads: Heads
  readonly runs: RunRows
  readonly journal: JournalRows
  readonly cells: CellRows
  readonly effects: EffectRows
  readonly envelopes: OpenRows<Envelope>
  readonly timers: OpenRows<TimerRow>
  readonly asks: OpenRows<AskRow>
  readonly threads: ThreadRows
  readonly machines: MachineRows
  readonly requests: RequestRows
  readonly pins: Pins
}

export function rowsOf(db: Database, tx: Pick<Transactions, 'afterCommit'>): Rows {
  const blobs = blobRows(db, tx)
  const heads = headRows(db, tx)
  const journal = journalRows(db, blobs)
  const cells = cellRows(db, blobs)
  return {
    damaged: (key, table, id) => damagedRow(db, key, table, id),
    blobs,
    heads,
    runs: runRows(db, heads, blobs),
    journal,
    cells,
    effects: effectRows(db, blobs),
    envelopes: openRows(db, blobs, 'envelope'),
    timers: openRows(db, blobs, 'timer'),
    asks: openRows(db, blobs, 'ask'),
    threads: threadRows(db, blobs),
    machines: machineRows(db, blobs),
    requests: requestRows(db, blobs),
    pins: pins(cells, journal, tx),
  }
}
