/** Real folders and repositories for tests of what touches files. Every folder ends with its test. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Content of a file; `->target` for a link; `+x text` for an executable; null to delete. */
export type Tree = Readonly<Record<string, string | Buffer | null>>

/** A fresh, empty folder. */
export function folder(): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'troupe-files-')))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}

/** Writes files into a folder. */
export function put(dir: string, tree: Tree): string {
  for (const [path, content] of Object.entries(tree)) {
    const file = join(dir, path)
    rmSync(file, { recursive: true, force: true })
    if (content === null) continue
    mkdirSync(dirname(file), { recursive: true })
    if (typeof content === 'string' && content.startsWith('->')) symlinkSync(content.slice(2), file)
    else if (typeof content === 'string' && content.startsWith('+x ')) {
      writeFileSync(file, content.slice(3))
      chmodSync(file, 0o755)
    } else writeFileSync(file, content)
  }
  return dir
}

/** All that lies in a folder, in the notation of {@link put}; without `.git` and `node_modules`. */
export function see(dir: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    const file = join(entry.parentPath, entry.name)
    const path = file.slice(dir.length + 1)
    if (entry.isDirectory() || /(^|\/)(\.git|node_modules)(\/|$)/.test(path)) continue
    if (entry.isSymbolicLink()) found[path] = `->${readlinkSync(file)}`
    else found[path] = ((lstatSync(file).mode & 0o100) === 0 ? '' : '+x ') + readFileSync(file, 'latin1')
  }
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Runs git as a user would. */
export function git(dir: string, ...args: string[]): string {
  const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'init.defaultBranch=main']
  return execFileSync('git', [...who, ...args], { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A repository with one commit of these files. */
export function repository(tree: Tree): string {
  const dir = put(folder(), tree)
  git(dir, 'init', '-q')
  git(dir, 'add', '-A')
  git(dir, 'commit', '-q', '-m', 'first')
  return dir
}

/** Waits until a condition holds; says what it saw when it never does. */
export async function waitUntil(what: string, holds: () => boolean, diagnosis: () => unknown = () => ''): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}; ${JSON.stringify(diagnosis())}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Is this process there, and no zombie? */
export function lives(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
