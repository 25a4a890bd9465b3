/**
 * Machines that have changed since a run last used them: what a resume makes of each, before anything runs.
 *
 *   the same            nothing to do: no cell is loaded
 *   compatible          its actors go on as they stand; the journal says what is new (`machine.changed`)
 *   migrated            each actor is taken over by a migration (`actor.migrated`), all in the first commit of the new owner
 *   anything else       E_MACHINE_CHANGED, E_MACHINE_UNKNOWN or E_MIGRATION_FAILED: nothing is changed, and the run can be resumed later
 *
 * Migrations run before the commit and are pure: where the process dies in between, the next resume runs them again on the same rows.
 */
import type { Json } from '../../../json.ts'
import type { ChildLink } from '../../cell.ts'
import type { Host, RecoveredMachine } from '../../engine.ts'
import type { Migrated } from '../../migrations.ts'
import type { CellRow, MachineRow, Store } from '../../store.ts'
import { type Comparison, compare, type Definition } from '../../versions.ts'
import { clearTimers } from './apply.ts'
import { cancelEffect } from './effects.ts'
import { endQuietly } from './lifecycle.ts'
import { changed, failed, unknown } from './machine-refusals.ts'
import type { Cell, Tree } from './tree.ts'

export interface Changes {
  readonly found: readonly RecoveredMachine[]
  /** Writes them, in the first commit of the new owner. */
  apply(tree: Tree): void
}

interface Change extends RecoveredMachine {
  readonly cells: readonly CellRow[]
  readonly migrated: readonly Taken[]
}

/** One actor, taken over. */
interface Taken {
  readonly row: CellRow
  readonly from: Json
  readonly result: Migrated
  /** Children that states had invoked in which it does not stand any more. */
  readonly orphans: readonly ChildLink[]
}

type Stored = Pick<Store, 'cells' | 'machines' | 'snapshot'>

/** @throws {UserError} `E_MACHINE_CHANGED`, `E_MACHINE_UNKNOWN`, `E_MIGRATION_FAILED` (exit 3), each naming the machine and the actors. */
export function judgeMachines(store: Stored, run: string, host: Host): Changes {
  const used = usedMachines(store, run)
  const differ = used.filter((row) => !isSame(row, host.machine(row.name)))
  const note = (tree: Tree): void => {
    for (const { name } of used) tree.useMachine(name)
  }
  if (differ.length === 0) return { found: [], apply: note }
  const cells = store.cells(run)
  const of = ({ name, version }: MachineRow) => cells.filter((row) => row.machine === name && row.version === version)
  const known = differ.filter((row) => host.machine(row.name) !== null)
  const changes = known.map((row) => judge(store, run, host, row, of(row)))
  const stopped = changes.flatMap(({ migrated }) => migrated.flatMap(({ orphans }) => orphans.map(({ address }) => address)))
  for (const row of differ) {
    const left = of(row).filter(({ address }) => !stopped.some((above) => address === above || address.startsWith(`${above}/`)))
    if (host.machine(row.name) === null && left.length > 0) throw unknown(run, row, left)
  }
  const found = changes.map(({ cells: _, migrated: __, ...told }) => told)
  const apply = (tree: Tree): void => {
    for (const change of changes) write(tree, change)
    note(tree)
  }
  return { found, apply }
}

/** Machines with live cells. A run of before machines were written down is told by its cells: then only versions can be compared. */
function usedMachines(store: Stored, run: string): readonly MachineRow[] {
  const rows = store.machines(run)
  if (rows.length > 0) return rows.filter(({ cells }) => cells > 0)
  const first = new Map(store.cells(run).map(({ machine: name, version }) => [`${name}\0${version}`, { name, version, definition: null }]))
  return [...first.values()]
}

const isSame = (before: MachineRow, after: MachineRow | null): boolean => after !== null && compared(before, after).verdict === 'identical'

function compared(before: MachineRow, after: MachineRow): Comparison {
  if (before.definition !== null) return compare(before, after)
  const isRaised = before.version !== after.version
  return {
    verdict: isRaised ? 'migrate' : 'identical',
    differences: isRaised ? ['what it was is not stored: the run is older than this'] : [],
    gone: [],
  }
}

