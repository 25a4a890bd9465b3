/** Values that machines cannot keep, and what is said of each: they would come back from JSON as something else, or not at all. */

interface BadValue {
  readonly value: unknown
  /** What the error says after the path of the value. */
  readonly found?: string
  /** It throws by itself when it is looked at: then this is the error. */
  readonly thrown?: string
  /** It is plain data, and too much of it. */
  readonly isLarge?: true
}

class Box {
  readonly n = 1
}
const cycle: { list: unknown[] } = { list: [] }
cycle.list.push({ back: cycle })
const holes: unknown[] = [1]
holes[2] = 3

/** A function that throws. */
export const boom = (what: string) => (): never => {
  throw new Error(`boom in ${what}`)
}

const PLAIN_ONLY = 'only plain data can be stored'
export const BAD_VALUES: Readonly<Record<string, BadValue>> = {
  map: { value: new Map([['a', 1]]), found: ' holds a Map: turn it into plain data first' },
  set: { value: new Set([1]), found: ' holds a Set: turn it into plain data first' },
  date: { value: new Date(0), found: ' holds a Date: turn it into plain data first' },
  error: { value: new Error('an error'), found: ' holds a Error: turn it into plain data first' },
  instance: { value: new Box(), found: ' holds a Box: turn it into plain data first' },
  promise: { value: Promise.resolve(1), found: ' holds a Promise: turn it into plain data first' },
  bytes: { value: new Uint8Array(2), found: ' holds a Uint8Array: turn it into plain data first' },
  cycle: { value: cycle, found: '.list[0].back holds a cycle: store an id instead of the object' },
  function: { value: () => 1, found: ` holds a function: ${PLAIN_ONLY}` },
  bigint: { value: 10n, found: ` holds a bigint: ${PLAIN_ONLY}` },
  symbol: { value: Symbol('s'), found: ` holds a symbol: ${PLAIN_ONLY}` },
  nan: { value: Number.NaN, found: ' holds NaN: JSON has no such number' },
  infinity: { value: Number.POSITIVE_INFINITY, found: ' holds Infinity: JSON has no such number' },
  minusZero: { value: -0, found: ' holds -0: JSON has no such number' },
  undefinedItem: { value: [1, undefined], found: `[1] holds a undefined: ${PLAIN_ONLY}` },
  hole: { value: holes, found: ' holds an array with holes or with properties of its own: JSON keeps only its elements' },
  surrogate: { value: '\ud800', found: ' holds a string with a lone surrogate: it is not valid Unicode and cannot be stored' },
  reservedKey: { value: { '@troupe.ref': '/top', incarnation: 1 }, found: '.@troupe.ref holds a reserved key: choose another name' },
  toJSON: { value: { toJSON: boom('toJSON') }, found: `.toJSON holds a function: ${PLAIN_ONLY}` },
  getter: {
    value: {
      get it(): never {
        return boom('a getter')()
      },
    },
    thrown: 'boom in a getter',
  },
  proxy: { value: new Proxy({}, { ownKeys: boom('a proxy') }), thrown: 'boom in a proxy' },
  big: { value: 'x'.repeat(10_000_000), isLarge: true },
  bulk: { value: Array.from({ length: 5 }, () => 'x'.repeat(1_000_000)), isLarge: true },
}
