/** The list is played in full: each of its cases by one test in each mode, and no test goes by the id of a case that is not there. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CASES, titlesOf } from './case.ts'
import { MODES } from './stage.ts'

const SOURCES = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts'))
const played = SOURCES.flatMap((name) =>
  [...readFileSync(join(import.meta.dirname, name), 'utf8').matchAll(/^sup\('(SUP-\d+)'/gm)].map((match) => match[1]!),
)

test('each of the 81 cases is played by exactly one test in each mode', () => {
  expect(CASES).toHaveLength(81)
  expect(played.sort()).toEqual(CASES.map(({ id }) => id))
  const titles = CASES.flatMap(({ id }) => titlesOf(id).map(([mode, title]) => `${mode} ${title}`))
  expect(new Set(titles).size).toBe(81 * MODES.length)
})

test('a case that is not on the list cannot be played', () => {
  expect(() => titlesOf('SUP-82')).toThrow('there is no case SUP-82')
})
