/** Damage as disks, cables and people do it: flipped bits, lost and foreign sectors, pages in each other's place, files that end too early. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Chance } from './chance.ts'

const PAGE_BYTES = 4_096
/** Of the log: a header of 32 bytes, then frames of 24 bytes and a page. */
export const LOG = { headerBytes: 32, frameBytes: 24 + PAGE_BYTES } as const

interface Harm {
  readonly chance: Chance
  readonly isLog: boolean
  /** The same file at an earlier time; null: not known. */
  readonly older: Buffer | null
}

type Damage = (bytes: Buffer, harm: Harm) => Buffer

const DAMAGES: Readonly<Record<string, Damage>> = {
  'a flipped bit': (bytes, { chance }) => flip(bytes, chance),
  'some flipped bits': (bytes, { chance }) => {
    for (let n = 2 + chance.below(6); n > 0; n--) flip(bytes, chance)
    return bytes
  },
  'zeroed bytes': (bytes, { chance }) => range(bytes, chance, (count) => Buffer.alloc(count)),
  'foreign bytes': (bytes, { chance }) => range(bytes, chance, (count) => chance.bytes(count)),
  'swapped pages': (bytes, { chance, isLog }) => {
    const [from, to] = [pageAt(bytes, chance, isLog), pageAt(bytes, chance, isLog)]
    const kept = Buffer.from(from)
    to.copy(from)
    kept.copy(to)
    return bytes
  },
  'a page twice': (bytes, { chance, isLog }) => {
    pageAt(bytes, chance, isLog).copy(pageAt(bytes, chance, isLog))
    return bytes
  },
  'a lost write': (bytes, { chance, older }) => {
    const changed = Array.from({ length: Math.floor((older?.length ?? 0) / PAGE_BYTES) }, (_, page) => page * PAGE_BYTES).filter(
      (at) => !older!.subarray(at, at + PAGE_BYTES).equals(bytes.subarray(at, at + PAGE_BYTES)),
    )
    if (older === null || changed.length === 0) return flip(bytes, chance)
    const at = chance.one(changed)
    older.copy(bytes, at, at, at + PAGE_BYTES)
    return bytes
  },
  'a cut': (bytes, { chance }) => bytes.subarray(0, chance.below(bytes.length)),
}

function flip(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length)
  bytes[at] = bytes[at]! ^ (1 << chance.below(8))
  return bytes
}

function range(bytes: Buffer, chance: Chance, make: (count: number) => Buffer): Buffer {
  const at = chance.below(bytes.length)
  make(Math.min(bytes.length - at, 1 + chance.below(chance.one([16, 512, 3 * PAGE_BYTES])))).copy(bytes, at)
  return bytes
}

/** A page of the database, or a frame of its log with its head. */
function pageAt(bytes: Buffer, chance: Chance, isLog: boolean): Buffer {
  const [before, size] = isLog ? [LOG.headerBytes, LOG.frameBytes] : [0, PAGE_BYTES]
  const at = before + size * chance.below(Math.max(1, Math.floor((bytes.length - before) / size)))
  return bytes.subarray(at, at + size)
}

/**
 * Damages the file. @returns in words what was done.
 * @param older  the same file at an earlier time, for pages whose last write was lost.
 */
export function damage(file: string, chance: Chance, older: string | null = null): string {
  const kind = chance.one(Object.keys(DAMAGES))
  const harm = { chance, isLog: file.endsWith('-wal'), older: older === null ? null : readFileSync(older) }
  writeFileSync(file, DAMAGES[kind]!(readFileSync(file), harm))
  return kind
}
