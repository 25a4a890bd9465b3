/**
 * Runs as rows: `ps` looks at those that are there, `recover` at those that did not end properly.
 *
 *      RUN       NAME        STATUS                     ACTORS  STARTED  TIME   TOKENS  COST
 *   ●  01M7W4N5  csv-export  running, pid 5301          5       14s ago  14.2s  3.1k    simulated
 */
import type { Json, JsonObject } from '../json.ts'
import type { EffectRow, RunRow } from '../runtime/store.ts'
import { totalUsage, type UsageTotal } from '../usage.ts'
import { ago, costBasis, count, duration, iso, money, plural, roundDuration } from './format.ts'
import { type Look, runMark, runTone, type Standing } from './look.ts'
import { canGoOn, standingOf, teamOutput } from './outcome.ts'
import { stoppedBecause } from './recovery.ts'
import { standingWords } from './result.ts'
import { tableLines } from './table.ts'

/** One run with what a list tells of it. */
export interface RunItem {
  readonly row: RunRow
  readonly owned: boolean
  readonly short: string
  /** Agents that lived in it; supervisors are not counted. */
  readonly actors: number
  readonly effects: readonly EffectRow[]
  /** Its replies come from a script, also where none was given yet. */
  readonly simulated: boolean
}

/** What all effects together have used. */
export function usageOf(effects: readonly Pick<EffectRow, 'usage'>[], simulated: boolean): UsageTotal {
  const total = totalUsage(effects.map(({ usage }) => usage))
  return { ...total, simulated: simulated || total.simulated }
}

/** The table of `ps`. */
export function runTable(items: readonly RunItem[], look: Look, options: { nowMs: number; tabs: boolean }): readonly string[] {
  const columns = [
    { title: '' },
    { title: 'RUN' },
    { title: 'NAME' },
    { title: 'STATUS', cut: 'end' as const },
    { title: 'ACTORS' },
    { title: 'STARTED' },
    { title: 'TIME' },
    { title: 'TOKENS' },
    { title: 'COST' },
  ]
  const rows = items.map((item) => {
    const { row, owned, short, actors } = item
    const standing = standingOf(row, owned)
    const usage = usageOf(item.effects, item.simulated)
    return [
      { text: runMark(standing, { ...look, paint: (_tone, text) => text }), tone: runTone(standing) },
      { text: short },
      { text: row.name ?? '-' },
      { text: statusWords(item, standing) },
      { text: count(actors) },
      { text: ago(options.nowMs - row.createdAt) },
      { text: duration(spanMs(item, options.nowMs)) },
      { text: count(usage.inputTokens + usage.outputTokens) },
      { text: money(usage.costUsd, costBasis(usage)) },
    ]
  })
  return tableLines(columns, rows, look, options.tabs)
}

/** From its start to its end, to now while it runs, to its last commit where it stands. */
function spanMs({ row, owned }: RunItem, nowMs: number): number {
  if (row.endedAt !== null) return row.endedAt - row.createdAt
  return (row.status === 'running' && owned ? nowMs : row.clock.wallMs) - row.createdAt
}

/** A standing with its evidence: `running, pid 5301`, `crashed: pid 4121 is gone, no goodbye`. */
export function statusWords({ row, effects }: Pick<RunItem, 'row' | 'effects'>, standing: Standing): string {
  const code = row.reason?.code ?? teamOutput(row.output).error?.code
  const doubts = effects.filter(({ status }) => status === 'in_doubt').length
  switch (standing) {
    case 'running':
      return row.owner === null ? 'running' : `running, pid ${row.owner.pid}`
    case 'succeeded':
      return standingWords(standing, teamOutput(row.output))
    case 'crashed':
      return `crashed: ${row.owner === null ? 'its process' : `pid ${row.owner.pid}`} is gone, no goodbye`
    case 'suspended':
      return doubts > 0 ? `waits for you: ${doubts} in doubt` : 'waits for you'
    case 'interrupted':
      return stoppedBecause(row, null)
    case 'quarantined':
      return quarantineWords(row.reason)
    default:
      return code === undefined ? standing : `${standing}: ${code}`
  }
}

