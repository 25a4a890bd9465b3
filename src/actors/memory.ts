/**
 * The port to what is remembered of a project beyond one run: what happened (episodes), what is so (facts), and how things hang together (a graph).
 *
 *   enqueue --no when full or stopped--> whoever asks must wait           nothing is dropped without a word
 *      '--yes--> queue --10 operations, or 1 s--> one transaction         whole or not at all
 *   recall  <-- full text, and vectors where an embedder is configured
 *
 * Memory is no part of a run's truth: a run that cannot have it goes on, and what a `kill -9` takes is only what was not `done` yet.
 */
import type { ErrorData } from '../errors.ts'
import type { Episode, Fact, RecallLimits } from '../machines/memory-effects.ts'

/**
 * One write. `key`: an operation whose key was written before changes nothing, so that an effect that is repeated after a crash does not double it.
 * A relationship names entities that are there, a snapshot of a file the key of its mission: what comes first must be enqueued first.
 */
export type Operation = { readonly key: string } & (
  | { readonly type: 'ADD_ENTITY'; readonly name: string; readonly kind: string; readonly text: string }
  | { readonly type: 'ADD_RELATIONSHIP'; readonly source: string; readonly relation: string; readonly target: string }
  | {
      readonly type: 'LOG_MISSION'
      readonly run: string
      readonly item: string
      readonly goal: string
      readonly outcome: string
      readonly summary: string
    }
  | { readonly type: 'ADD_FILE_SNAPSHOT'; readonly mission: string; readonly path: string; readonly tree: string }
  | { readonly type: 'ADD_FACT'; readonly text: string; readonly source: string }
)

/** How an operation ended. Never rejected: who does not wait for it is not disturbed. */
export type OperationEnd = { readonly ok: true } | { readonly ok: false; readonly error: ErrorData }

/** `done`: it is committed, or refused for itself. */
export type Enqueued =
  | { readonly accepted: true; readonly done: Promise<OperationEnd> }
  | { readonly accepted: false; readonly why: 'full' | 'stopped' }

/** `queued`: accepted so far. `processed`: committed. `errors`: refused for themselves. `depth`: waiting now. */
export interface QueueStatistics {
  readonly queued: number
  readonly processed: number
  readonly batchesCommitted: number
  readonly errors: number
  readonly depth: number
}

/** `left`: operations that were not written before the time was up; each of their `done` says so. */
export interface Drained {
  readonly drained: boolean
  readonly left: number
}

/** The state of a file after a mission. `tree`: hash of the whole change. */
export interface FileSnapshot {
  readonly item: string
  readonly path: string
  readonly tree: string
  readonly atMs: number
}

export interface Relationship {
  readonly source: string
  readonly relation: string
  readonly target: string
}

/** The memory of one project. Its file is made when it is first needed; other processes may have it open, too. */
export interface Memory {
  /** Does not block: the batch that it becomes part of is written later. */
  enqueue(operation: Operation): Enqueued
  /** Writes what waits now without waiting for more. */
  flush(): Promise<void>
  /**
   * The best first. Any text is a query. Rejects with a {@link Failure} `E_ABORTED` only for the signal's sake; without vectors it finds by words.
   * @throws {UserError} `E_STORE_*` where the file cannot be used.
   */
  recall(
    query: string,
    limits: Pick<RecallLimits, 'episodic' | 'semantic'>,
    signal: AbortSignal,
  ): Promise<{ episodic: Episode[]; semantic: Fact[] }>
  /** Relationships from and to an entity, by its name. */
  relationships(entity: string): readonly Relationship[]
  /** What became of a file, the newest first. */
  snapshots(path: string): readonly FileSnapshot[]
  statistics(): QueueStatistics
  /** Takes nothing more, writes what waits within the time that it has, and closes the file. Asked again: the same answer. */
  stop(): Promise<Drained>
}
