/** Starts `owner.child.ts`, or another child that speaks JSON lines, and talks with it: a real process, so that locks, signals and limits are real. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const CHILD = fileURLToPath(new URL('./owner.child.ts', import.meta.url))

type Line = { readonly [key: string]: unknown }

export interface OwnerProcess {
  readonly pid: number
  /** The next line that it says. Fails after the deadline, with all that it said. */
  line(deadlineMs?: number): Promise<Line>
  tell(order: string): Promise<Line>
  kill(signal: NodeJS.Signals): void
  /** Resolves when it is gone. */
  gone(): Promise<void>
}

/** `wrap` is put before the command: `['bash', '-c', 'ulimit -f 100; exec "$@"', '-']`. */
export function startOwner(options: {
  readonly command: 'own' | 'write' | 'strain'
  readonly path: string
  readonly run: string
  readonly wrap?: readonly string[]
}): OwnerProcess {
  return startProcess([...(options.wrap ?? []), process.execPath, CHILD, options.command, options.path, options.run])
}

/** A process that is told lines and answers each with a line of JSON. Killed when the test is over. */
export function startProcess([file, ...args]: readonly string[]): OwnerProcess {
  const child: ChildProcess = spawn(file!, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  onTestFinished(() => void child.kill('SIGKILL'))
  let errors = ''
  child.stderr!.on('data', (data) => {
    errors += data
  })
  const said: string[] = []
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()

  async function line(deadlineMs = 15_000): Promise<Line> {
    const late = Promise.withResolvers<never>()
    const alarm = setTimeout(
      () => late.reject(new Error(`pid ${child.pid} said nothing for ${deadlineMs} ms; before: ${said.slice(-3).join(' ')}; ${errors}`)),
      deadlineMs,
    )
    try {
      const next = await Promise.race([lines.next(), late.promise])
      if (next.done === true) throw new Error(`pid ${child.pid} ended; before: ${said.slice(-3).join(' ')}; ${errors}`)
      said.push(next.value)
      return JSON.parse(next.value) as Line
    } finally {
      clearTimeout(alarm)
    }
  }
  return {
    pid: child.pid!,
    line,
    tell(order) {
      child.stdin!.write(`${order}\n`)
      return line()
    },
    kill: (signal) => void child.kill(signal),
    gone: async () => void (await exited),
  }
}
