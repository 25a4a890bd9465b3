/**
 * Asks: a send with an id and a deadline. The question carries `replyTo`, a reference to `/@ask/<n>`; whatever is sent there first is the answer.
 * The asker gets exactly one of `ask.answered`, `ask.down`, `ask.timed_out`; a caller outside gets its promise settled.
 */
import { Defect } from '../../../errors.ts'
import { type Json, REF_KEY } from '../../../json.ts'
import type { Address, AskParams, ExitReason } from '../../../protocol.ts'
import type { Envelope, EventData, Send } from '../../cell.ts'
import type { AskRow, TimerRow } from '../../store.ts'
import { timedOutWith } from './partial.ts'
import { type Cell, isBound, type Tree } from './tree.ts'

const PREFIX = '/@ask/'

export const isAskAddress = (address: Address): boolean => address.startsWith(PREFIX)

/** Address that a question wants its answer at, or null. */
export const askOf = (event: EventData): Address | null => (event['replyTo'] as { [REF_KEY]?: string } | undefined)?.[REF_KEY] ?? null

/** From inside a machine. */
export function ask(tree: Tree, cell: Cell, envelope: Envelope, send: Send, params: AskParams, pos: number): void {
  const asker = { address: cell.row.address, incarnation: cell.row.incarnation }
  const row = open(tree, { asker, id: params.id, to: params.to }, params.timeoutMs, pos)
  if (!tree.isHome(params.to)) {
    const event = { type: 'ask.down', id: params.id, to: params.to, incarnation: 0, reason: { kind: 'killed' } }
    close(tree, row)
    tree.post(envelope, send.op, { kind: 'system', to: asker.address, incarnation: asker.incarnation, from: params.to, event }, pos)
    return
  }
  tree.post(
    envelope,
    send.op,
    { kind: 'mail', to: params.to, incarnation: null, from: cell.row.address, event: question(params.event, row) },
    pos,
  )
}

/** From outside: the caller's promise lives in this process only. */
export function askFromOutside(
  tree: Tree,
  to: Address,
  event: EventData,
  timeoutMs: number,
  pos: number,
  caller: { resolve(answer: EventData): void; reject(error: unknown): void },
): void {
  const row = open(tree, { asker: null, id: 'outside', to }, timeoutMs, pos)
  tree.callers.set(row.ask, caller)
  tree.post(null, 0, { kind: 'mail', to, incarnation: null, from: null, event: question(event, row) }, pos)
}

function open(tree: Tree, ask: Omit<AskRow, 'ask' | 'timer'>, timeoutMs: number, pos: number): AskRow {
  const number = ++tree.counters.seq
  const owner = ask.asker ?? { address: `${PREFIX}${number}`, incarnation: 1 }
  const timer = tree.setTimer({
    owner: owner.address,
    incarnation: owner.incarnation,
    id: `ask:${number}`,
    to: owner.address,
    life: null,
    event: { type: 'ask.timed_out', id: ask.id, to: ask.to },
    dueAt: tree.now + timeoutMs,
    kind: 'ask',
    cause: pos,
  })
  const row: AskRow = { ...ask, ask: number, timer: timer.timer }
  tree.asks.set(number, row)
  tree.draft.askAdded(row)
  return row
}

const question = (event: EventData, row: AskRow): EventData => ({
  ...event,
  replyTo: { [REF_KEY]: `${PREFIX}${row.ask}`, incarnation: 1, id: row.id },
})

function close(tree: Tree, row: AskRow): void {
  tree.asks.delete(row.ask)
  tree.draft.askDone(row.ask)
  if (row.timer !== null) tree.clearTimer(row.timer)
}

