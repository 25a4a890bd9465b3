/**
 * Takes an actor's steps again. A step is pure, and the journal keeps what went into each: the event, the time, and the hash of what came out. So a
 * snapshot that is damaged on disk is rebuilt from the one before it, and it is the right one or none: what does not give the hash that the journal
 * names is reported lost, never guessed.
 *
 *   newest sound snapshot before it --> step.committed, step.committed, ... of this actor --> same hash? --> the snapshot
 */
import { Defect, UserError } from '../errors.ts'
import type { Address, Incarnation } from '../protocol.ts'
import type { EncodedSnapshot, Envelope } from './cell.ts'
import type { Host } from './engine.ts'
import type { JournalEntry } from './journal.ts'
import { wholeHash } from './snapshot.ts'
import type { CellRow, Store } from './store.ts'

export interface Rebuilt {
  readonly snapshot: EncodedSnapshot
  /** Position of the snapshot that it was rebuilt from; 0 where it was made from the actor's input. */
  readonly from: number
  /** Steps that were taken again. */
  readonly steps: number
}

type Stored = Pick<Store, 'cell' | 'image' | 'journal' | 'snapshot' | 'snapshots'>

/** Who: one life of an address, when the journal ended at `at`. */
export interface Life {
  readonly run: string
  readonly address: Address
  readonly incarnation: Incarnation
  readonly at: number
}

/** @throws {Defect} `E_SNAPSHOT_LOST` with the reason, where it cannot be had again exactly. */
export function rebuild(store: Stored, host: Pick<Host, 'step'>, life: Life): Rebuilt {
  const since = store.cell(life.run, life.address, life.at)?.since ?? life.incarnation
  const base = soundBefore(store, life, since)
  let snapshot = base?.snapshot ?? null
  let steps = 0
  for (const entry of entriesOf(store, life, base?.position ?? 0)) {
    if (entry.type === 'actor.migrated') throw lost(life, `it was migrated at #${entry.pos}, and its machine of before is not here`)
    if (entry.type !== 'step.committed' || entry.inc! < since || entry.inc! > life.incarnation) continue
    snapshot = again(store, host, life, entry, snapshot)
    steps++
  }
  if (snapshot === null) throw lost(life, 'there is no step of it in the journal')
  return { snapshot, from: base?.position ?? 0, steps }
}

interface Sound {
  readonly snapshot: EncodedSnapshot
  readonly position: number
}

/** The newest snapshot up to `at` that is what was committed. A restart from the checkpoint goes on with that of the life before. */
function soundBefore(store: Stored, { run, address, incarnation, at }: Life, since: Incarnation): Sound | null {
  for (let before = at + 1; ; ) {
    const versions = store.snapshots(run, address, { before, limit: 20 })
    for (const { position, incarnation: life } of versions) {
      before = position
      if (life < since || life > incarnation) return null
      const snapshot = soundAt(store, run, address, life, position)
      if (snapshot !== null) return { snapshot, position }
    }
    if (versions.length === 0) return null
  }
}

function soundAt(store: Stored, run: string, address: Address, incarnation: Incarnation, at: number): EncodedSnapshot | null {
  try {
    return store.snapshot(run, address, incarnation, at)
  } catch (error) {
    if (error instanceof Defect && error.code === 'E_SNAPSHOT_DAMAGED') return null
    if (!(error instanceof UserError) || error.code !== 'E_POSITION_PRUNED') throw error
    // It stood when the history before it was forgotten, so it was kept: it is read at the first position that is left.
    const first = store.journal(run, 0, 1)[0]?.pos
    return first === undefined || at >= first - 1 ? null : soundAt(store, run, address, incarnation, first - 1)
  }
}

function* entriesOf(store: Stored, { run, address, at }: Life, since: number): Generator<JournalEntry> {
  for (let cursor = since; cursor < at; ) {
    const page = store.journal(run, cursor, Math.min(1_000, at - cursor))
    if (page.length === 0) return
    for (const entry of page) if (entry.path === address) yield entry
    cursor = page.at(-1)!.pos
  }
}

/** One step again, from the rows as they were just before it. */
function again(store: Stored, host: Pick<Host, 'step'>, life: Life, entry: JournalEntry, before: EncodedSnapshot | null): EncodedSnapshot {
  const { run, address } = life
  const told = JSON.parse(entry.data)
  const row = rowBefore(store, run, address, entry)
  if (row === null) throw lost(life, `its row before #${entry.pos} is gone`)
  const result = host.step({
    ...standing(row),
    systemIds: lazily(() => store.image(run, entry.pos - 1).systemIds),
    // A start is a start: an address that was free again may have had a life of this number before.
    snapshot: told.kind === 'start' ? null : before,
    envelope: envelopeOf(entry, told),
    now: told.now,
    seed: `${run}:${told.seq}`,
  })
  const snapshot = result.snapshot === 'unchanged' ? before : result.snapshot
  if (result.exit?.kind === 'error' || snapshot === null || !isOf(snapshot, told.hash))
    throw lost(life, `taking step #${entry.pos} again gives another state: its machine is not the one that took it`)
  return snapshot
}

/** As one text, or in parts: how a large snapshot is stored is not what it says. */
const isOf = (snapshot: EncodedSnapshot, hash: string): boolean => snapshot.hash === hash || wholeHash(snapshot) === hash

/** A child that moved in where another one had lived has no row before its first step, and nothing of its own yet. */
function rowBefore(store: Stored, run: string, address: Address, { pos, inc }: JournalEntry): CellRow | null {
  const before = store.cell(run, address, pos - 1)
  if (before?.incarnation === inc) return before
  const first = store.cell(run, address, pos)
  return first?.incarnation === inc ? { ...first, children: [], nextId: 0 } : null
}

/** What was allowed is not asked again: the step was taken. */
function standing(row: CellRow) {
  const { address, incarnation, machine, version, parent, children, nextId } = row
  return { address, incarnation, machine, version, parent, children, nextId, allowance: { children: Infinity, depth: Infinity } }
}

function envelopeOf(
  entry: JournalEntry,
  told: { seq: number; kind?: Envelope['kind']; child?: Envelope['child']; event: Envelope['event'] },
): Envelope {
  return {
    seq: told.seq,
    kind: told.kind ?? 'mail',
    to: entry.path!,
    incarnation: entry.inc,
    from: null,
    event: told.event,
    order: '',
    frames: [],
    child: told.child,
    cause: entry.cause,
  }
}

function lost({ address, incarnation }: Life, why: string): Defect {
  return new Defect('E_SNAPSHOT_LOST', `the snapshot of ${address} (life ${incarnation}) is damaged and cannot be rebuilt: ${why}`, {
    hint: 'troupe db restore <backup>',
  })
}

/** Looked up only where a step does: most machines never ask for a system id, and an image costs what was open. */
function lazily<T extends object>(make: () => T): T {
  let made: T | undefined
  const target = (): T => (made ??= make())
  return new Proxy({} as T, {
    get: (_, key) => Reflect.get(target(), key),
    has: (_, key) => Reflect.has(target(), key),
    ownKeys: () => Reflect.ownKeys(target()),
    getOwnPropertyDescriptor: (_, key) => Reflect.getOwnPropertyDescriptor(target(), key),
  })
}
