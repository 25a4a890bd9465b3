/**
 * Counts that any number of processes add to, and that no crash takes back: one file a day and kind, one byte for each.
 *
 *   <home>/cache/counts/2026-11-20.hits      its size is the number; appending a byte is one write, and needs no lock
 */
import { appendFile, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const KINDS = ['hits', 'misses', 'skipped'] as const
/** `skipped`: an entry was there and was invalid. It counts as a miss, too. */
export type Kind = (typeof KINDS)[number]

/** How far back counts go, days. */
const DAYS = 7
const DAY_MS = 86_400_000

const folderOf = (root: string): string => join(root, 'counts')
const dayOf = (wallMs: number): string => new Date(wallMs).toISOString().slice(0, 10)

/** Adds one. Never rejects: a count that is lost is better than an answer that is. */
export async function countOne(root: string, kind: Kind, wallMs: number): Promise<void> {
  const file = join(folderOf(root), `${dayOf(wallMs)}.${kind}`)
  const add = (): Promise<void> => appendFile(file, '.')
  await add()
    .catch(() => mkdir(folderOf(root), { recursive: true }).then(add))
    .catch(() => {})
}

/** Of today and the six days before, UTC. */
export async function readCounts(root: string, wallMs: number): Promise<Readonly<Record<Kind, number>>> {
  const counts = { hits: 0, misses: 0, skipped: 0 }
  for (const kind of KINDS) {
    for (let back = 0; back < DAYS; back++) {
      const file = join(folderOf(root), `${dayOf(wallMs - back * DAY_MS)}.${kind}`)
      counts[kind] += await stat(file).then(
        ({ size }) => size,
        () => 0,
      )
    }
  }
  return counts
}

/** Forgets days that count no more. */
export async function forgetCounts(root: string, wallMs: number): Promise<void> {
  const oldest = dayOf(wallMs - (DAYS - 1) * DAY_MS)
  const names = await readdir(folderOf(root)).catch(() => [])
  for (const name of names) if (name.slice(0, oldest.length) < oldest) await rm(join(folderOf(root), name), { force: true })
}
