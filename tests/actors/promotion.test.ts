/** Promotion: all of the change reaches the user's folder, each file once, and nothing that the user wrote is lost. */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { diffOf, type PromotionPlan, planPromotion, promote, provePromotion, rebase, undoPlan } from '../../src/actors/promotion.ts'
import { openWorkspace, type Workspace } from '../../src/actors/workspace.ts'
import { pack, sha256 } from '../../src/actors/workspaces/content.ts'
import { counting } from './promotion-calls.ts'
import { folder, git, put, repository, see, type Tree } from './workspace-fixture.ts'

const BEFORE: Tree = {
  'a.txt': 'a\n',
  'deep/er/b.txt': 'b\r\nno end',
  'gone/only.txt': 'x',
  'run.sh': 'echo\n',
  same: 'same',
  'was-file': 'f',
  'was-dir/x': 'x',
  bin: Buffer.from([0, 255, 1]),
}
const CHANGE: Tree = {
  'a.txt': 'A\n',
  'deep/er/b.txt': 'b\r\nstill no end',
  'gone/only.txt': null,
  'run.sh': '+x echo\n',
  'new/folder/c.txt': 'c',
  'was-file': null,
  'was-file/inside': 'i',
  'was-dir/x': null,
  bin: Buffer.from([0, 254, 2]),
  link: '->a.txt',
  empty: '',
}

/** A repository, its staged change and the plan for it. */
async function prepared(
  before: Tree = BEFORE,
  change: Tree = CHANGE,
): Promise<{ workspace: Workspace; plan: PromotionPlan; after: unknown }> {
  const workspace = await openWorkspace({ source: repository(before), root: folder(), run: 'r1', mode: 'auto' })
  put(workspace.dir, change)
  if (change === CHANGE) put(workspace.dir, { 'was-dir': 'now a file' })
  return { workspace, plan: await planPromotion(workspace), after: see(workspace.dir) }
}

/** The same plan for a fresh copy of its target. */
function elsewhere(plan: PromotionPlan): PromotionPlan {
  const target = folder()
  cpSync(plan.target, target, { recursive: true, verbatimSymlinks: true })
  return { ...plan, target }
}

class Crash extends Error {}

/** Promotes until the n-th file call, which does not happen. Counts what was put in place. */
async function promoteUntil(plan: PromotionPlan, call: number, placed: Map<string, number>): Promise<'done' | 'crashed'> {
  const fs = counting((count, name, args) => {
    if (count === call) throw new Crash()
    if (name === 'rename') placed.set(String(args[1]), (placed.get(String(args[1])) ?? 0) + 1)
  })
  return promote(plan, { fs }).then(
    () => 'done' as const,
    (error: unknown) => {
      if (error instanceof Crash) return 'crashed' as const
      throw error
    },
  )
}

test('a promotion brings edits, new and deleted files, modes, links, binary files, and files that became folders and back', async () => {
  const { workspace, plan, after } = await prepared()
  expect(plan.before).toBe(workspace.base)
  expect(await provePromotion(plan)).toMatchObject({ verdict: 'not_applied' })
  const promoted = await promote(JSON.parse(JSON.stringify(plan)))
  expect(promoted).toEqual({ tree: plan.tree, before: plan.before, files: plan.files.map((file) => file.path) })
  expect(see(workspace.source)).toEqual(after)
  expect(existsSync(join(workspace.source, 'gone'))).toBe(false)
  expect(await provePromotion(plan)).toMatchObject({ verdict: 'applied', output: promoted })
})

test('a plan names each file with its hashes, modes and contents', async () => {
  const { plan } = await prepared({ a: 'one', b: 'two', c: Buffer.from([255]) }, { a: 'ONE', b: null, c: '+x \u00ff', d: 'new' })
  const utf8 = (data: string) => ({ encoding: 'utf8', data })
  expect(plan.files).toEqual([
    {
      path: 'a',
      mode: '100644',
      modeBefore: '100644',
      before: sha256('one'),
      after: sha256('ONE'),
      content: utf8('ONE'),
      was: utf8('one'),
    },
    { path: 'b', mode: null, modeBefore: '100644', before: sha256('two'), after: null, content: null, was: utf8('two') },
    {
      path: 'c',
      mode: '100755',
      modeBefore: '100644',
      before: sha256(Buffer.from([255])),
      after: sha256('\u00ff'),
      content: utf8('\u00ff'),
      was: { encoding: 'base64', data: '/w==' },
    },
    { path: 'd', mode: '100644', modeBefore: null, before: null, after: sha256('new'), content: utf8('new'), was: null },
  ])
})

test('whichever file call a crash comes before, doing it again brings all files, each put in place once, and leaves nothing else', async () => {
  const { plan, after } = await prepared()
  const intended = plan.files.filter((file) => file.after !== null)
  let points = 0
  for (let call = 1; ; call++) {
    const copy = elsewhere(plan)
    const placed = new Map<string, number>()
    const end = await promoteUntil(copy, call, placed)
    if (end === 'done') break
    points++
    await promoteUntil(copy, 0, placed)
    expect(see(copy.target), `crash before call ${call}`).toEqual(after)
    expect(Object.fromEntries(placed), `crash before call ${call}`).toEqual(
      Object.fromEntries(intended.map((file) => [join(copy.target, file.path), 1])),
    )
  }
  expect(points).toBeGreaterThan(60)
})

