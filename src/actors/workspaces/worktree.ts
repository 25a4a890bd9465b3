/**
 * Stages a git repository as a detached worktree, so that agents can use git on their copy while the user's branches, index and files stay untouched.
 *
 *   worktree add --no-checkout   only metadata, at HEAD
 *   read-tree HEAD               its index, so that `git status` there shows the difference to HEAD
 *   copy                         tracked and untracked files as they lie in the user's folder, uncommitted changes included
 *
 * Files are copied, not checked out: the bytes are those that the user sees, and no smudge filter, LFS download or hook runs.
 */
import { realpath } from 'node:fs/promises'
import { copyPaths } from './copy.ts'
import { git } from './git.ts'
import { listPaths } from './listing.ts'
import type { Stager } from './stager.ts'

/** Can this folder be staged as a worktree? It must be the top of a git work tree that has a commit. */
export async function isWorktreeSource(source: string): Promise<boolean> {
  try {
    const top = (await git(source, ['rev-parse', '--show-toplevel'])).replace(/\n$/, '')
    await git(source, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'])
    return (await realpath(top)) === source
  } catch {
    return false // No git, no repository, a bare one, or no commit yet: it can be copied all the same.
  }
}

/** Works where {@link isWorktreeSource} says yes. */
export const worktreeStager: Stager = {
  listing: 'git',
  async stage({ source, dir, without, signal }) {
    const options = signal === undefined ? {} : { signal }
    await git(source, ['worktree', 'add', '--quiet', '--detach', '--no-checkout', dir, 'HEAD'], options)
    await git(dir, ['read-tree', 'HEAD'], options)
    await copyPaths(source, dir, await listPaths(source, { by: 'git', without, signal }), signal)
  },
  async forget({ source, dir }) {
    try {
      // Twice `--force`: a crash inside `worktree add` leaves an entry that is locked as "initializing".
      await git(source, ['worktree', 'remove', '--force', '--force', dir])
    } catch {
      // Not registered, or the repository is gone: there is nothing left to forget. Other worktrees of the user are never pruned.
    }
  },
}
