/** Builds the library of disk.c, and holds its control file: arms a fault, reads what was counted, reads what was written down. */
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('./disk.c', import.meta.url))
const CALLS = { write: 1, sync: 2, truncate: 4 } as const
const HOW = { once: 1, ever: 2, 'kill before': 3, 'kill after': 4, torn: 5 } as const
const BYTES = { control: 4_096, path: 447 }

type Call = keyof typeof CALLS

export interface Fault {
  readonly call: Call
  /** Which of these calls, from 1. */
  readonly at: number
  readonly how: keyof typeof HOW
  /** Default EIO. */
  readonly error?: 'EIO' | 'ENOSPC' | undefined
}

/** Null where the library can be built here, else why not. */
export function missing(): string | null {
  if (process.platform !== 'linux') return `calls are struck by a preloaded library, which needs Linux; this is ${process.platform}`
  return spawnSync('gcc', ['--version']).status === 0 ? null : 'calls are struck by a preloaded library, and gcc is not installed'
}

/** Compiles the library into the folder. @returns its path. */
export function buildLibrary(folder: string): string {
  const library = join(folder, 'disk.so')
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl', '-lpthread'])
  return library
}

export interface Disk {
  /** What a process is given to run on this disk. */
  readonly env: { readonly LD_PRELOAD: string; readonly TROUPE_TEST_DISK: string }
  /** From now on calls on files below this path, or beside it by a longer name (`troupe.db-wal`), are counted anew, and struck as told. */
  arm(path: string, fault: Fault): void
  /** Counts calls of this kind from now on, and strikes none. */
  count(path: string, call: Call): void
  /** A sync takes so much longer from now on; nothing is struck. */
  slow(path: string, syncMs: number): void
  disarm(): void
  /** Calls that counted since it was armed, and how many of them were struck. */
  counted(): { readonly calls: number; readonly struck: number }
  /** Everything that was done to files below the watched folder, in order. */
  trace(): readonly Change[]
}

/** @param watched  changes below this folder are written down. */
export function makeDisk(library: string, folder: string, watched?: string): Disk {
  const control = join(folder, 'control')
  const trace = join(folder, 'trace')
  const empty = Buffer.alloc(BYTES.control)
  if (watched !== undefined) {
    put(empty, 512, watched)
    put(empty, 1_024, trace)
    rmSync(trace, { force: true })
  }
  writeFileSync(control, empty)

  /** In place: the process has the file mapped. Everything else first, then what arms it. */
  function set(path: string, numbers: readonly number[]): void {
    const file = openSync(control, 'r+')
    const bytes = Buffer.alloc(512)
    put(bytes, 64, path)
    for (const [index, number] of numbers.entries()) bytes.writeBigInt64LE(BigInt(number), index * 8)
    writeSync(file, Buffer.alloc(8), 0, 8, 0)
    writeSync(file, bytes, 8, 504, 8)
    writeSync(file, bytes, 0, 8, 0)
    closeSync(file)
  }
  return {
    env: { LD_PRELOAD: library, TROUPE_TEST_DISK: control },
    arm: (path, { call, at, how, error = 'EIO' }) => set(path, [CALLS[call], at, HOW[how], constants.errno[error]]),
    count: (path, call) => set(path, [CALLS[call]]),
    slow: (path, syncMs) => set(path, [0, 0, 0, 0, 0, 0, syncMs * 1_000]),
    disarm: () => set('', []),
    counted() {
      const file = openSync(control, 'r')
      const bytes = Buffer.alloc(16)
      readSync(file, bytes, 0, 16, 32)
      closeSync(file)
      return { calls: Number(bytes.readBigInt64LE(0)), struck: Number(bytes.readBigInt64LE(8)) }
    },
    trace: () => readTrace(readFileSync(trace)),
  }
}

function put(bytes: Buffer, at: number, path: string): void {
  if (Buffer.byteLength(path) > BYTES.path) throw new Error(`too long for the control file: ${path}`)
  bytes.write(`${path}\0`, at)
}

/** One thing that was done to a file. */
export type Change =
  | { readonly kind: 'write'; readonly path: string; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly path: string; readonly size: number }
  | { readonly kind: 'sync' | 'unlink' | 'create'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }

function readTrace(bytes: Buffer): readonly Change[] {
  const changes: Change[] = []
  for (let at = 0; at < bytes.length; ) {
    const [kind, nameBytes] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
    const [offset, dataBytes] = [Number(bytes.readBigUInt64LE(at + 8)), Number(bytes.readBigUInt64LE(at + 16))]
    const path = bytes.toString('utf8', at + 24, at + 24 + nameBytes)
    const data = bytes.subarray(at + 24 + nameBytes, at + 24 + nameBytes + dataBytes)
    at += 24 + nameBytes + dataBytes
    changes.push(changeOf(kind, path, offset, data))
  }
  return changes
}

function changeOf(kind: number, path: string, offset: number, data: Buffer): Change {
  if (kind === 1) return { kind: 'write', path, offset, data }
  if (kind === 3) return { kind: 'truncate', path, size: offset }
  if (kind === 6) return { kind: 'rename', path, to: data.toString() }
  const plain = ({ 2: 'sync', 4: 'unlink', 5: 'create' } as const)[kind]
  if (plain === undefined) throw new Error(`an unknown change: ${kind} of ${path}`)
  return { kind: plain, path }
}
