/**
 * Effects as rows: owed with the step that invoked them, started in a commit before they are performed, settled in a commit with their outcome.
 * Every change of status goes through `move`, which the table in status.ts guards.
 */
import { isVolatile, type Usage } from '../../../effect.ts'
import { Defect, type ErrorData } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { EffectOwed, Envelope } from '../../cell.ts'
import { type AttemptEnd, chargeOf, isNothing, isUnderWay, NOTHING, settled } from '../../spending.ts'
import { type EffectStatus, NEXT } from '../../status.ts'
import type { EffectRow } from '../../store.ts'
import { lateness } from './attempt-deadlines.ts'
import { figuresOf, isHeldBack, noteCharge, type Refusal, reach, refusalOf, settling } from './budgets.ts'
import { type Cell, isBound, type Tree } from './tree.ts'

/** Changes an effect's row. @throws {Defect} `E_EFFECT_STATUS` for a change that the table does not allow. */
export function move(tree: Tree, row: EffectRow, status: EffectStatus, change: Partial<EffectRow> = {}): EffectRow {
  if (status !== row.status && !NEXT[row.status].includes(status))
    throw new Defect('E_EFFECT_STATUS', `effect ${row.id} cannot go from ${row.status} to ${status}`)
  const next = { ...row, ...change, status }
  tree.keepEffect(next)
  return next
}

export function oweEffect(tree: Tree, cell: Cell, envelope: Envelope, owed: EffectOwed, pos: number): void {
  const id = `e${++tree.counters.effects}`
  const { op: _, id: invoke, incarnation: invocation, ...facts } = owed
  const row: EffectRow = {
    ...facts,
    id,
    owner: cell.row.address,
    incarnation: cell.row.incarnation,
    invoke,
    invocation,
    status: 'owed',
    attempt: 0,
    startedAt: null,
    nextAt: null,
    output: undefined,
    error: null,
    usage: null,
    evidence: null,
    cause: pos,
    ...(facts.deadlines?.totalMs === undefined ? {} : { totalAt: tree.now + facts.deadlines.totalMs }),
  }
  const born = tree.fact('effect.owed', cell.row, pos, {
    id,
    kind: row.kind,
    src: row.src,
    policy: row.policy,
    input: row.kind === 'action' ? null : row.input,
    timeoutMs: row.timeoutMs,
    deadlines: row.deadlines as Json | undefined,
    reserve: row.reserve as unknown as Json,
  })
  const refusal = isVolatile(row) ? null : refusalOf(tree, row)
  if (refusal !== null) {
    tree.keepEffect({ ...row, held: true })
    refuse(tree, { ...row, held: true }, refusal, born, envelope)
    return
  }
  tree.keepEffect(row)
  if (isVolatile(row)) startVolatile(tree, row)
}

/** Its budget has no room for it: it is held back, or it fails. It holds nothing by now. */
function refuse(tree: Tree, row: EffectRow, refusal: Refusal, cause: number | null, current: Envelope | null): void {
  const error = reach(tree, row, refusal, cause)
  if (!isHeldBack(tree, refusal)) fail(tree, row, error, null, { current })
}

/** The intent is committed with this; only then is it performed. */
export function startEffect(tree: Tree, row: EffectRow): void {
  const started = move(tree, row, 'started', { attempt: row.attempt + 1, startedAt: tree.now, nextAt: null })
  tree.fact('effect.started', ownerOf(started), row.cause, { id: row.id, kind: row.kind, attempt: started.attempt, epoch: tree.run.epoch })
  tree.keepEffect(started)
  tree.afterwards.perform.push(started)
}

/** Of a callback or an observable there is nothing to be known after a crash but that it must be started again: its intent needs no commit of its own. */
export function startVolatile(tree: Tree, row: EffectRow): void {
  const attempt = row.attempt + 1
  tree.fact('effect.started', ownerOf(row), row.cause, { id: row.id, kind: row.kind, attempt, epoch: tree.run.epoch })
  const started = move(tree, row, 'started', { attempt, startedAt: tree.now })
  tree.afterwards.volatile.push({ do: 'start', row: started })
}

