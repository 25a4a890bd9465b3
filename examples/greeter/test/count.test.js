import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countOf } from '../src/count.js'

test('English has two forms', () => {
  assert.deepEqual([0, 1, 2].map((count) => countOf(count, 'en')), ['0 guests', '1 guest', '2 guests'])
})

test('German has two forms', () => {
  assert.deepEqual([1, 2].map((count) => countOf(count, 'de')), ['1 Gast', '2 Gäste'])
})

test('Polish has one form for 2 to 4 and another for 5 and more', () => {
  assert.deepEqual([1, 2, 4, 5, 11].map((count) => countOf(count, 'pl')), ['1 gość', '2 goście', '4 goście', '5 gości', '11 gości'])
})

test('Polish begins again with every ten, but not with the teens', () => {
  assert.deepEqual([12, 22, 25].map((count) => countOf(count, 'pl')), ['12 gości', '22 goście', '25 gości'])
})
