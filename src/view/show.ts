/**
 * One run closely: its actors with their states and what each is busy with, or its effects.
 *
 *   team                  supervisor one_for_one, at most 3 restarts in 60s           running 14.2s
 *   ├─ ● coder            generating         busy: e12 llm.generate, attempt 1        0.4s
 *   └─ ○ reviewer         idle               waiting: 0 events                        1 restart
 */
import type { Json, JsonObject } from '../json.ts'
import { isSupervisor } from '../protocol.ts'
import type { CellView } from '../runtime/engine.ts'
import type { EffectRow, RunRow } from '../runtime/store.ts'
import type { Cast, Seen } from './actors.ts'
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
      : [stateWords(cell.state), evidence(cell, scene), notes(cell)],
    free: supervises,
    children: cell.children.map((child) => nodeOf(child, scene, look, false)),
  }
}

function actingOf(cell: CellView): Acting {
  if (cell.effects.some(({ status }) => status === 'in_doubt')) return 'in_doubt'
  if (cell.status === 'error') return 'restarting'
  if (cell.status === 'done' || cell.status === 'stopped') return cell.status
  return cell.effects.length > 0 ? 'working' : 'waiting'
}

function supervisorWords({ tree }: RunRow, root: boolean): string {
  if (!root || typeof tree !== 'object' || tree === null) return 'supervisor'
  const { strategy, intensity, periodMs } = tree as { strategy?: string; intensity?: number; periodMs?: number }
  return `supervisor ${strategy ?? 'one_for_one'}, at most ${plural(intensity ?? 1, 'restart')} in ${duration(periodMs ?? 5_000)}`
}

function evidence(cell: CellView, { effects, runMs }: Scene): string {
  const open = cell.effects[0]
  if (open === undefined) return cell.mailbox > 0 ? `${plural(cell.mailbox, 'event')} waiting` : 'idle'
  const row = effects.find(({ id }) => id === open.id)
  const since = row?.startedAt === null || row === undefined ? '' : `, ${duration(Math.max(0, runMs - row.startedAt))}`
  const word = open.status === 'started' ? 'busy' : open.status === 'in_doubt' ? 'in doubt' : 'owed'
  return `${word}: ${open.id} ${open.kind}${open.attempt > 1 ? `, attempt ${open.attempt}` : ''}${since}`
}

function notes({ mailbox, restarts }: CellView): string {
  return [restarts > 0 ? plural(restarts, 'restart') : '', mailbox > 0 ? `mailbox ${mailbox}` : ''].filter(Boolean).join('   ')
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
export function treeObject(cell: CellView): JsonObject {
  const { address, incarnation, machine, version, state, status, tags, mailbox, restarts, usage } = cell
  return {
    path: address,
    incarnation,
    machine,
    version,
    state,
    status,
    tags,
    mailbox,
    restarts: { count: restarts },
    usage: { tokens: usage.inputTokens + usage.outputTokens, costUsd: usage.costUsd },
    children: cell.children.map(treeObject),
  }
}

function isEmpty(value: Json | undefined): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The tree of a finished run, from its journal: states are gone, the actors and what they used are known. Null where nobody ever lived. */
export function castView(cast: Cast, tokens: ReadonlyMap<string, number>): CellView | null {
  const root = [...cast.values()].find(({ parent }) => parent === null)
  return root === undefined ? null : seenView(root, cast, tokens)
}

function seenView(seen: Seen, cast: Cast, tokens: ReadonlyMap<string, number>): CellView {
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
    usage: { inputTokens: 0, outputTokens: tokens.get(address) ?? 0, costUsd: null },
    children: [...cast.values()].filter(({ parent }) => parent === address).map((child) => seenView(child, cast, tokens)),
  }
}
