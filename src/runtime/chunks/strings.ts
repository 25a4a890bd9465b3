/**
 * Long strings as trees of pieces, cut at fixed places: one that grows at its end, or is changed in place, keeps its other pieces.
 * Strings have no identity, so what was built for one is kept beside the object that holds it.
 */
import type { Chunk } from '../cell.ts'
import { apart, type Part, PIECE_CHARS, whole } from './part.ts'
import { countOf, type Levels, levelsOn, listPart, type Run } from './runs.ts'

/** A string, as it stood under a key. */
export interface LongString {
  readonly text: string
  readonly part: Part
  readonly levels: Levels
}

/** @param before  the string that stood there before: pieces that are the same are not built again. */
export function longString(text: string, before: LongString | undefined): LongString {
  if (before?.text === text) return before
  if (text.length <= 2 * PIECE_CHARS) return { text, part: whole(JSON.stringify(text)), levels: [] }
  const runs = piecesOf(text, before)
  const at = countOf(runs)
  const levels = levelsOn(runs, before?.levels)
  return { text, part: listPart(levels, whole(JSON.stringify(text.slice(at)))), levels }
}

function piecesOf(text: string, before: LongString | undefined): Run[] {
  const old = before?.levels[0] ?? []
  // Ten times as fast as startsWith.
  const isLonger = before !== undefined && text.slice(0, before.text.length) === before.text
  const runs: Run[] = isLonger ? [...old] : []
  let at = countOf(runs)
  let wasAt = at
  for (let end = pieceEnd(text, at); end < text.length; end = pieceEnd(text, at)) {
    const run = old[runs.length]
    const piece = text.slice(at, end)
    const isKept = run?.count === piece.length && wasAt === at && before?.text.slice(at, end) === piece
    runs.push(isKept ? run : { count: piece.length, chunk: apartString(piece) })
    at = end
    wasAt += run?.count ?? 0
  }
  return runs
}

const apartString = (piece: string): Chunk => apart(whole(JSON.stringify(piece))).chunks[0]!

/** No piece ends inside a surrogate pair. */
function pieceEnd(text: string, at: number): number {
  const end = at + PIECE_CHARS
  if (end >= text.length) return text.length
  const unit = text.charCodeAt(end - 1)
  return unit >= 0xd800 && unit < 0xdc00 ? end - 1 : end
}
