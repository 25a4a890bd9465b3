/**
 * The read path: rows back to what was committed, now or as it was when the journal ended at a position.
 *
 *   now    what is open, by the indexes of open rows: costs what is open, not what has been
 *   at p   rows from the front to the end of the commit of p: costs what there was by then, not what came later
 */
import { UserError } from '../../../errors.ts'
import type { ActorRef } from '../../cell.ts'
import { OPEN } from '../../status.ts'
import type { CellRow, Image, MachineRow, RunRow, Store } from '../../store.ts'
import type { Head } from './head.ts'
import type { Rows } from './rows.ts'

/** Journal entries, and snapshots, of one answer, unless asked otherwise. */
const JOURNAL_LIMIT = 1_000
const SNAPSHOTS_LIMIT = 100
/** So that `Infinity` may be asked for. */
const LIMIT_MAX = 2 ** 31

/** Reads of one run, by its key. An `at` before the anchor is E_POSITION_PRUNED everywhere. */
export type Reads = {
  [Name in 'journal' | 'commitEnd' | 'cells' | 'cell' | 'children' | 'snapshot' | 'snapshots' | 'effects' | 'thread' | 'machines']: (
    key: number,
    ...rest: Parameters<Store[Name]> extends [string, ...infer Rest] ? Rest : never
  ) => ReturnType<Store[Name]>
} & {
  image(key: number, row: RunRow, at?: number): Image
}

/** A position that is not the end, and where its commit ended. */
interface Moment {
  readonly at: number
  readonly end: number
}

export function reads(rows: Rows): Reads {
  /** Null: now. */
  function moment(key: number, at: number | undefined): Moment | null {
    if (at === undefined) return null
    const head = rows.heads.read(key)
    if (at >= head.position) return null
    if (at < head.anchor) throw pruned(at, head)
    return { at, end: endOf(key, at, head) }
  }
  function endOf(key: number, position: number, head: Head): number {
    return rows.journal.endFrom(key, Math.max(position, head.anchor + 1)) ?? head.position
  }
  const cells = (key: number, at?: number): readonly CellRow[] => {
    const then = moment(key, at)
    return then === null ? rows.cells.allNow(key) : rows.cells.allAt(key, then.at, then.end)
  }
  return {
    cells,
    journal(key, since, limit = JOURNAL_LIMIT) {
      const { anchor, position } = rows.heads.read(key)
      const first = Math.max(Math.trunc(since), anchor) + 1
      const found = rows.journal.read(key, first - 1, bounded(limit))
      const missing = found.findIndex(({ pos }, index) => pos !== first + index)
      if (missing >= 0) throw rows.damaged(key, 'journal', first + missing)
      if (found.length < Math.min(bounded(limit), position - first + 1)) throw rows.damaged(key, 'journal', first + found.length)
      return found
    },
    commitEnd(key, position) {
      moment(key, position)
      return endOf(key, position, rows.heads.read(key))
    },
    image(key, row, at) {
      const then = moment(key, at)
      return then === null ? imageNow(rows, key, row) : imageAt(rows, key, row, then)
    },
    cell(key, address, at) {
      const then = moment(key, at)
      return then === null ? rows.cells.now(key, address) : rows.cells.at(key, address, then.at)
    },
    children: rows.cells.children,
    snapshot: (key, address, incarnation, at) =>
      rows.journal.snapshot(key, address, incarnation, moment(key, at)?.at ?? rows.heads.read(key).position),
    snapshots: (key, address, { before = Number.POSITIVE_INFINITY, limit = SNAPSHOTS_LIMIT } = {}) =>
      rows.journal.versions(key, address, before, bounded(limit)),
    effects(key, at) {
      const then = moment(key, at)
      return then === null ? rows.effects.allNow(key) : rows.effects.allAt(key, then.at, then.end)
    },
    thread: (key, thread, from = 0, at) => rows.threads.read(key, thread, from, moment(key, at) ?? undefined),
    machines: (key) => machines(rows, key),
  }
}

function imageNow(rows: Rows, key: number, run: RunRow): Image {
  return {
    run,
    systemIds: held(rows.cells.systemNow(key)),
    envelopes: rows.envelopes.now(key),
    timers: rows.timers.now(key),
    effects: rows.effects.openNow(key),
    asks: rows.asks.now(key),
  }
}

/** The run's row says how it stands now: only its position and hash are those of then. */
function imageAt(rows: Rows, key: number, run: RunRow, { at, end }: Moment): Image {
  const { anchor, anchorHash } = rows.heads.read(key)
  const hash = at === anchor ? anchorHash : rows.journal.hashAt(key, at)!
  return {
    run: { ...run, position: at, hash },
    systemIds: held(rows.cells.systemAt(key, at, end)),
    envelopes: rows.envelopes.at(key, at, end),
    timers: rows.timers.at(key, at, end),
    effects: rows.effects.allAt(key, at, end).filter(({ status }) => OPEN.includes(status)),
    asks: rows.asks.at(key, at, end),
  }
}

function held(cells: readonly CellRow[]): Image['systemIds'] {
  const all: Record<string, ActorRef> = {}
  for (const { systemIds } of cells) Object.assign(all, systemIds)
  return all
}

function machines(rows: Rows, key: number): readonly (MachineRow & { readonly cells: number })[] {
  const used = rows.cells.machines(key)
  return rows.machines.read(key).map((machine) => ({ ...machine, cells: used.get(`${machine.name}\0${machine.version}`) ?? 0 }))
}

function bounded(limit: number): number {
  return Math.min(Math.max(0, limit), LIMIT_MAX)
}

function pruned(at: number, { anchor }: Head): UserError {
  return new UserError('E_POSITION_PRUNED', `position ${at} was pruned; what is kept begins at ${anchor}`, {
    where: 'store',
    fix: `ask for a position from ${anchor} on`,
    exit: 9,
    details: { at, anchor },
  })
}
