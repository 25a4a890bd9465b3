/**
 * The cache as a folder: one file an answer (entry.ts), shared by any number of processes without a lock.
 *
 *   get   valid: its time is set to now, a hit.  invalid: one warning, a miss; where writing is allowed it is removed, and made again by the next `put`
 *   put   beside its place, then renamed. When the folder is larger than `bytesMax`, the entries that were used longest ago go, down to nine tenths of it
 *
 * How large it is, is looked at once and then added up; what other processes add is seen when it is looked at again.
 */
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../../runtime/clock.ts'
import type { CachedAnswer, CacheMode, ResponseCache } from '../cache.ts'
import { countOne } from './counters.ts'
import { entryText, validateCacheEntry } from './entry.ts'
import { entriesOf } from './folder.ts'

/** Of what is left when room is made. */
const KEPT_SHARE = 0.9

export interface DiskCacheOptions {
  /** The folder; made when it is first needed. */
  readonly root: string
  readonly mode: CacheMode
  /** Bytes of all entries together. */
  readonly bytesMax: number
  readonly clock?: Pick<Clock, 'wallMs'> | undefined
  /** Told once of each entry that is invalid. */
  readonly warn?: ((message: string) => void) | undefined
}

/** A cache in a folder. */
export function diskCache({
  root,
  mode,
  bytesMax,
  clock = { wallMs: () => Date.now() },
  warn = () => {},
}: DiskCacheOptions): ResponseCache {
  const warned = new Set<string>()
  let written = 0
  /** Bytes of all entries, as far as this process knows; null: it has not looked yet. */
  let bytes: number | null = null
  const heal = async (path: string, key: string, cause: string): Promise<null> => {
    if (!warned.has(path)) warn(`the cached answer ${key.slice(0, 7)} is skipped: ${cause}`)
    warned.add(path)
    await countOne(root, 'skipped', clock.wallMs())
    if (mode === 'readwrite') await rm(path, { force: true }).catch(() => {})
    return null
  }
  const get = async (key: string): Promise<CachedAnswer | null> => {
    const path = pathOf(root, key)
    const read = await validateCacheEntry(path)
    const answer = read === null ? null : read.cause === null ? read.answer : await heal(path, key, read.cause)
    const now = clock.wallMs()
    await countOne(root, answer === null ? 'misses' : 'hits', now)
    if (answer !== null) await utimes(path, now / 1_000, now / 1_000).catch(() => {})
    return answer
  }
  const put = async (key: string, answer: CachedAnswer): Promise<void> => {
    const path = pathOf(root, key)
    const text = entryText(key, answer, clock.wallMs())
    const temporary = `${path}.${process.pid}-${written++}.tmp`
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    // Answers may hold what a task holds: they are for their owner alone.
    await writeFile(temporary, text, { mode: 0o600 })
    const now = clock.wallMs()
    await utimes(temporary, now / 1_000, now / 1_000)
    await rename(temporary, path)
    warned.delete(path)
    bytes = bytes === null ? await sizeOf(root) : bytes + Buffer.byteLength(text)
    if (bytes > bytesMax) bytes = await makeRoom(root, bytesMax * KEPT_SHARE)
  }
  return { mode, get, put: (key, answer) => put(key, answer).catch(() => {}) }
}

/** Where an entry is. */
const pathOf = (root: string, key: string): string => join(root, key.slice(0, 2), `${key}.json`)

const sizeOf = async (root: string): Promise<number> => (await entriesOf(root)).reduce((sum, { bytes }) => sum + bytes, 0)

/** Removes what was used longest ago. Another process may do the same: what is gone is gone. @returns what is left. */
async function makeRoom(root: string, wanted: number): Promise<number> {
  const entries = [...(await entriesOf(root))].sort((a, b) => a.usedAt - b.usedAt)
  let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0)
  for (const entry of entries) {
    if (bytes <= wanted) break
    await rm(entry.path, { force: true }).catch(() => {})
    bytes -= entry.bytes
  }
  return bytes
}
