/** Arguments of tool calls: read strictly, or not at all. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toolCalls } from '../../../src/actors/providers/tool-arguments.ts'

const read = (args: string, isCut = false) => toolCalls([{ id: 'a', name: 'edit', args }], 1, isCut)

test('P20: what is one JSON object is taken as it is, and nothing at all is no arguments', () => {
  expect(read(' {"path":"a.ts","n":[1,null,{"b":true}]}\n')).toEqual([
    { id: 'a', name: 'edit', args: { path: 'a.ts', n: [1, null, { b: true }] } },
  ])
  expect(read('')).toEqual([{ id: 'a', name: 'edit', args: {} }])
})

test.each(['{"path":"a.t', '{"path":"a.ts"}}', '[1]', '"x"', 'null', '1', '{path: 1}', '{"a":1,}', '{"a":"\\ud800"}', '```{}```'])(
  'P20: %s is no arguments, and is not mended',
  (args) => {
    expect(() => read(args)).toThrow(expect.objectContaining({ code: 'E_PROVIDER_OUTPUT', retry: 'backoff' }))
  },
)

test('an id that is given twice, or not at all, becomes one that no other call has', () => {
  const ids = (...given: string[]) =>
    toolCalls(
      given.map((id) => ({ id, name: 'edit', args: '' })),
      3,
      false,
    ).map(({ id }) => id)
  expect(ids('', 'a', 'a')).toEqual(['call-3-1', 'a', 'call-3-3'])
  expect(ids('call-3-2', 'call-3-2')).toEqual(['call-3-2', 'call-3-2-'])
})

test('a call that was cut at the limit of the answer would be cut again', () => {
  expect(() => read('{"path":', true)).toThrow(expect.objectContaining({ code: 'E_PROVIDER_OUTPUT', retry: 'never' }))
})

test('no beginning of an object is taken for the whole of it', () => {
  const object = fc.dictionary(
    fc.string(),
    fc.json().map((text) => JSON.parse(text) as unknown),
    { minKeys: 1 },
  )
  fc.assert(
    fc.property(object, fc.double({ min: 0, max: 1, noNaN: true }), (value, share) => {
      const text = JSON.stringify(value)
      const end = 1 + Math.floor(share * (text.length - 2))
      expect(() => read(text.slice(0, end))).toThrow(expect.objectContaining({ code: 'E_PROVIDER_OUTPUT' }))
    }),
  )
})

test('each call has an id of its own, and a name', () => {
  const spoken = [
    { id: 'a', name: 'x', args: '' },
    { id: 'a', name: 'y', args: '' },
    { id: '', name: 'z', args: '' },
  ]
  expect(toolCalls(spoken, 7, false).map(({ id }) => id)).toEqual(['a', 'call-7-2', 'call-7-3'])
  expect(() => toolCalls([{ id: 'a', name: '', args: '{}' }], 1, false)).toThrow(expect.objectContaining({ code: 'E_PROVIDER_OUTPUT' }))
})
