/**
 * A table of cells in virtual time: it performs the `cell.*` orders of real supervisor machines and answers them as an engine does.
 *
 *   supervisor --cell.start/stop/kill/restart/delete--> FakeCells --cell.started/start_failed/exited--> supervisor
 *
 * Every step of a supervisor starts from its context as JSON, so nothing survives here that would not survive a crash.
 * An order that no engine could carry out (starting a running cell, stopping a dead one, ending above a living child) throws.
 */
import { initialTransition, type SnapshotFrom, transition } from 'xstate'
import type { Json } from '../../src/json.ts'
import type { SupervisorInbox } from '../../src/machines/supervised.ts'
import { supervisor } from '../../src/machines/supervisor.ts'
import { EXIT_KEY, type ExitReason, type ReservedAction, SUPERVISOR_MACHINE, type SupervisorEvent } from '../../src/protocol.ts'

type State = SnapshotFrom<typeof supervisor>
type Order = Extract<ReservedAction, { type: `cell.${string}`; params: { id: string } }>

/** What a worker does when it is started: stay, fail, decline, never answer, or end at once with a reason. */
export type Start = 'run' | 'fail' | 'decline' | 'hang' | ExitReason
export interface Worker {
  /** Default: run. */
  start?: Start
  /** Time that it needs for an ordered stop. Default 0; Infinity: it never ends by itself. */
  cleanUpMs?: number
  /** How it ends when it is asked to stop. Default: shutdown ordered. */
  onStop?: ExitReason
}

interface Cell {
  readonly address: string
  readonly id: string
  readonly parent: string | null
  readonly incarnation: number
  status: 'starting' | 'running' | 'ended'
  stopAsked: boolean
  state: State | null
}

export const CRASH: ExitReason = { kind: 'error', error: { code: 'E_BOOM', message: 'boom' } }
export const NORMAL: ExitReason = { kind: 'normal' }
export const ORDERED: ExitReason = { kind: 'shutdown', detail: 'ordered' }
export const KILLED: ExitReason = { kind: 'killed' }
const FAILED_START: ExitReason = { kind: 'error', error: { code: 'E_NO_START', message: 'no start' } }

export class FakeCells {
  now = 0
  /** Orders and ends in their order: `start a`, `started a#1`, `exited a#1 error`, `restart a 1`, `stop a 5000`. */
  readonly log: string[] = []
  readonly orders: { readonly by: string; readonly at: number; readonly order: Order }[] = []
  readonly emitted: { readonly at: number; readonly event: Json }[] = []
  /** Exits that a supervisor has put off until all its children had started. */
  deferrals = 0
  /** How the end of a child that was not ready yet is told. Engines do either; a supervisor takes both. */
  unreadyEnd: 'cell.start_failed' | 'cell.exited' = 'cell.start_failed'
  /** Why the root ended; null while it lives. */
  exit: ExitReason | null = null
  /** By address or id; read at each start and stop, so a test may change them. */
  readonly workers: Record<string, Worker>
  readonly #root: string
  readonly #cells = new Map<string, Cell>()
  readonly #mail: { to: Cell; event: SupervisorInbox }[] = []
  #timers: { at: number; run: () => void; id?: string }[] = []

  constructor(spec: { id: string }, workers: Record<string, Worker> = {}, input?: Json) {
    this.workers = workers
    this.#root = `/${spec.id}`
    this.#begin(this.#root, spec.id, null, SUPERVISOR_MACHINE, { spec: spec as unknown as Json, input })
    this.#settle()
  }

  /** Ends a running cell; without a reason: it crashes. */
  end(address: string, reason: ExitReason = CRASH): this {
    const cell = this.#at(address)
    if (cell.status === 'ended') throw new Error(`${address} has ended already`)
    this.#end(cell, reason)
    return this.settle()
  }

  /** Ends several in one instant, before any supervisor runs. */
  endAtOnce(addresses: readonly string[], reason: ExitReason = CRASH): this {
    for (const address of addresses) this.#end(this.#at(address), reason)
    return this.settle()
  }

  /** The answer to a start that hung. */
  answer(address: string, answer: Exclude<Start, 'hang'>): this {
    this.#answer(this.#at(address), answer)
    return this.settle()
  }

  /** Delivers an event as it stands, such as one of an earlier life. */
  deliver(address: string, event: SupervisorInbox): this {
    this.#mail.push({ to: this.#at(address), event })
    return this.settle()
  }

  shutdown(address = this.#root): this {
    return this.deliver(address, { type: 'shutdown' })
  }

