/** Chance that comes back: a number made from a text, so that a decision taken again, or after a crash, is the same. */

/** In [0, 1), spread evenly over texts. FNV-1a with a last mix (http://www.isthe.com/chongo/tech/comp/fnv/). */
export function chanceOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
