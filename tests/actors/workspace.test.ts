/** Staging: what agents see is what the user sees, and the user's folder stays as it is. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { baseManifest, closeWorkspace, manifest, openWorkspace, stagedManifest } from '../../src/actors/workspace.ts'
import { sha256 } from '../../src/actors/workspaces/content.ts'
import { changesBetween, treeHash } from '../../src/actors/workspaces/manifest.ts'
import { folder, git, put, repository, see, waitUntil } from './workspace-fixture.ts'

const FILES = {
  'README.md': 'hello\n',
  'src/a.ts': 'a\r\n',
  'src/b.ts': 'b',
  'bin/run': '+x #!/bin/sh\n',
  link: '->README.md',
  '.gitignore': '*.log\n',
}

/** A repository in which the user is in the middle of something. */
function messyRepository(): string {
  const dir = repository({ ...FILES, 'gone.txt': 'x\n' })
  put(dir, { 'src/a.ts': 'edited\r\n', 'src/b.ts': 'in the index', 'gone.txt': null, 'new file.txt': 'untracked', 'debug.log': 'ignored' })
  git(dir, 'add', 'src/b.ts')
  put(dir, { 'src/b.ts': 'after the index' })
  return dir
}

const SEEN = {
  '.gitignore': '*.log\n',
  'README.md': 'hello\n',
  'bin/run': '+x #!/bin/sh\n',
  link: '->README.md',
  'new file.txt': 'untracked',
  'src/a.ts': 'edited\r\n',
  'src/b.ts': 'after the index',
}

test('a worktree holds what the user sees: uncommitted, staged and untracked, without deleted and ignored files', async () => {
  const source = messyRepository()
  const workspace = await openWorkspace({ source, root: folder(), run: 'r1', mode: 'auto' })
  expect(workspace.mode).toBe('worktree')
  expect(see(workspace.dir)).toEqual(SEEN)
  expect(treeHash(await stagedManifest(workspace))).toBe(workspace.base)
  expect(treeHash(await manifest(source))).toBe(workspace.base)
})

test("the user's index, status, branches, config and hooks are left as they were", async () => {
  const source = messyRepository()
  const hook = `+x #!/bin/sh\ntouch ${source}/hook-ran\n`
  put(source, { '.git/hooks/post-checkout': hook, '.git/hooks/reference-transaction': hook, '.git/hooks/post-index-change': hook })
  const look = (): unknown => ({
    index: sha256(readFileSync(join(source, '.git/index'))),
    status: git(source, '-c', 'core.hooksPath=/dev/null', 'status', '--porcelain=v2', '--branch', '--ignored'),
    refs: git(source, 'for-each-ref'),
    config: readFileSync(join(source, '.git/config'), 'utf8'),
    hook: existsSync(join(source, 'hook-ran')),
    files: see(source),
  })
  git(source, '-c', 'core.hooksPath=/dev/null', 'status') // Lets git refresh its index once, so that only we could change it.
  const before = look()
  const workspace = await openWorkspace({ source, root: folder(), run: 'r1', mode: 'worktree' })
  put(workspace.dir, { 'src/a.ts': 'by an agent', 'README.md': null })
  git(workspace.dir, '-c', 'core.hooksPath=/dev/null', 'add', '-A')
  expect(look()).toEqual(before)
  await closeWorkspace(workspace)
  expect(look()).toEqual(before)
})

test('a folder without a repository, or without a commit, is copied', async () => {
  const plain = put(folder(), { ...FILES, '__pycache__/x.pyc': 'left behind' })
  const unborn = put(folder(), FILES)
  git(unborn, 'init', '-q')
  for (const source of [plain, unborn]) {
    const workspace = await openWorkspace({ source, root: folder(), run: 'r1', mode: 'auto' })
    expect(workspace.mode).toBe('copy')
    expect(existsSync(join(workspace.dir, '.git'))).toBe(false)
    expect(see(workspace.dir)).toEqual({
      '.gitignore': '*.log\n',
      'README.md': 'hello\n',
      'bin/run': '+x #!/bin/sh\n',
      link: '->README.md',
      'src/a.ts': 'a\r\n',
      'src/b.ts': 'b',
    })
    expect(treeHash(await stagedManifest(workspace))).toBe(workspace.base)
  }
})

