/** Small snapshots are one text, as they always were; what was stored before there were parts stays verifiable. */
import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Ref } from '../../src/runtime/ref.ts'
import { contentOf, encode, plainSnapshot, wholeHash, withRefs } from '../../src/runtime/snapshot.ts'
import { liveWith } from './stored-parts.ts'

const textOf = (context: unknown): string => JSON.stringify({ status: 'active', value: 'a', context })
const WHOLE = 8_192
const empty = textOf({ list: ['', ''] }).length

test.each([0, 100, WHOLE - empty - 1, WHOLE - empty])(
  'a snapshot with %d characters of data is the text that JSON.stringify gives',
  (chars) => {
    const context = { list: ['x'.repeat(chars >> 1), 'y'.repeat(chars - (chars >> 1))] }
    const json = textOf(context)
    expect(encode(liveWith(context))).toEqual({ json, hash: hash('sha256', json, 'hex'), status: 'active', value: 'a', tags: [] })
  },
)

test('one character more, and it is stored in parts; one less, and it is one text again', () => {
  const sizes = [WHOLE - empty, WHOLE - empty + 1, 30_000, WHOLE - empty, WHOLE - empty + 1]
  let before = null
  const inParts: boolean[] = []
  for (const chars of sizes) {
    const live = liveWith({ list: ['x'.repeat(chars), ''] })
    inParts.push(encode(live, before).chunks !== undefined)
    before = live
  }
  expect(inParts).toEqual([false, true, true, false, true])
})

test('a large output is stored in parts beside a small context', () => {
  const output = Array.from({ length: 3_000 }, (_, index) => ({ index }))
  const encoded = encode(liveWith({ n: 1 }, output))
  expect(encoded.json.length).toBeLessThan(1_000)
  expect(plainSnapshot(encoded)).toEqual({ status: 'active', value: 'a', context: { n: 1 }, output })
})

test('a stored snapshot of the time before parts agrees with what its step gives now', () => {
  const context = { list: Array.from({ length: 500 }, (_, index) => `entry ${index} of many`) }
  const now = encode(liveWith(context))
  expect(now.chunks?.length).toBeGreaterThan(0)
  expect(wholeHash(now)).toBe(hash('sha256', textOf(context), 'hex'))
  const small = encode(liveWith({ n: 1 }))
  expect(wholeHash(small)).toBe(small.hash)
})

test('what is read of a snapshot is the reader’s own', () => {
  const encoded = encode(liveWith({ list: ['a'] }))
  const mine = contentOf(encoded).context as { list: string[] }
  mine.list.push('b')
  expect(contentOf(encoded).context).toEqual({ list: ['a'] })
})

test('an actor that was built in a step is replaced in what is new, and what was checked before is passed over', () => {
  const raw = { isRaw: true }
  const ref = new Ref('/top/kid', 1, 'kid')
  const old = { rows: [{ n: 1 }] }
  encode(liveWith(old))
  const context = withRefs({ old, kids: [{ ref: raw }] }, new Map([[raw, ref]])) as { old: unknown; kids: unknown[] }
  expect(context).toEqual({ old, kids: [{ ref }] })
  expect(context.old).toBe(old)
})
