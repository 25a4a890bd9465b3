/**
 * Callbacks and observables of a live run, and the hosting of promises: logic that runs in this process, outside of steps, and ends with it.
 *
 *   step invokes it --> row `started`, one commit --> start            resume --> row `started`, attempt + 1 --> start
 *   step sends to it --> envelope, consumed in a commit --> tell       state is left, actor ends --> row `cancelled` --> stop
 *   it sends back --> intake --> mail for the life that invoked it, durable from the next commit on
 *
 * Invariants:
 * - Nothing is started, told or stopped before the commit that says so, and then in the order in which the turn did it.
 * - What it has said and nobody has committed when the process dies is lost; so is what it was told.
 */
import { errorData, UserError } from '../../../errors.ts'
import { assertJson, type Json } from '../../../json.ts'
import { MAILBOX_DEPTH_MAX, PAYLOAD_BYTES_MAX } from '../../../limits.ts'
import { isRefusedFromOutside } from '../../../protocol.ts'
import type { ActorRef, EventData } from '../../cell.ts'
import { HostedLogic, type LogicEnd, type ShownSnapshot } from '../../logic/hosted.ts'
import { isRef, parseWithRefs } from '../../ref.ts'
import type { EffectRow } from '../../store.ts'
import { fail, ownerOf, succeed } from './effects.ts'
import type { Intake } from './intake.ts'
import { isBound, type Tree, type VolatileOrder } from './tree.ts'

export class Volatiles {
  readonly #tree: Tree
  readonly #take: (intake: Intake) => void
  readonly #running = new Map<string, { readonly row: EffectRow; readonly hosted: HostedLogic }>()

  /** @param take  brings an intake into the run. */
  constructor(tree: Tree, take: (intake: Intake) => void) {
    this.#tree = tree
    this.#take = take
  }

  /** Carries out what a committed turn has decided, in its order. */
  obey(orders: readonly VolatileOrder[]): void {
    for (const order of orders) {
      if (order.do === 'tell') this.#running.get(order.row.id)?.hosted.deliver(parseWithRefs(JSON.stringify(order.event)) as EventData)
      else if (order.do === 'start') this.#start(order.row)
      else this.#stop(order.row)
    }
  }

  /** The run ends or stops here. Rows stay as they are: a resume starts again what is open. */
  stopAll(): void {
    for (const { row } of [...this.#running.values()]) this.#stop(row)
  }

  #start(row: EffectRow): void {
    const ended = (end: LogicEnd): void => {
      this.#running.delete(row.id)
      this.#take({ to: row.owner, apply: (tree) => settle(tree, row, end), isOutcome: true })
    }
    try {
      const hosted = this.host(row, ended)
      this.#running.set(row.id, { row, hosted })
      hosted.start()
    } catch (thrown) {
      ended({ ok: false, error: thrown }) // The code of this process does not know it any more.
    }
  }

  #stop(row: EffectRow): void {
    const running = this.#running.get(row.id)
    this.#running.delete(row.id)
    const thrown = running?.hosted.stop()
    if (thrown === undefined) return
    const { code, message } = errorData(thrown)
    this.#take({
      to: row.owner,
      apply: (tree) => void tree.fact('action.failed', ownerOf(row), row.cause, { code, message, effect: row.id }),
    })
  }

  /**
   * The logic of a row, ready to be started. What it sends, emits and shows goes into the run.
   * @param ended  told once, when it ends by itself.
   * @throws {Defect} `E_ACTOR_MISSING` where its machine does not know it.
   */
  host(row: EffectRow, ended: (end: LogicEnd) => void): HostedLogic {
    const owner = this.#tree.cells.get(row.owner)?.row
    const link = owner?.children.find((child) => child.id === row.invoke && child.incarnation === row.invocation)
    const address = link?.address ?? `${row.owner}/${encodeURIComponent(row.invoke)}`
    const say = (what: (tree: Tree) => void): void => this.#take({ to: row.owner, apply: what, failed })
    // A run that stops takes nothing more: that is no fault of who speaks.
    const failed = (error: unknown): void => {
      if (errorData(error).code !== 'E_RUN_STOPPED') hosted.crash(error)
    }
    const told = (make: () => (tree: Tree) => void): void => {
      try {
        say(make())
      } catch (error) {
        hosted.crash(error)
      }
    }
    const hosted = new HostedLogic({
      logic: this.#tree.host.logic(owner?.machine ?? '', row.src),
      self: { address, incarnation: row.invocation, id: row.invoke },
      parent: { address: row.owner, incarnation: row.incarnation },
      input: parseWithRefs(JSON.stringify(row.input)) ?? undefined,
      sync: link?.sync === true,
      outside: {
        send: (to, event) => told(() => mail(row, address, to, plainEvent(event, `event of '${row.invoke}'`))),
        emit: (event) => told(() => emitted(row, plainEvent(event, `emitted event of '${row.invoke}'`, true))),
        shown: (snapshot) => told(() => shown(row, address, snapshot)),
        ended,
        systemIds: () => this.#tree.systemIds,
      },
    })
    return hosted
  }
}

