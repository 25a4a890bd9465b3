/** P11, orphan processes: what a killed process left behind is found by its tags and ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { reap, strays } from '../../src/actors/reaper.ts'
import { folder, lives, waitUntil } from './workspace-fixture.ts'

let runs = 0
const started: ChildProcess[] = []
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

const pidIn = (dir: string, name: string): number => {
  return existsSync(join(dir, name)) ? Number(readFileSync(join(dir, name), 'utf8')) : 0
}

/** A run whose process was killed with -9 while its command runs: a shell, a child in its group, one in a session of its own, one without tags whose parent is gone. */
async function orphaned(ignoring = ''): Promise<{ run: string; pids: readonly number[] }> {
  const run = `reaped-${process.pid}-${++runs}`
  const dir = folder()
  const command = `${ignoring}
    sh -c 'echo $$ > group; exec sleep 300' &
    setsid sh -c 'echo $$ > session; exec sleep 300' &
    (env -i sh -c 'echo $$ > bare; exec sleep 300' &)
    echo $$ > shell; wait; sleep 300`
  const child = spawn(process.execPath, ['tests/actors/command.child.ts', command, dir, run], { stdio: 'ignore' })
  started.push(child)
  const names = ['group', 'session', 'bare', 'shell']
  await waitUntil('all processes run', () => names.every((name) => pidIn(dir, name) > 0))
  child.kill('SIGKILL')
  await once(child, 'exit')
  return { run, pids: names.map((name) => pidIn(dir, name)) }
}

test('after kill -9 the processes of a command live on, tagged with run and effect', async () => {
  const { run, pids } = await orphaned()
  const [group = 0, session = 0, bare = 0, shell = 0] = pids
  expect(pids.map(lives)).toEqual([true, true, true, true])
  await waitUntil('the shells became sleep', () => strays(run).every((stray) => stray.pid === shell || stray.command === 'sleep 300'))
  const found = new Map(strays(run).map((stray) => [stray.pid, stray]))
  expect([...found.keys()].sort()).toEqual([group, session, shell].sort())
  expect(found.get(group)).toEqual({ pid: group, command: 'sleep 300', run, effect: 'e1', startedAt: expect.any(Number) })
  expect(Math.abs((found.get(group)?.startedAt ?? 0) - Date.now())).toBeLessThan(60_000)
  expect(found.has(bare)).toBe(false)
  expect(strays().filter((stray) => stray.run === run)).toHaveLength(3)
  await reap(run)
})

test('reaping ends them all, the one without tags too, and leaves those of other runs', async () => {
  const mine = await orphaned()
  const other = await orphaned()
  const ended = await reap(mine.run)
  expect(ended.map((stray) => stray.pid).sort()).toEqual([...mine.pids].sort())
  expect(ended.every((stray) => stray.run === mine.run && stray.command !== '')).toBe(true)
  expect(mine.pids.map(lives)).toEqual([false, false, false, false])
  expect(other.pids.map(lives)).toEqual([true, true, true, true])
  expect(await reap(mine.run)).toEqual([])
  await reap(other.run)
})

test('those that ignore SIGTERM are killed after the grace', async () => {
  const { run, pids } = await orphaned('trap "" TERM')
  const began = performance.now()
  await reap(run, { graceMs: 200 })
  expect(pids.map(lives)).toEqual([false, false, false, false])
  expect(performance.now() - began).toBeGreaterThanOrEqual(200)
})

test('a process never finds or ends itself, its ancestors or their neighbours, although it carries the tag', async () => {
  const dir = folder()
  const run = `nested-${process.pid}`
  const program = `
    import { reap, strays } from ${JSON.stringify(join(import.meta.dirname, '../../src/actors/reaper.ts'))}
    const found = strays(${JSON.stringify(run)}).map((stray) => stray.command)
    const ended = (await reap(${JSON.stringify(run)})).map((stray) => stray.command)
    console.log(JSON.stringify({ found, ended }))`
  // The shell is tagged and so is node; an untagged neighbour shares their group.
  const script = 'env -i sleep 301 & echo $! > neighbour; sleep 302 & "$NODE" --input-type=module -e "$PROGRAM"; echo alive'
  const env = { PATH: process.env['PATH'], TROUPE_RUN: run, TROUPE_EFFECT: 'e9', NODE: process.execPath, PROGRAM: program }
  const shell = spawn('/bin/sh', ['-c', script], { cwd: dir, env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(shell)
  let output = ''
  shell.stdout?.on('data', (chunk) => {
    output += String(chunk)
  })
  await waitUntil(
    'the shell went on',
    () => output.includes('alive'),
    () => output,
  )
  const neighbour = pidIn(dir, 'neighbour')
  try {
    expect(JSON.parse(output.split('\n')[0] ?? '')).toEqual({ found: ['sleep 302'], ended: ['sleep 302'] })
    expect(lives(neighbour)).toBe(true)
  } finally {
    process.kill(neighbour, 'SIGKILL')
  }
})
