import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ago,
  bytes,
  clockTime,
  costBasis,
  count,
  cutEnd,
  cutMiddle,
  duration,
  iso,
  money,
  pad,
  plural,
  shortHash,
  shortRun,
} from '../../src/view/format.ts'

test.each([
  [0, '0ms'],
  [0.4, '0ms'],
  [-5, '0ms'],
  [840, '840ms'],
  [999.6, '1.0s'],
  [4_200, '4.2s'],
  [38_000, '38.0s'],
  [59_949, '59.9s'],
  [59_950, '1m00s'],
  [102_004, '1m42s'],
  [192_000, '3m12s'],
  [542_000, '9m02s'],
  [3_599_600, '1h00m'],
  [7_500_000, '2h05m'],
  [86_399_000, '23h59m'],
  [273_600_000, '3d04h'],
])('a duration of %d ms is %s', (ms, words) => {
  expect(duration(ms)).toBe(words)
})

test('a longer duration never reads as a shorter unit: no 60 in seconds or minutes, no 24 in hours', () => {
  fc.assert(fc.property(fc.nat(400 * 86_400_000), (ms) => !/(?<!\d)60(?:\.0)?s|m60s|h60m|d24h|1000ms/.test(duration(ms))))
})

test.each([
  [800, '0.8s ago'],
  [14_000, '14s ago'],
  [59_600, '1m ago'],
  [120_000, '2m ago'],
  [3_540_000, '59m ago'],
  [10_800_000, '3h ago'],
  [172_800_000, '2d ago'],
])('%d ms back is %s', (ms, words) => {
  expect(ago(ms)).toBe(words)
})

test.each([
  [0, '0'],
  [312, '312'],
  [999, '999'],
  [1_000, '1k'],
  [1_100, '1.1k'],
  [41_810, '41.8k'],
  [200_000, '200k'],
  [999_949, '999.9k'],
  [999_950, '1M'],
  [1_200_000, '1.2M'],
  [4_490_000, '4.49M'],
])('%d things are %s', (n, words) => {
  expect(count(n)).toBe(words)
})

test.each([
  [312, '312 B'],
  [4_100, '4.1 kB'],
  [5_600, '5.6 kB'],
  [148_000_000, '148 MB'],
  [999_960, '1 MB'],
  [1_200_000, '1.2 MB'],
  [18_200_000, '18.2 MB'],
])('%d bytes are %s', (n, words) => {
  expect(bytes(n)).toBe(words)
})

test.each([
  [0.01234, 'priced', '$0.0123'],
  [12.4, 'priced', '$12.40'],
  [null, 'unknown', '$?'],
  [0, 'local', 'local'],
  [null, 'simulated', 'simulated'],
] as const)('%s dollars, %s, are shown as %s', (usd, basis, words) => {
  expect(money(usd, basis)).toBe(words)
})

test('a price that nobody knows is unknown, and a scripted answer is simulated whatever it cost', () => {
  expect([costBasis({ costUsd: null }), costBasis({ costUsd: 0.1 }), costBasis({ costUsd: 0, simulated: true })]).toEqual([
    'unknown',
    'priced',
    'simulated',
  ])
})

test('a time is shown to the millisecond, in UTC or in the local zone, and in JSON always in UTC', () => {
  const at = Date.UTC(2026, 10, 20, 9, 2, 4, 8)
  expect(clockTime(at, true)).toBe('09:02:04.008')
  const local = new Date(at)
  expect(clockTime(at, false)).toBe(
    `${[local.getHours(), local.getMinutes(), local.getSeconds()].map((n) => String(n).padStart(2, '0')).join(':')}.008`,
  )
  expect(iso(at)).toBe('2026-11-20T09:02:04.008Z')
})

test('a run is shown by 8 characters, and by more only where another one begins the same', () => {
  const run = '01M7W3MARPQ8Z2K5T9D3XVHE7B'
  expect(shortRun(run)).toBe('01M7W3MA')
  expect(shortRun(run, [run, '01M7W3MARPXXXXXXXXXXXXXXXX', '01M7W3MB000000000000000000'])).toBe('01M7W3MARPQ')
  expect(shortRun(run, [`${run.slice(0, 25)}C`])).toBe(run)
})

test('a sentence is cut at its end, an address in its middle, and neither gets longer than asked', () => {
  expect(cutEnd('waiting on model', 9)).toBe('waiting …')
  expect(cutMiddle('/team/coders/coder-12', 11)).toBe('/team…er-12')
  expect([cutEnd('short', 5), cutEnd('short', null), cutMiddle('short', null)]).toEqual(['short', 'short', 'short'])
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-composite' }), fc.integer({ min: 1, max: 40 }), (text, columns) => {
      expect([...cutEnd(text, columns)].length).toBeLessThanOrEqual(columns)
      expect([...cutMiddle(text, columns)].length).toBeLessThanOrEqual(columns)
    }),
  )
})

test('padding, plurals and hashes', () => {
  expect([pad('a', 3), pad('a', 3, 'start'), pad('abcd', 3)]).toEqual(['a  ', '  a', 'abcd'])
  expect([plural(1, 'effect'), plural(0, 'effect'), plural(1_200, 'effect')]).toEqual(['1 effect', '0 effects', '1.2k effects'])
  expect(shortHash('9c1f2ab0d7')).toBe('9c1f2ab')
})
