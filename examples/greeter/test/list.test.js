import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listOf } from '../src/list.js'

test('one name stands alone', () => {
  assert.equal(listOf(['Ann'], 'en'), 'Ann')
})

test('two names are joined by a word', () => {
  assert.equal(listOf(['Ola', 'Jan'], 'pl'), 'Ola i Jan')
})

test('of three names only the last follows the word', () => {
  assert.equal(listOf(['Ann', 'Bob', 'Cy'], 'de'), 'Ann, Bob und Cy')
})
