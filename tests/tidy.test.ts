/** The house rules hold for every file of the repository. What they are: tests/tidy/house.ts. That each can fail: tests/tidy/rules.test.ts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Sources, violations } from './tidy/rules.ts'
import { codeOf } from './tidy/source.ts'

const ROOT = new URL('..', import.meta.url).pathname.replace(/\/$/, '')
const FOLDERS = ['src', 'tests', 'examples', 'bench', 'scripts', 'docs', 'web', '.ci', '.github']
const SKIPPED = new Set(['node_modules', 'dist'])

const sources = read()

test('every file keeps the house rules', () => {
  expect(violations(sources, ROOT.split('/').length > 2 ? ROOT : undefined)).toEqual([])
})

test('the rules see the files that they are for', () => {
  const seen = [
    'package.json',
    'package-lock.json',
    '.ci/run',
    'src/protocol.ts',
    'src/runtime/store.ts',
    'tests/tidy.test.ts',
    'scripts/build.mjs',
  ]
  expect(seen.filter((path) => !(path in sources))).toEqual([])
})

test('the rules read every file to its end: where texts and comments are blanked rightly, brackets come in pairs', () => {
  const code = Object.entries(sources).filter(([path]) => /^(?:src|tests|bench)\/.*\.ts$/.test(path))
  const unpaired = code.filter(([, text]) => {
    const read = codeOf(text)
    const count = (bracket: string) => read.split(bracket).length
    return count('{') !== count('}') || count('(') !== count(')') || count('[') !== count(']')
  })
  expect(unpaired.map(([path]) => path)).toEqual([])
})

/** The files at the root and everything below {@link FOLDERS}, as text. */
function read(): Sources {
  const atRoot = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = [...atRoot.map((entry) => entry.name), ...FOLDERS.flatMap((folder) => below(folder))]
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]))
}

function below(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return []
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : below(path)
    return entry.isFile() ? [path] : []
  })
}
