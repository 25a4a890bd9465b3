/**
 * The high-water mark of a run: how far its journal was committed, in a small file that is neither the database nor its log. SQLite opens a log that
 * was cut off as if nothing had been behind the cut; the mark is the witness that there was.
 *
 *   troupe.db.marks/<run>      64 bytes, little endian, rewritten in place by one write
 *      0  'TRPM'     4  format 1 (u32)     8  position (f64)     16  epoch (f64)     24  hash, 32 bytes     56  CRC-32 of what is before     60  zeros
 *
 * Invariants:
 * - It may lag and never leads: it is written after the commit has returned, and only where a commit that returned survives power loss.
 *   So it needs no sync of its own, and a write of it that fails or is lost costs protection, never a run.
 * - A mark that was torn says nothing: its checksum does not fit, and it counts as none.
 * - The folder belongs to one database file, by name: a copy of the database under another name starts without marks.
 */
import { closeSync, constants, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { crc32 } from 'node:zlib'

/** The newest commit of a run that is known to have returned. */
export interface Mark {
  readonly position: number
  /** Of the entry at this position, hex; empty at position 0. */
  readonly hash: string
  readonly epoch: number
}

/** `none`: no file. `torn`: a file that says nothing, after a power cut or by damage. */
export type MarkFound = Mark | 'none' | 'torn'

/** The marks of one database file. */
export interface Marks {
  /** Owns the mark of a run: one descriptor until it is closed. Makes the folder and the file. Throws what the file system throws. */
  open(run: string): MarkWriter
  read(run: string): MarkFound
  /** All runs that have a mark. */
  runs(): readonly string[]
  /** No mark is no error. */
  remove(run: string): void
  /** Renames a mark to `<run><suffix>`, which is no run's name; gives the new path. */
  moveAside(run: string, suffix: string): string
  path(run: string): string
}

export interface MarkWriter {
  /** Never throws. */
  write(mark: Mark): void
  /** Idempotent. */
  close(): void
}

const BYTES = 64
const SUMMED_BYTES = 56
const HASH_BYTES = 32
const MAGIC = 'TRPM'
const FORMAT = 1
/** Of run ids, so that what was moved aside is no mark. */
const RUN_ID = /^[A-Za-z0-9_-]{1,64}$/
/** A reader that meets a write in the middle looks again. */
const READS_MAX = 3

/** The marks that go with this database file. */
export function marksOf(file: string): Marks {
  const folder = `${file}.marks`
  const path = (run: string): string => join(folder, basename(run))
  return {
    path,
    open(run) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      return markWriter(openSync(path(run), constants.O_RDWR | constants.O_CREAT, 0o600))
    },
    read: (run) => readMark(path(run)),
    runs: () => namesIn(folder).filter((name) => RUN_ID.test(name)),
    remove: (run) => rmSync(path(run), { force: true }),
    moveAside(run, suffix) {
      renameSync(path(run), path(run) + suffix)
      return path(run) + suffix
    },
  }
}

function markWriter(fd: number): MarkWriter {
  const buffer = Buffer.alloc(BYTES)
  buffer.write(MAGIC, 0, 'latin1')
  buffer.writeUInt32LE(FORMAT, 4)
  let open = true
  return {
    write({ position, hash, epoch }) {
      if (!open) return
      buffer.writeDoubleLE(position, 8)
      buffer.writeDoubleLE(epoch, 16)
      if (hash === '') buffer.fill(0, 24, 24 + HASH_BYTES)
      else buffer.write(hash, 24, 'hex')
      buffer.writeUInt32LE(crc32(buffer.subarray(0, SUMMED_BYTES)), SUMMED_BYTES)
      try {
        writeSync(fd, buffer, 0, BYTES, 0)
      } catch {
        // The commit has returned and is safe: a mark that lags is less protection, and no reason to stop a run.
      }
    },
    close() {
      if (!open) return
      open = false
      closeSync(fd)
    },
  }
}

function readMark(path: string): MarkFound {
  for (let read = 1; ; read++) {
    const bytes = contentOf(path)
    if (bytes === null) return 'none'
    const mark = decode(bytes)
    if (mark !== null || read === READS_MAX) return mark ?? 'torn'
  }
}

function decode(bytes: Buffer): Mark | null {
  if (bytes.length !== BYTES || bytes.toString('latin1', 0, 4) !== MAGIC || bytes.readUInt32LE(4) !== FORMAT) return null
  if (crc32(bytes.subarray(0, SUMMED_BYTES)) !== bytes.readUInt32LE(SUMMED_BYTES)) return null
  const position = bytes.readDoubleLE(8)
  return { position, hash: position === 0 ? '' : bytes.toString('hex', 24, 24 + HASH_BYTES), epoch: bytes.readDoubleLE(16) }
}

function contentOf(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
