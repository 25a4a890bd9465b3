/**
 * Random numbers that are made from a seed alone, in two forms:
 *
 *   chanceOf(seed, 'crash', address, seq)    the same question gets the same answer, whenever and however often it is asked
 *   new Chance(seed).next()                  a stream: each number once, in order
 *
 * Not for secrets.
 */

/** In [0, 1), made from the seed and what is asked. Pure. */
export function chanceOf(seed: number, ...what: readonly (string | number)[]): number {
  return hashOf(`${seed}\0${what.join('\0')}`) / 2 ** 32
}

/** FNV-1a with a final mix, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** A stream of random numbers (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number, name = '') {
    this.#state = hashOf(`${seed}\0${name}`)
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 to below `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  /** One of them; undefined of none. */
  of<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)]
  }
}
