/**
 * The contract of the ways to stage a folder. `workspace.ts` decides when: it clears what a crash left, calls `stage`, makes it durable and only then
 * writes the marker that says the folder is whole. So a stager may die anywhere and need not clean up after itself.
 */
import type { Listing } from './listing.ts'

interface StageOptions {
  /** The user's folder, a real path. Nothing in it is changed. */
  readonly source: string
  /** Where the copy goes; does not exist yet. */
  readonly dir: string
  /** The part of `source` that is ours and must not be staged into itself, relative; undefined where the copy lies elsewhere. */
  readonly without: string | undefined
  readonly signal: AbortSignal | undefined
}

export interface Stager {
  /** How the files of its folders are listed from then on. */
  readonly listing: Listing
  /** Fills `dir` so that it holds what the user sees in `source`. */
  stage(options: StageOptions): Promise<void>
  /** Drops what is kept about `dir` elsewhere; called after `dir` was deleted, also when it was never staged, any number of times. */
  forget(options: { readonly source: string; readonly dir: string }): Promise<void>
}
