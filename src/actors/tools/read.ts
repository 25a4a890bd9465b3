/** `read`: the text of one file, and the hash that a later change has to name. */
import { readFile, stat } from 'node:fs/promises'
import { Failure } from '../../effect.ts'
import { type ReadInput, readInput } from '../../machines/tool-inputs.ts'
import { sha256 } from '../workspaces/content.ts'
import { isAbsence } from '../workspaces/manifest.ts'
import { placeOf } from '../workspaces/paths.ts'

/** Text in one answer. */
const TEXT_BYTES_MAX = 100_000
/** A file that is read at all. */
const FILE_BYTES_MAX = 20_000_000

export interface ReadOutput {
  readonly path: string
  /** The lines with their line ends as they are in the file. Empty for a binary file. */
  readonly content: string
  /** SHA-256 of the whole file, hex. Pass it on as `seen`, and a change of what somebody else has changed since is refused. */
  readonly hash: string
  readonly bytes: number
  readonly lines: number
  readonly binary: boolean
  /** True when lines were left out, by `offset`, `limit` or the size. */
  readonly truncated: boolean
}

export const readDescription = 'Read a text file. Long files are cut; use offset and limit to read the rest.'

/**
 * Reads a file of the workspace, byte for byte where it is UTF-8.
 * @throws {Failure} `E_TARGET_NOT_FOUND` no such file, or larger than 20 MB; `E_WRITE_REFUSED` a path outside the workspace.
 */
export async function read(dir: string, input: ReadInput): Promise<ReadOutput> {
  const { path: named, offset = 1, limit, numbered } = readInput.parse(input)
  const { path, file } = await placeOf(dir, named)
  const bytes = await bytesOf(file, named)
  const whole = { path, hash: sha256(bytes), bytes: bytes.length }
  if (bytes.includes(0)) return { ...whole, content: '', lines: 0, binary: true, truncated: false }
  const lines = linesOf(bytes.toString('utf8'))
  const wanted = lines.slice(offset - 1, limit === undefined ? undefined : offset - 1 + limit)
  const shown = wanted.map((line, index) => (numbered ? `${offset + index}\t${line}` : line))
  const content = cut(shown)
  const complete = content.length === shown.join('').length && wanted.length === lines.length
  return { ...whole, content, lines: lines.length, binary: false, truncated: !complete }
}

/** Lines with their ends; what follows the last line end is a line only if it is not empty. */
function linesOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

async function bytesOf(file: string, named: string): Promise<Buffer> {
  try {
    const { size } = await stat(file)
    if (size > FILE_BYTES_MAX) throw new Failure('E_TARGET_NOT_FOUND', `${named} has ${size} bytes, at most ${FILE_BYTES_MAX} are read`)
    return await readFile(file)
  } catch (error) {
    if (isAbsence(error)) throw new Failure('E_TARGET_NOT_FOUND', `there is no file ${named}`)
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') throw new Failure('E_TARGET_NOT_FOUND', `${named} is a folder; use list`)
    throw error
  }
}

/** Whole lines up to the bound; a single longer line is cut inside. */
function cut(lines: readonly string[]): string {
  let content = ''
  for (const line of lines) {
    if (Buffer.byteLength(content) + Buffer.byteLength(line) > TEXT_BYTES_MAX) {
      return content === '' ? Buffer.from(line).subarray(0, TEXT_BYTES_MAX).toString('utf8').replace(/�+$/, '') : content
    }
    content += line
  }
  return content
}
