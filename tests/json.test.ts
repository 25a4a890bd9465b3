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

test('all that JSON holds passes, and comes back equal', () => {
  let seen = 0
  assert(
    property(jsonValue(), (value) => {
      const text = JSON.stringify(value)
      const parsed: unknown = JSON.parse(text)
      if (text.includes('-0')) return
      assertJson(parsed, 'x')
      expect(JSON.parse(JSON.stringify(parsed))).toEqual(parsed)
      seen++
    }),
    { numRuns: 300 },
  )
  expect(seen).toBeGreaterThan(100)
})

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
