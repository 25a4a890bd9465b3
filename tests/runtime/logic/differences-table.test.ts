/** Section 9 of docs/SEMANTICS.md: its rows and the tests that show them are the same set, and every file that it names is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const [, section = ''] = readFileSync(join(root, 'docs/SEMANTICS.md'), 'utf8').split(/^## 9\. .*$/m)
const rows = [...section.matchAll(/^\| (D\d+) \|.*\|$/gm)].map(([text, id]) => ({
  id: id!,
  files: [...text.matchAll(/`(tests\/[^`]+)`/g)].map(([, file]) => file!),
}))

test('rows are numbered without gaps, and each names the files that show it', () => {
  expect(rows.map(({ id }) => id)).toEqual(rows.map((_, nth) => `D${nth + 1}`))
  expect(rows.filter(({ files }) => files.length === 0 || files.some((file) => !existsSync(join(root, file))))).toEqual([])
})

test('a row that names a file of differences has its test there, and each such test has its row', () => {
  const tested: string[] = []
  for (const file of readdirSync(import.meta.dirname).filter((name) => /^differences(?!-table).*\.test\.ts$/.test(name))) {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8')
    for (const [, id] of text.matchAll(/\(['"](D\d+):/g)) tested.push(`${id} tests/runtime/logic/${file}`)
  }
  const named = rows.flatMap(({ id, files }) => files.filter((file) => file.includes('/differences')).map((file) => `${id} ${file}`))
  expect([...new Set(tested)].sort()).toEqual(named.sort())
})