test('a second crash on the way forward changes nothing about that', async () => {
  const { plan, after } = await prepared()
  for (let call = 3; call < 60; call += 7) {
    const copy = elsewhere(plan)
    const placed = new Map<string, number>()
    await promoteUntil(copy, call, placed)
    await promoteUntil(copy, call, placed)
    expect(await promoteUntil(copy, 0, placed)).toBe('done')
    expect(see(copy.target)).toEqual(after)
    expect([...placed.values()].every((count) => count === 1)).toBe(true)
  }
})

test('after a real kill -9 in the middle, another process brings the rest', async () => {
  const { plan, after } = await prepared()
  for (const call of [4, 19, 33, 47, 62]) {
    const copy = elsewhere(plan)
    const file = join(folder(), 'plan.json')
    writeFileSync(file, JSON.stringify(copy))
    const child = (at: number) => spawnSync(process.execPath, ['tests/actors/promotion.child.ts', file, String(at)], { encoding: 'utf8' })
    expect(child(call).signal).toBe('SIGKILL')
    expect(see(copy.target)).not.toEqual(after)
    expect(child(0).status).toBe(0)
    expect(see(copy.target)).toEqual(after)
  }
})

test('a file that the user changed meanwhile stops it before anything is touched', async () => {
  const { workspace, plan } = await prepared()
  put(workspace.source, { 'a.txt': 'of the user\n', 'new/folder/c.txt': 'of the user too' })
  const before = see(workspace.source)
  await expect(promote(plan)).rejects.toMatchObject({
    code: 'E_WORKSPACE_CHANGED',
    details: { data: { files: ['a.txt', 'new/folder/c.txt'] } },
  })
  expect(see(workspace.source)).toEqual(before)
  expect(await provePromotion(plan)).toMatchObject({ verdict: 'unknown', evidence: expect.stringContaining('a.txt, new/folder/c.txt') })
})

test('a file that the user makes executable, or replaces by a folder, counts as changed', async () => {
  for (const change of [{ 'a.txt': '+x a\n' }, { 'a.txt': null, 'a.txt/inside': 'x' }, { empty: null, 'empty/inside': 'x' }]) {
    const { workspace, plan } = await prepared()
    const before = see(put(workspace.source, change))
    await expect(promote(plan)).rejects.toMatchObject({ code: 'E_WORKSPACE_CHANGED' })
    expect(see(workspace.source)).toEqual(before)
  }
})

test('a file that the user changes while it runs, even right before its rename, is kept, and nothing more is touched', async () => {
  const { plan } = await prepared({ a: '1', b: '1', c: '1' }, { a: '2', b: '2', c: '2' })
  let done = 0
  const fs = counting((_, name) => {
    if (name === 'sync' && ++done === 3) writeFileSync(join(plan.target, 'b'), 'of the user') // The temporary file of b is ready.
  })
  await expect(promote(plan, { fs })).rejects.toMatchObject({ code: 'E_WORKSPACE_CHANGED', details: { data: { files: ['b'] } } })
  expect(see(plan.target)).toEqual({ a: '2', b: 'of the user', c: '1' })
  expect(await provePromotion(plan)).toMatchObject({ verdict: 'unknown' })
})

test('an abort stops between two files, and the rest can be brought later', async () => {
  const { plan, after } = await prepared({ a: '1', b: '1' }, { a: '2', b: '2' })
  const stop = new AbortController()
  const fs = counting((_, name) => {
    if (name === 'rename') stop.abort()
  })
  await expect(promote(plan, { fs, signal: stop.signal })).rejects.toThrow()
  expect(see(plan.target)).toEqual({ a: '2', b: '1' })
  expect(await provePromotion(plan)).toEqual({
    verdict: 'not_applied',
    evidence: '1 of 2 files have the intended hash, the others are as before',
  })
  await promote(plan)
  expect(see(plan.target)).toEqual(after)
})

test.each(['../x', '/etc/x', 'a/../../x', './x', 'a//x', '.git/hooks/x', 'sub/.GIT/config', ''])(
  'a plan with the path "%s" is refused',
  async (path) => {
    const { plan } = await prepared({ a: '1' }, { a: '2' })
    const evil = {
      path,
      mode: '100755',
      modeBefore: null,
      before: null,
      after: sha256('x'),
      content: pack(Buffer.from('x')),
      was: null,
    } as const
    await expect(promote({ ...plan, files: [...plan.files, evil] })).rejects.toMatchObject({ code: 'E_WRITE_REFUSED' })
    expect(see(plan.target)).toEqual({ a: '1' })
  },
)

