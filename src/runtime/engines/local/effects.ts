/**
 * Effects as rows: owed with the step that invoked them, started in a commit before they are performed, settled in a commit with their outcome.
 * Every change of status goes through `move`, which the table in status.ts guards.
 */
import { isVolatile, type Usage } from '../../../effect.ts'
import { Defect, type ErrorData } from '../../../errors.ts'
import type { Json } from '../../../json.ts'
import type { EffectOwed, Envelope } from '../../cell.ts'
import { type EffectStatus, NEXT } from '../../status.ts'
import type { EffectRow } from '../../store.ts'
import { lateness } from './attempt-deadlines.ts'
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
  tree.keepEffect(row)
  if (isVolatile(row)) {
    startVolatile(tree, row)
    return
  }
  const worst = row.reserve?.tokens ?? 0
  const max = tree.run.limits.tokensMax
  if (max === null || worst === 0) return
  const reserved = reservedTokens(tree) - worst
  if (tree.spentTokens + reserved + worst <= max) return
  const spent = tree.spentTokens
  tree.fact('limit.reached', cell.row, born, { which: 'tokens', spent, reserved, worst, limit: max })
  fail(
    tree,
    row,
    {
      code: 'E_LIMIT_TOKENS',
      message: `${spent} of ${max} tokens are spent and ${reserved} reserved; the next call may take ${worst}`,
      path: row.owner,
    },
    null,
    envelope,
  )
}

function reservedTokens(tree: Tree): number {
  let sum = tree.effects.reservedTokens
  for (const tokens of tree.lingering.values()) sum += tokens
  return sum
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

export function succeed(tree: Tree, row: EffectRow, output: Json | undefined, usage: Usage | null, evidence: string | null = null): void {
  tree.spentTokens += tokensOf(usage)
  const pos = tree.fact('effect.succeeded', ownerOf(row), row.cause, {
    id: row.id,
    kind: row.kind,
    output: output ?? null,
    usage: usage as unknown as Json,
    durationMs: tree.now - (row.startedAt ?? tree.now),
  })
  move(tree, row, 'succeeded', { output, usage: added(row.usage, usage), evidence, nextAt: null })
  report(tree, row, { type: `xstate.done.actor.${row.invoke}`, output, actorId: row.invoke }, pos)
}

/** @param current  the envelope in whose step it failed before it began, or null. */
export function fail(tree: Tree, row: EffectRow, last: ErrorData, usage: Usage | null, current: Envelope | null = null): void {
  tree.spentTokens += tokensOf(usage)
  const error = lastError(row, last)
  const pos = tree.fact('effect.failed', ownerOf(row), row.cause, {
    id: row.id,
    kind: row.kind,
    attempt: row.attempt,
    attempts: row.attempt,
    ...error,
    usage: usage as unknown as Json,
  })
  move(tree, row, 'failed', { error, usage: added(row.usage, usage), nextAt: null })
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

/** The attempt ended in a failure that may be tried again: the row stays started, with the time of its next attempt. */
export function retryLater(tree: Tree, row: EffectRow, error: ErrorData, usage: Usage | null, delayMs: number): void {
  tree.spentTokens += tokensOf(usage)
  tree.fact('retry.scheduled', ownerOf(row), row.cause, {
    effect: row.id,
    kind: row.kind,
    attempt: row.attempt,
    maxAttempts: row.retry.maxAttempts,
    delayMs,
    code: error.code,
    message: error.message,
  })
  move(tree, row, 'started', { nextAt: tree.now + delayMs, error, usage: added(row.usage, usage) })
}

export function cancelEffect(tree: Tree, row: EffectRow, cause: number): void {
  if (row.status === 'in_doubt') return // Nobody knows whether it happened; that is not undone by leaving a state.
  tree.fact('effect.cancelled', ownerOf(row), cause, { id: row.id, kind: row.kind, was: row.status })
  move(tree, row, 'cancelled')
  if (row.status !== 'started') return
  if (isVolatile(row)) {
    tree.afterwards.volatile.push({ do: 'stop', row })
    return
  }
  tree.afterwards.abort.push(row.id)
  if (row.reserve !== null && row.nextAt === null) tree.lingering.set(row.id, row.reserve.tokens)
}

/** A late outcome of an effect that was cancelled or is at another attempt: it changes nothing, its cost is settled on the row. */
export function stale(tree: Tree, started: EffectRow, usage: Usage | null): void {
  const row = tree.effects.get(started.id) ?? { ...started, status: 'cancelled' as const }
  tree.lingering.delete(row.id)
  spend(tree, row, usage)
  tree.fact('message.dropped', ownerOf(row), row.cause, {
    event: `outcome of ${row.id}`,
    reason: 'stale',
    to: row.owner,
    from: null,
    why: 'the effect was cancelled',
    usage: usage as unknown as Json,
  })
}

/** Adds what an attempt has used to a row whose status does not change by it. */
export function spend(tree: Tree, row: EffectRow, usage: Usage | null): void {
  if (usage === null) return
  tree.spentTokens += tokensOf(usage)
  tree.keepEffect({ ...row, usage: added(row.usage, usage) })
}

/** Nobody knows whether it happened: a probe, a policy or a person decides. */
export function park(tree: Tree, row: EffectRow, evidence: string | null, usage: Usage | null = null): void {
  tree.spentTokens += tokensOf(usage)
  move(tree, row, 'in_doubt', { evidence, usage: added(row.usage, usage), nextAt: null })
  tree.fact('effect.parked', ownerOf(row), row.cause, { id: row.id, kind: row.kind, evidence })
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

const tokensOf = (usage: Usage | null): number => (usage === null ? 0 : usage.inputTokens + usage.outputTokens)

/** Usage of all attempts of one effect. An unknown price stays unknown. */
function added(a: Usage | null, b: Usage | null): Usage | null {
  if (a === null || b === null) return a ?? b
  const costUsd = a.costUsd === null || b.costUsd === null ? null : a.costUsd + b.costUsd
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    costUsd,
    ...addedParts(a, b),
    ...(b.provider === undefined ? {} : { provider: b.provider }),
    ...(b.model === undefined ? {} : { model: b.model }),
    ...(a.local || b.local ? { local: true } : {}),
    ...(a.simulated || b.simulated ? { simulated: true } : {}),
  }
}

const PARTS = ['cacheReadTokens', 'cacheWriteTokens', 'reasoningTokens'] as const

function addedParts(a: Usage, b: Usage): Partial<Usage> {
  const parts: Partial<Record<(typeof PARTS)[number], number>> = {}
  for (const part of PARTS) if (a[part] !== undefined || b[part] !== undefined) parts[part] = (a[part] ?? 0) + (b[part] ?? 0)
  return parts
}