function judge(store: Stored, run: string, host: Host, before: MachineRow, cells: readonly CellRow[]): Change {
  const after = host.machine(before.name)!
  const comparison = compared(before, after)
  const { verdict, differences, gone } = comparison
  const told = { machine: before.name, from: before.version, to: after.version, actors: cells.length, differences }
  const migration = before.version === after.version ? null : host.migration(before.name, before.version)
  if (migration !== null) {
    const migrated = cells.flatMap((row) => takenOver(store, run, row, migration, before))
    return { ...told, verdict: 'migrated', cells, migrated }
  }
  if (verdict === 'compatible') return { ...told, verdict: 'compatible', cells, migrated: [] }
  throw changed(store, run, before, after, { differences, gone }, cells)
}

function takenOver(
  store: Stored,
  run: string,
  row: CellRow,
  migration: NonNullable<ReturnType<Host['migration']>>,
  before: MachineRow,
): Taken[] {
  const { address, incarnation, children } = row
  const snapshot = row.status === 'starting' ? null : store.snapshot(run, address, incarnation)
  if (snapshot === null || snapshot.status !== 'active') return [] // It has not begun, or there is nothing to go on from.
  try {
    const result = migration({ address, snapshot, children })
    const invoked = invokedBy(before)
    const orphans = children.filter(({ id, ended }) => ended !== true && invoked.has(id) && !result.holds.invokes.includes(id))
    return [{ row, from: snapshot.value, result, orphans }]
  } catch (error) {
    throw failed(run, row, before, error)
  }
}

function invokedBy({ definition }: MachineRow): ReadonlySet<string> {
  const states = Object.values((definition as unknown as Definition | null)?.states ?? {})
  return new Set(states.flatMap(({ invoke = [] }) => invoke.map(({ id }) => id)))
}

function write(tree: Tree, { cells, migrated, ...told }: Change): void {
  const pos = tree.fact('machine.changed', null, null, told as unknown as { [key: string]: Json })
  for (const row of cells) {
    const cell = tree.cells.get(row.address)
    if (cell?.row.incarnation === row.incarnation && row.version !== told.to) tree.change(cell, { version: told.to })
  }
  for (const taken of migrated) {
    const cell = tree.cells.get(taken.row.address)
    // An orphan of an actor that was taken over before it is gone by now.
    if (cell?.row.incarnation === taken.row.incarnation) takeOver(tree, cell, taken, told, pos)
  }
}

function takeOver(
  tree: Tree,
  cell: Cell,
  { from: state, result, orphans }: Taken,
  { machine, from, to }: RecoveredMachine,
  cause: number,
): void {
  const pos = tree.fact('actor.migrated', cell.row, cause, {
    machine,
    from,
    to,
    state: { from: state, to: result.snapshot.value },
    stopped: orphans.map(({ address }) => address),
    hash: result.snapshot.hash,
  })
  tree.keepSnapshot(cell, result.snapshot)
  for (const id of delaysOf(tree, cell)) if (!result.holds.timers.includes(id)) clearTimers(tree, cell, id, pos)
  for (const link of orphans) stopOrphan(tree, cell, link, pos)
  const { event } = result
  if (event !== null) tree.post(null, 0, { kind: 'mail', to: cell.row.address, incarnation: null, from: null, event }, pos)
}

/** Ids of the `after` timers that an actor has open, or that have fired and wait. */
function delaysOf(tree: Tree, { row }: Cell): ReadonlySet<string> {
  const open = tree.timers.of(row.address).flatMap(({ id, kind }) => (kind === 'event' ? [id] : []))
  const fired = tree.mail.waiting(row.address).flatMap(({ timerId = null }) => (timerId === null ? [] : [timerId]))
  return new Set([...open, ...fired].filter((id) => id.startsWith('xstate.after.')))
}

/** What no state holds any more is ended, as if its state had been left; its machine is not asked, it may be gone. */
function stopOrphan(tree: Tree, cell: Cell, link: ChildLink, pos: number): void {
  const { row } = cell
  if (link.kind === 'effect') {
    for (const effect of [...tree.effects.of(row.address)]) {
      if (effect.invoke === link.id && effect.invocation === link.incarnation) cancelEffect(tree, effect, pos)
    }
  } else {
    const child = tree.cells.get(link.address)
    if (child?.row.incarnation === link.incarnation) endQuietly(tree, child, pos)
  }
  const systemIds = { ...row.systemIds }
  for (const [systemId, held] of Object.entries(systemIds)) {
    if (held.address !== link.address || held.incarnation !== link.incarnation) continue
    delete systemIds[systemId]
    delete tree.systemIds[systemId]
  }
  tree.change(cell, {
    children: row.children.filter(({ id, incarnation }) => id !== link.id || incarnation !== link.incarnation),
    systemIds,
  })
}
