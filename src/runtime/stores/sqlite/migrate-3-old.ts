/** The rows of version 2 as commits: see migrate-3.ts. */
import type { Database } from 'better-sqlite3'
import type { Json } from '../../../json.ts'
import type { CellStatus, Envelope } from '../../cell.ts'
import type { JournalEntry } from '../../journal.ts'
import type { AskRow, CellRow, Commit, EffectRow, EnvelopeOutcome, RunRow, TimerRow } from '../../store.ts'
import { fromText } from './json-text.ts'

export interface OldRun {
  readonly k: number
  readonly run: string
  readonly name: string | null
  readonly project: string | null
  readonly status: RunRow['status']
  readonly reason: string | null
  readonly tree: string
  readonly input: string
  readonly limits: string
  readonly meta: string
  readonly output: string
  readonly created_at: number
  readonly ended_at: number | null
  readonly owner: string | null
}
export interface OldHead {
  readonly epoch: number
  readonly position: number
  readonly hash: string
  readonly run_ms: number
  readonly wall_ms: number
  readonly seq: number
  readonly effects: number
  readonly timers: number
  readonly seat: number
}
/** What a commit wrote, apart from its run. */
export type OldCommit = Omit<Commit, 'run' | 'epoch' | 'expectedPosition' | 'requestsDone' | 'machines' | 'clock' | 'counters' | 'run_'>

interface OldOpen {
  readonly born: number
  readonly died: number | null
  readonly outcome?: EnvelopeOutcome
  readonly data: string
}
interface OldSnapshot {
  readonly address: string
  readonly incarnation: number
  readonly born: number
  readonly json: string
  readonly hash: string
  readonly status: CellStatus
  readonly value: string
  readonly tags: string
}
interface OldEffect {
  readonly changed: number
  readonly input: string
  readonly output: string | null
  readonly data: string
}

export function oldRun(old: OldRun & OldHead): RunRow {
  const { run, name, project, status, epoch, position, hash } = old
  return {
    run,
    name,
    project,
    status,
    reason: old.reason === null ? null : fromText<NonNullable<RunRow['reason']>>(old.reason),
    tree: fromText<Json>(old.tree),
    input: fromText<Json>(old.input),
    limits: fromText<RunRow['limits']>(old.limits),
    meta: fromText<Json>(old.meta),
    output: fromText<Json>(old.output),
    createdAt: old.created_at,
    endedAt: old.ended_at,
    epoch,
    owner: old.owner === null ? null : fromText<NonNullable<RunRow['owner']>>(old.owner),
    position,
    hash,
    clock: { runMs: old.run_ms, wallMs: old.wall_ms },
    counters: { seq: old.seq, effects: old.effects, timers: old.timers },
  }
}

