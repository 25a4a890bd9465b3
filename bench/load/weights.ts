/** How many bytes a stretch of work hands to the store, and how many of them reach the log. */
import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { Chunk } from '../../src/runtime/cell.ts'
import type { Commit } from '../../src/runtime/store.ts'

/**
 * Bytes of everything that a commit writes, as text, before any compression. Chunks that were written before are known and cost nothing.
 * @param known  hashes of those; grows.
 */
export function payloadBytes(commit: Commit, known: Set<string>): number {
  const { journal, snapshots, clock, counters, run_, ...rows } = commit
  const others: unknown[] = Object.values(rows).filter((value) => Array.isArray(value))
  const texts = [
    ...journal.map(({ data, type, path, hash }) => data + type + (path ?? '') + hash),
    JSON.stringify({ clock, counters, run_ }),
  ]
  for (const row of others.flat()) texts.push(JSON.stringify(row))
  for (const { snapshot } of snapshots) texts.push(snapshot.json, ...newChunks(snapshot.chunks ?? [], known))
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
}

function newChunks(chunks: readonly Chunk[], known: Set<string>): string[] {
  return chunks.flatMap((chunk) => {
    if (known.has(chunk.hash)) return []
    known.add(chunk.hash)
    return [chunk.text, ...newChunks(chunk.chunks, known)]
  })
}

/** Bytes that the work adds to the log of a file that others have open. A reader keeps the log from starting over meanwhile. */
export async function logBytes(path: string, work: () => Promise<void> | void): Promise<number> {
  const db = new Database(path)
  try {
    db.pragma('wal_checkpoint(TRUNCATE)')
    db.exec('BEGIN')
    db.prepare('SELECT count(*) FROM sqlite_schema').get()
    const before = statSync(`${path}-wal`).size
    await work()
    return statSync(`${path}-wal`).size - before
  } finally {
    db.close()
  }
}
