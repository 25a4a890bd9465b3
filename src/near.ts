/** Names that may have been meant: the closest by edits, case aside. */

const NEAR_MAX = 3

/** At most three, the closest first; empty where nothing is close. */
export function nearest(name: string, known: readonly string[]): readonly string[] {
  const wanted = name.toLowerCase()
  const limit = Math.max(1, Math.floor(wanted.length / 3))
  return [...new Set(known)]
    .map((each) => ({ each, distance: distance(wanted, each.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, NEAR_MAX)
    .map(({ each }) => each)
}

/** Levenshtein's: insertions, deletions and substitutions, one row at a time. */
function distance(a: string, b: string): number {
  const others = [...b]
  let row = Array.from({ length: others.length + 1 }, (_, at) => at)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of others.entries()) next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (letter === other ? 0 : 1)))
    row = next
  }
  return row.at(-1) ?? 0
}
