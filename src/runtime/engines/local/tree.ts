/**
 * A live tree in memory: the image of the store plus the draft of the next commit. Changed only inside a turn; when a commit fails it is thrown away
 * and read again, so it is never ahead of what is durable.
 */
import { Defect } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { Address, ExitReason, Incarnation } from '../../../protocol.ts'
import type { ActorRef, EncodedSnapshot, Envelope } from '../../cell.ts'
import type { Host } from '../../engine.ts'
import { isQueued, type Place, placeOf, placeQueued, rootPlace } from '../../order.ts'
import { rebuild } from '../../replay.ts'
import type { AskRow, CellRow, Commit, EffectRow, EnvelopeOutcome, Image, RunRow, Store, TimerRow } from '../../store.ts'
import { charge } from './budgets.ts'
import { type Cell, Cells } from './cells.ts'
import { Draft } from './draft.ts'
import { UsedMachines } from './machines.ts'
import { Mailroom } from './mailroom.ts'
import { OpenEffects } from './open-effects.ts'
import { Timers } from './timers.ts'

/** Deliveries of a step keep its order of operations; what the engine adds comes after them. */
export const OP_LAST = 1_000_000

export type { Cell }

/** What a turn has decided about a callback or an observable. */
export type VolatileOrder =
  | { readonly do: 'start' | 'stop'; readonly row: EffectRow }
  | { readonly do: 'tell'; readonly row: EffectRow; readonly event: Envelope['event'] }

/** What a turn leaves to be done once its commit has returned. */
export interface Afterwards {
  /** Effects to perform: their start is committed. */
  readonly perform: EffectRow[]
  /** Effects to abort: they are cancelled. */
  readonly abort: string[]
  /** Inline actions, answers to callers outside. */
  readonly run: (() => unknown)[]
  /** What callbacks and observables are to do and to hear. */
  readonly volatile: VolatileOrder[]
}

export class Tree {
  run: RunRow
  readonly host: Host
  readonly cells: Cells
  readonly mail = new Mailroom()
  readonly timers = new Timers()
  readonly effects: OpenEffects
  readonly asks = new Map<number, AskRow>()
  /** Answers to callers outside, by ask. */
  readonly callers = new Map<number, { resolve(answer: Envelope['event']): void; reject(error: unknown): void }>()
  readonly systemIds: Record<string, ActorRef>
  /** Why the root ended, once it has. */
  ended: ExitReason | null = null
  /** Effects that are cancelled and still at work, as they were before and as they are: charged with their worst case until their word comes. */
  readonly late = new Map<string, { readonly before: EffectRow; readonly row: EffectRow }>()
  now = 0
  wall = 0
  draft: Draft
  afterwards: Afterwards = { perform: [], abort: [], run: [], volatile: [] }
  readonly counters: { seq: number; effects: number; timers: number }
  readonly #store: TreeSource
  readonly #machines: UsedMachines
  readonly #indices = new Map<string, number>()
  /** Envelopes of earlier commits that have got their place among those that wait for the same actor. */
  readonly #placed = new Set<Envelope>()

  constructor(image: Image, host: Host, store: TreeSource) {
    const { run } = image.run
    this.run = image.run
    this.host = host
    this.#store = store
    this.#machines = new UsedMachines(host, () => store.machines(run))
    this.cells = new Cells({ cell: (address) => store.cell(run, address), children: (address) => store.children(run, address) })
    this.effects = new OpenEffects(image.effects)
    this.systemIds = { ...image.systemIds }
    this.counters = { ...image.run.counters }
    this.draft = new Draft(image.run.position, image.run.hash)
    const root = this.cells.get(rootAddress(image.run))
    if (root?.row.status === 'ended') this.ended = root.row.exit as unknown as ExitReason
    for (const envelope of image.envelopes) this.mail.add(envelope)
    for (const timer of image.timers) this.timers.set(timer)
    for (const ask of image.asks) this.asks.set(ask.ask, ask)
  }

  /** Starts a turn: time stands still in it. */
  begin(now: number, wall: number): void {
    this.now = now
    this.wall = wall
    this.draft = new Draft(this.run.position, this.run.hash)
    this.afterwards = { perform: [], abort: [], run: [], volatile: [] }
  }

