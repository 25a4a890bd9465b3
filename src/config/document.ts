/**
 * One config file: its text as plain data, and the place of each key in it. A file that cannot be read is one error with its place and never a stack.
 */
import { readFileSync, statSync } from 'node:fs'
import { parse, TomlDate, TomlError } from 'smol-toml'
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { CONFIG_BYTES_MAX } from '../limits.ts'
import { isSecretName, redacted } from '../secrets.ts'
import { type Position, Positions } from './positions.ts'

/** Who wrote a file: the repository that one works in, or the person. What decides about keys is taken from the person only. */
export type Author = 'project' | 'person'

export type Table = Readonly<Record<string, unknown>>

/** Where something of the configuration was said. */
export interface Origin {
  /** `./troupe.toml:12:1`, `env TROUPE_BUDGET_MAX_USD`. */
  readonly where: string
  readonly author: Author
  readonly file?: string
  readonly line?: number
  readonly column?: number
  /** The line itself and a mark below it, without what looks like a credential. */
  readonly evidence: readonly string[]
}

/** A file, or the environment: a layer of the configuration. Later ones lie above earlier ones. */
export interface Layer {
  readonly author: Author
  readonly data: Table
  originOf(path: readonly PropertyKey[]): Origin
}

const DEPTH_MAX = 32

/**
 * Reads a file.
 * @param shown  its name in messages.
 * @throws {UserError} `E_CONFIG_INVALID` (exit 3) where it is no TOML, too large, no text, or no file.
 */
export function readDocument(file: string, shown: string, author: Author): Layer {
  const text = textOf(file, shown)
  let positions: Positions | null = null
  return {
    author,
    data: dataOf(text, file, shown),
    originOf: (path) => {
      positions ??= new Positions(text)
      return { author, ...originAt(text, file, shown, positions.of(path)) }
    },
  }
}

function textOf(file: string, shown: string): string {
  try {
    const found = statSync(file)
    if (!found.isFile()) throw invalid('it is no file', shown, file)
    const { size } = found
    if (size > CONFIG_BYTES_MAX) throw invalid(`it has ${size} bytes, ${CONFIG_BYTES_MAX} are allowed`, shown, file)
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    if (error instanceof UserError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw invalid(
      code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is no UTF-8 text' : `it cannot be read (${code ?? 'unknown'})`,
      shown,
      file,
    )
  }
}

const invalid = (message: string, shown: string, file: string): UserError =>
  new UserError('E_CONFIG_INVALID', message, { where: shown, fix: `mend or remove ${shown}`, exit: exitOf('E_CONFIG_INVALID'), file })

function dataOf(text: string, file: string, shown: string): Table {
  try {
    return plain(parse(text, { unsafeKeyBehaviour: 'throw', maxDepth: DEPTH_MAX })) as Table
  } catch (error) {
    if (!(error instanceof TomlError)) throw invalid('it is nested too deep', shown, file)
    const { line, column } = error
    const why = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '')
    const { evidence } = originAt(text, file, shown, { line, column })
    const options = {
      where: `${shown}:${line}:${column}`,
      fix: 'mend that line; the format: https://toml.io',
      exit: exitOf('E_CONFIG_INVALID'),
    }
    throw new UserError('E_CONFIG_INVALID', `this is no TOML: ${why}`, { ...options, evidence, file, line, column })
  }
}

/** Dates as their text, tables as objects of this program. */
function plain(value: unknown): unknown {
  if (value instanceof TomlDate) return value.toISOString()
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}

function originAt(text: string, file: string, shown: string, { line, column }: Position): Omit<Origin, 'author'> {
  return { where: `${shown}:${line}:${column}`, file, line, column, evidence: excerpt(text.split(/\r?\n/)[line - 1] ?? '', line, column) }
}

const LINE_CHARS_MAX = 100

/** The line and a mark. A line that may hold a credential is shown up to its `=`. */
function excerpt(source: string, line: number, column: number): readonly string[] {
  const [name = ''] = source.split('=')
  const risky = redacted(source) !== source || isSecretName(name.trim().replace(/["']/g, ''))
  const shown = (risky ? `${redacted(name)}= ...` : source).slice(0, LINE_CHARS_MAX).toWellFormed()
  const gutter = String(line).padStart(4)
  const mark = column > shown.length + 1 ? [] : [`${' '.repeat(gutter.length)} | ${' '.repeat(column - 1)}^`]
  return shown.trim() === '' ? [] : [`${gutter} | ${shown}`, ...mark]
}
