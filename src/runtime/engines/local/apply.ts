/** A step's result becomes rows of the draft: the one place where StepResult turns into mail, timers, effects and cells. */
import type { ErrorData } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import { MAILBOX_DEPTH_MAX } from '../../../limits.ts'
import { DOMAIN_FACTS } from '../../../protocol.ts'
import type { CellStarted, ChildLink, Envelope, Send, StepResult } from '../../cell.ts'
import { contentOf } from '../../snapshot.ts'
import { stateName } from '../../step.ts'
import { ask } from './asks.ts'
import { becomeReady, born, decline, isDeclined, settleIn } from './birth.ts'
import { cancelEffect, oweEffect } from './effects.ts'
import { crashCell, endCell } from './lifecycle.ts'
import { brokenLimit, noteStarts } from './spawns.ts'
import { supervise } from './supervise.ts'
import { type Cell, OP_LAST, type Tree } from './tree.ts'

export function apply(tree: Tree, cell: Cell, envelope: Envelope, result: StepResult): void {
  if (result.exit?.kind === 'error' && result.snapshot === 'unchanged') {
    crashCell(tree, cell, envelope, result.exit.error)
    return
  }
  const flood = overflow(tree, cell, envelope, result) ?? tooMany(tree, cell, envelope, result)
  if (flood !== null) {
    crashCell(tree, cell, envelope, flood)
    return
  }
  const isStart = cell.row.status === 'starting'
  const from = cell.snapshot?.value ?? null
  const pos = tree.fact('step.committed', cell.row, envelope.cause, {
    event: envelope.event,
    seq: envelope.seq,
    // What a step needs to be taken again, where it is more than plain mail: see replay.ts.
    kind: envelope.kind === 'mail' ? undefined : envelope.kind,
    sender: envelope.from ?? undefined,
    child: envelope.child,
    from,
    to: result.snapshot === 'unchanged' ? from : result.snapshot.value,
    handled: result.handled,
    now: tree.now,
    hash: (result.snapshot === 'unchanged' ? cell.snapshot?.hash : result.snapshot.hash) ?? null,
  })
  tree.done(envelope, 'consumed')
  if (isStart) tree.change(cell, { status: 'active' })
  if (result.snapshot !== 'unchanged') tree.keepSnapshot(cell, result.snapshot)
  keepRow(tree, cell, result)
  stopTimersAndEffects(tree, cell, result, pos)
  for (const owed of result.effectsOwed) oweEffect(tree, cell, envelope, owed, pos)
  for (const timer of result.timersSet) {
    const { address: owner, incarnation, machine } = cell.row
    const policy = timer.id.startsWith('xstate.after.') ? tree.host.deadlinePolicy(machine, timer.id) : 'absolute'
    const row = tree.setTimer({
      owner,
      incarnation,
      id: timer.id,
      to: timer.to,
      life: timer.incarnation,
      event: timer.event,
      dueAt: tree.now + timer.delayMs,
      kind: 'event',
      cause: pos,
      ...(policy === 'absolute' ? {} : { policy, delayMs: timer.delayMs }),
    })
    tree.fact('timer.set', cell.row, pos, { timer: row.timer, id: timer.id, dueAt: row.dueAt, to: timer.to, policy: row.policy })
  }
  deliveries(tree, cell, envelope, result, pos)
  words(tree, cell, result, pos)
  for (const { link } of result.cellsStopped) freeSystemIds(tree, link)
  if (isStart) born(tree, cell, envelope)
  if (isStart && cell.row.supervised && isDeclined(result)) {
    decline(tree, cell, envelope)
    return
  }
  if (!cell.row.ready) becomeReady(tree, cell, envelope)
  if (result.exit !== null) endCell(tree, cell, envelope, result.exit)
}

/**
 * Who sends more than its receiver can hold is the one to stop: dropping the event would lose it in silence, and the receiver has done nothing wrong.
 * Checked before anything of the step is kept.
 */
