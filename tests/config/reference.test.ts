/** The page of the configuration has every key of the schema with its default and its limits, and no other. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { allKeys } from '../../src/config/keys.ts'
import { LATER } from '../../src/config/schema.ts'

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/reference/configuration.md'), 'utf8')

/** `| `key` | default | what is expected | ... |` */
const rows = PAGE.split('\n')
  .filter((line) => /^\| `[^`]+` \|/.test(line))
  .map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, 4)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  )

const fallbackWords = (fallback: unknown): string => (fallback === undefined ? '-' : `\`${JSON.stringify(fallback)}\``)

test('each key is on the page of reference, with its default and what is expected of it, and the page has no other', () => {
  const wanted = allKeys().map(({ path, fallback, expected }) => [`\`${path.join('.')}\``, fallbackWords(fallback), expected])
  expect(wanted.length).toBeGreaterThan(55)
  expect(rows.sort()).toEqual(wanted.sort())
})

test('each table that a later version acts upon is named there', () => {
  expect(Object.keys(LATER).filter((table) => !PAGE.includes(`\`[${table}]\``))).toEqual([])
})
