/**
 * A live tree in memory: the image of the store plus the draft of the next commit. Changed only inside a turn; when a commit fails it is thrown away
 * and read again, so it is never ahead of what is durable.
 */
import { Defect } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { Address, ExitReason } from '../../../protocol.ts'
import type { ActorRef, EncodedSnapshot, Envelope } from '../../cell.ts'
import type { Host } from '../../engine.ts'
import { isQueued, type Place, placeOf, placeQueued, rootPlace } from '../../order.ts'
import { OPEN } from '../../status.ts'
import type { AskRow, CellRow, EffectRow, EnvelopeOutcome, Image, RunRow, Store, TimerRow } from '../../store.ts'
import { Draft } from './draft.ts'
import { Mailroom } from './mailroom.ts'
import { Timers } from './timers.ts'

/** Deliveries of a step keep its order of operations; what the engine adds comes after them. */
export const OP_LAST = 1_000_000

export interface Cell {
  row: CellRow
  /** Undefined: stored, and not yet needed. */
  snapshot: EncodedSnapshot | null | undefined
}

/** What a turn leaves to be done once its commit has returned. */
export interface Afterwards {
  /** Effects to perform: their start is committed. */
  readonly perform: EffectRow[]
  /** Effects to abort: they are cancelled. */
  readonly abort: string[]
  /** Inline actions, answers to callers outside. */
  readonly run: (() => unknown)[]
}

export class Tree {
  run: RunRow
  readonly host: Host
  readonly cells = new Map<Address, Cell>()
  readonly kids = new Map<Address, Set<Address>>()
  readonly mail = new Mailroom()
  readonly timers = new Timers()
  /** Open effects. */
  readonly effects = new Map<string, EffectRow>()
  readonly asks = new Map<number, AskRow>()
  /** Answers to callers outside, by ask. */
  readonly callers = new Map<number, { resolve(answer: Envelope['event']): void; reject(error: unknown): void }>()
  readonly systemIds: Record<string, ActorRef> = {}
  /** Why the root ended, once it has. */
  ended: ExitReason | null = null
  /** Tokens of settled effects, failed ones included. */
  spentTokens = 0
  /** Reserved tokens of effects that are cancelled and still at work: they may yet be spent. */
  readonly lingering = new Map<string, number>()
  now = 0
  wall = 0
  draft: Draft
  afterwards: Afterwards = { perform: [], abort: [], run: [] }
  readonly counters: { seq: number; effects: number; timers: number }
  readonly #store: Pick<Store, 'snapshot'>
  readonly #indices = new Map<string, number>()

  constructor(image: Image, host: Host, store: Pick<Store, 'snapshot'>) {
    this.run = image.run
    this.host = host
    this.#store = store
    this.counters = { ...image.run.counters }
    this.draft = new Draft(image.run.position, image.run.hash)
    for (const row of image.cells) this.adopt({ row, snapshot: row.status === 'starting' ? null : undefined })
    for (const row of image.cells) if (row.parent === null && row.status === 'ended') this.ended = row.exit as unknown as ExitReason
    for (const envelope of image.envelopes) this.mail.add(envelope)
    for (const timer of image.timers) this.timers.set(timer)
    for (const effect of image.effects) this.effects.set(effect.id, effect)
    for (const ask of image.asks) this.asks.set(ask.ask, ask)
  }

  /** Starts a turn: time stands still in it. */
  begin(now: number, wall: number): void {
    this.now = now
    this.wall = wall
    this.draft = new Draft(this.run.position, this.run.hash)
    this.afterwards = { perform: [], abort: [], run: [] }
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
    this.cells.set(cell.row.address, cell)
    for (const [systemId, ref] of Object.entries(cell.row.systemIds)) this.systemIds[systemId] = ref
    if (cell.row.parent === null) return
    const kids = this.kids.get(cell.row.parent.address)
    if (kids === undefined) this.kids.set(cell.row.parent.address, new Set([cell.row.address]))
    else kids.add(cell.row.address)
  }

  /** Changes a cell's row, in memory and in the draft. */
  change(cell: Cell, change: Partial<CellRow>): void {
    cell.row = { ...cell.row, ...change }
    this.draft.cells.set(`${cell.row.address}#${cell.row.incarnation}`, cell.row)
  }

  keepSnapshot(cell: Cell, snapshot: EncodedSnapshot): void {
    const { address, incarnation } = cell.row
    cell.snapshot = snapshot
    this.draft.snapshots.set(`${address}#${incarnation}`, { address, incarnation, snapshot, born: this.draft.position })
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
    this.cells.delete(cell.row.address)
    this.kids.delete(cell.row.address)
    if (cell.row.parent !== null) this.kids.get(cell.row.parent.address)?.delete(cell.row.address)
  }

  snapshotOf(cell: Cell): EncodedSnapshot | null {
    if (cell.snapshot === undefined) cell.snapshot = this.#store.snapshot(this.run.run, cell.row.address, cell.row.incarnation)
    if (cell.snapshot === null && cell.row.status === 'active')
      throw new Defect('E_SNAPSHOT_MISSING', `${cell.row.address} has no snapshot in the store`)
    return cell.snapshot
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

  /** The envelope that is delivered next. One that has queued until now is posted again, at its place among those that wait for the same actor. */
  next(): Envelope | undefined {
    for (;;) {
      const envelope = this.mail.next()
      if (envelope === undefined || !isQueued(envelope.order)) return envelope
      const place = placeQueued(envelope, envelope.to, this.#indices, (frame) => this.mail.maxIndex(frame))
      this.done(envelope, 'cleared')
      this.#add({ ...envelope, ...place, seq: ++this.counters.seq })
    }
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

  /** Writes an effect row and keeps or drops it among the open ones. */
  keepEffect(row: EffectRow): void {
    if (OPEN.includes(row.status)) this.effects.set(row.id, row)
    else this.effects.delete(row.id)
    this.draft.effects.set(row.id, { effect: row, changed: this.draft.position })
  }
}

/** Is something that is bound to an incarnation for this life? A restart from the checkpoint goes on with what the life before it began. */
export const isBound = (row: CellRow, incarnation: number): boolean => row.since <= incarnation && incarnation <= row.incarnation
