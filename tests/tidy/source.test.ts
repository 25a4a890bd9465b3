/** What the rules see of a file: its code without texts and comments, and its imports. */
import { stripTypeScriptTypes } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cyclesOf } from './cycles.ts'
import { codeOf, importsOf, isBarrel, lineAt } from './source.ts'

// An @ stands for a dollar sign.
test.each([
  ["a('b')", "a(' ')"],
  ['a("it\'s")', 'a("    ")'],
  ['a // b\nc', 'a     \nc'],
  ['a /* b\nc */ d', 'a     \n     d'],
  ['`a @{b + `c @{d} e`} f`', '`  @{b + `  @{d}  `}  `'],
  ['`@ {a} \\` \\@{b}` + c', '`              ` + c'],
  ['x.replace(/[\'"`]/g, y)', 'x.replace(_       , y)'],
  ['a / b / c', 'a / b / c'],
  ['(a) / b + "/"', '(a) / b + " "'],
  ['return /\\//.test(a)', 'return _   .test(a)'],
  ['if (a) { b(`@{ {c: 1}.c }`) }', 'if (a) { b(`@{ {c: 1}.c }`) }'],
])('of %j the code is %j', (source, code) => {
  expect(codeOf(source.replaceAll('@', '$'))).toBe(code.replaceAll('@', '$'))
})

test('blanking keeps every length and every line', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab \n\'"`/*$\\{}()=') }), (source) => {
      const code = codeOf(source)
      expect([code.length, lineAt(code, code.length)]).toEqual([source.length, lineAt(source, source.length)])
    }),
  )
})

test('every form of import is seen, with its line and whether it is of types only', () => {
  const source = [
    "import a, { b } from 'b1'",
    "import type { C } from 'b2'",
    "import { type D, e } from 'b3'",
    "import * as f from 'b4'",
    "import 'b5'",
    "export { g } from 'b6'",
    "export type { H } from 'b7'",
    "export * from 'b8'",
    "const i = await import('b9')",
    "let j: import('b10').J",
    "let k: typeof import('b11')",
    "import type L from 'b12'",
    "import {\n  m,\n} from 'b13'",
    "// import n from 'no1'",
    "const text = `import o from 'no2'`",
    "const meta = import.meta.resolve('no3')",
    "export const from = 'no4'",
    "import type from 'b14'",
  ].join('\n')
  const found = importsOf(source).map(({ specifier, line, typeOnly, reexport }) => {
    return [specifier, line, ...(typeOnly ? ['types'] : []), ...(reexport ? ['reexport'] : [])]
  })
  expect(found.sort(([, a], [, b]) => Number(a) - Number(b))).toEqual([
    ['b1', 1],
    ['b2', 2, 'types'],
    ['b3', 3],
    ['b4', 4],
    ['b5', 5],
    ['b6', 6, 'reexport'],
    ['b7', 7, 'types', 'reexport'],
    ['b8', 8, 'reexport'],
    ['b9', 9],
    ['b10', 10, 'types'],
    ['b11', 11, 'types'],
    ['b12', 12, 'types'],
    ['b13', 13],
    ['b14', 20],
  ])
})

test('an import of types is one that Node drops too', () => {
  const kept = (source: string) => /from/.test(stripTypeScriptTypes(source))
  const sources = ["import type { A } from 'a'", "import { type A } from 'a'", "export type { A } from 'a'", "import type A from 'a'"]
  expect(sources.map((source) => importsOf(source)[0]?.typeOnly)).toEqual(sources.map((source) => !kept(source)))
})

test.each([
  ["export { a } from './a.ts'", true],
  ["/** All. */\nimport './b.ts'\nexport type { A } from './a.ts';\nexport { b } from './b.ts'\n", true],
  ["export * from './a.ts'\nexport const b = 1", true],
  ["export * as a from './a.ts'", true],
  ["export { a } from './a.ts'\nexport const b = 1", false],
  ["import './a.ts'", false],
  ['const a = 1\nexport { a }', false],
])('%j is a barrel: %s', (source, expected) => {
  expect(isBarrel(source)).toBe(expected)
})

test('cycles are the sets of nodes that reach each other', () => {
  const node = fc.nat({ max: 6 })
  fc.assert(
    fc.property(fc.array(fc.tuple(node, node), { maxLength: 14 }), (edges) => {
      const names = [...'0123456']
      const graph = new Map(names.map((name) => [name, edges.filter(([from]) => String(from) === name).map(([, to]) => String(to))]))
      const reached = new Map(names.map((name) => [name, reach(graph, name)]))
      const onCycle = names.filter((name) => reached.get(name)?.has(name))
      const groups = onCycle.map((name) => onCycle.filter((other) => reached.get(name)?.has(other) && reached.get(other)?.has(name)))
      expect(cyclesOf(graph)).toEqual(groups.filter((group, index) => group[0] === onCycle[index]))
    }),
  )
})

/** Everything that is one or more edges away. */
function reach(graph: ReadonlyMap<string, readonly string[]>, from: string): Set<string> {
  const seen = new Set<string>()
  const open = [...(graph.get(from) ?? [])]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue
    seen.add(next)
    open.push(...(graph.get(next) ?? []))
  }
  return seen
}
