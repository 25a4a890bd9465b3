/**
 * The house rules as one pure function: `{ path: text }` in, one line per violation out. Paths are relative to the repository, with slashes.
 * What is allowed stands in house.ts; what a file imports is read by source.ts.
 */
import { posix } from 'node:path'
import { cyclesOf } from './cycles.ts'
import * as house from './house.ts'
import { codeOf, type Import, importsOf, isBarrel, lineAt } from './source.ts'

export type Sources = Readonly<Record<string, string>>

/**
 * Everything that breaks a rule, as `path:line  what`, in the order of the paths.
 * @param root  the folder that the sources came from; a file that names it is bound to this machine. Left out: not looked for.
 */
export function violations(sources: Sources, root?: string): string[] {
  const files = Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1))
  return [...files.flatMap(([path, text]) => violationsOf(path, text, root)), ...importCycles(sources)]
}

function violationsOf(path: string, text: string, root: string | undefined): string[] {
  const rules = [foreign(path, text, root)]
  if (isBelow(path, house.SIZED) && isCode(path)) rules.push(size(path, text), name(path))
  if (isTypeScript(path)) {
    const imports = importsOf(text)
    if (path.startsWith('src/'))
      rules.push(opening(path, text), layering(path, imports), packages(path, imports), world(path, text, imports))
    if (isBarrel(text) && !isBelow(path, house.DOORS))
      rules.push([`${path}:1  only passes on what others export; import it from where it is`])
  }
  return rules.flat()
}

function opening(path: string, text: string): string[] {
  return /^(?:#![^\n]*\n)?\/\*\*/.test(text) ? [] : [`${path}:1  does not open with a comment that says what it is for`]
}

function layering(path: string, imports: readonly Import[]): string[] {
  const layer = house.LAYERS.find((candidate) => isBelow(path, candidate.files))
  if (layer === undefined) return [`${path}:1  is in no layer of the import table`]
  return imports.flatMap((entry) => {
    const target = targetOf(path, entry.specifier)
    if (target === null) return []
    const other = house.LAYERS.find((candidate) => isBelow(target, candidate.files))?.name ?? 'nothing in the table'
    if (layer.may.includes(other) || (entry.typeOnly && layer.mayTypes?.includes(other))) return []
    const only = layer.mayTypes?.includes(other) ? ', and only types of it are allowed' : ''
    return [`${path}:${entry.line}  imports ${target}: ${layer.name} -> ${other}${only}`]
  })
}

function packages(path: string, imports: readonly Import[]): string[] {
  return imports.flatMap((entry) => {
    if (/^\.{1,2}\/|^node:/.test(entry.specifier)) return []
    const [scope = '', second = ''] = entry.specifier.split('/')
    const package_ = scope.startsWith('@') ? `${scope}/${second}` : scope
    if (isBelow(path, house.PACKAGES[package_] ?? [])) return []
    if (entry.typeOnly && isBelow(path, house.PACKAGE_TYPES[package_] ?? [])) return []
    return [`${path}:${entry.line}  imports the package ${package_}, which has no place here`]
  })
}

function world(path: string, text: string, imports: readonly Import[]): string[] {
  const pure = house.LAYERS.some((layer) => layer.pure && isBelow(path, layer.files))
  const adapter = isBelow(path, house.ADAPTERS)
  const calls = { ...(adapter ? {} : house.WORLD_CALLS), ...(pure ? house.IMPURE : {}) }
  const modules = imports.filter(({ specifier, typeOnly }) => {
    return !typeOnly && ((pure && specifier.startsWith('node:')) || (!adapter && isWorldModule(specifier)))
  })
  const why = pure ? 'is pure' : 'is no adapter'
  return [
    ...modules.map(({ specifier, line }) => `${path}:${line}  imports ${specifier} and ${why}`),
    ...occurrences(codeOf(text), calls).map(({ what, line }) => `${path}:${line}  uses ${what} and ${why}`),
  ]
}

function isWorldModule(specifier: string): boolean {
  return house.WORLD_MODULES.some((module) => specifier === module || specifier.startsWith(`${module}/`))
}

function size(path: string, text: string): string[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  return lines > house.LINES_MAX ? [`${path}:${lines}  has ${lines} lines, ${house.LINES_MAX} are the most`] : []
}

function name(path: string): string[] {
  const parts = path.split('/').map((part) => part.split('.')[0] ?? '')
  return parts.filter((part) => house.FORBIDDEN_NAMES.includes(part)).map((part) => `${path}:1  is called ${part}, which says nothing`)
}

function foreign(path: string, text: string, root: string | undefined): string[] {
  const found = occurrences(text, house.FOREIGN).map(({ what, line }) => `${path}:${line}  names ${what}`)
  const at = root === undefined ? -1 : text.indexOf(root)
  return at < 0 ? found : [...found, `${path}:${lineAt(text, at)}  names the folder of this clone`]
}

function importCycles(sources: Sources): string[] {
  const graph = new Map<string, string[]>()
  for (const [path, text] of Object.entries(sources)) {
    if (!isTypeScript(path)) continue
    // An import of types is gone when the program runs, so it orders layers but closes no cycle.
    const loaded = importsOf(text).filter((entry) => !entry.typeOnly)
    const targets = loaded.map((entry) => targetOf(path, entry.specifier)).filter((target) => target !== null)
    graph.set(path, targets)
  }
  return cyclesOf(graph).map((group) => `${group[0]}:1  import cycle of ${group.join(', ')}`)
}

function occurrences(text: string, patterns: Readonly<Record<string, RegExp>>): { what: string; line: number }[] {
  return Object.entries(patterns).flatMap(([what, pattern]) => {
    return [...text.matchAll(pattern)].map((match) => ({ what, line: lineAt(text, match.index) }))
  })
}

/** The file that a relative import names, or null for a package. */
function targetOf(path: string, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : null
}

function isBelow(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === place || (place.endsWith('/') && path.startsWith(place)))
}

function isTypeScript(path: string): boolean {
  return /\.tsx?$/.test(path)
}

function isCode(path: string): boolean {
  return /\.(?:[cm]?[jt]sx?)$/.test(path)
}