test.each(['worktree', 'copy'] as const)('opening a %s again adopts the edits that were made in it', async (mode) => {
  const source = repository(FILES)
  const root = folder()
  const first = await openWorkspace({ source, root, run: 'r1', mode })
  put(first.dir, { 'src/a.ts': 'work of hours' })
  put(source, { 'README.md': 'the user goes on\n' })
  const second = await openWorkspace({ source, root, run: 'r1', mode: 'auto' })
  expect(second).toEqual(first)
  expect(see(second.dir)).toMatchObject({ 'src/a.ts': 'work of hours', 'README.md': 'hello\n' })
})

test.each(['worktree', 'copy'] as const)('a %s whose opening was killed is opened whole the next time', async (mode) => {
  const many = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`d${index % 20}/f${index}.txt`, `file ${index}\n`]))
  const source = repository(many)
  const root = folder()
  const staged = join(root, 'r1', 'staged')
  const count = (): number => (existsSync(staged) ? readdirSync(staged, { recursive: true }).length : -1)
  let unfinished = 0
  for (const enough of [0, 1, 60, 250]) {
    const child = spawn(process.execPath, ['tests/actors/workspace.child.ts', source, root, mode], { stdio: 'ignore' })
    const exited = once(child, 'exit')
    await waitUntil(`${enough} files are staged`, () => count() >= enough || child.exitCode !== null, count)
    child.kill('SIGKILL')
    await exited
    if (!existsSync(join(root, 'r1', 'workspace.json'))) unfinished++
    const workspace = await openWorkspace({ source, root, run: 'r1', mode })
    expect(see(workspace.dir)).toEqual(see(source))
    expect(treeHash(await stagedManifest(workspace))).toBe(workspace.base)
    await closeWorkspace(workspace)
  }
  expect(unfinished).toBeGreaterThan(0)
})

test('a half-made copy without a marker is not adopted', async () => {
  const source = repository(FILES)
  const root = folder()
  put(root, { 'r1/staged/README.md': '', 'r1/staged/leftover.txt': 'x' })
  const workspace = await openWorkspace({ source, root, run: 'r1', mode: 'copy' })
  expect(see(workspace.dir)).toEqual(see(source))
})

test('a worktree entry that a crash left locked and without its folder does not get in the way', async () => {
  const source = repository(FILES)
  const root = folder()
  mkdirSync(join(root, 'r1'))
  git(source, 'worktree', 'add', '-q', '--no-checkout', '--detach', '--lock', '--reason', 'initializing', join(root, 'r1/staged'))
  rmSync(join(root, 'r1/staged'), { recursive: true })
  const workspace = await openWorkspace({ source, root, run: 'r1', mode: 'worktree' })
  expect(see(workspace.dir)).toEqual(see(source))
  await closeWorkspace(workspace)
  expect(git(source, 'worktree', 'list', '--porcelain').match(/^worktree /gm)).toHaveLength(1)
})

test('closing removes the copy, its worktree entry and the checkouts of gates, and may be repeated; worktrees of the user stay', async () => {
  const source = repository(FILES)
  const other = join(folder(), 'mine')
  git(source, 'worktree', 'add', '-q', other)
  rmSync(other, { recursive: true }) // On a disk that is not mounted just now.
  const root = folder()
  const workspace = await openWorkspace({ source, root, run: 'r1', mode: 'worktree' })
  put(root, { 'r1/gate-e1/x': 'x' })
  await closeWorkspace(workspace)
  await closeWorkspace(workspace)
  expect(readdirSync(root)).toEqual([])
  expect(git(source, 'worktree', 'list', '--porcelain').match(/^worktree .*/gm)).toEqual([`worktree ${source}`, `worktree ${other}`])
})

test('copies that lie inside the folder are not staged into themselves', async () => {
  for (const mode of ['worktree', 'copy'] as const) {
    const source = repository(FILES)
    const root = join(source, 'work')
    await openWorkspace({ source, root, run: 'r0', mode })
    const workspace = await openWorkspace({ source, root, run: 'r1', mode })
    expect(Object.keys(see(workspace.dir))).toEqual(Object.keys(FILES).sort())
  }
})

