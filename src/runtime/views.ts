/** The tree as people see it: at its last commit, or at any position before. */

import type { Health } from '../health.ts'
import type { Json } from '../json.ts'
import type { Address } from '../protocol.ts'
import { totalUsage } from '../usage.ts'
import type { EncodedSnapshot } from './cell.ts'
import type { CellView, RunSession } from './engine.ts'
import { standingOf } from './health.ts'
import { waitingMail } from './past.ts'
import { plainSnapshot } from './snapshot.ts'
import type { AskRow, CellRow, EffectRow, RunRow, Store } from './store.ts'

/** What is known of a run that lives in this process, or how late it is. */
interface Live {
  /** What its judge says of an actor. */
  readonly health?: ((address: Address) => Health | undefined) | undefined
  /** Run clock now. Default: that of the rows. */
  readonly runMs?: number | undefined
}

/** The tree of a run when its journal ended at a position (default: now), whoever runs it. Between turns a live tree is what is stored. */
export function treeView(store: Store, run: string, at?: number, live: Live = {}): CellView {
  const row = store.run(run)
  const depth = new Map<Address, number>()
  for (const { to } of waitingMail(store, run, at)) depth.set(to, (depth.get(to) ?? 0) + 1)
  return viewOf(
    {
      cells: store.cells(run, at),
      snapshot: (row) => store.snapshot(run, row.address, row.incarnation, at),
      mailbox: (address) => depth.get(address) ?? 0,
      effects: store.effects(run, at),
      asks: store.image(run, at).asks,
      health: live.health ?? (() => undefined),
      now: live.runMs ?? (row === null ? 0 : clockAt(store, row, at)),
    },
    row?.tree ?? null,
  )
}

/** Run clock at a position: the two clocks were read together at the last commit. */
function clockAt(store: Store, { run, clock, position }: RunRow, at = position): number {
  const entry = at >= position ? undefined : store.journal(run, at - 1, 1)[0]
  return entry === undefined ? clock.runMs : Math.max(0, clock.runMs - (clock.wallMs - entry.at))
}

/** An actor's snapshot as the store has it, at a position. */
export function snapshotView(store: Store, run: string, address: Address, at?: number): ReturnType<RunSession['snapshot']> {
  const row = store.cell(run, address, at)
  const snapshot = row === null || row.status === 'starting' ? null : store.snapshot(run, address, row.incarnation, at)
  return row === null || snapshot === null ? null : { ...plainSnapshot(snapshot), incarnation: row.incarnation }
}

interface Source {
  readonly cells: readonly CellRow[]
  snapshot(row: CellRow): EncodedSnapshot | null
  mailbox(address: Address): number
  readonly effects: readonly EffectRow[]
  readonly asks: readonly AskRow[]
  health(address: Address): Health | undefined
  readonly now: number
}

function viewOf(source: Source, tree: Json): CellView {
  const kids = new Map<Address, CellRow[]>()
  for (const row of source.cells) {
    if (row.parent !== null) kids.set(row.parent.address, [...(kids.get(row.parent.address) ?? []), row])
  }
  const effects = new Map<Address, EffectRow[]>()
  for (const row of source.effects) effects.set(row.owner, [...(effects.get(row.owner) ?? []), row])
  const asks = new Map<Address, AskRow[]>()
  for (const ask of source.asks) if (ask.asker !== null) asks.set(ask.asker.address, [...(asks.get(ask.asker.address) ?? []), ask])
  const healthOf = (row: CellRow): Health =>
    source.health(row.address) ?? standingOf(row, effects.get(row.address) ?? [], asks.get(row.address) ?? [], source.now)
  const one = (row: CellRow): CellView => ({
    ...cellView(source, row, effects.get(row.address) ?? [], (kids.get(row.address) ?? []).map(one)),
    health: healthOf(row),
  })
  const root = source.cells.find((row) => row.parent === null)
  return root === undefined ? endedRoot(tree, effects) : one(root)
}

function cellView(source: Source, row: CellRow, effects: readonly EffectRow[], children: readonly CellView[]): CellView {
  const snapshot = row.status === 'starting' ? null : source.snapshot(row)
  const status = row.status === 'starting' ? 'starting' : row.status === 'ended' ? endedAs(row) : (snapshot?.status ?? 'starting')
  return {
    address: row.address,
    id: row.id,
    incarnation: row.incarnation,
    machine: row.machine,
    version: row.version,
    status,
    state: snapshot?.value ?? null,
    tags: snapshot?.tags ?? [],
    supervised: row.supervised,
    mailbox: source.mailbox(row.address),
    restarts: row.supervised ? row.incarnation - 1 : 0,
    effects: effects
      .filter((effect) => ['owed', 'started', 'in_doubt'].includes(effect.status))
      .map(({ id, kind, status, attempt }) => ({ id, kind, status, attempt })),
    usage: usageOf(effects),
    children,
  }
}

function endedAs(row: CellRow): CellView['status'] {
  const kind = (row.exit as { kind?: string } | null)?.kind
  return kind === 'error' ? 'error' : kind === 'normal' ? 'done' : 'stopped'
}

/** Nothing of the tree is left: the run is over. Its root stands for it, with what was used. */
function endedRoot(tree: Json, effects: ReadonlyMap<Address, readonly EffectRow[]>): CellView {
  const id = String((tree as { id?: string } | null)?.id ?? 'root')
  const usage = usageOf([...effects.values()].flat())
  return {
    address: `/${id}`,
    id,
    incarnation: 1,
    machine: '',
    version: '',
    status: 'stopped',
    state: null,
    tags: [],
    supervised: false,
    mailbox: 0,
    restarts: 0,
    effects: [],
    usage,
    children: [],
  }
}

function usageOf(effects: readonly EffectRow[]): CellView['usage'] {
  const { inputTokens, outputTokens, costUsd } = totalUsage(effects.map((row) => row.usage))
  return { inputTokens, outputTokens, costUsd }
}
