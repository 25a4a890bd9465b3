/**
 * `edit`: replaces one exact piece of text. Everything outside the piece stays byte for byte: line ends, a missing last one, a BOM, broken UTF-8.
 * A file with CRLF is found by text with LF too, and the new text gets CRLF then.
 */
import { type EditInput, editInput } from '../../machines/tool-inputs.ts'
import { refused } from '../workspaces/standing.ts'

export const editDescription =
  'Replace an exact piece of text in a file. The old text must occur exactly once unless all is true; include enough lines around it.'

/**
 * The bytes after the edit. Pure.
 * @throws {Failure} `E_WRITE_REFUSED`, `data.reason` `not_found`, `ambiguous` or `same`.
 */
export function edited(bytes: Buffer, input: EditInput): Buffer {
  const { path, old, new: next, all } = editInput.parse(input)
  if (old === next) throw refused(path, 'same', 'would not change: old and new are the same')
  // One char per byte, so that what is not touched cannot be changed by decoding it.
  const text = bytes.toString('latin1')
  const [from, to] = pieces(text, old, next)
  const count = text.split(from).length - 1
  if (count === 0) throw refused(path, 'not_found', 'does not contain the old text exactly; read it again')
  if (count > 1 && !all) throw refused(path, 'ambiguous', `contains the old text ${count} times; give more lines around it, or all: true`)
  return Buffer.from(text.split(from).join(to), 'latin1')
}

function pieces(text: string, old: string, next: string): readonly [string, string] {
  const from = asBytes(old)
  if (text.includes(from) || !text.includes('\r\n') || old.includes('\r')) return [from, asBytes(next)]
  return [asBytes(old.replaceAll('\n', '\r\n')), asBytes(next.replaceAll(/\r?\n/g, '\r\n'))]
}

const asBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
