/** What the store tells of a run, in the shapes that the views take. */
import { isSimulated } from '../app.ts'
import { isSupervisor } from '../protocol.ts'
import type { Frame } from '../runtime/engine.ts'
import { frameOf } from '../runtime/frame.ts'
import type { RunRow, Store } from '../runtime/store.ts'
import type { RunItem } from '../view/runs.ts'
import { shortOf } from './find.ts'

const PAGE_ENTRIES = 1_000

/** The journal of a run from a position on, oldest first, a page at a time. */
export function* framesOf(store: Store, run: string, since = 0): Generator<Frame> {
  for (let cursor = since; ; ) {
    const page = store.journal(run, cursor, PAGE_ENTRIES)
    for (const entry of page) yield frameOf(run, entry)
    if (page.length < PAGE_ENTRIES) return
    cursor = page.at(-1)!.pos
  }
}

/** A run as lists show it. */
export function itemOf(store: Store, row: RunRow): RunItem {
  return {
    row,
    owned: row.status === 'running' && store.isOwned(row.run),
    short: shortOf(store, row.run),
    actors: agentsOf(store, row.run),
    effects: store.effects(row.run),
    simulated: isSimulated(row),
  }
}

/** Agents that lived in it, whatever became of them. */
function agentsOf(store: Store, run: string): number {
  const agents = new Set<string>()
  for (const frame of framesOf(store, run)) {
    if (frame.type === 'actor.started' && frame.path !== null && !isSupervisor(String(frame.data['machine']))) agents.add(frame.path)
  }
  return agents.size
}
