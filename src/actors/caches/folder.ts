/** What is in the folder of a cache, for whoever keeps it: how much, whether it is whole, and what may go. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { forgetCounts, readCounts } from './counters.ts'
import { validateCacheEntry } from './entry.ts'

/** A file that was begun and not renamed belongs to nobody after so long, milliseconds. */
const ABANDONED_MS = 3_600_000

export interface EntryFile {
  readonly key: string
  readonly path: string
  readonly bytes: number
  /** Wall clock, milliseconds. */
  readonly usedAt: number
}

/** Its entries, in the order of their keys. Never rejects: what is gone meanwhile is not there. */
export const entriesOf = (root: string): Promise<readonly EntryFile[]> => filesOf(root, /^([0-9a-f]{64})\.json$/)

async function filesOf(root: string, name: RegExp): Promise<readonly EntryFile[]> {
  const found: EntryFile[] = []
  for (const folder of (await readdir(root).catch(() => [])).filter((each) => /^[0-9a-f]{2}$/.test(each)).sort()) {
    for (const file of (await readdir(join(root, folder)).catch(() => [])).sort()) {
      const key = name.exec(file)?.[1]
      const path = join(root, folder, file)
      const stats = key === undefined ? null : await stat(path).catch(() => null)
      if (key !== undefined && stats !== null) found.push({ key, path, bytes: stats.size, usedAt: stats.mtimeMs })
    }
  }
  return found
}

export interface CacheReport {
  readonly entries: number
  readonly bytes: number
  /** Of the last seven days. */
  readonly hits: number
  readonly misses: number
  readonly skipped: number
  /** Null where it was not looked for. */
  readonly invalid: readonly { readonly key: string; readonly cause: string }[] | null
  readonly removed: number
}

/** How it stands. @param deep  reads every entry. */
export async function inspectCache(root: string, wallMs: number, deep: boolean): Promise<CacheReport> {
  const entries = await entriesOf(root)
  const counts = await readCounts(root, wallMs)
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0)
  return { entries: entries.length, bytes, ...counts, invalid: deep ? await invalidOf(entries) : null, removed: 0 }
}

async function invalidOf(entries: readonly EntryFile[]): Promise<NonNullable<CacheReport['invalid']>> {
  const invalid: { key: string; cause: string }[] = []
  for (const { key, path } of entries) {
    const read = await validateCacheEntry(path)
    if (read !== null && read.cause !== null) invalid.push({ key, cause: read.cause })
  }
  return invalid
}

/** What `purge` removes: all, what is invalid, or what was not used for so long (milliseconds). */
export type Purge = { readonly what: 'all' } | { readonly what: 'invalid' } | { readonly what: 'older'; readonly olderThanMs: number }

/** Entries that would go. */
export async function purgeable(root: string, purge: Purge, wallMs: number): Promise<readonly EntryFile[]> {
  const entries = await entriesOf(root)
  if (purge.what === 'all') return entries
  if (purge.what === 'older') return entries.filter(({ usedAt }) => wallMs - usedAt >= purge.olderThanMs)
  const invalid = new Set((await invalidOf(entries)).map(({ key }) => key))
  return entries.filter(({ key }) => invalid.has(key))
}

/** Removes these entries, and what is left of writes that never ended. Counts what really went: another process may have been quicker. */
export async function purgeCache(root: string, chosen: readonly EntryFile[], wallMs: number): Promise<CacheReport> {
  let removed = 0
  for (const { path } of chosen) {
    removed += await rm(path).then(
      () => 1,
      () => 0,
    )
  }
  for (const { path, usedAt } of await filesOf(root, /^([0-9a-f]{64})\.json\..*\.tmp$/)) {
    if (wallMs - usedAt >= ABANDONED_MS) await rm(path, { force: true })
  }
  await forgetCounts(root, wallMs)
  return { ...(await inspectCache(root, wallMs, true)), removed }
}
