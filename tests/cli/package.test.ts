/** What is published must be whole: an installed `troupe demo` finds its repository and its task beside it. */
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

test('the package holds the program, its types, the example of the demo and nothing of ours', () => {
  const said = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'], { encoding: 'utf8' })
  const [packed] = JSON.parse(said) as { files: { path: string }[] }[]
  const paths = packed!.files.map(({ path }) => path)
  const needed = [
    'dist/main.js',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/testing.d.ts',
    'src/index.ts',
    'examples/greeter.task.yaml',
    'LICENSE',
    'README.md',
  ]
  expect(needed.filter((path) => !paths.includes(path))).toEqual([])
  expect(paths.filter((path) => path.startsWith('examples/greeter/')).length).toBeGreaterThan(8)
  expect(paths.filter((path) => /^(?:tests|bench|\.ci|docs|scripts)\//.test(path))).toEqual([])
})
