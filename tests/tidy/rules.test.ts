/** Every house rule can fail: each is broken once on purpose, and what is allowed beside it passes. */
import { expect, test } from 'vitest'
import { DOORS, FORBIDDEN_NAMES, LAYERS, LINES_MAX, PACKAGES, WORLD_CALLS, WORLD_MODULES } from './house.ts'
import { type Sources, violations } from './rules.ts'

/** One file of each layer, so that imports have somewhere to go. */
const FILE_OF: Readonly<Record<string, string>> = {
  leaves: 'src/errors.ts',
  view: 'src/view/tree.ts',
  machines: 'src/machines/coder.ts',
  runtime: 'src/runtime/step.ts',
  actors: 'src/actors/agent.ts',
  config: 'src/config.ts',
  http: 'src/http/server.ts',
  app: 'src/app.ts',
  cli: 'src/cli/run.ts',
  main: 'src/main.ts',
  index: 'src/index.ts',
  testing: 'src/testing.ts',
}
const fileOf = (layer: string) => FILE_OF[layer] ?? layer
const lines = (...rows: string[]) => rows.join('\n')
/** A source file that opens as it should; its code begins in line 2. */
const source = (...rows: string[]) => lines('/** What it is for. */', ...rows, '')
const without = (word: string, text: string) => text.replace(word, '')

test('every layer has a file in this test, and every file a layer', () => {
  expect(Object.keys(FILE_OF)).toEqual(LAYERS.map((layer) => layer.name))
})

const pairs = LAYERS.flatMap((from) => LAYERS.filter((to) => to !== from).map((to) => [from.name, to.name] as const))
const ARROWS = new Set([
  ...['view', 'machines', 'runtime', 'actors', 'config', 'http', 'app', 'cli', 'index', 'testing'].map((layer) => `${layer} -> leaves`),
  ...['machines', 'runtime'].flatMap((layer) => [`actors -> ${layer}`, `index -> ${layer}`, `testing -> ${layer}`]),
  ...['index -> actors', 'testing -> actors', 'testing -> view'],
  ...['http -> view', 'http -> runtime', 'http -> actors'],
  ...['app -> config', 'app -> runtime', 'app -> actors', 'app -> http'],
  ...['cli -> view', 'cli -> config', 'cli -> runtime', 'cli -> actors', 'cli -> app', 'main -> cli'],
])

test.each(pairs)('%s may import %s only where the table has that arrow', (from, to) => {
  const path = fileOf(from)
  const target = fileOf(to).replace('src/', path.split('/').length > 2 ? '../' : './')
  const found = violations({ [path]: source(`import { a } from '${target}'`), [fileOf(to)]: source('export const a = 1') })
  const only = from === 'view' && to === 'runtime' ? ', and only types of it are allowed' : ''
  expect(found).toEqual(ARROWS.has(`${from} -> ${to}`) ? [] : [`${path}:2  imports ${fileOf(to)}: ${from} -> ${to}${only}`])
})

test('types count for the layers too, but the view may know the types of the runtime', () => {
  const types = (path: string) => source(`import type { A } from '${path}'`)
  expect(
    violations({
      'src/machines/coder.ts': types('../runtime/step.ts'),
      'src/runtime/step.ts': source("let machine: import('../machines/coder.ts').Coder"),
      'src/view/tree.ts': types('../runtime/step.ts'),
      'src/view/why.ts': types('../actors/agent.ts'),
    }),
  ).toEqual([
    'src/machines/coder.ts:2  imports src/runtime/step.ts: machines -> runtime',
    'src/runtime/step.ts:2  imports src/machines/coder.ts: runtime -> machines',
    'src/view/why.ts:2  imports src/actors/agent.ts: view -> actors',
  ])
})

test('a source file that no layer claims is refused, and nobody imports what lies outside', () => {
  expect(violations({ 'src/extra/a.ts': source(), 'src/app.ts': source("import { b } from '../tests/b.ts'") })).toEqual([
    'src/app.ts:2  imports tests/b.ts: app -> nothing in the table',
    'src/extra/a.ts:1  is in no layer of the import table',
  ])
})

