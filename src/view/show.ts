/**
 * One run closely: its actors with their states and what each is busy with, or its effects.
 *
 *   team                  supervisor one_for_one, at most 3 restarts in 60s           running 14.2s
 *   ├─ ● coder            generating         busy: e12 llm.generate 0.4s
 *   ├─ ○ reviewer         generating         waiting on rate limit (e31 llm.generate), 1.1s left   1 restart
 *   └─ ○ executor         idle               healthy
 */

import type { Health } from '../health.ts'
import type { Json, JsonObject } from '../json.ts'
import { isSupervisor } from '../protocol.ts'
import type { CellView } from '../runtime/engine.ts'
import type { EffectRow, RunRow } from '../runtime/store.ts'
import { type Cast, restartWords, type Seen } from './actors.ts'
import { duration, iso, plural } from './format.ts'
import { type Acting, actorMark, type Look } from './look.ts'
import { tableLines } from './table.ts'
import { type TreeNode, treeLines } from './tree.ts'

/** A state value in words: `editing.patch`, regions joined by ` + `. */
export function stateWords(value: Json): string {
  if (value === null) return 'starting'
  if (typeof value !== 'object') return String(value)
  return Object.entries(value)
    .map(([key, inner]) => (isEmpty(inner) ? key : `${key}.${stateWords(inner as Json)}`))
    .join(' + ')
}

export interface Scene {
  readonly row: RunRow
  readonly tree: CellView
  readonly effects: readonly EffectRow[]
  /** What the journal tells of the actors: why they were restarted. */
  readonly cast: Cast
  /** The standing with its evidence. */
  readonly status: string
  /** Run clock now: the last commit's, and what has passed since where it runs. */
  readonly runMs: number
}

/** The living tree at its last commit. */
export function sceneLines(scene: Scene, look: Look): readonly string[] {
  return treeLines(nodeOf(scene.tree, scene, look, true), look, { rootMark: false })
}

function nodeOf(cell: CellView, scene: Scene, look: Look, root: boolean): TreeNode {
  const supervises = isSupervisor(cell.machine)
  const name = cell.incarnation > 1 ? `${cell.id}#${cell.incarnation}` : cell.id
  return {
    mark: actorMark(actingOf(cell), look),
    name,
    columns: supervises
      ? [supervisorWords(scene.row, root), root ? scene.status : cell.status]
      : [stateWords(cell.state), evidence(cell, scene), notes(cell, scene)],
    free: supervises,
    children: cell.children.map((child) => nodeOf(child, scene, look, false)),
  }
}

function actingOf(cell: CellView): Acting {
  if (cell.effects.some(({ status }) => status === 'in_doubt')) return 'in_doubt'
  if (cell.status === 'error') return 'restarting'
  if (cell.status === 'done' || cell.status === 'stopped') return cell.status
  return cell.effects.length > 0 && cell.health?.state !== 'waiting' ? 'working' : 'waiting'
}

function supervisorWords({ tree }: RunRow, root: boolean): string {
  if (!root || typeof tree !== 'object' || tree === null) return 'supervisor'
  const { strategy, intensity, periodMs } = tree as { strategy?: string; intensity?: number; periodMs?: number }
  return `supervisor ${strategy ?? 'one_for_one'}, at most ${plural(intensity ?? 1, 'restart')} in ${duration(periodMs ?? 5_000)}`
}

/** How it stands, and why. An effect in flight is told with its time, which goes on. */
function evidence(cell: CellView, { effects, runMs }: Scene): string {
  const { health } = cell
  if (health === undefined || health.state === 'healthy') return cell.mailbox > 0 ? `${plural(cell.mailbox, 'event')} waiting` : 'healthy'
  const row = effects.find(({ id }) => id === health.on)
  if (health.state === 'busy' && row !== undefined) return `busy: ${health.evidence}${sinceWords(row, runMs)}`
  if (health.state === 'waiting') return `waiting on ${String(health.on).replace('_', ' ')}${waitingWords(cell, health, effects, runMs)}`
  return `${health.state.replace('_', ' ')}: ${health.evidence}`
}

const sinceWords = ({ startedAt }: EffectRow, runMs: number): string =>
  startedAt === null ? '' : ` ${duration(Math.max(0, runMs - startedAt))}`

