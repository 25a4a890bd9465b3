/** Real processes whose system calls are watched, or fail, or kill them, by strace. Where it is missing a test is skipped, and says so. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'vitest'
import { skip } from '../mount.ts'
import { type OwnerProcess, startOwner } from '../owner.process.ts'
import { folder, RUN } from '../samples.ts'

/** What is put before a command so that strace runs it. Only the thread that writes to the store is watched. */
export function strace(context: TestContext, ...options: readonly string[]): readonly string[] {
  const tried = spawnSync('strace', ['-o', '/dev/null', '-e', 'trace=none', 'true'], { encoding: 'utf8' })
  if (tried.status !== 0) skip(context, `strace cannot be used here (${tried.error?.message ?? tried.stderr.trim()})`)
  return ['strace', ...options]
}

/** All positions that a killed process has said to be committed, also those that nobody had read yet. */
export async function acknowledged(child: OwnerProcess): Promise<number> {
  let last = 0
  for (;;) {
    const line = await child.line().catch(() => null)
    if (line === null) return last
    if (typeof line['position'] === 'number') last = line['position']
  }
}

/** One line for each call on the store's log (`write`, `sync`) and for each acknowledgement (`said`), in order. */
export async function watchedCommits(context: TestContext, path: string, commits: number): Promise<string[]> {
  const log = join(folder(), 'calls')
  const wrap = strace(context, '-y', '-s', '40', '-o', log, '-e', 'trace=pwrite64,fdatasync,fsync,write')
  const child = startOwner({ command: 'own', path, run: RUN, wrap })
  const { ready } = await child.line()
  await child.tell('go')
  for (let n = 0; n < commits; n++) await child.tell('commit')
  process.kill(Number(ready), 'SIGKILL')
  await child.gone()
  const calls = readFileSync(log, 'utf8').split('\n')
  return calls.flatMap((call) => {
    if (/^pwrite64\(\d+<[^>]*-wal>/.test(call)) return ['write']
    if (/^f(?:data)?sync\(\d+<[^>]*-wal>\)\s+= 0/.test(call)) return ['sync']
    return /^write\(1<.*\\"position\\":/.test(call) ? ['said'] : []
  })
}