function overflow(tree: Tree, cell: Cell, envelope: Envelope, result: StepResult): ErrorData | null {
  const more = result.sends.length
  for (const send of result.sends) {
    if (tree.mail.depth(send.to) + more <= MAILBOX_DEPTH_MAX) continue
    return {
      code: 'E_MAILBOX_FULL',
      message: `${send.event.type} from ${cell.row.address} does not fit: ${MAILBOX_DEPTH_MAX} events wait for ${send.to}`,
      path: cell.row.address,
      state: stateName(cell.snapshot?.value ?? null),
      event: envelope.event.type,
      hint: 'send less, or wait for answers before sending more',
    }
  }
  return null
}

/** A limit on what may begin below an actor stops the one that asks for more. */
function tooMany(tree: Tree, cell: Cell, envelope: Envelope, { cellsStarted, cellsStopped }: StepResult): ErrorData | null {
  const more = cellsStarted.length
  const broken = more === 0 ? null : brokenLimit(tree, cell, Math.max(0, more - cellsStopped.length), more)
  if (broken === null) {
    if (more > 0) noteStarts(tree, cell, more)
    return null
  }
  return {
    code: 'E_LIMIT_SPAWN',
    message: `${cell.row.address} asked for ${more} more children; ${broken}`,
    path: cell.row.address,
    state: stateName(cell.snapshot?.value ?? null),
    event: envelope.event.type,
    hint: 'raise the limit in its spec, or let it do with fewer',
  }
}

/** Writes the cell's row only where the step changed more than its snapshot. */
function keepRow(tree: Tree, cell: Cell, result: StepResult): void {
  const { row } = cell
  if (
    result.children === row.children &&
    result.nextId === row.nextId &&
    result.systemIdsSet.length === 0 &&
    result.systemIdsFreed.length === 0
  )
    return
  const systemIds = { ...row.systemIds }
  for (const systemId of result.systemIdsFreed) {
    delete systemIds[systemId]
    delete tree.systemIds[systemId]
  }
  for (const { systemId, ref } of result.systemIdsSet) {
    systemIds[systemId] = ref
    tree.systemIds[systemId] = ref
  }
  tree.change(cell, { children: result.children, nextId: result.nextId, systemIds })
}

function stopTimersAndEffects(tree: Tree, cell: Cell, result: StepResult, pos: number): void {
  for (const { id } of result.timersCleared) clearTimers(tree, cell, id, pos)
  for (const { id, incarnation } of result.effectsCancelled) {
    for (const effect of tree.effects.of(cell.row.address)) {
      if (effect.invoke === id && effect.invocation === incarnation) cancelEffect(tree, effect, pos)
    }
  }
}

/** A cancel reaches timers that have fired and wait in the mail, too: a state that is entered again must not meet the old one's event. */
export function clearTimers(tree: Tree, cell: Cell, id: string, pos: number): void {
  for (const timer of tree.timers.of(cell.row.address)) {
    if (timer.id !== id || timer.kind !== 'event') continue
    tree.clearTimer(timer.timer)
    tree.fact('timer.cleared', cell.row, pos, { timer: timer.timer, id })
  }
  for (const { seq, timer = null, cause: fired, event: letter } of tree.mail.remove(
    cell.row.address,
    (waiting) => waiting.kind === 'timer' && waiting.timerId === id,
  )) {
    tree.fact('timer.cleared', cell.row, pos, { timer, id, fired, letter })
    tree.draft.envelopeDone(seq, 'cleared')
  }
}

type Delivery = { readonly op: number; readonly go: () => void }

