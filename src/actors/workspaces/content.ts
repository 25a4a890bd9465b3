/**
 * Bytes of files as plain JSON, and their name: the SHA-256 of exactly these bytes.
 * Text travels as text, so that plans can be read in the journal; anything that is no valid UTF-8 travels as base64. Both come back byte for byte.
 */
import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { lstat, readFile, readlink } from 'node:fs/promises'

/** The bytes of one file, or the target of a symbolic link. */
export interface Content {
  readonly encoding: 'utf8' | 'base64'
  readonly data: string
}

/** SHA-256 of these bytes, hex. */
export function sha256(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex')
}

/** Bytes as JSON. {@link unpack} gives the same bytes back. */
export function pack(bytes: Buffer): Content {
  return isUtf8(bytes) ? { encoding: 'utf8', data: bytes.toString('utf8') } : { encoding: 'base64', data: bytes.toString('base64') }
}

/** The bytes that were packed. */
export function unpack(content: Content): Buffer {
  return Buffer.from(content.data, content.encoding)
}

/** The bytes of a file, or the target of a link, and their hash. Rejects where there is neither. */
export async function readContent(file: string): Promise<{ readonly bytes: Buffer; readonly hash: string }> {
  const bytes = (await lstat(file)).isSymbolicLink() ? await readlink(file, 'buffer') : await readFile(file)
  return { bytes, hash: sha256(bytes) }
}
