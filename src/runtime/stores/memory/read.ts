/** The read path: texts back to what was committed, now or as it was at a position that is not pruned. */
import type { Json } from '../../../json.ts'
import type { Address, Incarnation } from '../../../protocol.ts'
import type { ActorRef, EncodedSnapshot, Envelope } from '../../cell.ts'
import type { JournalEntry } from '../../journal.ts'
import type { AskRow, CellRow, EffectRow, Image, MachineRow, SnapshotVersion, Store, TimerRow } from '../../store.ts'
import { byBytes, byNumber } from './order.ts'
import { pruned } from './refusals.ts'
import { type CellText, type EffectText, hashAt, type MemoryRun, rowOf, type SnapshotText } from './run.ts'
import { fromText } from './text.ts'

/** Entries and versions of one answer, unless asked otherwise. */
const JOURNAL_LIMIT = 1_000
const SNAPSHOTS_LIMIT = 100

/** The position to read at: undefined for the end. @throws {UserError} `E_POSITION_PRUNED`. */
export function placeIn(run: MemoryRun, at: number | undefined): number | undefined {
  if (at === undefined || at >= run.head.position) return undefined
  if (at < run.anchor.position) throw pruned(run.run, at, run.anchor.position)
  return at
}

export function journalOf(run: MemoryRun, since: number, limit = JOURNAL_LIMIT): readonly JournalEntry[] {
  const from = Math.max(0, since - run.anchor.position)
  return run.entries.slice(from, from + Math.max(0, limit))
}

/** Last position of the commit that wrote this one. */
export function commitEndOf(run: MemoryRun, position: number): number {
  return run.ends.find((end) => end >= position) ?? run.head.position
}

export function imageOf(run: MemoryRun, at: number | undefined): Image {
  const row = rowOf(run)
  const systemIds: Record<string, ActorRef> = {}
  for (const [, cell] of cellTexts(run, at)) Object.assign(systemIds, structuredClone(cell.systemIds))
  const texts = <T>(lives: MemoryRun['envelopes']): T[] => lives.at(at).map((text) => fromText<T>(text))
  return {
    run: at === undefined ? row : { ...row, position: at, hash: hashAt(run, at) },
    systemIds,
    envelopes: texts<Envelope>(run.envelopes),
    timers: texts<TimerRow>(run.timers),
    effects: effectTexts(run, at, true).map(effect),
    asks: texts<AskRow>(run.asks),
  }
}

export function cellsOf(run: MemoryRun, at: number | undefined): readonly CellRow[] {
  return cellTexts(run, at).map(([, { text }]) => fromText<CellRow>(text))
}

export function cellOf(run: MemoryRun, address: Address, at: number | undefined): CellRow | null {
  const version = run.cells.get(address)?.at(at)
  return version === undefined ? null : fromText<CellRow>(version.row.text)
}

function cellTexts(run: MemoryRun, at: number | undefined): (readonly [Address, CellText])[] {
  const alive: (readonly [Address, CellText])[] = []
  for (const [address, versions] of run.cells) {
    const version = versions.at(at)
    if (version !== undefined) alive.push([address, version.row])
  }
  return alive.sort(([a], [b]) => byBytes(a, b))
}

export function snapshotOf(run: MemoryRun, address: Address, incarnation: Incarnation, at: number | undefined): EncodedSnapshot | null {
  const before = (row: SnapshotText): boolean => row.incarnation === incarnation && (at === undefined || row.position <= at)
  const found = run.snapshots.get(address)?.findLast(before)
  if (found === undefined) return null
  const { value, tags, ...snapshot } = found.snapshot
  return { ...snapshot, value: fromText(value), tags: fromText<string[]>(tags) }
}

export function snapshotsOf(run: MemoryRun, address: Address, options: Parameters<Store['snapshots']>[2] = {}): readonly SnapshotVersion[] {
  const { before = Number.POSITIVE_INFINITY, limit = SNAPSHOTS_LIMIT } = options
  const found = (run.snapshots.get(address) ?? []).filter(({ position }) => position < before).reverse()
  return found
    .slice(0, Math.max(0, limit))
    .map(({ position, incarnation, at, snapshot }) => ({ position, incarnation, at, hash: snapshot.hash }))
}

export function effectsOf(run: MemoryRun, at: number | undefined): readonly EffectRow[] {
  return effectTexts(run, at, false).map(effect)
}

function effectTexts(run: MemoryRun, at: number | undefined, onlyOpen: boolean): EffectText[] {
  const ids = [...(onlyOpen && at === undefined ? run.openEffects : run.effects.keys())].sort(byNumber)
  const rows = ids.map((id) => run.effects.get(id)!.at(at)?.row)
  return rows.filter((row): row is EffectText => row !== undefined && (row.isOpen || !onlyOpen))
}

function effect({ input, output, rest }: EffectText): EffectRow {
  const row = fromText<Omit<EffectRow, 'input' | 'output'>>(rest)
  return { ...row, input: fromText(input), output: output === null ? undefined : fromText(output) } as EffectRow
}

export function threadOf(run: MemoryRun, thread: string, from: number, at: number | undefined): readonly Json[] {
  const items = run.threads.get(thread)?.slice(Math.max(0, from)) ?? []
  return items.filter(({ born }) => at === undefined || born <= at).map(({ item }) => fromText(item))
}

export function machinesOf(run: MemoryRun): readonly (MachineRow & { readonly cells: number })[] {
  const counts = new Map<string, number>()
  for (const [, { machine, version }] of cellTexts(run, undefined)) {
    const key = `${machine}\0${version}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...run.machines]
    .sort(([a], [b]) => byBytes(a, b))
    .map(([key, { name, version, definition }]) => ({ name, version, definition: fromText(definition), cells: counts.get(key) ?? 0 }))
}