/** Something was sent to an ask's address: the first is the answer, later ones find nobody. */
export function answer(tree: Tree, envelope: Envelope): void {
  const row = tree.asks.get(Number(envelope.to.slice(PREFIX.length)))
  if (row === undefined) {
    tree.fact('message.dropped', null, envelope.cause, {
      to: envelope.to,
      from: envelope.from,
      event: envelope.event.type,
      reason: 'stale',
      why: 'the ask is settled',
      letter: envelope.event,
    })
    tree.done(envelope, 'stale')
    return
  }
  close(tree, row)
  const pos = tree.fact('ask.settled', row.asker, envelope.cause, {
    id: row.id,
    to: row.to,
    as: 'answered',
    answer: envelope.event,
    from: envelope.from,
    seq: envelope.seq,
    ask: row.ask,
  })
  tree.done(envelope, 'consumed')
  if (row.asker === null) settleCaller(tree, row, (caller) => caller.resolve(envelope.event))
  else tell(tree, envelope, row, { type: 'ask.answered', id: row.id, answer: envelope.event }, pos)
}

/** The deadline of an ask has passed: who asked gets what the other one has so far. */
export function timedOut(tree: Tree, timer: TimerRow): void {
  const row = [...tree.asks.values()].find((ask) => ask.timer === timer.timer)
  if (row === undefined) return
  close(tree, row)
  const pos = tree.fact('ask.settled', row.asker, timer.cause, { id: row.id, to: row.to, as: 'timed_out' })
  const late = { ...timedOutWith(tree, row.to) }
  if (row.asker === null)
    settleCaller(tree, row, (caller) => caller.reject(new Defect('E_ASK_TIMED_OUT', `${row.to} did not answer in time`, late)))
  else tell(tree, null, row, { ...timer.event, ...late }, pos)
}

/**
 * A life is over: its own asks are closed; those that wait for it are told, unless their question still waits in a mailbox that lives on.
 * @param forGood  nobody will live at the address again.
 */
export function closeAsks(tree: Tree, cell: Cell, cause: number, reason: ExitReason, forGood = false): void {
  if (tree.asks.size === 0) return
  const { address, incarnation } = cell.row
  const unread = new Set(
    forGood ? [] : tree.mail.waiting(address).map((letter) => (letter.event['replyTo'] as { [REF_KEY]?: string } | undefined)?.[REF_KEY]),
  )
  for (const row of [...tree.asks.values()]) {
    if (row.asker?.address === address && isBound(cell.row, row.asker.incarnation)) {
      close(tree, row)
    } else if (row.to === address && !unread.has(`${PREFIX}${row.ask}`) && !isAnswered(tree, row)) {
      down(tree, row, cause, incarnation, reason)
    }
  }
}

/** It was answered by the last step of the one who was asked: the answer is on its way. */
const isAnswered = (tree: Tree, row: AskRow): boolean => tree.mail.waiting(`${PREFIX}${row.ask}`).length > 0

/** Nobody will answer any more. */
function down(tree: Tree, row: AskRow, cause: number, incarnation: number, reason: ExitReason): void {
  close(tree, row)
  const pos = tree.fact('ask.settled', row.asker, cause, { id: row.id, to: row.to, as: 'down' })
  if (row.asker === null) {
    const error = new Defect('E_ASK_DOWN', `${row.to} ended before it answered`, { hint: JSON.stringify(reason) })
    settleCaller(tree, row, (caller) => caller.reject(error))
  } else tell(tree, null, row, { type: 'ask.down', id: row.id, to: row.to, incarnation, reason: reason as unknown as Json }, pos)
}

/** The question itself has crashed the one who was asked. It is a dead letter, so its asker is told. */
export function questionIsDead(tree: Tree, ask: Address, cause: number, incarnation: number, reason: ExitReason): void {
  const row = tree.asks.get(Number(ask.slice(PREFIX.length)))
  if (row !== undefined) down(tree, row, cause, incarnation, reason)
}

function tell(tree: Tree, current: Envelope | null, row: AskRow, event: EventData, pos: number): void {
  if (row.asker === null || !tree.cells.has(row.asker.address)) return
  tree.post(current, 0, { kind: 'system', to: row.asker.address, incarnation: row.asker.incarnation, from: row.to, event }, pos)
}

function settleCaller(
  tree: Tree,
  row: AskRow,
  settle: (caller: { resolve(answer: EventData): void; reject(error: unknown): void }) => void,
): void {
  const caller = tree.callers.get(row.ask)
  if (caller === undefined) return
  // Kept until the commit has returned: where it fails, the caller is told that instead.
  tree.afterwards.run.push(() => {
    tree.callers.delete(row.ask)
    settle(caller)
  })
}