test('a folder that became a link to the outside is not walked through', async () => {
  const source = repository(FILES)
  const outside = put(folder(), { 'a.ts': 'secret', 'b.ts': 'secret' })
  const workspace = await openWorkspace({ source, root: folder(), run: 'r1', mode: 'worktree' })
  rmSync(join(workspace.dir, 'src'), { recursive: true })
  symlinkSync(outside, join(workspace.dir, 'src'))
  const staged = await stagedManifest(workspace)
  expect(changesBetween(await baseManifest(workspace), staged)).toEqual({ added: ['src'], changed: [], removed: ['src/a.ts', 'src/b.ts'] })
  expect(staged['src']).toEqual({ mode: '120000', hash: sha256(outside), bytes: outside.length })
})

test("an agent that starts to ignore the user's untracked file does not delete it", async () => {
  const source = repository(FILES)
  put(source, { 'notes.txt': 'of the user' })
  const workspace = await openWorkspace({ source, root: folder(), run: 'r1', mode: 'worktree' })
  put(workspace.dir, { '.gitignore': '*.log\n*.txt\n' })
  const changes = changesBetween(await baseManifest(workspace), await stagedManifest(workspace))
  expect(changes).toEqual({ added: [], changed: ['.gitignore'], removed: [] })
})

test('installed packages are found from the copy, packages of the repository itself are the staged ones', async () => {
  const source = repository({ 'package.json': '{}', 'packages/ui/index.js': 'exports.who = "user"\n', '.gitignore': 'node_modules\n' })
  put(source, {
    'node_modules/dep/index.js': 'exports.who = "dep"\n',
    'node_modules/@app/ui': '->../../packages/ui',
    'node_modules/.bin/dep': '->../dep/index.js',
    'node_modules/.cache/x': 'x',
  })
  const workspace = await openWorkspace({ source, root: folder(), run: 'r1', mode: 'auto' })
  const modules = join(workspace.dir, 'node_modules')
  expect(realpathSync(join(modules, '@app/ui'))).toBe(join(workspace.dir, 'packages/ui'))
  expect(realpathSync(join(modules, 'dep'))).toBe(join(source, 'node_modules/dep'))
  expect(realpathSync(join(modules, '.bin/dep'))).toBe(join(source, 'node_modules/dep/index.js'))
  expect(readdirSync(modules).sort()).toEqual(['.bin', '@app', 'dep'])
  expect(treeHash(await stagedManifest(workspace))).toBe(workspace.base)
  rmSync(join(modules, 'dep')) // As an installer would.
  expect(existsSync(join(source, 'node_modules/dep/index.js'))).toBe(true)
})

test('what cannot be opened is refused with its code', async () => {
  const root = folder()
  const plain = put(folder(), FILES)
  const open = (source: string, mode: 'worktree' | 'copy'): Promise<unknown> => openWorkspace({ source, root, run: 'r1', mode })
  await expect(open(join(root, 'missing'), 'copy')).rejects.toMatchObject({ code: 'E_TARGET_NOT_FOUND' })
  await expect(open(plain, 'worktree')).rejects.toMatchObject({ code: 'E_CONFIG_INVALID' })
  await open(plain, 'copy')
  await expect(open(folder(), 'copy')).rejects.toMatchObject({ code: 'E_INPUT_CHANGED' })
})

test('the tree hash changes with every path, byte and executable bit, and not with the order', async () => {
  const dir = put(folder(), { 'a.txt': 'one', 'b/c.txt': 'two' })
  const whole = await manifest(dir)
  expect(whole).toEqual({
    'a.txt': { mode: '100644', hash: sha256('one'), bytes: 3 },
    'b/c.txt': { mode: '100644', hash: sha256('two'), bytes: 3 },
  })
  const reversed = Object.fromEntries(Object.entries(whole).reverse())
  const hashes = new Set([treeHash(whole)])
  expect(treeHash(reversed)).toBe(treeHash(whole))
  for (const change of [{ 'a.txt': 'onf' }, { 'a.txt': '+x one' }, { 'a.txt': null, 'd.txt': 'one' }, { 'b/c.txt': null }]) {
    const other = put(folder(), { 'a.txt': 'one', 'b/c.txt': 'two' })
    hashes.add(treeHash(await manifest(put(other, change))))
  }
  expect(hashes.size).toBe(5)
  writeFileSync(join(dir, '__proto__'), 'a name like any other')
  expect(Object.keys(await manifest(dir))).toContain('__proto__')
})
