/** The built program as a process of its own, in a home and a folder of its own. Everything that a test starts ends with the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { withoutPauses } from '../../src/cli/demo-stage.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'dist/main.js')
export const GREETER_TASK = join(ROOT, 'examples/greeter.task.yaml')

export interface Place {
  readonly home: string
  /** A copy of the example repository. */
  readonly dir: string
  /** The example's task, without pauses. */
  readonly task: string
}

export interface Said {
  readonly exit: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | 'closed'
  /** Called with everything on stdout so far. */
  readonly onOut?: (out: string, child: ChildProcess) => void
  /** The same for stderr. */
  readonly onErr?: (err: string, child: ChildProcess) => void
}

/** A home and a folder for one test. */
export function place(): Place {
  const temp = mkdtempSync(join(tmpdir(), 'troupe-cli-'))
  onTestFinished(() => rmSync(temp, { recursive: true, force: true, maxRetries: 5 }))
  const dir = join(temp, 'project')
  cpSync(join(ROOT, 'examples/greeter'), dir, { recursive: true })
  mkdirSync(join(temp, 'home'))
  const task = join(temp, 'greeter.task.yaml')
  writeFileSync(task, withoutPauses(readFileSync(GREETER_TASK, 'utf8')))
  return { home: join(temp, 'home'), dir, task }
}

/** Writes a file into the folder. @returns its name. */
export function given({ dir }: Place, name: string, text: string): string {
  writeFileSync(join(dir, name), text)
  return name
}

/** What a bare shell has, where the program is, and what Node has compiled of it before: each home is new, and would compile it all again. */
export function shellOf({ home }: Pick<Place, 'home'>): Record<string, string> {
  const compiled = process.env['NODE_COMPILE_CACHE'] ?? ''
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    LANG: 'C.UTF-8',
    TROUPE_HOME: home,
    NODE_COMPILE_CACHE: compiled,
    NODE: process.execPath,
    MAIN,
  }
}

/** Starts the program. The environment holds what a bare shell has, and nothing of the test runner. */
export function start({ home, dir }: Place, args: readonly string[], options: Options = {}): { child: ChildProcess; done: Promise<Said> } {
  const env = { ...shellOf({ home }), ...options.env }
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: dir,
    env,
    stdio: [options.input === 'closed' ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
    options.onOut?.(out, child)
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
    options.onErr?.(err, child)
  })
  if (options.input !== undefined && options.input !== 'closed') child.stdin?.end(options.input)
  const done = new Promise<Said>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exit, signal) => resolve({ exit, signal, out, err }))
  })
  return { child, done }
}

/** Runs the program to its end. */
export const troupe = (at: Place, args: readonly string[], options: Options = {}): Promise<Said> => start(at, args, options).done

/** Sends a signal once, when a line of stdout has all of these in it. */
export function signalAt(marks: readonly string[], signal: NodeJS.Signals): Pick<Options, 'onOut'> {
  let sent = false
  return {
    onOut: (out, child) => {
      if (sent || !out.split('\n').some((line) => marks.every((mark) => line.includes(mark)))) return
      sent = true
      child.kill(signal)
    },
  }
}

/** The moment when a file is written: the intent is committed, the outcome is not. */
export const AT_A_WRITE = ['"type":"effect.started"', '"kind":"file.write"']