  fact(
    type: string,
    cell: Pick<CellRow, 'address' | 'incarnation'> | null,
    cause: number | null,
    data: { readonly [key: string]: Json | undefined },
  ): number {
    return this.draft.fact(this.wall, type, { path: cell?.address ?? null, inc: cell?.incarnation ?? null }, cause, data)
  }

  adopt(cell: Cell): void {
    this.cells.add(cell)
    for (const [systemId, ref] of Object.entries(cell.row.systemIds)) this.systemIds[systemId] = ref
  }

  /** A life of this machine begins: the run notes what the machine is, for those who resume it. */
  useMachine(name: string): void {
    const row = this.#machines.use(name)
    if (row !== null) this.draft.machines.push(row)
  }

  /** Changes a cell's row, in memory and in the draft. @param position  of the entry that tells of it. Default: the newest. */
  change(cell: Cell, change: Partial<CellRow>, position = this.draft.position): void {
    cell.row = { ...cell.row, ...change }
    this.draft.cellChanged(cell.row, position)
  }

  keepSnapshot(cell: Cell, snapshot: EncodedSnapshot): void {
    const { address, incarnation } = cell.row
    cell.snapshot = snapshot
    this.draft.snapshotTaken({ address, incarnation, snapshot, born: this.draft.position })
  }

  /** Frees the system ids that a cell's children hold. One that somebody else has taken by now stays his. */
  freeSystemIds(row: CellRow): void {
    for (const [systemId, held] of Object.entries(row.systemIds)) {
      const now = this.systemIds[systemId]
      if (now?.address === held.address && now.incarnation === held.incarnation) delete this.systemIds[systemId]
    }
  }

  /** The address has ended for good. */
  forget(cell: Cell): void {
    this.change(cell, { status: 'gone' })
    this.cells.remove(cell.row.address)
  }

  /** Does somebody live there, or will again? One that has finished is kept only for its supervisor. */
  isHome(address: Address): boolean {
    const cell = this.cells.get(address)
    return cell !== undefined && cell.row.retired !== true
  }

  /** The last life that an address has had; 0 where nobody has ever lived there. */
  lastLife(address: Address): Incarnation {
    const known = this.cells.get(address)?.row.incarnation ?? this.cells.lastOf(address)
    return known ?? this.#store.snapshots(this.run.run, address, { limit: 1 })[0]?.incarnation ?? 0
  }

