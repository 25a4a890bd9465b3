import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonical, namesIn, normalised, sha256, similarity, sketchOf } from '../../src/machines/fingerprint.ts'

const official = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex')

describe('SHA-256', () => {
  test('is that of FIPS 180-4, at each length around the ends of its blocks', () => {
    for (let length = 0; length <= 200; length++) expect(sha256('a'.repeat(length))).toBe(official('a'.repeat(length)))
    expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  test('is that of node:crypto for any text, also one that is no valid UTF-16', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.array(fc.nat(0xffff)),
    )
    fc.assert(
      fc.property(texts, (drawn) => {
        const text = typeof drawn === 'string' ? drawn : String.fromCharCode(...drawn)
        expect(sha256(text)).toBe(official(text))
      }),
      { numRuns: 1_500 },
    )
    expect(sha256('ä'.repeat(100_000))).toBe(official('ä'.repeat(100_000)))
  })
})

test.each([
  ['durations', 'Took 12 ms.  Too slow', 'took 90ms. too slow'],
  ['times of day', 'at 2026-11-20T20:06:53.735Z: broken', 'at 2026-11-21T01:16:03Z: broken'],
  ['folders of checkouts', 'in /tmp/a/b/gate-e13-1/src/x.ts', 'in /var/gate-e99-2/src/x.ts'],
  ['process ids, ports and addresses', 'pid 4121 on localhost:40123 at 0x7ffe01', 'pid 77 on localhost:50123 at 0xabcdef'],
  ['ids', 'run 3f2b8c1e-0d4a-4b6e-9a77-0123456789ab ended', 'run 00000000-0d4a-4b6e-9a77-0123456789ab ended'],
])('%s do not make another feedback', (_, one, other) => {
  expect(normalised(one)).toBe(normalised(other))
})

test('numbers that count something do', () => {
  expect(normalised('3 tests failed')).not.toBe(normalised('2 tests failed'))
  expect(normalised('coverage 80 %')).not.toBe(normalised('coverage 81 %'))
})

test('a hostile text of 300 kB is normalised in time', () => {
  const before = performance.now()
  for (const piece of ['/', '1', ' ', '/gate', '0x', '1:']) normalised(piece.repeat(300_000 / piece.length))
  expect(performance.now() - before).toBeLessThan(5_000)
})

test('the sketch tells how much two texts have in common: exactly for short ones, within 0.1 for long ones', () => {
  const words = Array.from({ length: 2_000 }, (_, i) => `word${i}`)
  const text = (from: number, to: number): string => words.slice(from, to).join(' ')
  expect(similarity(sketchOf(text(0, 40)), sketchOf(text(0, 40)))).toBe(1)
  // 38 and 38 runs of three, 18 of them in both: 18 / 58.
  expect(similarity(sketchOf(text(0, 40)), sketchOf(text(20, 60)))).toBeCloseTo(18 / 58, 10)
  expect(similarity(sketchOf(text(0, 40)), sketchOf(text(100, 140)))).toBe(0)
  for (const shift of [50, 200, 500]) {
    const real = (1_498 - shift) / (1_498 + shift)
    expect(Math.abs(similarity(sketchOf(text(0, 1_500)), sketchOf(text(shift, 1_500 + shift))) - real)).toBeLessThan(0.15)
  }
  expect(similarity(sketchOf(''), sketchOf(''))).toBe(1)
})

test('names are those of failures, paths and numbers, in whatever order, and without line numbers', () => {
  expect(namesIn('see src/a.ts:12:5\nplease mend it')).toBe(namesIn('mend it, please\nsee src/a.ts:99'))
  expect(namesIn('see src/a.ts')).not.toBe(namesIn('see src/b.ts'))
  expect(namesIn('x rejects empty input: failed')).not.toBe(namesIn('x takes empty input: failed'))
  expect(namesIn('3 points left')).not.toBe(namesIn('2 points left'))
})

test('canonical JSON is the same for the same data, and other for other', () => {
  expect(canonical({ b: [1, { d: 1, c: null }], a: 'x', e: undefined })).toBe('{"a":"x","b":[1,{"c":null,"d":1}]}')
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})