test.each(Object.keys(PACKAGES))('the package %s is imported only where it belongs', (name) => {
  expect(violations({ 'src/errors.ts': source(`import x from '${name}/deep'`) })).toEqual([
    `src/errors.ts:2  imports the package ${name}, which has no place here`,
  ])
  const place = PACKAGES[name]?.[0] ?? ''
  expect(violations({ [place.endsWith('/') ? `${place}a.ts` : place]: source(`import x from '${name}/deep'`) })).toEqual([])
})

test('a leaf may use the types of xstate, not xstate; an unknown package has no place anywhere', () => {
  const files: Sources = {
    'src/cli/run.ts': source("const load = () => import('left-pad')"),
    'src/effect.ts': source("import type { Snapshot } from 'xstate'"),
    'src/protocol.ts': source("import { type Snapshot } from 'xstate'"),
  }
  expect(violations(files)).toEqual([
    'src/cli/run.ts:2  imports the package left-pad, which has no place here',
    'src/protocol.ts:2  imports the package xstate, which has no place here',
  ])
})

test('an import cycle is found, also through a file that loads only types by name', () => {
  expect(
    violations({
      'src/runtime/a.ts': source("import { b } from './b.ts'"),
      'src/runtime/b.ts': source("import { type C } from './c.ts'"),
      'src/runtime/c.ts': source("export const load = () => import('./a.ts')"),
      'src/runtime/d.ts': source("import './d.ts'"),
    }),
  ).toEqual([
    'src/runtime/a.ts:1  import cycle of src/runtime/a.ts, src/runtime/b.ts, src/runtime/c.ts',
    'src/runtime/d.ts:1  import cycle of src/runtime/d.ts',
  ])
})

test('two files that need only types of each other are no cycle', () => {
  const files = { 'src/runtime/a.ts': source("import { b } from './b.ts'"), 'src/runtime/b.ts': source("import type { A } from './a.ts'") }
  expect(violations(files)).toEqual([])
})

const CALLS: Readonly<Record<string, string>> = {
  'Date.now': 'const now = () => Date.now()',
  'new Date()': 'const today = new Date()',
  'Math.random': 'const pick = Math.random',
  setTimeout: 'setTimeout(next, 5)',
  setInterval: 'globalThis.setInterval(next, 5)',
  setImmediate: 'setImmediate(next)',
  'performance.now': 'const from = performance.now()',
  'process.hrtime': 'const from = process.hrtime.bigint()',
  'AbortSignal.timeout': 'const signal = AbortSignal.timeout(5)',
  'crypto.randomUUID': 'const id = crypto.randomUUID()',
}

test.each(Object.keys(WORLD_CALLS))('%s is used by adapters only', (what) => {
  const text = source(CALLS[what] ?? '')
  expect(violations({ 'src/runtime/step.ts': text, 'src/runtime/clocks/system.ts': text, 'bench/steps.ts': text })).toEqual([
    `src/runtime/step.ts:2  uses ${what} and is no adapter`,
  ])
})

test.each(WORLD_MODULES)('%s is imported by adapters only, its types by anybody', (module) => {
  const text = source(`import { a } from '${module}'`)
  const types = source(`import type { A } from '${module}'`)
  expect(violations({ 'src/runtime/a.ts': text, 'src/runtime/b.ts': types, 'src/runtime/stores/c.ts': text })).toEqual([
    `src/runtime/a.ts:2  imports ${module} and is no adapter`,
  ])
})

test('what stands below a module of the world counts as the module', () => {
  expect(violations({ 'src/runtime/a.ts': source("import { open } from 'node:fs/promises'", "import { join } from 'node:path'") })).toEqual(
    ['src/runtime/a.ts:2  imports node:fs/promises and is no adapter'],
  )
})

test('what only sounds like the world is allowed: comments, texts, a date of given milliseconds', () => {
  const text = source(
    '// Date.now is for adapters',
    "const why = 'no setTimeout'",
    'const at = new Date(ms).toISOString()',
    '/* Math.random */',
  )
  expect(violations({ 'src/runtime/step.ts': text })).toEqual([])
})

