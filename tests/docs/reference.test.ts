/** The pages of reference say all that the code can: each code, fact and limit stands on its page, and nothing that is not there any more. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { exitOf, isRetryable, isWarning } from '../../src/catalogue.ts'
import { NOTED_FACTS } from '../../src/effect.ts'
import * as limits from '../../src/limits.ts'
import { DOMAIN_FACTS } from '../../src/protocol.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const below = (folder: string, ext: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ext))
    .map((name) => join(folder, name))
const SOURCES = below('src', '.ts')
const found = (paths: readonly string[], pattern: RegExp): string[] =>
  paths.flatMap((path) => [...read(path).matchAll(pattern)].map((match) => match[1]!))
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort()

/** The cells of each row whose first one is a name in backticks: `[name, second, third, ...]`. */
const rowsOf = (page: string): string[][] =>
  read(page)
    .split('\n')
    .filter((line) => /^\| `[^`]+` \|/.test(line))
    .map((line) =>
      line
        .slice(2)
        .split(' |')
        .slice(0, -1)
        .map((cell) => cell.replaceAll('`', '').trim()),
    )
const PAGES = ['README.md', 'AGENTS.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below('docs', '.md')]
const namesOf = (page: string): string[] => rowsOf(page).map(([name]) => name!)

test('each code that src can raise is on the page of errors, once, and the page has no other', () => {
  const raised = found(SOURCES, /'(E_[A-Z_]+)'/g)
  const catalogued = found(['src/catalogue.ts'], /^ {2}(E_[A-Z_]+):/gm)
  expect(namesOf('docs/reference/errors.md').sort()).toEqual(sorted([...raised, ...catalogued]))
})

test('a code that has an exit code in the catalogue has the same one on the page, and says where trying again may do', () => {
  const catalogued = new Set(found(['src/catalogue.ts'], /^ {2}(E_[A-Z_]+):/gm))
  const rows = rowsOf('docs/reference/errors.md').filter(
    ([code]) => catalogued.has(code!) && code !== 'E_DEFECT' && code !== 'E_LIMIT_SPAWN',
  )
  expect(rows.length).toBeGreaterThan(50)
  expect(rows.map(([code, exit]) => [code, exit])).toEqual(
    rows.map(([code]) => [code, `${exitOf(code!)}${isRetryable(code!) ? ', again' : ''}`]),
  )
})

test('a warning of a check never changes an exit code, and the page says so', () => {
  const warnings = rowsOf('docs/reference/errors.md').filter(([code]) => isWarning(code!))
  expect(warnings.map(([, exit]) => exit)).toEqual(['0', '0', '0', '0'])
})

test('each fact that is written has its row on the page of events, and the page has no other', () => {
  const facts = [
    ...found(SOURCES, /\bfact\(\s*'([a-z]+\.[a-z_]+)'/g),
    ...found(SOURCES, /\blive\(\s*'([a-z]+\.[a-z_]+)'/g),
    ...found(SOURCES, /\btype: '(live\.[a-z_]+)'/g),
    ...found(['src/runtime/operations.ts'], /journal\.push\(\{ type: '([a-z._]+)'/g),
    ...found(['src/runtime/engines/local/ending.ts'], /'(run\.[a-z]+)'/g),
    ...DOMAIN_FACTS,
    ...NOTED_FACTS,
  ]
  expect(namesOf('docs/reference/events.md').sort()).toEqual(sorted(facts))
})

test('each limit is on the page of limits with its value', () => {
  const rows = rowsOf('docs/reference/limits.md').map(([name, value]) => [name, Number(value!.replace(/,| ms$/g, ''))])
  expect(Object.fromEntries(rows)).toEqual({ ...limits })
})

test('each test and each source that a document names is there', () => {
  const there = [...SOURCES, ...below('tests', ''), ...below('bench', ''), ...below('examples', '')]
  const missing = PAGES.flatMap((page) =>
    found([page], /`((?:src|tests|bench)\/[\w./*-]+\.[a-z]+|(?:src|tests|bench)\/[\w./*-]*\*)`/g)
      .filter((name) => {
        const pattern = new RegExp(`^${name.replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
        return !there.some((path) => pattern.test(path))
      })
      .map((name) => `${page}: ${name}`),
  )
  expect(missing).toEqual([])
})

/** The anchor that a heading gets. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-')

test('each link between documents leads somewhere, to its heading too', () => {
  const dead = PAGES.flatMap((page) =>
    found([page], /\]\((?!https?:)([^)\s]+)\)/g)
      .filter((link) => {
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? page : join(dirname(page), path)
        if (!existsSync(join(ROOT, target))) return true
        return (
          anchor !== undefined &&
          !found([target], /^#+ (.*)$/gm)
            .map(anchorOf)
            .includes(anchor)
        )
      })
      .map((link) => `${page}: ${link}`),
  )
  expect(dead).toEqual([])
})
