/**
 * Search by likeness: vectors of an embedder, compared by sqlite-vec. Both may be missing, and both may fail: then words alone are searched, and that is said
 * once. Texts get their vectors when they are first searched for, newest first, so a memory that was written without an embedder, or with another one,
 * becomes searchable by itself.
 */
import type { Database } from 'better-sqlite3'
import { Failure } from '../../effect.ts'
import { errorData } from '../../errors.ts'
import type { MemoryDatabase } from './database.ts'
import type { Embedder } from './embedder.ts'
import type { About } from './words.ts'

/** Texts that get their vectors before one search, of each kind. */
const TEXTS_MAX = 128
/** Characters of a text that its vector is of: models refuse longer ones. */
const TEXT_CHARS_MAX = 2_000

const TEXTS: Readonly<Record<About, string>> = {
  mission: "SELECT id, item || ': ' || goal || char(10) || summary AS text FROM mission",
  fact: 'SELECT id, text FROM fact',
}

export interface Vectors {
  /** The vector of a query, after texts without one got theirs; null: only words are searched. Rejects with `E_ABORTED` for the signal's sake alone. */
  queryVector(query: string, signal: AbortSignal): Promise<Float32Array | null>
  /** Ids of what is alike, the likest first. */
  byLikeness(about: About, vector: Float32Array, most: number): readonly number[]
}

/** @param tell  is told once, in words for a person, that and why vectors are not used. @param load  loads sqlite-vec. */
export function vectorsOf(
  memory: MemoryDatabase,
  embedder: Embedder,
  { tell, load }: { readonly tell: (text: string) => void; readonly load: (db: Database) => Promise<void> },
): Vectors {
  let isTold = false
  let loaded: Promise<boolean> | undefined
  const { db } = memory
  const without = (why: unknown): null => {
    if (!isTold) tell(`memory is searched by words alone: ${errorData(why).message}`)
    isTold = true
    return null
  }
  const isLoaded = (): Promise<boolean> => {
    loaded ??= load(db).then(
      () => true,
      (thrown: unknown) => without(thrown) !== null,
    )
    return loaded
  }

  async function catchUp(about: About, signal: AbortSignal): Promise<void> {
    const missing = db
      .prepare<[string, string, number], { id: number; text: string }>(
        `WITH texts AS (${TEXTS[about]})
         SELECT id, text FROM texts WHERE id NOT IN (SELECT id FROM vector WHERE embedder = ? AND about = ?) ORDER BY id DESC LIMIT ?`,
      )
      .all(embedder.name, about, TEXTS_MAX)
    if (missing.length === 0) return
    const vectors = await embedder.embed(
      missing.map(({ text }) => text.slice(0, TEXT_CHARS_MAX).toWellFormed()),
      signal,
    )
    // A text that was changed meanwhile gets its vector another time.
    const add = db.prepare(
      `WITH texts AS (${TEXTS[about]}) INSERT OR IGNORE INTO vector (embedder, about, id, value) SELECT ?, ?, id, ? FROM texts WHERE id = ? AND text = ?`,
    )
    memory.write(() => {
      for (const [index, { id, text }] of missing.entries())
        add.run(embedder.name, about, blobOf(new Float32Array(vectors[index] ?? [])), id, text)
    })
  }

  return {
    async queryVector(query, signal) {
      if (query.trim() === '' || !(await isLoaded())) return null
      try {
        signal.throwIfAborted()
        await catchUp('mission', signal)
        await catchUp('fact', signal)
        const [vector = []] = await embedder.embed([query.slice(0, TEXT_CHARS_MAX).toWellFormed()], signal)
        return new Float32Array(vector)
      } catch (thrown) {
        if (signal.aborted) throw new Failure('E_ABORTED', 'nobody waits for what is remembered')
        return without(thrown)
      }
    },
    byLikeness: (about, vector, most) =>
      db
        .prepare<[Buffer, string, string, number, number], number>(
          `WITH near AS (SELECT id, vec_distance_cosine(value, ?) AS distance FROM vector WHERE embedder = ? AND about = ? AND length(value) = ?)
           SELECT id FROM near WHERE distance < 1 ORDER BY distance, id DESC LIMIT ?`,
        )
        .pluck()
        .all(blobOf(vector), embedder.name, about, vector.byteLength, most),
  }
}

const blobOf = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer => Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)

/** Loads sqlite-vec into this handle. It is a package with a binary for each platform, so it may be missing. */
export async function loadSqliteVec(db: Database): Promise<void> {
  const { load } = await import('sqlite-vec')
  load(db)
}
