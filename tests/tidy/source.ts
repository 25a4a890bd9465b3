/**
 * Reads TypeScript just far enough to judge it: {@link codeOf} blanks comments, texts and regular expressions, {@link importsOf} lists what a file
 * imports. Offsets and lines stay those of the source, so a finding can say where it is.
 */

/** One import, or one export from another file. */
export interface Import {
  readonly specifier: string
  readonly line: number
  /**
   * `import type`, `export type ... from`, `import('x').T`: gone when the program runs. `import { type A }` is not one of them:
   * under `verbatimModuleSyntax` it still loads the file.
   */
  readonly typeOnly: boolean
  readonly reexport: boolean
}

// A slash after one of these begins a regular expression, after anything else it divides.
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|void|delete|new|await|yield))$/
const TRIVIA = /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const TEXT = /'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"/y
const TEMPLATE = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y
const REGEX = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y
const WORD = /[\w$]+/y

/** The source with comments, the insides of texts and templates, and regular expressions replaced by spaces of the same length. */
export function codeOf(source: string): string {
  const open: ('block' | 'template')[] = []
  let code = ''
  let before = ''
  while (code.length < source.length) {
    const token = tokenAt(source, code.length, before, open)
    code += token.code
    if (token.code.trim() !== '') before = token.code
  }
  return code
}

function tokenAt(source: string, at: number, before: string, open: ('block' | 'template')[]): { readonly code: string } {
  const trivia = match(TRIVIA, source, at)
  if (trivia !== null) return { code: blank(trivia) }
  const text = match(TEXT, source, at)
  if (text !== null) return { code: text.charAt(0) + blank(text.slice(1, -1)) + text.charAt(0) }
  const char = source.charAt(at)
  if (char === '`' || (char === '}' && open.at(-1) === 'template')) return { code: templateAt(source, at, open) }
  if (char === '/' && BEFORE_REGEX.test(before)) {
    const regex = match(REGEX, source, at)
    // A word in its place: after a regular expression a slash divides.
    if (regex !== null) return { code: `_${blank(regex.slice(1))}` }
  }
  if (char === '{') open.push('block')
  if (char === '}') open.pop()
  return { code: match(WORD, source, at) ?? char }
}

/** A piece of a template: from a backtick or the end of an embedded expression to the next of these. */
function templateAt(source: string, at: number, open: ('block' | 'template')[]): string {
  if (source[at] === '}') open.pop()
  const piece = match(TEMPLATE, source, at + 1) ?? source.slice(at + 1)
  const goesOn = piece.endsWith('${')
  if (goesOn) open.push('template')
  const end = goesOn ? 2 : 1
  return source.charAt(at) + blank(piece.slice(0, -end)) + piece.slice(-end)
}

function match(pattern: RegExp, source: string, at: number): string | null {
  pattern.lastIndex = at
  return pattern.exec(source)?.[0] ?? null
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ')
}

const CLAUSE = String.raw`(?:[\w$]+\s*,\s*)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^{}]*\}|[\w$]+)`
const STATEMENT = new RegExp(String.raw`(?<![.\w$])(import|export)\s*(type\b(?!\s+from\b|\s*,))?\s*${CLAUSE}\s*from\s*(?=['"])`, 'g')
const BARE = /(?<![.\w$])import\s*(?=['"])/g
const CALL = /(?<![.\w$])(typeof\s+)?import\s*\(\s*(?=['"])/g

/** Everything that a file imports, in no particular order. A specifier that is computed is not seen. */
export function importsOf(source: string): Import[] {
  const code = codeOf(source)
  const specifierAt = (at: number) => source.slice(at + 1, code.indexOf(code.charAt(at), at + 1))
  const found = (match: RegExpExecArray, typeOnly: boolean, reexport = false): Import => {
    return { specifier: specifierAt(match.index + match[0].length), line: lineAt(code, match.index), typeOnly, reexport }
  }
  return [
    ...[...code.matchAll(STATEMENT)].map((match) => found(match, match[2] !== undefined, match[1] === 'export')),
    ...[...code.matchAll(BARE)].map((match) => found(match, false)),
    ...[...code.matchAll(CALL)].map((match) => found(match, isTypeQuery(code, match))),
  ]
}

// `typeof import('x')`, or `import('x').T` with a member that is named like a type; of a promise such a member is never taken.
function isTypeQuery(code: string, match: RegExpExecArray): boolean {
  const end = code.indexOf(')', match.index)
  return match[1] !== undefined || /^\)\s*\.\s*[A-Z]/.test(code.slice(end, end + 20))
}

const QUOTED = String.raw`['"]\s*['"]\s*;?`

/** Does the file hold nothing but imports and exports from other files, or pass on all of another one? */
export function isBarrel(source: string): boolean {
  const code = codeOf(source)
  const rest = [STATEMENT, BARE].reduce((text, { source }) => text.replace(new RegExp(source + QUOTED, 'g'), ''), code)
  const passesAll = /(?<![.\w$])export\s*(?:type\s*)?\*/.test(code)
  return passesAll || (rest.trim() === '' && importsOf(source).some((entry) => entry.reexport))
}

/** Line of an offset, from 1. */
export function lineAt(source: string, at: number): number {
  return source.slice(0, at).split('\n').length
}
