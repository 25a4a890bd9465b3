/**
 * Commands without isolation: what the user may do, they may do. Own session and group, no stdin, a clean environment, an end that takes all along.
 *
 *   spawn --exit--> look for the rest --> SIGTERM --grace--> SIGKILL --none left--> result
 *      \--abort, timeout------^
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { Failure } from '../../effect.ts'
import { HOST_TIMER_MS_MAX } from '../../limits.ts'
import {
  COMMAND_TAG,
  type CommandOptions,
  type CommandResult,
  EFFECT_TAG,
  ENV_ALLOWED,
  GRACE_MS,
  OUTPUT_BYTES_MAX,
  RUN_TAG,
  type RunCommand,
} from '../sandbox.ts'
import { endAll, environmentOf, groupLives, type Process, pause, processTable, withKin } from './processes.ts'
import { keepTail } from './tail.ts'

/** For the rest of the output once all known processes are gone: one that nobody can find may hold the pipe open for ever. */
const DRAIN_MS = 250

type Cause = 'exit' | 'timeout' | 'abort'

/** Runs a command with the rights of this process. See {@link RunCommand}. */
export const runCommand: RunCommand = async (options) => {
  if (options.signal?.aborted === true) throw interrupted(options, null)
  if (!existsSync(options.cwd)) throw new Failure('E_TARGET_NOT_FOUND', `no folder ${options.cwd}`)
  const began = performance.now()
  const command = randomUUID()
  const child = start(options, command)
  const tail = keepTail(options.outputBytesMax ?? OUTPUT_BYTES_MAX)
  const drained = collect(child, (chunk) => tail.add(chunk), options.onOutput)
  const exit = exitOf(child)
  const cause = await firstOf(exit, options)
  await endAll(() => processesOf(child, command), options.graceMs ?? GRACE_MS)
  const end = await exit
  await Promise.race([drained, pause(DRAIN_MS)])
  child.stdout?.destroy()
  child.stderr?.destroy()
  const result = { ...end, ...tail.read(), durationMs: Math.round(performance.now() - began) }
  if (cause === 'abort') throw interrupted(options, result)
  if (cause === 'timeout') throw timedOut(options, result)
  return result
}

/** The environment of a command: allowed names of ours, what was set for it, the tags. */
function environmentFor({ envAllow = [], env = {}, run, effect }: CommandOptions, tag: string): Record<string, string> {
  const allowed = [...ENV_ALLOWED, ...envAllow].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...Object.fromEntries(allowed), ...env, [RUN_TAG]: run, [EFFECT_TAG]: effect, [COMMAND_TAG]: tag }
}

/** stderr joins stdout inside the shell: two pipes would lose the order in which the lines were written. */
function start(options: CommandOptions, tag: string): ChildProcess {
  const { command, cwd } = options
  const args = typeof command === 'string' ? ['-c', `exec 2>&1\n${command}`] : ['-c', 'exec 2>&1; exec "$@"', 'sh', ...command]
  return spawn('/bin/sh', args, { cwd, env: environmentFor(options, tag), detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Resolves when both pipes are closed. */
function collect(child: ChildProcess, add: (chunk: Buffer) => void, onOutput: ((text: string) => void) | undefined): Promise<unknown> {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null)
  return Promise.all(
    streams.map((stream) => {
      const decoder = new TextDecoder()
      stream.on('data', (chunk: Buffer) => {
        add(chunk)
        const text = decoder.decode(chunk, { stream: true })
        if (text !== '') onOutput?.(text)
      })
      return new Promise<void>((resolve) => stream.once('close', resolve))
    }),
  )
}

function exitOf(child: ChildProcess): Promise<Pick<CommandResult, 'exitCode' | 'signal'>> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Failure('E_TARGET_NOT_FOUND', `the shell does not start: ${error.message}`)))
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
}

/** What comes first: the end of the command itself, its timeout, or the abort. */
function firstOf(exit: Promise<unknown>, { timeoutMs, signal }: CommandOptions): Promise<Cause> {
  return new Promise((resolve, reject) => {
    const abort = (): void => settle('abort')
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => settle('timeout'), Math.min(timeoutMs, HOST_TIMER_MS_MAX))
    const settle = (cause: Cause): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      resolve(cause)
    }
    signal?.addEventListener('abort', abort, { once: true })
    exit.then(() => settle('exit'), reject)
  })
}

/** What lives of a command: tagged, in the shell's group or session, or descended from these. Without /proc only its group is known. */
function processesOf(child: ChildProcess, tag: string): readonly Process[] {
  const leader = child.pid
  if (leader === undefined) return []
  const table = processTable()
  const alive = child.exitCode === null && child.signalCode === null
  if (table.all.length === 0) return groupLives(leader) ? [{ pid: -leader, parent: 0, group: leader, session: leader, startedAt: 0 }] : []
  // Once the shell is gone and its number is somebody else's, no process of its group is left, or the number would not be free.
  const reused = !alive && table.all.some((each) => each.pid === leader)
  return withKin(table, (each) => {
    if (!reused && (each.group === leader || each.session === leader)) return true
    return environmentOf(each.pid).get(COMMAND_TAG) === tag
  })
}

function timedOut({ command, timeoutMs }: CommandOptions, result: CommandResult): Failure {
  const message = `\`${textOf(command)}\` ran past ${timeoutMs} ms; its processes were ended`
  return new Failure('E_COMMAND_TIMEOUT', message, { details: { data: { ...result } } })
}

function interrupted({ command }: CommandOptions, result: CommandResult | null): Failure {
  const message = `\`${textOf(command)}\` was stopped${result === null ? ' before it started' : '; its processes were ended'}`
  return new Failure('E_INTERRUPTED', message, { details: { data: result === null ? null : { ...result } } })
}

function textOf(command: CommandOptions['command']): string {
  return typeof command === 'string' ? command : command.join(' ')
}
