/**
 * The memories of all projects that this process works on: one SQLite file for each, opened when it is first needed.
 *
 *   <home>/memory/<SHA-256 of the project's real path, 32 digits>.db
 */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Database } from 'better-sqlite3'
import { Defect } from '../../errors.ts'
import type { Clock } from '../../runtime/clock.ts'
import { systemClock } from '../../runtime/clocks/system.ts'
import type { FileSnapshot, Memory, Operation, Relationship } from '../memory.ts'
import { type MemoryDatabase, openMemoryDatabase } from './database.ts'
import type { Embedder } from './embedder.ts'
import { cleaned, operationWriter, type Stamped } from './operations.ts'
import { type QueueOptions, writeQueue } from './queue.ts'
import { found } from './recall.ts'
import { loadSqliteVec, type Vectors, vectorsOf } from './vectors.ts'

export interface MemoriesOptions {
  /** The folder of Troupe's own files. */
  readonly home: string
  readonly clock?: Clock | undefined
  /** Left out: full text only. */
  readonly embedder?: Embedder | undefined
  readonly queue?: QueueOptions | undefined
  /** Is told, once for each project, what a person should know: that vectors cannot be used, and why. */
  readonly tell?: ((text: string) => void) | undefined
  /** Loads sqlite-vec; for tests. */
  readonly load?: ((db: Database) => Promise<void>) | undefined
}

export interface Memories {
  /** The memory of a project, by its folder. The same one for the same folder. */
  readonly open: (project: string) => Memory
  /** Stops all of them: what waits is written, the files are closed. Resolves to how many operations were left. */
  readonly close: () => Promise<number>
}

/** Opens nothing by itself. */
export function openMemories(options: MemoriesOptions): Memories {
  const known = new Map<string, Memory>()
  return {
    open(project) {
      const file = memoryFile(options.home, project)
      const memory = known.get(file) ?? projectMemory(file, options)
      known.set(file, memory)
      return memory
    },
    async close() {
      const ends = await Promise.all([...known.values()].map((memory) => memory.stop()))
      return ends.reduce((sum, { left }) => sum + left, 0)
    },
  }
}

/** Where the memory of a project is. A folder has one, by whichever link it is named. */
export function memoryFile(home: string, project: string): string {
  const hash = createHash('sha256')
    .update(realPath(resolve(project)))
    .digest('hex')
    .slice(0, 32)
  return join(home, 'memory', `${hash}.db`)
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path // A project that is gone can still be remembered.
  }
}

function projectMemory(
  file: string,
  { clock = systemClock, embedder, queue: bounds, tell = () => {}, load = loadSqliteVec }: MemoriesOptions,
): Memory {
  let open:
    | { readonly memory: MemoryDatabase; readonly write: (batch: readonly Stamped[]) => void; readonly vectors: Vectors | null }
    | undefined
  let isClosed = false
  const opened = () => {
    if (isClosed)
      throw new Defect('E_STORE_CLOSED', `the memory ${file} was closed`, { hint: 'use a memory until its stop() and not after' })
    if (open !== undefined) return open
    const memory = openMemoryDatabase(file)
    const vectors = embedder === undefined ? null : vectorsOf(memory, embedder, { tell, load })
    open = { memory, write: memory.read(() => operationWriter(memory.db)), vectors }
    return open
  }
  const queue = writeQueue<Stamped>(
    (batch) => {
      const { memory, write } = opened()
      memory.write(() => write(batch))
    },
    clock,
    bounds,
  )
  const rows = <Row>(sql: string, ...params: string[]): readonly Row[] => {
    const { memory } = opened()
    return memory.read(() => memory.db.prepare<string[], Row>(sql).all(...params))
  }
  return {
    enqueue: (operation: Operation) => queue.enqueue({ operation: cleaned(operation), atMs: clock.wallMs() }),
    flush: queue.flush,
    async recall(query, limits, signal) {
      const { memory, vectors } = opened()
      const vector = (await vectors?.queryVector(query, signal)) ?? null
      return found(memory, { query, limits, vectors, vector })
    },
    relationships: (entity) =>
      rows<Relationship>(
        'SELECT source, relation, target FROM relationship WHERE source = ? OR target = ? ORDER BY at_ms, source, relation, target',
        entity,
        entity,
      ),
    snapshots: (path) =>
      rows<FileSnapshot>(
        `SELECT mission.item, path, tree, file_snapshot.at_ms AS atMs FROM file_snapshot JOIN mission ON mission.id = mission
         WHERE path = ? ORDER BY file_snapshot.id DESC`,
        path,
      ),
    statistics: queue.statistics,
    async stop() {
      const drained = await queue.stop()
      isClosed = true
      open?.memory.db.close()
      open = undefined
      return drained
    },
  }
}