/** Sends, starts and stops, in source order. */
function deliveries(tree: Tree, cell: Cell, envelope: Envelope, result: StepResult, pos: number): void {
  const all: Delivery[] = []
  for (const send of result.sends) all.push({ op: send.op, go: () => sendOne(tree, cell, envelope, send, pos) })
  for (const start of result.cellsStarted) all.push({ op: start.op, go: () => startChild(tree, cell, envelope, start, pos) })
  for (const stop of result.cellsStopped) {
    const { link } = stop
    all.push({
      op: stop.op,
      go: () =>
        void tree.post(
          envelope,
          stop.op,
          { kind: 'stop', to: link.address, incarnation: link.incarnation, from: cell.row.address, event: { type: 'troupe.stop' } },
          pos,
        ),
    })
  }
  for (const action of result.actions) {
    if (action.run !== undefined) tree.afterwards.run.push(action.run)
    else all.push({ op: action.op, go: () => supervise(tree, cell, envelope, action, pos) })
  }
  if (all.length > 1) all.sort((a, b) => a.op - b.op)
  for (const delivery of all) delivery.go()
  notifySync(tree, cell, envelope, result, pos)
}

function sendOne(tree: Tree, cell: Cell, envelope: Envelope, send: Send, pos: number): void {
  if (send.ask !== undefined) ask(tree, cell, envelope, send, send.ask, pos)
  else
    tree.post(
      envelope,
      send.op,
      { kind: send.kind, to: send.to, incarnation: send.incarnation, from: cell.row.address, event: send.event },
      pos,
    )
}

/**
 * A child of XState's kind: its own cell, told to start by the first envelope it gets. Where one of the same id has been stopped in this step, that one
 * lives until its stop is delivered, after what was sent to it before; the new one moves in with its start.
 */
function startChild(tree: Tree, cell: Cell, envelope: Envelope, start: CellStarted, pos: number): void {
  const { link } = start
  const row = {
    address: link.address,
    incarnation: link.incarnation,
    since: link.incarnation,
    machine: start.machine,
    version: tree.host.machineVersion(start.machine),
    parent: { address: cell.row.address, incarnation: cell.row.incarnation },
    id: link.id,
    supervised: false,
    status: 'starting' as const,
    sync: link.sync === true,
    readyTag: null,
    ready: false,
    input: start.input,
    children: [],
    nextId: 0,
    systemIds: {},
    exit: null,
  }
  const isTaken = tree.cells.has(link.address)
  if (!isTaken) settleIn(tree, row)
  const event = { type: 'troupe.start', input: start.input, ...(isTaken ? { cell: row as unknown as Json } : {}) }
  tree.post(envelope, start.op, { kind: 'start', to: link.address, incarnation: link.incarnation, from: cell.row.address, event }, pos)
}

/** `onSnapshot`: the parent hears of every snapshot of an active child, after what the child itself sent. */
function notifySync(tree: Tree, cell: Cell, envelope: Envelope, result: StepResult, pos: number): void {
  const { row } = cell
  if (!row.sync || row.parent === null || result.exit !== null || cell.snapshot === null || cell.snapshot === undefined) return
  const { status, value, context } = contentOf(cell.snapshot)
  const event = { type: `xstate.snapshot.${row.id}`, snapshot: { status, value, context } }
  tree.post(
    envelope,
    OP_LAST,
    {
      kind: 'child',
      to: row.parent.address,
      incarnation: row.parent.incarnation,
      from: row.address,
      event,
      child: { id: row.id, incarnation: row.incarnation },
    },
    pos,
  )
}

function words(tree: Tree, cell: Cell, result: StepResult, pos: number): void {
  for (const event of result.emits) {
    const { type, ...data } = event
    if (DOMAIN_FACTS.has(type)) tree.fact(type, cell.row, pos, data)
    else tree.fact('event.emitted', cell.row, pos, { event })
  }
  for (const log of result.logs) tree.fact('log.written', cell.row, pos, { label: log.label, value: log.value })
  for (const append of result.threadAppends)
    tree.draft.threadAppends.push({ thread: append.thread, items: append.items.map((item) => JSON.stringify(item)), born: pos })
  for (const fact of result.journal) tree.fact(fact.type, cell.row, pos, fact.data as { [key: string]: Json })
}

/** The system ids of a stopped subtree are free at once. */
function freeSystemIds(tree: Tree, link: ChildLink): void {
  const child = tree.cells.get(link.address)
  if (child === undefined) return
  tree.freeSystemIds(child.row)
  for (const grandchild of child.row.children) freeSystemIds(tree, grandchild)
}
