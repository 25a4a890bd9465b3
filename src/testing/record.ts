/**
 * What is known of a simulated run from the outside: every commit that reached the store, and every step that was taken, before any engine made anything of it.
 * The invariants compare the two.
 *
 *   host.step --StepResult--> taken        store.commit --journal, rows--> facts, rows
 *                  the engine is between them, and under suspicion
 *
 * The first thing that is wrong is kept ({@link Recording.broken}), and nothing is thrown: it must not look like a commit that failed.
 */
import type { Json } from '../json.ts'
import type { Address, Incarnation } from '../protocol.ts'
import type { Envelope, StepInput, StepResult } from '../runtime/cell.ts'
import type { JournalEntry } from '../runtime/journal.ts'
import type { CellRow, Commit } from '../runtime/store.ts'

/** One entry of the journal, with the run clock of its commit. */
export interface Fact {
  readonly pos: number
  /** Wall clock, milliseconds. */
  readonly at: number
  /** Run clock of the turn that wrote it, milliseconds. */
  readonly runMs: number
  readonly type: string
  readonly path: Address | null
  readonly inc: Incarnation | null
  readonly cause: number | null
  readonly data: { readonly [key: string]: Json }
}

/** What a quiet tree looks like from the store. */
export interface Quiet {
  readonly runMs: number
  readonly cells: ReadonlyMap<Address, CellRow>
  /** What waits in the store. */
  waiting(): readonly Envelope[]
}

/** Something that must always hold. Each method throws {@link Broken} when it does not. */
export interface Invariant {
  /** An entry was committed. `taken`: what its step gave, for `step.committed`. */
  fact?(fact: Fact, taken: StepResult | undefined): void
  /** All entries of a commit have been told. */
  committed?(commit: CommitRows): void
  /** Nothing moves until time does. */
  quiet?(tree: Quiet): void
}

export type CommitRows = Pick<Commit, 'journal' | 'cells' | 'clock' | 'timersSet' | 'effects' | 'run_'>

/** An invariant does not hold. */
export class Broken extends Error {
  override readonly name = 'Broken'
  readonly invariant: string
  constructor(invariant: string, message: string) {
    super(message)
    this.invariant = invariant
  }
}

export class Recording {
  readonly facts: Fact[] = []
  /** The newest row of each address that has one. */
  readonly cells = new Map<Address, CellRow>()
  broken: Broken | null = null
  steps = 0
  readonly #taken = new Map<string, StepResult>()
  readonly #invariants: readonly Invariant[]

  constructor(invariants: readonly Invariant[]) {
    this.#invariants = invariants
  }

  /** A step was taken; whether it is committed is another matter. */
  stepped({ address, envelope }: StepInput, result: StepResult): void {
    this.steps++
    this.#taken.set(`${address} ${envelope.seq}`, result)
  }

  /** The store has returned from this commit. */
  committed(commit: CommitRows): void {
    for (const { born: _, ...row } of commit.cells) {
      if (row.status === 'gone') {
        if (this.cells.get(row.address)?.incarnation === row.incarnation) this.cells.delete(row.address)
      } else this.cells.set(row.address, row)
    }
    this.look(() => {
      for (const entry of commit.journal) this.#tell(factOf(entry, commit.clock.runMs))
      for (const invariant of this.#invariants) invariant.committed?.(commit)
    })
    this.#taken.clear() // What is taken later is taken again where this commit did not hold it.
  }

  /** A send has resolved with this position. */
  acknowledged(position: number): void {
    if (this.facts[position - 1]?.type === 'message.accepted') return
    this.broken ??= new Broken('an acknowledged event is kept', `an event was acknowledged at ${position}, where the store has none`)
  }

  quiet(tree: Quiet): void {
    this.look(() => {
      for (const invariant of this.#invariants) invariant.quiet?.(tree)
    })
  }

  /** Keeps what is thrown as broken, if it is the first. */
  look(check: () => void): void {
    if (this.broken !== null) return
    try {
      check()
    } catch (error) {
      this.broken = error instanceof Broken ? error : new Broken('the simulation itself works', String((error as Error)?.stack ?? error))
    }
  }

  #tell(fact: Fact): void {
    if (fact.pos !== this.facts.length + 1) throw new Broken('the journal has no holes', `entry ${fact.pos} follows ${this.facts.length}`)
    this.facts.push(fact)
    const taken = fact.type === 'step.committed' ? this.#taken.get(`${fact.path} ${fact.data['seq']}`) : undefined
    if (fact.type === 'step.committed' && taken === undefined)
      throw new Broken('what is committed was taken', `entry ${fact.pos} tells of a step of ${fact.path} that was never taken`)
    for (const invariant of this.#invariants) invariant.fact?.(fact, taken)
  }
}

function factOf({ hash: _, data, ...entry }: JournalEntry, runMs: number): Fact {
  return { ...entry, runMs, data: JSON.parse(data) }
}
