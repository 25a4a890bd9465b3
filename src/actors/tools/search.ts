/**
 * `search`: lines that match, over the files of the workspace.
 * A model writes the expression, so it runs under a time limit: one that backtracks for ever is stopped instead of stopping the whole tree.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createContext, Script } from 'node:vm'
import { Failure } from '../../effect.ts'
import { type SearchInput, searchInput } from '../../machines/tool-inputs.ts'
import { pathsBelow } from './list.ts'

const LINE_CHARS_MAX = 300
/** Larger files are not searched; they are counted in `skipped`. */
const FILE_BYTES_MAX = 2_000_000
/** Of one file. The event loop stands still meanwhile. */
const FILE_SEARCH_MS = 250

export interface SearchOutput {
  /** Sorted by path and line. `line` counts from 1; long lines are cut around the match. */
  readonly matches: readonly { readonly path: string; readonly line: number; readonly text: string }[]
  readonly filesSearched: number
  /** Binary files, links and files over 2 MB. */
  readonly skipped: number
  /** True when there may be more than `max`. */
  readonly truncated: boolean
}

export const searchDescription = 'Search the files of the workspace for a text or a regular expression, line by line.'

/** @throws {Failure} `E_COMMAND_TIMEOUT` the expression takes too long; `E_WRITE_REFUSED` a path outside the workspace. */
export async function search(dir: string, input: SearchInput, signal?: AbortSignal): Promise<SearchOutput> {
  const { pattern, regex, ignoreCase, path, ending, max } = searchInput.parse(input)
  const matcher = matcherOf(regex ? pattern : literal(pattern), ignoreCase)
  const matches: { path: string; line: number; text: string }[] = []
  let filesSearched = 0
  let skipped = 0
  for (const each of await pathsBelow(dir, path)) {
    signal?.throwIfAborted()
    if (ending !== undefined && !each.endsWith(ending)) continue
    const lines = await textLines(join(dir, each))
    if (lines === null) {
      skipped++
      continue
    }
    filesSearched++
    const found = matcher(lines, max + 1 - matches.length, each)
    matches.push(...found.map(({ line, at }) => ({ path: each, line: line + 1, text: around(lines[line] ?? '', at) })))
    if (matches.length > max) break
  }
  return { matches: matches.slice(0, max), filesSearched, skipped, truncated: matches.length > max }
}

interface Found {
  readonly line: number
  readonly at: number
}

const LOOP = new Script(`(() => {
  const found = []
  for (let line = 0; line < lines.length && found.length < max; line++) {
    const at = lines[line].search(expression)
    if (at !== -1) found.push({ line, at })
  }
  return found
})()`)

function matcherOf(source: string, ignoreCase: boolean): (lines: readonly string[], max: number, path: string) => readonly Found[] {
  const expression = new RegExp(source, ignoreCase ? 'iu' : 'u')
  return (lines, max, path) => {
    try {
      return LOOP.runInContext(createContext({ lines, max, expression }), { timeout: FILE_SEARCH_MS }) as readonly Found[]
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
      throw new Failure('E_COMMAND_TIMEOUT', `search for /${source}/ ran past ${FILE_SEARCH_MS} ms in ${path}; use a simpler expression`)
    }
  }
}

async function textLines(file: string): Promise<readonly string[] | null> {
  const stats = await stat(file).catch(() => null)
  if (stats === null || !stats.isFile() || stats.size > FILE_BYTES_MAX) return null
  const bytes = await readFile(file)
  return bytes.includes(0) ? null : bytes.toString('utf8').split(/\r?\n/)
}

function around(line: string, at: number): string {
  if (line.length <= LINE_CHARS_MAX) return line
  const start = Math.max(0, at - LINE_CHARS_MAX / 3)
  return line.slice(start, start + LINE_CHARS_MAX).toWellFormed()
}

const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
