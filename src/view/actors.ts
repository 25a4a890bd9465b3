/**
 * The actors of a run, read off its journal: who lived, how often, and how it ended. Works for live and for finished runs alike.
 *
 *   frames --seeFrame--> Seen by address --linesUp--> the tree in the order of birth
 */
import { SUPERVISOR_MACHINE } from '../protocol.ts'
import type { Frame } from '../runtime/engine.ts'
import type { EffectRow } from '../runtime/store.ts'
import { reasonWord } from './frame.ts'

export interface Seen {
  readonly address: string
  readonly parent: string | null
  readonly machine: string
  readonly incarnation: number
  readonly restarts: number
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
export const agentsIn = (cast: Cast): number => [...cast.values()].filter(({ machine }) => machine !== SUPERVISOR_MACHINE).length

/** What each actor's model calls have used so far, by address; of effects that have an outcome. */
export function tokensByActor(effects: readonly EffectRow[]): ReadonlyMap<string, number> {
  const tokens = new Map<string, number>()
  for (const { owner, usage } of effects) {
    if (usage !== null) tokens.set(owner, (tokens.get(owner) ?? 0) + usage.inputTokens + usage.outputTokens)
  }
  return tokens
}

/** The last part of an address, with its life where it is not the first. */
export function nameOf({ address, incarnation }: Pick<Seen, 'address' | 'incarnation'>): string {
  const id = address.slice(address.lastIndexOf('/') + 1)
  return incarnation > 1 ? `${id}#${incarnation}` : id
}

function see(cast: Map<string, Seen>, frame: Frame): void {
  if (frame.type === 'work.assigned') assign(cast, frame)
  if (frame.path === null) return
  const at = Date.parse(frame.at)
  const known = cast.get(frame.path)
  const change = (more: Partial<Seen>): void => {
    if (known !== undefined) cast.set(known.address, { ...known, ...more })
  }
  switch (frame.type) {
    case 'actor.started':
      cast.set(frame.path, started(frame, at, known))
      return
    case 'actor.restarted':
      return change({ incarnation: frame.inc ?? 1, restarts: (known?.restarts ?? 0) + 1, end: null, endedAt: null })
    case 'actor.crashed':
      return change({ crash: String(frame.data['code'] ?? 'E_DEFECT'), end: 'crashed', endedAt: at })
    case 'actor.stopped':
      return change({ end: endOf(frame), endedAt: at })
  }
}

function started(frame: Frame, at: number, known: Seen | undefined): Seen {
  const parent = frame.data['parent']
  return {
    address: frame.path!,
    parent: typeof parent === 'string' ? parent : null,
    machine: String(frame.data['machine'] ?? ''),
    incarnation: frame.inc ?? 1,
    restarts: known?.restarts ?? 0,
    crash: known?.crash ?? null,
    end: null,
    startedAt: known?.startedAt ?? at,
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
