/**
 * The code in the guides compiles, in the strictest settings, against the package by its public name. Each block that begins with its imports is a module of its
 * own; other blocks are fragments, which the page around them explains.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../harness.ts'

const ROOT = join(import.meta.dirname, '../..')
const PAGES = readdirSync(join(ROOT, 'docs/guide'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs/guide', name))

interface Sample {
  /** `docs-guide-stores-12.ts`: the page and the line at which the block begins. */
  readonly file: string
  readonly code: string
}

function samplesIn(page: string): Sample[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].flatMap(({ 1: code = '', index }) => {
    const line = text.slice(0, index).split('\n').length
    return code.startsWith('import ') ? [{ file: `${page.replace(/\.md$/, '').replaceAll('/', '-')}-${line}.ts`, code }] : []
  })
}

/** What readers have and samples do not declare. */
const GIVEN = 'declare const run: string\n'

function compile(samples: readonly Sample[]): string[] {
  const folder = temporaryFolder()
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  mkdirSync(join(folder, 'samples'))
  for (const { file, code } of samples) writeFileSync(join(folder, 'samples', file), code)
  writeFileSync(join(folder, 'samples', 'given.d.ts'), GIVEN)
  const paths = {
    troupe: [join(ROOT, 'src/index.ts')],
    'troupe/testing': [join(ROOT, 'src/testing.ts')],
    'troupe/testing/arbitraries': [join(ROOT, 'src/testing/arbitraries.ts')],
  }
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: { paths, noEmit: true }, include: ['samples'], exclude: [] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  return spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder, encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes('error TS'))
}

/** Planted: it does not fit the package. */
const WRONG: Sample = { file: 'docs-guide-none-1.ts', code: "import { sqliteStore } from 'troupe'\n\nsqliteStore({ file: 'runs.db' })\n" }

test('the code samples of the guides compile, and one that does not fit the package is found with its page and line', {
  timeout: 60_000,
}, () => {
  const samples = PAGES.flatMap(samplesIn)
  expect(samples.length).toBeGreaterThan(5)
  expect(compile([...samples, WRONG])).toEqual([expect.stringMatching(/docs-guide-none-1\.ts\(3,15\): error TS\d+/)])
})