/** What is known of an attempt that has ended. */
interface Ended {
  /** What is known of its cost. Default: `answered` where it succeeded, else `failed`. */
  readonly end?: AttemptEnd | undefined
  readonly evidence?: string | null | undefined
  /** The envelope in whose step it failed before it began. */
  readonly current?: Envelope | null | undefined
}

export function succeed(tree: Tree, row: EffectRow, output: Json | undefined, usage: Usage | null, ended: Ended = {}): void {
  const { end = 'answered', evidence = null } = ended
  const pos = tree.fact('effect.succeeded', ownerOf(row), row.cause, {
    id: row.id,
    kind: row.kind,
    output: output ?? null,
    usage: usage as unknown as Json,
    durationMs: tree.now - (row.startedAt ?? tree.now),
  })
  noteCharge(tree, row, usage, end, pos)
  move(tree, row, 'succeeded', { output, ...settled(row, usage, end), evidence, nextAt: null })
  report(tree, row, { type: `xstate.done.actor.${row.invoke}`, output, actorId: row.invoke }, pos)
}

export function fail(
  tree: Tree,
  row: EffectRow,
  last: ErrorData,
  usage: Usage | null,
  { end = 'failed', current = null }: Ended = {},
): void {
  const error = lastError(row, last)
  const pos = tree.fact('effect.failed', ownerOf(row), row.cause, {
    id: row.id,
    kind: row.kind,
    attempt: row.attempt,
    attempts: row.attempt,
    ...error,
    usage: usage as unknown as Json,
  })
  noteCharge(tree, row, usage, end, pos)
  move(tree, row, 'failed', { error, ...settled(row, usage, end), nextAt: null, held: undefined })
  report(tree, row, { type: `xstate.error.actor.${row.invoke}`, error: error as unknown as Json, actorId: row.invoke }, pos, current)
}

/** The error of the last attempt is the one that stands. Where the one before was of another kind it is kept as its cause. */
function lastError(row: EffectRow, error: ErrorData): ErrorData {
  const before = row.error
  const isOther =
    before !== null && (before.code !== error.code || before['which'] !== error['which'] || before['status'] !== error['status'])
  return {
    ...error,
    ...(row.attempt > 1 ? { attempts: row.attempt } : {}),
    ...(isOther && error['cause'] === undefined ? { cause: before } : {}),
  }
}

/** Its total deadline has passed while it waited for a start or for its next attempt. */
export function expire(tree: Tree, row: EffectRow): void {
  const known = row.error === null ? 'of which nothing is known' : `with ${row.error.code} as the last error that is known`
  const lastSeen = row.attempt === 0 ? 'it had not been started' : `attempt ${row.attempt}, ${known}`
  const late = lateness(row, 'total', row.deadlines?.totalMs ?? 0, lastSeen)
  const { code, message, name, details, retry } = late
  fail(tree, row, { code, message, name, ...details, path: row.owner, effect: row.id, retry }, null)
}

/**
 * The attempt ended in a failure that may be tried again: the row stays started, with the time of its next attempt, which is a reservation of its own.
 * Where the budget has no room for that it is the last one.
 */
export function retryLater(tree: Tree, row: EffectRow, error: ErrorData, usage: Usage | null, delayMs: number, end: AttemptEnd): void {
  const refusal = refusalOf(tree, row, settling(row, usage, end))
  const isHeld = refusal !== null && isHeldBack(tree, refusal)
  if (refusal !== null && !isHeld) {
    fail(tree, row, { ...reach(tree, row, refusal, row.cause), cause: error as unknown as Json }, usage, { end })
    return
  }
  const pos = tree.fact('retry.scheduled', ownerOf(row), row.cause, {
    effect: row.id,
    kind: row.kind,
    attempt: row.attempt,
    maxAttempts: row.retry.maxAttempts,
    delayMs,
    code: error.code,
    message: error.message,
  })
  noteCharge(tree, row, usage, end, pos)
  if (refusal !== null) reach(tree, row, refusal, pos)
  move(tree, row, 'started', { nextAt: tree.now + delayMs, error, ...settled(row, usage, end), ...(isHeld ? { held: true } : {}) })
}

/**
 * Nobody knows what became of the attempt, and it may be done again. What it may have used stays spent, so the next one needs a reservation of its own.
 * One whose usage is on record was settled when it was cut off; one in doubt, when that was found.
 */
