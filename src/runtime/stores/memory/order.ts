/** The order of rows: SQLite's, whose texts are compared by the bytes of their UTF-8. */

/** Compares as UTF-8 does. JavaScript compares UTF-16, in which the halves of astral characters come before U+E000. */
export function byBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const [x, y] = [a.charCodeAt(index), b.charCodeAt(index)]
    if (x !== y) return weight(x) - weight(y)
  }
  return a.length - b.length
}

function weight(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/** `e2` before `e10`: ids of one letter and a number, in the order in which they were given. */
export function byNumber(a: string, b: string): number {
  return a.length - b.length || byBytes(a, b)
}