test.each(['src/machines/coder.ts', 'src/view/tree.ts', 'src/json.ts'])(
  '%s is pure: no module of Node, no console, nothing to wait for',
  (path) => {
    const text = source(
      "import { join } from 'node:path'",
      'const later = async () => await fetch(process.argv[2])',
      'console.log(1)',
      'const state = { async: 1, process: 2 }',
    )
    expect(violations({ [path]: text })).toEqual([
      `${path}:2  imports node:path and is pure`,
      `${path}:3  uses async and is pure`,
      `${path}:3  uses await and is pure`,
      `${path}:3  uses fetch and is pure`,
      `${path}:3  uses process.* and is pure`,
      `${path}:4  uses console.* and is pure`,
    ])
  },
)

test.each(['src/cli/run.ts', 'tests/a.test.ts', 'examples/a/b.js', 'bench/a.ts', 'scripts/a.mjs'])(
  '%s may not pass the most lines',
  (path) => {
    const text = (count: number) => source(...Array.from({ length: count - 1 }, () => 'a()'))
    expect(violations({ [path]: text(LINES_MAX) })).toEqual([])
    expect(violations({ [path]: text(LINES_MAX + 1) })).toEqual([
      `${path}:${LINES_MAX + 1}  has ${LINES_MAX + 1} lines, ${LINES_MAX} are the most`,
    ])
  },
)

test.each(FORBIDDEN_NAMES)('no file and no folder is called %s', (name) => {
  const files = [`src/cli/${name}.ts`, `tests/${name}.test.ts`, `tests/${name}/a.ts`, `scripts/${name}.mjs`]
  const allowed = [`src/cli/my-${name}.ts`, `docs/${name}.md`]
  const found = violations(Object.fromEntries([...files, ...allowed].map((path) => [path, source()])))
  expect(found).toEqual([...files].sort().map((path) => `${path}:1  is called ${name}, which says nothing`))
})

test('only the public doors may be barrels; a file with code of its own may pass a name on', () => {
  const barrel = source("export { a } from './errors.ts'", "export type { B } from './json.ts'")
  const star = source("export * from '../json.ts'", 'export const own = 1')
  const mixed = source("export { a } from '../json.ts'", 'export const own = 1')
  const files = { 'src/index.ts': barrel, 'src/protocol.ts': barrel, 'src/runtime/all.ts': star, 'src/runtime/ref.ts': mixed }
  expect(DOORS).toContain('src/index.ts')
  expect(violations(files)).toEqual(
    ['src/protocol.ts', 'src/runtime/all.ts'].map((path) => `${path}:1  only passes on what others export; import it from where it is`),
  )
})

test('a source file opens with what it is for, below its interpreter line', () => {
  const files = {
    'src/app.ts': 'export {}\n',
    'src/cli/run.ts': '// run\nexport {}\n',
    'src/main.ts': '#!/usr/bin/env node\n/** The bin. */\n',
  }
  expect(violations(files)).toEqual([
    'src/app.ts:1  does not open with a comment that says what it is for',
    'src/cli/run.ts:1  does not open with a comment that says what it is for',
  ])
})

test('no file of any kind names a registry, a home folder or this clone', () => {
  const files = {
    '.npmrc': without('~', 'registry=https://registry.npm~js.org/\n'),
    'docs/guide.md': without('~', 'Run it in\n/ho~me/ann/project, not in ~/project or src/home/ann.\n'),
    'package-lock.json': without('~', '{"resolved":"https://acme.jf~rog.io/api/npm"}'),
    'tests/a.test.ts': without('~', "const dir = '/Us~ers/ann'\n"),
    '.ci/run': '\ncd /srv/builds/troupe\n',
  }
  expect(violations(files, '/srv/builds/troupe')).toEqual([
    '.ci/run:2  names the folder of this clone',
    '.npmrc:1  names a registry host',
    "docs/guide.md:2  names a developer's home",
    'package-lock.json:1  names a registry host',
    "tests/a.test.ts:1  names a developer's home",
  ])
})
