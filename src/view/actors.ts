/**
 * The actors of a run, read off its journal: who lived, how often, and how it ended. Works for live and for finished runs alike.
 *
 *   actor.started -> actor.crashed -> actor.restarted -> ... -> actor.stopped      one Seen per address, whatever its lives
 */
import { isSupervisor } from '../protocol.ts'
import type { Frame } from '../runtime/engine.ts'
import type { EffectRow } from '../runtime/store.ts'
import { totalUsage } from '../usage.ts'
import { plural } from './format.ts'
import { reasonWord } from './frame.ts'

export interface Seen {
  readonly address: string
  readonly parent: string | null
  readonly machine: string
  readonly version: string
  readonly incarnation: number
  readonly restarts: number
  /** Why it was restarted: the code of each crash, or who it was restarted with, each once, in their order. */
  readonly causes: readonly string[]
  /** Code of the last crash, or null. */
  readonly crash: string | null
  readonly end: 'done' | 'stopped' | 'crashed' | null
  readonly startedAt: number
  readonly endedAt: number | null
  /** Work items that were assigned to it. */
  readonly items: readonly string[]
}

export type Cast = ReadonlyMap<string, Seen>

/** The actors that these frames tell of, in the order of their birth. */
export function castOf(frames: Iterable<Frame>): Cast {
  const cast = new Map<string, Seen>()
  for (const frame of frames) see(cast, frame)
  return cast
}

/** How many agents: supervisors are not counted. */
export const agentsIn = (cast: Cast): number => [...cast.values()].filter(({ machine }) => !isSupervisor(machine)).length

/** What each actor's model calls have used so far, by address; of effects that have an outcome. */
export function tokensByActor(effects: readonly EffectRow[]): ReadonlyMap<string, number> {
  const tokens = new Map<string, number>()
  for (const { owner, usage } of effects) {
    if (usage !== null) tokens.set(owner, (tokens.get(owner) ?? 0) + usage.inputTokens + usage.outputTokens)
  }
  return tokens
}

/** What each actor has cost by itself, USD; null where a price is not known. */
export function costByActor(effects: readonly EffectRow[]): ReadonlyMap<string, number | null> {
  const owners = new Set(effects.map(({ owner }) => owner))
  return new Map(
    [...owners].map((path) => [path, totalUsage(effects.filter(({ owner }) => owner === path).map(({ usage }) => usage)).costUsd]),
  )
}

/** The last part of an address, with its life where it is not the first. */
export function nameOf({ address, incarnation }: Pick<Seen, 'address' | 'incarnation'>): string {
  const id = address.slice(address.lastIndexOf('/') + 1)
  return incarnation > 1 ? `${id}#${incarnation}` : id
}

/** `2 restarts (E_DEFECT, with coder)`: how often, and why; empty where there was none. */
export function restartWords({ restarts, causes }: Pick<Seen, 'restarts' | 'causes'>): string {
  return restarts === 0 ? '' : `${plural(restarts, 'restart')}${causes.length === 0 ? '' : ` (${causes.join(', ')})`}`
}

function see(cast: Map<string, Seen>, frame: Frame): void {
  if (frame.type === 'work.assigned') assign(cast, frame)
  if (frame.path === null) return
  const known = cast.get(frame.path)
  if (frame.type === 'actor.started') {
    cast.set(frame.path, started(frame, known))
    return
  }
  const change = known === undefined ? null : changeOf(frame, known)
  if (known !== undefined && change !== null) cast.set(known.address, { ...known, ...change })
}

function changeOf(frame: Frame, known: Seen): Partial<Seen> | null {
  const endedAt = Date.parse(frame.at)
  switch (frame.type) {
    case 'actor.restarted':
      return { incarnation: frame.inc ?? 1, restarts: known.restarts + 1, causes: withCause(known, frame), end: null, endedAt: null }
    case 'actor.crashed':
      return { crash: String(frame.data['code'] ?? 'E_DEFECT'), end: 'crashed', endedAt }
    case 'actor.stopped':
      return { end: endOf(frame), endedAt }
    default:
      return null
  }
}

/** A member of a group has done nothing itself: it is told with whom it was restarted. */
function withCause({ address, causes }: Seen, { data }: Frame): readonly string[] {
  const { group } = data
  const isMember = typeof group === 'string' && !address.endsWith(`/${group}`)
  const cause = isMember ? `with ${group}` : reasonWord(data['reason'])
  return cause === '' || causes.includes(cause) ? causes : [...causes, cause]
}

function started(frame: Frame, known: Seen | undefined): Seen {
  const parent = frame.data['parent']
  return {
    address: frame.path!,
    parent: typeof parent === 'string' ? parent : null,
    machine: String(frame.data['machine'] ?? ''),
    version: String(frame.data['version'] ?? ''),
    incarnation: frame.inc ?? 1,
    restarts: known?.restarts ?? 0,
    causes: known?.causes ?? [],
    crash: known?.crash ?? null,
    end: null,
    startedAt: known?.startedAt ?? Date.parse(frame.at),
    endedAt: null,
    items: known?.items ?? [],
  }
}

function endOf({ data }: Frame): Seen['end'] {
  const word = reasonWord(data['reason'])
  if (word === 'normal' || word === 'shutdown:completed') return 'done'
  return word.startsWith('E_') ? 'crashed' : 'stopped'
}

function assign(cast: Map<string, Seen>, { data }: Frame): void {
  const seen = cast.get(String(data['to']))
  const item = String(data['item'])
  if (seen !== undefined && !seen.items.includes(item)) cast.set(seen.address, { ...seen, items: [...seen.items, item] })
}
