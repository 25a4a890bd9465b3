/**
 * Finds what is remembered: two lists, by words and by likeness, become one by reciprocal rank fusion.
 *
 *   score = 1 / (60 + rank by words) + 1 / (60 + rank by likeness)          what is on both lists comes before what is on one
 *
 * Ranks can be added, scores of two searches cannot (Cormack, Clarke and Buettcher 2009; 60 is theirs).
 */
import type { Database } from 'better-sqlite3'
import type { Episode, Fact, RecallLimits } from '../../machines/memory-effects.ts'
import type { MemoryDatabase } from './database.ts'
import type { Vectors } from './vectors.ts'
import { type About, byWords } from './words.ts'

const FUSION_RANK = 60
/** Of each list so many more are looked at than are wanted: the best of both may be the first of neither. */
const WIDER = 4

/** One order out of several, each with the best first. Of equals the first list's and then the newest is better. */
export function fused(lists: readonly (readonly number[])[]): readonly number[] {
  const scores = new Map<number, number>()
  for (const list of lists) for (const [rank, id] of list.entries()) scores.set(id, (scores.get(id) ?? 0) + 1 / (FUSION_RANK + rank + 1))
  return [...scores].sort(([, one], [, other]) => other - one).map(([id]) => id)
}

/** The best of both kinds that fit a query, in one view of the file. */
export function found(
  memory: MemoryDatabase,
  { query, limits, vectors, vector }: Search,
): { readonly episodic: Episode[]; readonly semantic: Fact[] } {
  const ids = (about: About, most: number): readonly number[] => {
    const lists = [byWords(memory.db, about, query, most * WIDER)]
    if (vectors !== null && vector !== null) lists.push(vectors.byLikeness(about, vector, most * WIDER))
    return fused(lists).slice(0, most)
  }
  return memory.read(() => ({
    episodic: ids('mission', limits.episodic).flatMap((id) => episodeOf(memory.db, id) ?? []),
    semantic: ids('fact', limits.semantic).flatMap((id) => factOf(memory.db, id) ?? []),
  }))
}

interface Search {
  readonly query: string
  readonly limits: Pick<RecallLimits, 'episodic' | 'semantic'>
  readonly vectors: Vectors | null
  readonly vector: Float32Array | null
}

function episodeOf(db: Database, id: number): Episode | undefined {
  const row = db
    .prepare<[number], Omit<Episode, 'files'>>('SELECT run, item, goal, outcome, summary, at_ms AS atMs FROM mission WHERE id = ?')
    .get(id)
  const files = db.prepare<[number], string>('SELECT path FROM file_snapshot WHERE mission = ? ORDER BY id').pluck().all(id)
  return row === undefined ? undefined : { ...row, files }
}

const factOf = (db: Database, id: number): Fact | undefined =>
  db.prepare<[number], Fact>('SELECT text, source, at_ms AS atMs FROM fact WHERE id = ?').get(id)