function waitingWords(cell: CellView, { on, evidence: words }: Health, effects: readonly EffectRow[], runMs: number): string {
  const next = effects.find(({ id, nextAt }) => nextAt !== null && cell.effects.some((open) => open.id === id))
  if (next?.nextAt == null || on === 'person' || on === 'child') return on === 'child' ? ` ${words}` : `: ${words}`
  const { id, kind, nextAt } = next
  return ` (${id} ${kind}), ${duration(Math.max(0, nextAt - runMs))} left`
}

function notes({ address, mailbox, restarts }: CellView, { cast }: Scene): string {
  const causes = cast.get(address)?.causes ?? []
  return [restartWords({ restarts, causes }), mailbox > 0 ? `mailbox ${mailbox}` : ''].filter(Boolean).join('   ')
}

/** The table of `show --effects`, oldest first. */
export function effectTable(effects: readonly EffectRow[], look: Look, tabs: boolean): readonly string[] {
  const columns = [
    { title: 'EFFECT' },
    { title: 'KIND' },
    { title: 'ACTOR', cut: 'middle' as const },
    { title: 'POLICY' },
    { title: 'STATUS' },
    { title: 'ATTEMPT', align: 'right' as const },
    { title: 'EVIDENCE', cut: 'end' as const },
  ]
  const rows = effects.map((row) => [
    { text: row.id },
    { text: row.kind },
    { text: row.owner, tone: 'address' as const },
    { text: row.policy },
    {
      text: row.status,
      ...(row.status === 'failed' ? { tone: 'bad' as const } : row.status === 'in_doubt' ? { tone: 'attention' as const } : {}),
    },
    { text: String(row.attempt) },
    { text: row.evidence ?? row.error?.code ?? '' },
  ])
  return tableLines(columns, rows, look, tabs)
}

/** `effects` of `troupe.run/1`. */
export function effectObject(row: EffectRow, atRunMs: (runMs: number) => number): JsonObject {
  const { id, kind, owner, policy, status, attempt, evidence, startedAt, error } = row
  return {
    id,
    kind,
    path: owner,
    policy,
    status,
    attempt,
    evidence,
    startedAt: startedAt === null ? null : iso(atRunMs(startedAt)),
    error: error as unknown as Json,
  }
}

/** `tree` of `troupe.run/1`. */
export function treeObject(cell: CellView, atRunMs: (runMs: number) => number): JsonObject {
  const { address, incarnation, machine, version, state, status, tags, mailbox, restarts, usage } = cell
  return {
    path: address,
    incarnation,
    machine,
    version,
    state,
    status,
    tags,
    health: healthObject(cell.health, atRunMs),
    mailbox,
    restarts: { count: restarts },
    usage: { tokens: usage.inputTokens + usage.outputTokens, costUsd: usage.costUsd },
    children: cell.children.map((child) => treeObject(child, atRunMs)),
  }
}

function healthObject(health: Health | undefined, atRunMs: (runMs: number) => number): Json {
  if (health === undefined) return null
  const { state, on, since, evidence: words, proof, errors } = health
  return { state, on, since: since === null ? null : iso(atRunMs(since)), evidence: words, proof, errors: { ...errors } }
}

function isEmpty(value: Json | undefined): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The tree of a finished run, from its journal: states are gone, the actors and what they used are known. Null where nobody ever lived. */
export function castView(
  cast: Cast,
  tokens: ReadonlyMap<string, number>,
  costs: ReadonlyMap<string, number | null> = new Map(),
): CellView | null {
  const root = [...cast.values()].find(({ parent }) => parent === null)
  return root === undefined ? null : seenView(root, cast, { tokens, costs })
}

interface Used {
  readonly tokens: ReadonlyMap<string, number>
  readonly costs: ReadonlyMap<string, number | null>
}

function seenView(seen: Seen, cast: Cast, used: Used): CellView {
  const { address, incarnation, machine, end, restarts } = seen
  return {
    address,
    id: address.slice(address.lastIndexOf('/') + 1),
    incarnation,
    machine,
    version: seen.version,
    status: end === 'crashed' ? 'error' : (end ?? 'stopped'),
    state: null,
    tags: [],
    supervised: seen.parent !== null,
    mailbox: 0,
    restarts,
    effects: [],
    usage: {
      inputTokens: 0,
      outputTokens: used.tokens.get(address) ?? 0,
      costUsd: used.costs.get(address) ?? (used.tokens.has(address) ? null : 0),
    },
    children: [...cast.values()].filter(({ parent }) => parent === address).map((child) => seenView(child, cast, used)),
  }
}