/** In their order. The first holds what was there before the first entry. */
export function* oldCommits(db: Database, key: number, position: number): Iterable<OldCommit> {
  const all = <T>(sql: string): readonly T[] => db.prepare<[number], T>(sql).all(key)
  const journal = all<JournalEntry>('SELECT pos, at, type, path, inc, cause, data, hash FROM old_journal WHERE run = ? ORDER BY pos')
  const cells = all<{ born: number; data: string }>('SELECT born, data FROM old_cell WHERE run = ? ORDER BY born, incarnation')
  const snapshots = all<OldSnapshot>('SELECT * FROM old_snapshot WHERE run = ? ORDER BY born')
  const effects = all<OldEffect>(`SELECT changed, output, data, (SELECT input FROM old_effect i WHERE i.run = e.run AND i.id = e.id
    AND i.changed <= e.changed AND i.input IS NOT NULL ORDER BY i.changed DESC LIMIT 1) AS input
    FROM old_effect e WHERE run = ? ORDER BY changed, length(id), id`)
  const open = (table: string, number: string) => all<OldOpen>(`SELECT * FROM old_${table} WHERE run = ? ORDER BY ${number}`)
  const [envelopes, timers, asks] = [open('envelope', 'seq'), open('timer', 'timer'), open('ask', 'ask')]
  const items = all<{ thread: string; born: number; item: string }>('SELECT * FROM old_thread WHERE run = ? ORDER BY thread, place')
  const ends = [0, ...endsOf(journal, new Set(cells.map(({ born }) => born)))]
  const bornIn = <T extends { readonly born: number }>(rows: readonly T[]): Grouped<T> => grouped(ends, rows, ({ born }) => born)
  const diedIn = (rows: readonly OldOpen[]): Grouped<OldOpen> => grouped(ends, rows, ({ died }) => died)
  const versions = { cells: bornIn(cells), snapshots: bornIn(places(snapshots, position)), items: bornIn(items) }
  const changed = grouped(ends, effects, (row) => row.changed)
  const born = { envelopes: bornIn(envelopes), timers: bornIn(timers), asks: bornIn(asks) }
  const died = { envelopes: diedIn(envelopes), timers: diedIn(timers), asks: diedIn(asks) }
  let before = 0
  for (const end of ends) {
    yield {
      journal: journal.slice(before, end),
      cells: versions.cells(end).map(({ born, data }) => ({ ...fromText<CellRow>(data), born })),
      snapshots: versions.snapshots(end).map(encoded),
      envelopesAdded: born.envelopes(end).map(({ born, data }) => ({ envelope: fromText<Envelope>(data), born })),
      envelopesDone: died.envelopes(end).map((row) => ({ seq: fromText<Envelope>(row.data).seq, died: row.died!, outcome: row.outcome! })),
      timersSet: born.timers(end).map(({ born, data }) => ({ timer: fromText<TimerRow>(data), born })),
      timersDone: died.timers(end).map(({ died, data }) => ({ timer: fromText<TimerRow>(data).timer, died: died! })),
      asksAdded: born.asks(end).map(({ born, data }) => ({ ask: fromText<AskRow>(data), born })),
      asksDone: died.asks(end).map(({ died, data }) => ({ ask: fromText<AskRow>(data).ask, died: died! })),
      effects: changed(end).map(effect),
      threadAppends: versions.items(end).map(({ thread, born, item }) => ({ thread, items: [item], born })),
    }
    before = end
  }
}

/** The rows of the commit that ended at a position. */
type Grouped<T> = (end: number) => readonly T[]

/** By the end of the commit that a position of theirs lies in; rows without one are in none. */
function grouped<T>(ends: readonly number[], rows: readonly T[], place: (row: T) => number | null): Grouped<T> {
  const groups = new Map<number, T[]>()
  for (const row of rows) {
    const position = place(row)
    if (position === null) continue
    const end = ends[firstAtLeast(ends, position)] ?? ends.at(-1)!
    const group = groups.get(end)
    if (group === undefined) groups.set(end, [row])
    else group.push(row)
  }
  return (end) => groups.get(end) ?? []
}

function firstAtLeast(ends: readonly number[], position: number): number {
  let [low, high] = [0, ends.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ends[middle]! < position) low = middle + 1
    else high = middle
  }
  return low
}

function endsOf(journal: readonly JournalEntry[], cellsBorn: ReadonlySet<number>): number[] {
  return journal.filter(({ pos, at }, index) => journal[index + 1]?.at !== at || cellsBorn.has(pos)).map(({ pos }) => pos)
}

/** A position holds one snapshot now. Where there are two, which no released engine wrote, the later one goes to the next position that is free before it. */
function places(snapshots: readonly OldSnapshot[], position: number): readonly OldSnapshot[] {
  const taken = new Set<number>()
  return [...snapshots].reverse().map((snapshot) => {
    let born = Math.min(Math.max(1, snapshot.born), position)
    while (born > 1 && taken.has(born)) born--
    taken.add(born)
    return { ...snapshot, born }
  })
}

function encoded({ address, incarnation, born, json, hash, status, value, tags }: OldSnapshot): Commit['snapshots'][number] {
  return { address, incarnation, born, snapshot: { json, hash, status, value: fromText(value), tags: fromText<string[]>(tags) } }
}

function effect({ changed, input, output, data }: OldEffect): Commit['effects'][number] {
  const rest = fromText<EffectRow>(data)
  return { changed, effect: { ...rest, input: fromText(input), output: output === null ? undefined : fromText(output) } }
}
