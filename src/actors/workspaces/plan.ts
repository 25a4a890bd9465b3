/** The plan of a promotion, as plain JSON: everything that is needed to perform it, to prove it and to take it back, without the staged copy. */
import type { Content } from './content.ts'
import type { FileMode } from './manifest.ts'

/** One file of a plan. A null hash means that there is no file. */
export interface PlannedFile {
  readonly path: string
  readonly mode: FileMode | null
  readonly modeBefore: FileMode | null
  readonly before: string | null
  readonly after: string | null
  /** What is written; null for a deletion. */
  readonly content: Content | null
  /** What was there, for diffs and undo; null when there was nothing, or when the user had changed it already at planning. */
  readonly was: Content | null
}

/** Everything a promotion needs, as plain JSON. */
export interface PromotionPlan {
  /** The user's folder, a real path. */
  readonly target: string
  /** Tree hash of the base that the change starts from. */
  readonly before: string
  /** Tree hash of the staged files: what gates and approvals are bound to. */
  readonly tree: string
  /** Sorted by path. Empty when nothing changed. */
  readonly files: readonly PlannedFile[]
}