test('a folder on the way that became a link is not walked through, for writing or deleting', async () => {
  const { plan } = await prepared({ 'd/keep': '1', 'd/gone': '1', 'd/e/gone': '1' }, { 'd/keep': '2', 'd/gone': null, 'd/e/gone': null })
  const outside = put(folder(), { keep: '1', gone: '1', 'e/gone': '1' })
  put(plan.target, { d: null })
  symlinkSync(outside, join(plan.target, 'd'))
  await expect(promote(plan)).rejects.toMatchObject({ code: 'E_WORKSPACE_CHANGED', details: { data: { files: ['d/keep'] } } })
  const deletions = { ...plan, files: plan.files.filter((file) => file.after === null) }
  put(outside, { 'e/gone': null })
  await promote(deletions)
  expect(existsSync(join(outside, 'e'))).toBe(true)
  expect(see(outside)).toEqual({ gone: '1', keep: '1' })
})

test('content that is not what its hash says is refused', async () => {
  const { plan } = await prepared({ a: '1' }, { a: '2' })
  const files = plan.files.map((file) => ({ ...file, content: pack(Buffer.from('3')) }))
  await expect(promote({ ...plan, files })).rejects.toMatchObject({ code: 'E_WRITE_REFUSED', details: { data: { reason: 'content' } } })
  expect(see(plan.target)).toEqual({ a: '1' })
})

test('a staged link that leads out of the folder is not planned', async () => {
  for (const target of ['/etc/passwd', '../../outside', '.git/config']) {
    await expect(prepared({ a: '1' }, { link: `->${target}` })).rejects.toMatchObject({ code: 'E_WRITE_REFUSED' })
  }
})

test("a file keeps the user's permissions but for the executable bits", async () => {
  const { plan } = await prepared({ secret: '1', script: '1' }, { secret: '2', script: '+x 2' })
  chmodSync(join(plan.target, 'secret'), 0o600)
  chmodSync(join(plan.target, 'script'), 0o640)
  await promote(plan)
  expect(['secret', 'script'].map((name) => (statSync(join(plan.target, name)).mode & 0o777).toString(8))).toEqual(['600', '750'])
})

test('an undo brings back what was there, and the undo of the undo brings the change again', async () => {
  const { workspace, plan, after } = await prepared()
  const before = see(workspace.source)
  await promote(plan)
  const undo = undoPlan(plan)
  await promote(undo)
  expect(see(workspace.source)).toEqual(before)
  expect(undoPlan(undo)).toEqual(plan)
  await promote(undoPlan(undo))
  expect(see(workspace.source)).toEqual(after)
})

test('an undo after the user went on is refused and touches nothing; what was unknown cannot be undone', async () => {
  const { workspace, plan } = await prepared()
  await promote(plan)
  const before = see(put(workspace.source, { 'a.txt': 'the user went on' }))
  await expect(promote(undoPlan(plan))).rejects.toMatchObject({ code: 'E_WORKSPACE_CHANGED' })
  expect(see(workspace.source)).toEqual(before)
  const unknown = { ...plan, files: plan.files.map((file) => ({ ...file, was: null })) }
  expect(() => undoPlan(unknown)).toThrow(expect.objectContaining({ code: 'E_UNDO_REFUSED' }))
})

test('work goes on after a promotion: the next plan starts from what was promoted', async () => {
  const { workspace, plan } = await prepared()
  await promote(plan)
  const next = await rebase(workspace, plan)
  expect(next.base).toBe(plan.tree)
  expect(await rebase(workspace, plan)).toEqual(next)
  expect((await planPromotion(next)).files).toEqual([])
  put(next.dir, { 'a.txt': 'more\n' })
  const more = await planPromotion(next)
  expect(more.files.map((file) => file.path)).toEqual(['a.txt'])
  await promote(more)
  expect(readFileSync(join(workspace.source, 'a.txt'), 'utf8')).toBe('more\n')
})

test('git applies the diff of a plan and gets the same files', async () => {
  const text = { ...BEFORE, bin: 'text', 'two words': '1\n' }
  const { workspace, plan, after } = await prepared(text, { ...CHANGE, bin: 'text too', 'was-dir/x': 'x2', 'two words': '2\n' })
  const patch = join(folder(), 'change.patch')
  writeFileSync(patch, diffOf(plan))
  git(workspace.source, 'apply', patch)
  expect(see(workspace.source)).toEqual(after)
})

test('a diff reads as people expect, and names what it cannot show', async () => {
  const { plan } = await prepared({ a: 'one\ntwo\n', b: Buffer.from([0]), c: '1\n' }, { a: 'one\nTWO\n', b: Buffer.from([1, 0]), c: '2\n' })
  const unknown = { ...plan, files: plan.files.map((file) => (file.path === 'c' ? { ...file, was: null } : file)) }
  expect(diffOf(unknown)).toBe(
    [
      'diff --git a/a b/a',
      '--- a/a',
      '+++ b/a',
      '@@ -1,2 +1,2 @@',
      ' one',
      '-two',
      '+TWO',
      'diff --git a/b b/b',
      'Binary files a/b and b/b differ',
      'diff --git a/c b/c',
      '# the file was changed in the meantime; what was there before is not known',
      '',
    ].join('\n'),
  )
})
