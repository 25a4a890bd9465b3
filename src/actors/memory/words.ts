/**
 * Full text search. Whatever somebody writes is looked for as words: each is quoted, so nothing of it is syntax of FTS5.
 *
 *   `"flag" OR NEAR(x) -- don't`   ->   "flag" OR "near" OR "don"
 */
import type { Database } from 'better-sqlite3'

/** Words of one query; the rest of a long text adds cost and no sense. */
const WORDS_MAX = 64
/** They are in every text and would find everything. */
const EVERYWHERE = new Set(
  'a an and are as at be by for from has have if in into is it its not of on or that the their then there this to was were will with you'.split(
    ' ',
  ),
)

/** A text as an expression of FTS5; null where there is no word in it to look for. */
export function matchOf(query: string): string | null {
  const words = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  const telling = [...new Set(words)].filter((word) => word.length > 1 && !EVERYWHERE.has(word)).slice(0, WORDS_MAX)
  return telling.length === 0 ? null : telling.map((word) => `"${word}"`).join(' OR ')
}

export type About = 'mission' | 'fact'

/** Rowids of what has words of the query, the best first and of equals the newest. */
export function byWords(db: Database, about: About, query: string, most: number): readonly number[] {
  const match = matchOf(query)
  if (match === null || most === 0) return []
  const table = `${about}_words`
  return db
    .prepare<[string, number], number>(`SELECT rowid FROM ${table} WHERE ${table} MATCH ? ORDER BY bm25(${table}), rowid DESC LIMIT ?`)
    .pluck()
    .all(match, most)
}