  advance(ms: number): this {
    const until = this.now + ms
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.now = Math.max(this.now, next.at)
      next.run()
      this.#settle()
    }
    this.now = until
    return this
  }

  settle(): this {
    this.#settle()
    return this
  }

  /** Living cells with their incarnations, in order of birth: `/team/a#2`. */
  living(): string[] {
    return [...this.#cells.values()].filter((cell) => cell.status !== 'ended').map((cell) => `${cell.address}#${cell.incarnation}`)
  }

  isLiving(address: string): boolean {
    const cell = this.#cells.get(address)
    return cell !== undefined && cell.status !== 'ended'
  }

  isStarting(address: string): boolean {
    return this.#cells.get(address)?.status === 'starting'
  }

  /** A supervisor's snapshot after its last step. */
  state(address = this.#root): State {
    const { state } = this.#at(address)
    if (state === null) throw new Error(`${address} is no supervisor`)
    return state
  }

  /** Specs that a supervisor still has, with the status of each. */
  children(address = this.#root): Record<string, string> {
    return Object.fromEntries(this.state(address).context.children.map((child) => [child.spec.id, child.status]))
  }

  ordersOf(type: Order['type']): Order['params'][] {
    return this.orders.flatMap(({ order }) => (order.type === type ? [order.params] : []))
  }

  #settle(): void {
    for (let steps = 0; ; steps++) {
      const next = this.#mail.shift()
      if (next === undefined) return
      if (steps > 10_000) throw new Error(`does not come to rest; last: ${this.log.slice(-10).join(', ')}`)
      if (next.to.status !== 'ended') this.#step(next.to, next.event)
    }
  }

  #step(cell: Cell, event: SupervisorInbox): void {
    if (cell.state === null) throw new Error(`${cell.address} is no supervisor`)
    const { value, context } = JSON.parse(JSON.stringify(cell.state)) as Pick<State, 'value' | 'context'>
    this.#take(cell, transition(supervisor, supervisor.resolveState({ value, context }), event))
  }

  #take(cell: Cell, [state, actions]: readonly [State, readonly { type: string; params?: unknown }[]]): void {
    this.deferrals = Math.max(this.deferrals, state.status === 'error' ? 0 : state.context.deferred.length)
    cell.state = state
    if (state.status === 'error') this.#end(cell, { kind: 'error', error: state.error as never })
    for (const action of actions) {
      if (action.type === 'xstate.raise') this.#later(cell, action.params as { event: SupervisorInbox; id: string; delay: number })
      else if (action.type === 'xstate.cancel')
        this.#timers = this.#timers.filter((timer) => timer.id !== `${cell.address} ${action.params}`)
      else if (action.type === 'xstate.emit') this.emitted.push({ at: this.now, event: (action.params as { event: Json }).event })
      else this.#perform(cell, { type: action.type, params: action.params } as Order)
    }
    if (state.hasTag('ready') && cell.status === 'starting') this.#started(cell, false)
    if (state.status === 'done') this.#end(cell, (state.output as { [EXIT_KEY]: ExitReason })[EXIT_KEY])
  }

  /** A delayed event of a supervisor to itself. */
  #later(cell: Cell, { event, id, delay }: { event: SupervisorInbox; id: string; delay: number }): void {
    const run = () => void this.#mail.push({ to: cell, event })
    this.#timers.push({ at: this.now + delay, run, id: `${cell.address} ${id}` })
  }

  #perform(by: Cell, order: Order): void {
    const address = `${by.address}/${order.params.id}`
    if (order.type === 'cell.retire' || order.type === 'cell.settle') return
    this.orders.push({ by: `${by.address}#${by.incarnation}`, at: this.now, order })
    switch (order.type) {
      case 'cell.start':
      case 'cell.restart':
        this.log.push(order.type === 'cell.start' ? `start ${order.params.id}` : `restart ${order.params.id} ${order.params.count}`)
        this.#begin(address, order.params.id, by.address, order.params.src, order.params.input)
        break
      case 'cell.stop':
        this.log.push(`stop ${order.params.id} ${order.params.shutdownMs}`)
        this.#askToStop(this.#asked(address), order.params.shutdownMs)
        break
      case 'cell.kill':
        this.log.push(`kill ${order.params.id}`)
        this.#kill(this.#asked(address))
        break
      case 'cell.delete':
        this.log.push(`delete ${order.params.id}`)
        if (this.isLiving(address)) throw new Error(`${address} was deleted while it lived`)
        this.#cells.delete(address)
    }
  }

  #begin(address: string, id: string, parent: string | null, src: string, input: unknown): void {
    const before = this.#cells.get(address)
    if (before !== undefined && before.status !== 'ended') throw new Error(`${address} was started while it lived`)
    const cell: Cell = {
      address,
      id,
      parent,
      incarnation: (before?.incarnation ?? 0) + 1,
      status: 'starting',
      stopAsked: false,
      state: null,
    }
    this.#cells.delete(address)
    this.#cells.set(address, cell)
    if (src === SUPERVISOR_MACHINE) this.#take(cell, initialTransition(supervisor, input as never))
    else this.#answer(cell, this.#workerOf(cell).start ?? 'run')
  }

  #answer(cell: Cell, start: Start): void {
    if (start === 'fail') this.#end(cell, FAILED_START)
    if (start === 'fail' || start === 'hang') return
    this.#started(cell, start === 'decline')
    if (start === 'decline') cell.status = 'ended'
    else if (start !== 'run') this.#end(cell, start)
  }

  #started(cell: Cell, declined: boolean): void {
    cell.status = 'running'
    this.log.push(`${declined ? 'declined' : 'started'} ${cell.id}#${cell.incarnation}`)
    this.#tell(cell, { type: 'cell.started', id: cell.id, incarnation: cell.incarnation, now: this.now, declined })
  }

  #kill(cell: Cell | null): void {
    if (cell !== null) this.#end(cell, KILLED)
  }

  #askToStop(cell: Cell | null, shutdownMs: number): void {
    if (cell === null) return
    if (cell.state !== null) {
      if (!cell.state.can({ type: 'shutdown' }))
        throw new Error(`${cell.address} does not take shutdown in ${JSON.stringify(cell.state.value)}`)
      this.#mail.push({ to: cell, event: { type: 'shutdown' } })
      this.#endAfter(shutdownMs, cell, KILLED)
      return
    }
    const { cleanUpMs = 0, onStop = ORDERED } = this.#workerOf(cell)
    if (cleanUpMs === 0) this.#end(cell, onStop)
    else if (cleanUpMs <= shutdownMs) this.#endAfter(cleanUpMs, cell, onStop)
    else this.#endAfter(shutdownMs, cell, KILLED)
  }

  #end(cell: Cell, reason: ExitReason): void {
    const failed = cell.status === 'starting'
    cell.status = 'ended'
    for (const other of this.#cells.values()) {
      if (!other.address.startsWith(`${cell.address}/`) || other.status === 'ended') continue
      if (reason.kind !== 'killed') throw new Error(`${cell.address} ended (${reason.kind}) above ${other.address}, which lives`)
      other.status = 'ended'
    }
    this.log.push(
      `${failed ? 'failed' : 'exited'} ${cell.id}#${cell.incarnation} ${reason.kind === 'shutdown' ? reason.detail : reason.kind}`,
    )
    if (cell.parent === null) this.exit = reason
    const type = failed ? this.unreadyEnd : 'cell.exited'
    this.#tell(cell, { type, id: cell.id, incarnation: cell.incarnation, now: this.now, reason })
  }

  #tell(cell: Cell, event: SupervisorEvent): void {
    const parent = cell.parent === null ? undefined : this.#cells.get(cell.parent)
    if (parent !== undefined && parent.status !== 'ended') this.#mail.push({ to: parent, event })
  }

  /** The cell that is to stop; null where it has ended by itself and that is on its way: the order has crossed the news, which is its answer. */
  #asked(address: string): Cell | null {
    const cell = this.#at(address)
    if (cell.stopAsked) throw new Error(`${address}#${cell.incarnation} was asked to stop twice`)
    for (const other of this.#cells.values()) {
      const together = other.parent === cell.parent && other.stopAsked && other.status !== 'ended'
      if (together) throw new Error(`${address} was asked to stop while ${other.address} was still stopping`)
    }
    cell.stopAsked = true
    if (cell.status !== 'ended') return cell
    if (!this.#mail.some(({ event }) => 'id' in event && event.id === cell.id))
      throw new Error(`${address} was asked to stop after its end`)
    return null
  }

  #workerOf(cell: Cell): Worker {
    return this.workers[cell.address] ?? this.workers[cell.id] ?? {}
  }

  #endAfter(ms: number, cell: Cell, reason: ExitReason): void {
    const run = () => {
      if (cell.status !== 'ended') this.#end(cell, reason)
    }
    this.#timers.push({ at: this.now + ms, run })
  }

  #at(address: string): Cell {
    const cell = this.#cells.get(address)
    if (cell === undefined) throw new Error(`no cell at ${address}; there are ${[...this.#cells.keys()].join(', ')}`)
    return cell
  }
}
