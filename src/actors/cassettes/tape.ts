/**
 * A tape as a file: read whole, written line by line.
 *
 *   append   one write of a whole line at its end, then fsync. A process that dies leaves whole lines, and at most one more that is torn
 *   open     a torn end is cut off and told; a last line that only lacks its line feed is kept. What a failed write has left is cut off at once
 *
 * One process records on a tape at a time; within it lines wait for each other.
 */
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { exitOf } from '../../catalogue.ts'
import { UserError } from '../../errors.ts'
import { onDisk } from '../disk.ts'
import { type Line, parseLine } from './exchange.ts'

/** An exchange with its place. */
export interface Taped extends Line {
  /** Of its line, from 1. */
  readonly exchange: number
  /** Does its sum fit? If not, somebody has changed it. */
  readonly isSealed: boolean
}

/** A line that is none, or that does not end. */
export interface Problem {
  /** From 1. */
  readonly line: number
  readonly cause: string
}

export interface Tape {
  readonly file: string
  readonly bytes: number
  readonly exchanges: readonly Taped[]
  readonly problems: readonly Problem[]
  /** The last line is not whole: a process died while it was written. It is in no other list. */
  readonly torn: { readonly line: number; readonly bytes: number } | null
}

/** Reads a tape, whatever state it is in. @throws {UserError} `E_CASSETTE_INVALID` where there is no such file, or it cannot be read. */
export async function readTape(file: string): Promise<Tape> {
  const data = await readFile(file).catch((error: NodeJS.ErrnoException) => Promise.reject(unreadable(file, error)))
  const { ends, tail } = linesIn(data)
  const exchanges: Taped[] = []
  const problems: Problem[] = []
  let start = 0
  for (const [index, end] of [...ends, ...(tail === 'whole' ? [data.length] : [])].entries()) {
    const text = data.toString('utf8', start, end)
    start = end + 1
    if (text.trim() === '') continue
    const parsed = parseLine(text)
    if (parsed.line === null) problems.push({ line: index + 1, cause: parsed.cause })
    else exchanges.push({ ...parsed.line, exchange: index + 1, isSealed: parsed.isSealed })
  }
  const torn = tail === 'torn' ? { line: ends.length + 1, bytes: data.length - start } : null
  return { file, bytes: data.length, exchanges, problems, torn }
}

/** Where lines end, and what comes after the last line feed: nothing, an exchange, or the beginning of one. */
function linesIn(data: Buffer): { readonly ends: readonly number[]; readonly tail: 'none' | 'whole' | 'torn' } {
  const ends: number[] = []
  for (let at = data.indexOf(10); at !== -1; at = data.indexOf(10, at + 1)) ends.push(at)
  const rest = data.toString('utf8', (ends.at(-1) ?? -1) + 1)
  return { ends, tail: rest.trim() === '' ? 'none' : parseLine(rest).isSealed ? 'whole' : 'torn' }
}

/** A tape that is written to. */
export interface TapeWriter {
  /** What was cut off its end when it was opened; null: it was whole. */
  readonly torn: Tape['torn']
  /** Resolves when the line is on the disk. @throws {Failure} `E_DISK_FULL`, `E_FILE_REFUSED`; then nothing of the line is there. */
  append(line: string): Promise<void>
  close(): Promise<void>
}

/**
 * Opens a tape for writing, and makes it and its folder where there is none.
 * @param append  go on after what is there; false begins anew.
 * @throws {UserError} `E_CASSETTE_INVALID` where what is there is no tape. {Failure} `E_DISK_FULL`, `E_FILE_REFUSED`.
 */
export async function openTape(file: string, append: boolean): Promise<TapeWriter> {
  const path = resolve(file)
  return onDisk(async () => {
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(path, append ? 'a+' : 'w+')
    try {
      const torn = append ? await mend(path, handle) : null
      await synced(handle)
      await syncFolder(dirname(path))
      return writer(handle, torn)
    } catch (error) {
      await handle.close()
      throw error
    }
  })
}

/** Brings the file to whole lines. */
async function mend(path: string, handle: FileHandle): Promise<Tape['torn']> {
  const tape = await readTape(path)
  const [problem] = tape.problems
  if (problem !== undefined) throw invalid(path, problem.line, problem.cause)
  if (tape.torn !== null) await handle.truncate(tape.bytes - tape.torn.bytes)
  else if (tape.bytes > 0 && (await lastByte(handle, tape.bytes)) !== 10) await handle.appendFile('\n')
  return tape.torn
}

async function lastByte(handle: FileHandle, size: number): Promise<number | undefined> {
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer[0]
}

function writer(handle: FileHandle, torn: Tape['torn']): TapeWriter {
  let last: Promise<unknown> = Promise.resolve()
  const write = async (line: string): Promise<void> => {
    const { size } = await handle.stat()
    try {
      await handle.appendFile(`${line}\n`)
      await synced(handle)
    } catch (error) {
      await handle.truncate(size).catch(() => {}) // What is left is a torn end, which the next one to open it cuts off.
      throw error
    }
  }
  return {
    torn,
    append: (line) => {
      const done = last.then(() => onDisk(() => write(line)))
      last = done.catch(() => {})
      return done
    },
    close: async () => {
      await last
      await handle.close()
    },
  }
}

/** A device or a pipe has nothing to sync, and says so. */
const synced = (handle: FileHandle): Promise<void> =>
  handle.datasync().catch((error: NodeJS.ErrnoException) => (error.code === 'EINVAL' ? undefined : Promise.reject(error)))

/** A file that was just made is there after a power cut only when its folder is written. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r').catch(() => null) // Not every system opens folders.
  if (handle === null) return
  await handle.sync().catch(() => {})
  await handle.close()
}

/** @param line  null: the file as a whole. */
export function invalid(file: string, line: number | null, cause: string): UserError {
  return new UserError('E_CASSETTE_INVALID', cause, {
    where: line === null ? file : `${file}:${line}`,
    fix: `troupe cassette verify ${file}`,
    exit: exitOf('E_CASSETTE_INVALID'),
    file,
    ...(line === null ? {} : { line }),
  })
}

function unreadable(file: string, error: NodeJS.ErrnoException): UserError {
  const cause = error.code === 'ENOENT' ? 'no such file' : error.code === 'EISDIR' ? 'is a folder' : `cannot be read (${error.code})`
  return new UserError('E_CASSETTE_INVALID', cause, {
    where: file,
    fix: `troupe run TASK --record ${file}`,
    exit: exitOf('E_CASSETTE_INVALID'),
    file,
    cause: error,
  })
}