/** What it sends, as an intake. Its parent gets it only in the life that invoked it. */
function mail(row: EffectRow, from: string, to: ActorRef, event: EventData): (tree: Tree) => void {
  return (tree) => {
    if (tree.mail.depth(to.address) >= MAILBOX_DEPTH_MAX) {
      const fix = 'send less often than it can work off'
      throw new UserError('E_MAILBOX_FULL', `${MAILBOX_DEPTH_MAX} events wait for ${to.address} already`, {
        where: from,
        fix,
        exit: 1,
        retryable: true,
      })
    }
    const isParent = to.address === row.owner
    const cell = isParent ? undefined : tree.cells.get(to.address)?.row
    const incarnation = isParent ? row.incarnation : cell?.supervised === true ? null : to.incarnation
    tree.post(null, 0, { kind: 'mail', to: to.address, incarnation, from, event }, said(tree, row, to.address, event))
  }
}

/** On record before it is delivered: what comes in has a place in the journal, whoever it is from. */
function said(tree: Tree, row: EffectRow, to: string, event: EventData): number {
  return tree.fact('effect.said', ownerOf(row), row.cause, { id: row.id, kind: row.kind, to, event: event.type })
}

function emitted(row: EffectRow, event: EventData): (tree: Tree) => void {
  return (tree) => void tree.fact('event.emitted', ownerOf(row), row.cause, { event, actor: row.invoke })
}

/** `onSnapshot` of an observable: each value is news to its parent. */
function shown(row: EffectRow, from: string, snapshot: ShownSnapshot): (tree: Tree) => void {
  assertJson(snapshot.context ?? null, `snapshot of '${row.invoke}'`, isRef)
  const event = { type: `xstate.snapshot.${row.invoke}`, snapshot: JSON.parse(JSON.stringify(snapshot)) as Json }
  return (tree) => {
    const owner = tree.cells.get(row.owner)
    if (owner === undefined || !isBound(owner.row, row.incarnation)) return
    const child = { id: row.invoke, incarnation: row.invocation }
    tree.post(
      null,
      0,
      { kind: 'child', to: row.owner, incarnation: row.incarnation, from, event, child },
      said(tree, row, row.owner, event),
    )
  }
}

/** Plain data at this instant: what the user's code does to its object later changes nothing. */
function plainEvent(event: unknown, what: string, isOpen = false): EventData {
  const type: unknown = (event as { type?: unknown } | null | undefined)?.type
  const refuse = (code: string, found: string, fix: string): UserError =>
    new UserError(code, `${what} ${found}`, { where: what, fix, exit: 1 })
  if (typeof type !== 'string' || type === '') throw refuse('E_EVENT_INVALID', 'has no type', "give it a type: { type: 'draft.ready' }")
  if (!isOpen && isRefusedFromOutside(type))
    throw refuse('E_EVENT_REFUSED', `is '${type}', and only the engine sends such events`, 'choose another type')
  assertJson(event, what, isRef)
  const text = JSON.stringify(event)
  if (text.length > PAYLOAD_BYTES_MAX)
    throw refuse(
      'E_PAYLOAD_TOO_LARGE',
      `is ${text.length} bytes, ${PAYLOAD_BYTES_MAX} are allowed`,
      'pass an address or a file name instead',
    )
  return JSON.parse(text)
}

/** It has ended by itself. Where it was cancelled or started again in the meantime, that is no news. */
function settle(tree: Tree, started: EffectRow, end: LogicEnd): void {
  const row = tree.effects.get(started.id)
  if (row === undefined || row.attempt !== started.attempt) return
  try {
    if (!end.ok) throw end.error
    if (end.output !== undefined) assertJson(end.output, `output of '${row.invoke}'`)
  } catch (thrown) {
    fail(tree, row, errorData(thrown, { path: row.owner, effect: row.id }), null)
    return
  }
  succeed(tree, row, end.output as Json | undefined, null)
}
