/** Chance that can be repeated: one seed says everything about a sweep. `TROUPE_SEED=n` repeats the one that printed it. */

export const NIGHTLY = process.env['TROUPE_NIGHTLY'] !== undefined

export class Chance {
  readonly seed: number
  #state: number

  /** @param salt  tells apart what is drawn from one seed. */
  constructor(salt: string, seed = Number(process.env['TROUPE_SEED'] ?? 20_261)) {
    this.seed = seed
    this.#state = [...salt].reduce((state, letter) => Math.imul(state ^ letter.charCodeAt(0), 16_777_619), seed | 0) >>> 0
  }
  /** At least 0, below `limit`, whole. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)))
  }
  /** Of the numbers from 1 to `last`, one of each of `size` equal parts; at night `atNight` of them. Default: all. */
  sample(last: number, size: number, atNight = last): number[] {
    const count = Math.min(last, NIGHTLY ? atNight : size)
    const part = last / count
    return Array.from({ length: count }, (_, index) => 1 + Math.floor(index * part) + this.below(Math.max(1, Math.floor(part))))
  }
}