export function repeat(tree: Tree, row: EffectRow, evidence: string | null, cause: number | null): void {
  const isLost = isUnderWay(row)
  const refusal = refusalOf(tree, row, isLost ? settling(row, null, 'unknown') : undefined)
  const change = isLost ? settled(row, null, 'unknown') : {}
  if (isLost) noteCharge(tree, row, null, 'unknown', cause)
  const next = { nextAt: tree.now, evidence, ...change, ...(refusal === null ? {} : { held: true as const }) }
  const again = move(tree, row, 'started', next)
  if (refusal !== null) refuse(tree, again, refusal, cause, null)
}

export function cancelEffect(tree: Tree, row: EffectRow, cause: number): void {
  if (row.status === 'in_doubt') return // Nobody knows whether it happened; that is not undone by leaving a state.
  // It may be at work for a while: until its word comes it counts as its worst case, also when no word comes any more.
  const isLate = isUnderWay(row) && !isVolatile(row)
  const kept = isLate ? chargeOf(row, null, 'unknown') : NOTHING
  tree.fact('effect.cancelled', ownerOf(row), cause, {
    id: row.id,
    kind: row.kind,
    was: row.status,
    kept: isNothing(kept) ? undefined : figuresOf(kept),
  })
  const cancelled = move(tree, row, 'cancelled', { held: undefined, ...(isLate ? settled(row, null, 'unknown') : {}) })
  if (row.status !== 'started') return
  if (isVolatile(row)) {
    tree.afterwards.volatile.push({ do: 'stop', row })
    return
  }
  tree.afterwards.abort.push(row.id)
  if (isLate) tree.late.set(row.id, { before: row, row: cancelled })
}

/** A late outcome of an effect that was cancelled or is at another attempt: it changes nothing, its cost is settled on the row. */
export function stale(tree: Tree, started: EffectRow, usage: Usage | null, end: AttemptEnd): void {
  const late = tree.late.get(started.id)
  tree.late.delete(started.id)
  const pos = tree.fact('message.dropped', ownerOf(started), started.cause, {
    event: `outcome of ${started.id}`,
    reason: 'stale',
    to: started.owner,
    from: null,
    why: 'the effect was cancelled',
    usage: usage as unknown as Json,
  })
  if (late === undefined) {
    const row = tree.effects.get(started.id)
    if (row !== undefined && usage !== null) tree.keepEffect({ ...row, ...settled(row, usage, 'failed') })
    return
  }
  noteCharge(tree, late.before, usage, end, pos)
  tree.keepEffect({ ...late.before, status: 'cancelled', ...settled(late.before, usage, end) }, late.row)
}

/** Cut off by the stop of the run: its row stays started, for the next resume to judge. Where it said what it has used, that is known for good. */
export function cutOff(tree: Tree, row: EffectRow, usage: Usage | null, end: AttemptEnd): void {
  if (end === 'unknown') return
  tree.keepEffect({ ...row, ...settled(row, usage, end), heard: row.attempt })
}

/** Nobody knows whether it happened: a probe, a policy or a person decides. */
export function park(tree: Tree, row: EffectRow, evidence: string | null, usage: Usage | null, end: AttemptEnd): void {
  const change = isUnderWay(row) ? settled(row, usage, end) : {}
  move(tree, row, 'in_doubt', { evidence, ...change, nextAt: null })
  const pos = tree.fact('effect.parked', ownerOf(row), row.cause, { id: row.id, kind: row.kind, evidence })
  if (isUnderWay(row)) noteCharge(tree, row, usage, end, pos)
}

/** The outcome goes to the life that invoked it, in the commit that records it. A named action has no answer. */
function report(tree: Tree, row: EffectRow, event: Envelope['event'], pos: number, current: Envelope | null = null): void {
  if (!row.answer) return
  const cell = tree.cells.get(row.owner)
  if (cell === undefined || !isBound(cell.row, row.incarnation)) return
  tree.post(
    current,
    0,
    {
      kind: 'outcome',
      to: row.owner,
      incarnation: row.incarnation,
      from: null,
      event,
      child: { id: row.invoke, incarnation: row.invocation },
    },
    pos,
  )
}

export const ownerOf = (row: EffectRow) => ({ address: row.owner, incarnation: row.incarnation })
