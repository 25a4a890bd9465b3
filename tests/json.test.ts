/** What may be stored comes back as it was; what would not is refused, with the path at which it was found. */
import { assert, jsonValue, property } from 'fast-check'
import { expect, test } from 'vitest'
import { errorData } from '../src/errors.ts'
import { assertJson } from '../src/json.ts'

const holed = [1, 2, 3]
delete holed[1]

test.each<[string, unknown, string]>([
  ['a match of a pattern', { deep: ['abc'.match(/b/)] }, 'x.deep[0] holds an array with holes or with properties of its own'],
  ['an array with a name', Object.assign([1], { name: 'a' }), 'x holds an array with holes or with properties of its own'],
  ['an array with a hole', holed, 'x holds an array with holes or with properties of its own'],
  ['an array with a hole and a name', Object.assign([...holed.slice(0, 1)], { length: 2, name: 'a' }), 'x[1] holds a undefined'],
  ['an array with undefined', [undefined], 'x[0] holds a undefined'],
])('%s is refused, because JSON would change it', (_, value, message) => {
  expect(() => assertJson(value, 'x')).toThrow(expect.objectContaining({ code: 'E_NOT_JSON', message: expect.stringContaining(message) }))
})

/** What JSON escapes in a text. */
const escaped = ['"', '\\', '\n', '\u0000', '\u001f']

test.each(escaped)('a key with %j is refused wherever it stands: the same text may be read as another key', (char) => {
  const refused = (value: unknown, message: string) =>
    expect(() => assertJson(value, 'x')).toThrow(
      expect.objectContaining({ code: 'E_NOT_JSON', message, details: { hint: 'use another key, or a list of pairs' } }),
    )
  const what = 'holds a key with a quote, a backslash or a control character:'
  refused({ [char]: 1 }, `x ${what} ${JSON.stringify(char)}`)
  refused({ deep: [{ a: 1, [`a${char}b`]: null }] }, `x.deep[0] ${what} ${JSON.stringify(`a${char}b`)}`)
})

test('a key with half a character is refused, one with a whole one is not; a long one is told in part', () => {
  expect(() => assertJson({ '\ud83d': 1 }, 'x')).toThrow('x holds a key with a lone surrogate: "\\ud83d"')
  expect(() => assertJson({ [`${'k'.repeat(200)}"`]: 1 }, 'x')).toThrow(`control character: "${'k'.repeat(80)}..."`)
  const fine = { '\ud83d\ude00': 1, 'é/ü': 1, "it's": 1, '\u007f\u2028': 1, '': 1 }
  assertJson(fine, 'x')
  expect(JSON.parse(JSON.stringify(fine))).toEqual(fine)
})

test('values hold what keys may not, and come back equal whatever was read before', () => {
  for (const before of escaped) {
    for (const char of escaped) {
      const values = [{ k: {}, v: char }, [{}, char], { k: { v: `a${char}` }, w: [`${char}b`] }]
      for (const value of values) {
        assertJson(value, 'x')
        JSON.parse(`{"k":{},${JSON.stringify(before)}:${JSON.stringify(before)}}`)
        expect(JSON.parse(JSON.stringify(value))).toEqual(value)
      }
    }
  }
})

test('all that JSON holds passes but keys that it escapes, and comes back equal', () => {
  let seen = 0
  assert(
    property(jsonValue(), (value) => {
      const text = JSON.stringify(value)
      const parsed: unknown = JSON.parse(text)
      if (text.includes('-0')) return
      if (keysIn(parsed).some((key) => JSON.stringify(key) !== `"${key}"`)) {
        expect(() => assertJson(parsed, 'x')).toThrow('holds a key with')
        return
      }
      assertJson(parsed, 'x')
      expect(JSON.parse(JSON.stringify(parsed))).toEqual(parsed)
      seen++
    }),
    { numRuns: 300 },
  )
  expect(seen).toBeGreaterThan(100)
})

function keysIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const below = Object.values(value).flatMap(keysIn)
  return Array.isArray(value) ? below : [...Object.keys(value), ...below]
}

const cycle: { o?: unknown } = {}
cycle.o = cycle
test.each<[string, unknown]>([
  ['an object that gives null as its JSON', { code: 'E_X', message: 'm', toJSON: () => null }],
  ['an object whose JSON has lost its code', { code: 'E_X', message: 'm', toJSON: () => ({ message: 'm' }) }],
  ['an object that gives no JSON', { code: 'E_X', message: 'm', toJSON: () => undefined }],
  ['a cycle', { code: 'E_X', message: 'm', cycle }],
  ['a BigInt', { code: 'E_X', message: 'm', n: 1n }],
  ['nothing', undefined],
])('%s that is thrown is described as plain JSON with a code and a message', (_, thrown) => {
  const data = errorData(thrown, { path: '/top' })
  expect(data).toEqual({ code: 'E_DEFECT', message: expect.any(String), path: '/top' })
  expect(JSON.parse(JSON.stringify(data))).toEqual(data)
})
