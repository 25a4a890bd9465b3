/** What the file system refuses is told with codes of ours, over the effects of the team and real disks. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import { onDisk } from '../../src/actors/disk.ts'
import { teamEffects } from '../../src/actors/effects.ts'
import { scripted } from '../../src/actors/providers/scripted.ts'
import type { EffectCall } from '../../src/effect.ts'
import { Failure } from '../../src/effect.ts'
import { folder, put } from './workspace-fixture.ts'

/** A tmpfs, unmounted after the test. Skips visibly where none can be mounted. */
function disk(context: TestContext, options: string): string {
  const path = join(folder(), 'disk')
  mkdirSync(path)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', path], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    process.stderr.write(`skipped "${context.task.name}": no tmpfs can be mounted here; run as root\n`)
    context.skip('no tmpfs can be mounted here; run as root')
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]))
  return path
}

function call(input: unknown): EffectCall<never> {
  const none = (): void => {}
  const parts = { key: 'r/e1', run: 'r', id: 'e1', path: '/team', attempt: 1, signal: new AbortController().signal }
  return { ...parts, input: input as never, progress: none, started: none, alive: none, thread: () => [], spent: none, note: none }
}

const effects = (root: string) => teamEffects({ provider: scripted([]), root }).handlers

test('a disk that is full when the files are staged is said, with the file that did not fit', async (context) => {
  const root = disk(context, 'size=512k')
  const source = put(folder(), { big: Buffer.alloc(1_000_000, 1) })
  await expect(effects(root)['workspace.open'].perform(call({ source, mode: 'copy' }))).rejects.toMatchObject({
    name: 'Failure',
    code: 'E_DISK_FULL',
    retry: 'never',
    message: `the disk is full: ${join(root, 'r', 'staged', 'big')}`,
  })
})

test('a folder that cannot be written is said, and nothing is left in it', async (context) => {
  const dir = disk(context, 'size=512k')
  const handlers = effects(folder())
  const plan = await handlers['write.plan'].perform(call({ dir, tool: 'write', args: { path: 'f', content: 'x' }, seen: null }))
  execFileSync('mount', ['-o', 'remount,ro', dir])
  await expect(handlers['file.write'].perform(call({ dir, plan }))).rejects.toMatchObject({
    code: 'E_FILE_REFUSED',
    message: expect.stringMatching(/^the file system is read-only: .*\/disk\//),
  })
  expect(readdirSync(dir)).toEqual([])
})

test('arguments that do not fit a tool are told to the model with the place of each', async () => {
  const handlers = effects(folder())
  const request = { dir: folder(), tool: 'write', args: { file: 'new.txt' }, seen: null }
  await expect(handlers['write.plan'].perform(call(request))).rejects.toMatchObject({
    code: 'E_USAGE',
    message: expect.stringMatching(/^write: path: .*; content: .*; arguments: .*"file"/),
  })
})

test('everything else passes as it is', async () => {
  const [failure, error] = [new Failure('E_X', 'no'), Object.assign(new Error('gone'), { code: 'ENOENT' })]
  for (const thrown of [failure, error, 'text', undefined]) await expect(onDisk(() => Promise.reject(thrown))).rejects.toBe(thrown)
  expect(await onDisk(async () => 1)).toBe(1)
})
