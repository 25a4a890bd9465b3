/** The cases and the tests are the same set: none is forgotten, none is tested twice, and few are void for a store. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { CASES } from './conform.ts'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const source = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(FOLDER + name, 'utf8'))
  .join('\n')

test('each of the 59 cases has one test that runs on both stores', () => {
  const tested = [...source.matchAll(/^conform\(\s*'(STO-\d\d)'/gm)].map(([, id]) => id)
  expect(tested.toSorted()).toEqual(CASES.map(({ id }) => id))
  expect(CASES.map(({ id }) => id)).toEqual(Array.from({ length: 59 }, (_, n) => `STO-${String(n + 1).padStart(2, '0')}`))
})

test('only cases about disks and files are void for the store in memory, and none is for the one on disk', () => {
  const voids = source.split(/^conform\(\s*/m).flatMap((part) => {
    const kinds = [...part.matchAll(/^\s*(sqlite|memory): \{\s*void:/gm)].map(([, kind]) => kind)
    return kinds.map((kind) => `${part.slice(1, 7)} ${kind}`)
  })
  expect(voids).toEqual(['STO-55 memory', 'STO-56 memory', 'STO-57 memory', 'STO-58 memory'])
})
