/**
 * Vectors of texts without a model: words are hashed into dimensions, so that texts which share words are near each other, and the same text is always
 * the same vector of length 1. Good enough to test a search by likeness; it knows nothing of meaning.
 */
import { createHash } from 'node:crypto'

/** The vector of a text. */
export function vectorOf(text: string, dimensions = 64): number[] {
  const sums = new Array<number>(dimensions).fill(0)
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['']) {
    const hash = createHash('sha256').update(word).digest()
    const place = hash.readUInt32LE(0) % dimensions
    sums[place] = (sums[place] ?? 0) + (hash.readUInt8(4) % 2 === 0 ? 1 : -1)
  }
  const length = Math.hypot(...sums) || 1
  return sums.map((sum) => sum / length)
}
