/** Gates: evidence for exactly the staged files, from a checkout of its own. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Check, type GateResult, runGate } from '../../src/actors/gate.ts'
import { strays } from '../../src/actors/reaper.ts'
import { openWorkspace, stagedManifest, type Workspace } from '../../src/actors/workspace.ts'
import { treeHash } from '../../src/actors/workspaces/manifest.ts'
import { folder, put, repository, see, type Tree, waitUntil } from './workspace-fixture.ts'

interface Prepared {
  readonly root: string
  readonly workspace: Workspace
  readonly tree: string
  readonly gate: (checks: readonly Check[], more?: object) => Promise<GateResult>
}

async function prepared(tree: Tree, change: Tree = {}, mode: 'auto' | 'copy' = 'auto'): Promise<Prepared> {
  const root = folder()
  const run = `gate-${process.pid}`
  const workspace = await openWorkspace({ source: repository(tree), root, run, mode })
  put(workspace.dir, change)
  const hash = treeHash(await stagedManifest(workspace))
  const gate: Prepared['gate'] = (checks, more) => runGate({ workspace, tree: hash, checks, root, run, effect: 'e7', attempt: 2, ...more })
  return { root, workspace, tree: hash, gate }
}

test.each(['auto', 'copy'] as const)('checks see exactly the staged files (%s), in order, and the checkout is removed', async (mode) => {
  const { root, gate, tree, workspace } = await prepared(
    { 'a.txt': 'old', '.env.sample': 'x' },
    { 'a.txt': 'new', 'b/c.txt': '+x c' },
    mode,
  )
  const checks = [
    { id: 'first', run: 'cat a.txt; find . -type f | sort; test -x b/c.txt && echo made > made' },
    { id: 'second', run: 'cat made; test ! -e .git' },
  ]
  const result = await gate(checks)
  expect(result).toEqual({
    passed: true,
    tree,
    checks: [
      { id: 'first', exitCode: 0, timedOut: false, output: 'new./.env.sample\n./a.txt\n./b/c.txt\n', durationMs: expect.any(Number) },
      { id: 'second', exitCode: 0, timedOut: false, output: 'made\n', durationMs: expect.any(Number) },
    ],
    summary: 'first, second passed',
  })
  expect(readdirSync(join(root, `gate-${process.pid}`)).sort()).toEqual(['staged', 'workspace.json'])
  expect(existsSync(join(workspace.dir, 'made'))).toBe(false)
  expect(treeHash(await stagedManifest(workspace))).toBe(tree)
})

test('a failing check fails the gate and the others run all the same; one past its time has failed', async () => {
  const { gate } = await prepared({ a: 'a' })
  const result = await gate([
    { id: 'lint', run: 'echo bad; exit 3' },
    { id: 'slow', run: 'echo begun; sleep 300', timeoutMs: 200 },
    { id: 'test', run: 'true' },
  ])
  expect(result).toMatchObject({
    passed: false,
    checks: [
      { id: 'lint', exitCode: 3, timedOut: false, output: 'bad\n' },
      { id: 'slow', exitCode: null, timedOut: true, output: 'begun\n' },
      { id: 'test', exitCode: 0, timedOut: false, output: '' },
    ],
    summary: 'lint failed with exit code 3; slow ran past its timeout',
  })
})

test('without checks nothing is proved', async () => {
  const { gate } = await prepared({ a: 'a' })
  expect(await gate([])).toMatchObject({ passed: false, summary: 'no checks were given' })
})

test('it refuses to speak for a tree that is not staged any more, and runs nothing', async () => {
  const { gate, workspace, root, tree } = await prepared({ a: 'a' })
  put(workspace.dir, { a: 'edited since' })
  const found = treeHash(await stagedManifest(workspace))
  await expect(gate([{ id: 'test', run: `touch ${root}/ran` }])).rejects.toMatchObject({
    code: 'E_GATE_FAILED',
    details: { data: { tree, found } },
  })
  expect(readdirSync(root)).toEqual([`gate-${process.pid}`])
})

test('what a crash left of an earlier checkout is not checked, and removed', async () => {
  const { gate, root } = await prepared({ a: 'a' })
  const work = `gate-${process.pid}`
  put(root, { [`${work}/gate-e7-1/leftover`]: 'x', [`${work}/gate-e7-2/leftover`]: 'x' })
  expect(await gate([{ id: 'ls', run: 'ls' }])).toMatchObject({ passed: true, checks: [{ output: 'a\n' }] })
  expect(readdirSync(join(root, work)).sort()).toEqual(['staged', 'workspace.json'])
})

test('an earlier attempt that ends late takes nothing of the later one with it', async () => {
  const { gate, root } = await prepared({ a: 'a' })
  const stop = new AbortController()
  let output = ''
  const onOutput = (text: string): void => {
    output += text
  }
  const early = gate([{ id: 'slow', run: 'echo early; sleep 300' }], { attempt: 1, signal: stop.signal, onOutput })
  await waitUntil('the first attempt runs', () => output.includes('early'))
  const flag = join(root, 'flag')
  const check = `echo late; while [ ! -e ${flag} ]; do sleep 0.02; done; cat a`
  // The start of the second one removes the checkout of the first, as after a take-over, where the processes of the first were ended before.
  const late = gate([{ id: 'slow', run: check }], { attempt: 2, onOutput })
  await waitUntil('the second attempt runs', () => output.includes('late'))
  stop.abort()
  await expect(early).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
  put(root, { flag: '' })
  expect(await late).toMatchObject({ passed: true, checks: [{ output: 'late\na' }] })
})

test('an abort ends the check and removes the checkout', async () => {
  const { gate, root } = await prepared({ a: 'a' })
  const stop = new AbortController()
  let output = ''
  const onOutput = (text: string): void => {
    output += text
  }
  const running = gate([{ id: 'slow', run: 'echo begun; sleep 300' }], { signal: stop.signal, onOutput })
  await waitUntil('the check runs', () => output.includes('begun'))
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
  expect(readdirSync(join(root, `gate-${process.pid}`)).sort()).toEqual(['staged', 'workspace.json'])
  expect(strays(`gate-${process.pid}`)).toEqual([])
})

test('tests run with the installed packages, and a package of the repository is the one of the checkout', async () => {
  const { gate, workspace } = await prepared(
    {
      'packages/ui/index.cjs': 'exports.who = "user"',
      'packages/ui/package.json': '{"name":"@app/ui","main":"index.cjs"}',
      '.gitignore': 'node_modules\n',
    },
    { 'packages/ui/index.cjs': 'exports.who = "staged"', 'test.cjs': 'console.log(require("@app/ui").who, require("dep"))' },
  )
  put(workspace.source, { 'node_modules/dep/index.js': 'module.exports = "dep"', 'node_modules/@app/ui': '->../../packages/ui' })
  const result = await gate([{ id: 'test', run: `"${process.execPath}" test.cjs` }])
  expect(result).toMatchObject({ passed: true, checks: [{ output: 'staged dep\n' }] })
  expect(see(workspace.source)['packages/ui/index.cjs']).toBe('exports.who = "user"')
})
