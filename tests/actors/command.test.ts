/** Commands: real processes, ended with everything that they started. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { strays } from '../../src/actors/reaper.ts'
import type { CommandOptions } from '../../src/actors/sandbox.ts'
import { runCommand } from '../../src/actors/sandboxes/none.ts'
import { keepTail } from '../../src/actors/sandboxes/tail.ts'
import { folder, lives, waitUntil } from './workspace-fixture.ts'

let effects = 0
const options = (command: CommandOptions['command'], more: Partial<CommandOptions> = {}): CommandOptions => {
  return { command, cwd: folder(), run: `run-${process.pid}`, effect: `e${++effects}`, ...more }
}
const ours = (): unknown[] => strays(`run-${process.pid}`).map((stray) => stray.command)
const pidIn = (file: string): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0)

test('a command ends with its exit code and what it wrote, both streams in the order of writing', async () => {
  const result = await runCommand(options('i=0; while [ $i -lt 500 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; exit 7'))
  expect(result).toEqual({
    exitCode: 7,
    signal: null,
    output: Array.from({ length: 500 }, (_, index) => `out${index}\nerr${index}\n`).join(''),
    truncated: false,
    durationMs: expect.any(Number),
  })
})

test('a program with arguments is run as it is, without a shell that reads them', async () => {
  const result = await runCommand(options(['printf', '%s|', 'a b', '$HOME', "'"]))
  expect(result).toMatchObject({ exitCode: 0, output: "a b|$HOME|'|" })
  expect(await runCommand(options(['no-such-program']))).toMatchObject({
    exitCode: 127,
    output: expect.stringContaining('no-such-program'),
  })
})

test('a command that a signal ends says which; a syntax error is output', async () => {
  expect(await runCommand(options('kill -USR1 $$'))).toMatchObject({ exitCode: null, signal: 'SIGUSR1' })
  expect(await runCommand(options('if ('))).toMatchObject({ exitCode: 2, output: expect.stringMatching(/syntax error/i) })
})

test('stdin is empty, so nothing waits for an answer', async () => {
  expect(await runCommand(options('cat; read x; echo "got:$x"'))).toMatchObject({ exitCode: 0, output: 'got:\n' })
})

test('only allowed variables and the tags are inherited; no key is', async () => {
  vi.stubEnv('MY_API_KEY', 'sk-secret')
  vi.stubEnv('WANTED', 'yes')
  const { output } = await runCommand(options('env', { effect: 'e0', envAllow: ['WANTED'], env: { SET: '1', TROUPE_RUN: 'forged' } }))
  const names = output.split('\n').flatMap((line) => (line.includes('=') ? [line.slice(0, line.indexOf('='))] : []))
  const usual = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR', 'PWD', 'SHLVL', '_', 'OLDPWD']
  expect(names.filter((name) => !usual.includes(name)).sort()).toEqual(['SET', 'TROUPE_COMMAND', 'TROUPE_EFFECT', 'TROUPE_RUN', 'WANTED'])
  expect(output).toContain(`TROUPE_RUN=run-${process.pid}\n`)
  expect(output).not.toContain('sk-secret')
})

test('the last bytes of the output are kept, and it says that the rest was dropped', async () => {
  let streamed = 0
  const result = await runCommand(
    options('seq 1 100000', {
      outputBytesMax: 12,
      onOutput: (text) => {
        streamed += text.length
      },
    }),
  )
  expect(result).toMatchObject({ exitCode: 0, output: '9999\n100000\n', truncated: true })
  expect(streamed).toBe(588_895)
})

test('the tail never begins inside a character', () => {
  const tail = keepTail(4)
  for (const byte of Buffer.from('a\u20ac\u20ac')) tail.add(Buffer.from([byte]))
  expect(tail.read()).toEqual({ output: '\u20ac', truncated: true })
})

test('a background child that holds the pipe open does not hang it, and is ended with it', async () => {
  const { cwd } = options('')
  const result = await runCommand(options('sleep 300 & echo $! > pid; echo done', { cwd }))
  expect(result).toMatchObject({ exitCode: 0, output: 'done\n' })
  expect(lives(pidIn(join(cwd, 'pid')))).toBe(false)
  expect(result.durationMs).toBeLessThan(60_000)
})

test('a child that left for a session of its own is found by its tag and ended', async () => {
  const { cwd } = options('')
  await runCommand(options('setsid sh -c "echo \\$\\$ > pid; exec sleep 300" > /dev/null 2>&1 & while [ ! -s pid ]; do :; done', { cwd }))
  expect(pidIn(join(cwd, 'pid'))).toBeGreaterThan(0)
  expect(lives(pidIn(join(cwd, 'pid')))).toBe(false)
})

test('a child that cleared its environment is found by its group and ended', async () => {
  const { cwd } = options('')
  await runCommand(options('env -i sh -c "echo \\$\\$ > pid; exec sleep 300" > /dev/null 2>&1 & while [ ! -s pid ]; do :; done', { cwd }))
  expect(pidIn(join(cwd, 'pid'))).toBeGreaterThan(0)
  expect(lives(pidIn(join(cwd, 'pid')))).toBe(false)
})

test('one that nobody can find, without environment, group and parent, does not hang it either', async () => {
  const { cwd } = options('')
  const result = await runCommand(
    options('env -i setsid sh -c "echo \\$\\$ > pid; exec sleep 30" & while [ ! -s pid ]; do :; done', { cwd }),
  )
  const pid = pidIn(join(cwd, 'pid'))
  try {
    expect(result.exitCode).toBe(0)
  } finally {
    if (lives(pid)) process.kill(pid, 'SIGKILL')
  }
})

test('past its time a command is ended with SIGTERM, and its output so far is kept', async () => {
  const running = runCommand(options('trap "echo bye; exit 3" TERM; echo begun; while :; do sleep 0.05; done', { timeoutMs: 300 }))
  await expect(running).rejects.toMatchObject({
    code: 'E_COMMAND_TIMEOUT',
    details: { data: { exitCode: 3, signal: null, output: expect.stringContaining('bye'), truncated: false } },
  })
  expect(ours()).toEqual([])
})

test('a command that ignores SIGTERM is killed after the grace, with its children', async () => {
  const script = 'trap "" TERM; (trap "" TERM; while :; do sleep 0.05; done) & while :; do sleep 0.05; done'
  const running = runCommand(options(script, { timeoutMs: 200, graceMs: 300 }))
  const failure = await running.catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'E_COMMAND_TIMEOUT', details: { data: { exitCode: null, signal: 'SIGKILL' } } })
  expect((failure as { details: { data: { durationMs: number } } }).details.data.durationMs).toBeGreaterThanOrEqual(500)
  expect(ours()).toEqual([])
})

test('an abort ends it and resolves only when all processes are gone; aborted before, it does not start', async () => {
  const stop = new AbortController()
  const { cwd } = options('')
  const running = runCommand(options('sleep 300 & echo $! > pid; wait', { cwd, signal: stop.signal }))
  await waitUntil('the child started', () => pidIn(join(cwd, 'pid')) > 0)
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'E_INTERRUPTED', details: { data: { signal: 'SIGTERM' } } })
  expect([lives(pidIn(join(cwd, 'pid'))), ours()]).toEqual([false, []])
  await expect(runCommand(options('touch started', { cwd, signal: stop.signal }))).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
  expect(existsSync(join(cwd, 'started'))).toBe(false)
})

test.each([
  ['of other effects', 'e-other'],
  ['of another attempt of the same effect', 'e-same'],
])('commands %s are left alone', async (_, effect) => {
  const stop = new AbortController()
  const { cwd } = options('')
  const other = runCommand(options('echo $$ > pid; exec sleep 300', { cwd, effect, signal: stop.signal })).catch((error: unknown) => error)
  await waitUntil('the other command runs', () => pidIn(join(cwd, 'pid')) > 0)
  await runCommand(options('sleep 300 & true', { effect: 'e-same' }))
  expect(lives(pidIn(join(cwd, 'pid')))).toBe(true)
  stop.abort()
  expect(await other).toMatchObject({ code: 'E_INTERRUPTED' })
})

test('a folder that does not exist is said', async () => {
  await expect(runCommand(options('true', { cwd: '/no/such/folder' }))).rejects.toMatchObject({ code: 'E_TARGET_NOT_FOUND' })
})
