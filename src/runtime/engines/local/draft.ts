/** What the next commit will write, gathered while a turn runs. Nothing of it has happened until the store has returned from it. */
import type { Json } from '../../../json.ts'
import type { Address, Incarnation } from '../../../protocol.ts'
import type { Envelope } from '../../cell.ts'
import { chain, type JournalEntry } from '../../journal.ts'
import type { AskRow, CellRow, Commit, EffectRow, EnvelopeOutcome, MachineRow, RunRow, TimerRow } from '../../store.ts'

type RunChange = NonNullable<Commit['run_']>

export class Draft {
  readonly journal: JournalEntry[] = []
  readonly #cells: (CellRow & { readonly born: number })[] = []
  /** Where the newest version of a life stands in `#cells`. */
  readonly #newest = new Map<string, number>()
  readonly #snapshots: Commit['snapshots'][number][] = []
  readonly effects = new Map<string, { effect: EffectRow; changed: number }>()
  readonly threadAppends: Commit['threadAppends'][number][] = []
  readonly machines: MachineRow[] = []
  readonly #added = new Map<number, { envelope: Envelope; born: number }>()
  readonly #done: Commit['envelopesDone'][number][] = []
  readonly #timersSet = new Map<number, { timer: TimerRow; born: number }>()
  readonly #timersDone: { timer: number; died: number }[] = []
  readonly #asksAdded = new Map<number, { ask: AskRow; born: number }>()
  readonly #asksDone: { ask: number; died: number }[] = []
  #run: RunChange | null = null
  position: number
  hash: string

  constructor(position: number, hash: string) {
    this.position = position
    this.hash = hash
  }

  /** Adds a journal entry and returns its position. */
  fact(
    at: number,
    type: string,
    where: { path: Address | null; inc: Incarnation | null },
    cause: number | null,
    data: { readonly [key: string]: Json | undefined },
  ): number {
    const unsealed = { pos: ++this.position, at, type, path: where.path, inc: where.inc, cause, data: JSON.stringify(data) }
    this.hash = chain(this.hash, unsealed)
    this.journal.push({ ...unsealed, hash: this.hash })
    return this.position
  }

  /** Each position has its version of a cell: history is exact inside a commit, too. */
  cellChanged(row: CellRow, position: number): void {
    const life = `${row.address}#${row.incarnation}`
    const newest = this.#newest.get(life)
    const version = { ...row, born: position }
    if (newest !== undefined && this.#cells[newest]!.born === position) this.#cells[newest] = version
    else this.#newest.set(life, this.#cells.push(version) - 1)
  }

  snapshotTaken(snapshot: Commit['snapshots'][number]): void {
    this.#snapshots.push(snapshot)
  }

  envelopeAdded(envelope: Envelope): void {
    this.#added.set(envelope.seq, { envelope, born: this.position })
  }

  /** It stands in another place by now. False where an earlier commit has written it: its row says the old one. */
  envelopePlaced(envelope: Envelope): boolean {
    const added = this.#added.get(envelope.seq)
    if (added !== undefined) this.#added.set(envelope.seq, { envelope, born: added.born })
    return added !== undefined
  }

  /** An envelope that was sent and taken in one commit leaves no row: the journal holds it. */
  envelopeDone(seq: number, outcome: EnvelopeOutcome): void {
    if (!this.#added.delete(seq)) this.#done.push({ seq, died: this.position, outcome })
  }

  timerSet(timer: TimerRow): void {
    this.#timersSet.set(timer.timer, { timer, born: this.position })
  }

  timerDone(timer: number): void {
    if (!this.#timersSet.delete(timer)) this.#timersDone.push({ timer, died: this.position })
  }

  askAdded(ask: AskRow): void {
    this.#asksAdded.set(ask.ask, { ask, born: this.position })
  }

  /** Asks of this commit that are open at its end. */
  get asked(): readonly AskRow[] {
    return [...this.#asksAdded.values()].map(({ ask }) => ask)
  }

  askDone(ask: number): void {
    if (!this.#asksAdded.delete(ask)) this.#asksDone.push({ ask, died: this.position })
  }

  changeRun(change: RunChange): void {
    this.#run = { ...this.#run, ...change }
  }

  get isEmpty(): boolean {
    return this.journal.length === 0 && this.#added.size === 0 && this.#done.length === 0 && this.#run === null
  }

  commit(run: RunRow, clock: RunRow['clock'], counters: RunRow['counters']): Commit {
    return {
      run: run.run,
      epoch: run.epoch,
      expectedPosition: run.position,
      journal: this.journal,
      cells: this.#cells,
      snapshots: this.#snapshots,
      envelopesAdded: [...this.#added.values()],
      envelopesDone: this.#done,
      timersSet: [...this.#timersSet.values()],
      timersDone: this.#timersDone,
      effects: [...this.effects.values()],
      asksAdded: [...this.#asksAdded.values()],
      asksDone: this.#asksDone,
      threadAppends: this.threadAppends,
      requestsDone: [],
      ...(this.machines.length === 0 ? {} : { machines: this.machines }),
      clock,
      counters,
      run_: this.#run,
    }
  }

  /** The run's row after the commit has returned. */
  after(run: RunRow, clock: RunRow['clock'], counters: RunRow['counters']): RunRow {
    return { ...run, ...this.#run, position: this.position, hash: this.hash, clock, counters }
  }
}