  /** Addresses that end as this one does: what somebody may have meant. */
  near(address: Address): string[] {
    const name = address.slice(address.lastIndexOf('/'))
    const known = new Set([...this.#store.cells(this.run.run).map((row) => row.address), ...this.cells.begun()])
    return [...known].filter((other) => other.endsWith(name)).slice(0, 3)
  }

  snapshotOf(cell: Cell): EncodedSnapshot | null {
    if (cell.snapshot === undefined) cell.snapshot = this.#load(cell)
    if (cell.snapshot === null && cell.row.status === 'active')
      throw new Defect('E_SNAPSHOT_MISSING', `${cell.row.address} has no snapshot in the store`)
    return cell.snapshot
  }

  /** A snapshot that is not what was committed is rebuilt from its steps, and written again. */
  #load(cell: Cell): EncodedSnapshot | null {
    const { address, incarnation } = cell.row
    const { run, position } = this.run
    try {
      return this.#store.snapshot(run, address, incarnation)
    } catch (error) {
      if (!(error instanceof Defect) || error.code !== 'E_SNAPSHOT_DAMAGED') throw error
      const { snapshot, from, steps } = rebuild(this.#store, this.host, { run, address, incarnation, at: position })
      this.fact('snapshot.rebuilt', cell.row, null, { row: Number(error.details['position']), from, entries: steps })
      this.keepSnapshot(cell, snapshot)
      return snapshot
    }
  }

  /** Puts an envelope into the mail. `current` is what is being handled; null starts a new cascade. */
  post(
    current: Envelope | null,
    op: number,
    envelope: Omit<Envelope, 'seq' | 'order' | 'frames' | 'cause'>,
    cause: number | null,
  ): Envelope {
    const seq = ++this.counters.seq
    if (current === null) this.#indices.clear()
    const place: Place = current === null ? rootPlace(seq, envelope.to) : placeOf(current, op, envelope.to)
    return this.#add({ ...envelope, seq, ...place, cause })
  }

  /** The envelope that is delivered next. One that has queued until now first gets its place among those that wait for the same actor. */
  next(): Envelope | undefined {
    for (;;) {
      const envelope = this.mail.next()
      if (envelope === undefined || !isQueued(envelope.order)) return envelope
      this.#place(envelope, envelope)
    }
  }

  /**
   * What has waited for an actor to start is deliverable, behind all that its first step has caused. In its old order it would come before that, and what
   * it makes the actor send would overtake what the first step has sent.
   */
  admit(start: Envelope): void {
    const queued = placeOf(start, 0, start.to)
    for (const envelope of this.mail.unpark(start.to)) this.#place(envelope, queued)
  }

  /** Last among those that wait for its actor in the frame where it queues. */
  #place(envelope: Envelope, queued: Place): void {
    const placed = { ...envelope, ...placeQueued(queued, envelope.to, this.#indices, (frame) => this.mail.maxIndex(frame)) }
    this.mail.add(placed)
    if (!this.draft.envelopePlaced(placed)) this.#placed.add(placed)
  }

  /** Everything of this turn, for the store; null where nothing has changed. */
  commit(clock: RunRow['clock'], counters: RunRow['counters']): Commit | null {
    this.#settlePlaces()
    return this.draft.isEmpty ? null : this.draft.commit(this.run, clock, { ...counters })
  }

  /** Before a commit: what has got its place in this turn and is not taken yet needs a row that says so. */
  #settlePlaces(): void {
    for (const placed of this.#placed) {
      if (this.mail.remove(placed.to, (waiting) => waiting === placed).length === 0) continue
      this.done(placed, 'cleared')
      this.#add({ ...placed, seq: ++this.counters.seq })
    }
    this.#placed.clear()
  }

  #add(envelope: Envelope): Envelope {
    this.mail.add(envelope)
    this.draft.envelopeAdded(envelope)
    return envelope
  }

  done(envelope: Envelope, outcome: EnvelopeOutcome): void {
    this.draft.envelopeDone(envelope.seq, outcome)
  }

  setTimer(row: Omit<TimerRow, 'timer'>): TimerRow {
    if (!Number.isFinite(row.dueAt)) throw new Defect('E_DELAY_INVALID', `a timer of ${row.owner} has no finite deadline`)
    const timer: TimerRow = { ...row, timer: ++this.counters.timers }
    this.timers.set(timer)
    this.draft.timerSet(timer)
    return timer
  }

  clearTimer(timer: number): void {
    this.timers.delete(timer)
    this.draft.timerDone(timer)
  }

  /** Limits of the run, in memory and in the draft. */
  changeLimits(limits: RunRow['limits']): void {
    this.run = { ...this.run, limits }
    this.draft.changeRun({ limits })
  }

  /** All effects of the run, also those that are over. */
  *allEffects(): Iterable<EffectRow> {
    for (const row of this.#store.effects(this.run.run)) if (!this.draft.effects.has(row.id)) yield row
    for (const { effect } of this.draft.effects.values()) yield effect
  }

  /** Writes an effect row, charges the budgets above it, and keeps or drops it among the open ones. @param before  the row as it was. */
  keepEffect(row: EffectRow, before = this.effects.get(row.id)): void {
    charge(this, before, row)
    this.effects.keep(row)
    this.draft.effects.set(row.id, { effect: row, changed: this.draft.position })
  }
}

/** What a tree reads of the store as it goes. */
export type TreeSource = Pick<
  Store,
  'cell' | 'cells' | 'children' | 'effects' | 'image' | 'journal' | 'machines' | 'snapshot' | 'snapshots'
>

const rootAddress = (run: Pick<RunRow, 'tree'>): Address => `/${encodeURIComponent(String((run.tree as { id?: Json } | null)?.id))}`

/** Is something that is bound to an incarnation for this life? A restart from the checkpoint goes on with what the life before it began. */
export const isBound = (row: CellRow, incarnation: number): boolean => row.since <= incarnation && incarnation <= row.incarnation
