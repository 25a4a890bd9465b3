import assert from 'node:assert/strict'
import { test } from 'node:test'
import { greet, LANGUAGES } from '../src/index.js'

test('a guest is greeted in English unless told otherwise', () => {
  assert.equal(greet(['Ann']), 'Hello Ann (1 guest)')
})

test('a guest is greeted in every language', () => {
  assert.deepEqual(
    LANGUAGES.map((locale) => greet(['Ola'], { locale })),
    ['Hello Ola (1 guest)', 'Hallo Ola (1 Gast)', 'Dzień dobry Ola (1 gość)'],
  )
})

test('an unknown language is refused by name', () => {
  assert.throws(() => greet(['Ann'], { locale: 'xx' }), /no words for xx; there are en, de, pl/)
})