/** `quarantined: 3 crashes in 10m at /team/coder`. */
function quarantineWords(reason: RunRow['reason']): string {
  const { crashes, periodMs, path }: Partial<NonNullable<RunRow['reason']>> = reason ?? {}
  if (typeof crashes !== 'number' || typeof periodMs !== 'number') return 'quarantined'
  const where = path === undefined ? '' : ` at ${path}`
  return `quarantined: ${crashes} crash${crashes === 1 ? '' : 'es'} in ${roundDuration(periodMs)}${where}`
}

/** An item of `troupe.runs/1`. */
export function runObject(item: RunItem, nowMs: number): JsonObject {
  const { row, owned, actors, effects } = item
  const usage = usageOf(effects, item.simulated)
  const living = row.status === 'running' && owned
  return {
    run: row.run,
    name: row.name,
    status: standingOf(row, owned),
    reason: row.reason as unknown as Json,
    verification: teamOutput(row.output).level,
    project: row.project,
    pid: living ? (row.owner?.pid ?? null) : null,
    host: living ? (row.owner?.host ?? null) : null,
    actors,
    position: row.position,
    startedAt: iso(row.createdAt),
    endedAt: row.endedAt === null ? null : iso(row.endedAt),
    durationMs: spanMs(item, nowMs),
    tokens: usage.inputTokens + usage.outputTokens,
    costUsd: usage.costUsd,
    costBasis: costBasis(usage),
    pending: effects.flatMap(({ id, kind, owner, status }) =>
      status === 'in_doubt' ? [{ id, kind: 'in_doubt', path: owner, what: kind }] : [],
    ),
  }
}

/** The table of `recover`. */
export function recoverTable(items: readonly RunItem[], look: Look, options: { nowMs: number; tabs: boolean }): readonly string[] {
  const columns = [{ title: 'RUN' }, { title: 'NAME' }, { title: 'STOPPED' }, { title: 'WHY', cut: 'end' as const }, { title: 'RECOVER' }]
  const rows = items.map((item) => {
    const standing = standingOf(item.row, item.owned)
    return [
      { text: item.short },
      { text: item.row.name ?? '-' },
      { text: standing === 'running' ? '-' : ago(options.nowMs - item.row.clock.wallMs) },
      { text: statusWords(item, standing), tone: runTone(standing) },
      { text: recoverWords(item, standing) },
    ]
  })
  return tableLines(columns, rows, look, options.tabs)
}

const LIMIT_FLAGS: Readonly<Record<string, string>> = { E_LIMIT_TIME: '--timeout', E_LIMIT_COST: '--max-usd', E_LIMIT_TURNS: '--max-turns' }

/** Does `recover --all` continue it? Only what crashed or was interrupted goes on without anybody's decision. */
export const isSafe = ({ row, owned }: RunItem): boolean => ['crashed', 'interrupted'].includes(standingOf(row, owned))

function recoverWords(item: RunItem, standing: Standing): string {
  const doubtful = item.effects.filter(({ status, policy }) => status === 'started' && policy === 'ask').length
  if (standing === 'running') return 'no need'
  if (isSafe(item)) return doubtful === 0 ? 'yes' : `yes; ${plural(doubtful, 'effect')} will be in doubt`
  if (standing === 'limited') return `troupe resume ${item.short} ${LIMIT_FLAGS[item.row.reason?.code ?? ''] ?? '--max-tokens'} MORE`
  if (standing === 'quarantined') return `troupe resume ${item.short} --unquarantine`
  return standing === 'suspended'
    ? `no: decide what became of ${plural(item.effects.filter(({ status }) => status === 'in_doubt').length, 'effect')}`
    : 'no'
}

/** An item of `troupe.recover/1`. */
export function recoverObject(item: RunItem): JsonObject {
  const { row, owned } = item
  const standing = standingOf(row, owned)
  return {
    run: row.run,
    name: row.name,
    status: standing,
    reason: standing === 'crashed' ? 'gone' : (row.reason?.code ?? null),
    stoppedAt: standing === 'running' ? null : iso(row.clock.wallMs),
    position: row.position,
    recoverable: isSafe(item),
    owner: row.owner === null ? null : { pid: row.owner.pid, host: row.owner.host, alive: owned, epoch: row.epoch },
    effects: item.effects.flatMap(({ id, kind, owner, policy, status }) =>
      ['owed', 'started', 'in_doubt'].includes(status) ? [{ id, kind, path: owner, policy, status }] : [],
    ),
    next:
      standing === 'quarantined' ? `troupe resume ${item.short} --unquarantine` : canGoOn(standing) ? `troupe resume ${item.short}` : null,
  }
}
