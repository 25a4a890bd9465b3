/**
 * One run in memory: its row in parts, its journal, and the histories that a commit writes.
 *
 *   entries[i].pos === anchor.position + 1 + i        the last entry is at `position`
 *   ends                                              last positions of commits, rising
 */
import type { Incarnation } from '../../../protocol.ts'
import type { ActorRef, Chunk, EncodedSnapshot } from '../../cell.ts'
import type { JournalEntry } from '../../journal.ts'
import type { RequestRow, RunRow } from '../../store.ts'
import { Lives, type Versions } from './history.ts'
import { fromText, toText } from './text.ts'

/** A version of a cell, with what is asked of it without reading its row. */
export interface CellText {
  readonly incarnation: Incarnation
  readonly machine: string
  readonly version: string
  readonly parent: string | null
  readonly systemIds: Readonly<Record<string, ActorRef>> | null
  readonly text: string
}
export interface SnapshotText {
  readonly position: number
  readonly incarnation: Incarnation
  /** Wall clock of its step, milliseconds. */
  readonly at: number
  readonly snapshot: Omit<EncodedSnapshot, 'value' | 'tags'> & { readonly value: string; readonly tags: string }
}
export interface EffectText {
  readonly isOpen: boolean
  readonly input: string
  readonly output: string | null
  readonly rest: string
}
interface MachineText {
  readonly name: string
  readonly version: string
  readonly definition: string
}

export type RunChanges = Partial<Pick<RunRow, 'status' | 'reason' | 'output' | 'endedAt' | 'limits' | 'owner'>>
type Head = Pick<RunRow, 'epoch' | 'position' | 'hash' | 'clock' | 'counters'>

export interface MemoryRun {
  readonly run: string
  /** The row without its {@link Head}, as text. */
  text: string
  head: Head
  /** Who may commit: the {@link Owned} of the current epoch, until it lets go. */
  holder: object | null
  /** What came before the first entry that is kept. */
  anchor: { readonly position: number; readonly hash: string }
  entries: JournalEntry[]
  ends: number[]
  readonly cells: Map<string, Versions<CellText>>
  /** Live cells by the address of their parent. */
  readonly kids: Map<string, Set<string>>
  readonly snapshots: Map<string, SnapshotText[]>
  readonly chunks: Map<string, Chunk>
  readonly envelopes: Lives
  readonly timers: Lives
  readonly asks: Lives
  readonly effects: Map<string, Versions<EffectText>>
  readonly openEffects: Set<string>
  readonly threads: Map<string, { readonly born: number; readonly item: string }[]>
  readonly machines: Map<string, MachineText>
  readonly requests: Map<number, { readonly kind: RequestRow['kind']; readonly data: string }>
}

/** @param position  before its first commit. */
export function newRun(row: RunRow, position: number): MemoryRun {
  const { epoch, hash, clock, counters, ...rest } = row
  return {
    run: row.run,
    text: toText(rest, 'run'),
    head: { epoch, position, hash, clock: { ...clock }, counters: { ...counters } },
    holder: null,
    anchor: { position, hash: row.position === position ? hash : '' },
    entries: [],
    ends: [],
    cells: new Map(),
    kids: new Map(),
    snapshots: new Map(),
    chunks: new Map(),
    envelopes: new Lives(),
    timers: new Lives(),
    asks: new Lives(),
    effects: new Map(),
    openEffects: new Set(),
    threads: new Map(),
    machines: new Map(),
    requests: new Map(),
  }
}

/** The row as it is now. */
export function rowOf(run: MemoryRun): RunRow {
  const { epoch, position, hash, clock, counters } = run.head
  return { ...fromText<RunRow>(run.text), epoch, position, hash, clock: { ...clock }, counters: { ...counters } }
}

/** The text of the row after a change. A member that is undefined is no change, null is one. */
export function changedText(run: MemoryRun, changes: RunChanges): string {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined)
  return toText({ ...fromText<RunRow>(run.text), ...Object.fromEntries(given) }, 'run')
}

/** Hash of the entry at a position that is kept, or of the anchor. */
export function hashAt(run: MemoryRun, position: number): string {
  return run.entries[position - run.anchor.position - 1]?.hash ?? (position === run.anchor.position ? run.anchor.hash : run.head.hash)
}
