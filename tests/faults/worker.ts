/** Starts `worker.child.ts` and has it live lives: a real process, on the disk that it is given. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LifeOptions, Outcome } from './life.ts'

const CHILD = fileURLToPath(new URL('./worker.child.ts', import.meta.url))
const DEADLINE_MS = 30_000

export interface Worker {
  /**
   * How the life ended; null when its process was killed on the way.
   * @throws when it says nothing in time, when it ends by itself, and when it has written anything to stderr.
   */
  live(options: LifeOptions): Promise<Outcome | null>
  /** Sends a life on its way without waiting for it. */
  begin(options: LifeOptions): void
  signal(signal: NodeJS.Signals): void
  end(): Promise<void>
}

export async function startWorker(env: Readonly<Record<string, string>> = {}): Promise<Worker> {
  const child = spawn(process.execPath, ['--no-warnings', CHILD], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let errors = ''
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString()
  })
  child.stdin.on('error', () => {}) // It may be killed before it has read its order.

  async function line(): Promise<string | null> {
    const late = Promise.withResolvers<never>()
    const alarm = setTimeout(
      () => late.reject(new Error(`pid ${child.pid} hangs: nothing for ${DEADLINE_MS} ms; stderr: ${errors}`)),
      DEADLINE_MS,
    )
    try {
      const next = await Promise.race([lines.next(), late.promise])
      if (next.done !== true) return next.value
      const [code, signal] = await closed
      if (signal !== 'SIGKILL' || errors !== '') throw new Error(`pid ${child.pid} ended with ${code ?? signal}; stderr: ${errors}`)
      return null
    } finally {
      clearTimeout(alarm)
    }
  }
  async function live(options: LifeOptions): Promise<Outcome | null> {
    child.stdin.write(`${JSON.stringify(options)}\n`)
    const said = await line()
    if (said !== null && errors !== '') throw new Error(`pid ${child.pid} wrote to stderr: ${errors}`)
    return said === null ? null : (JSON.parse(said.slice('outcome '.length)) as Outcome)
  }
  const first = await line()
  if (first !== 'ready') throw new Error(`pid ${child.pid} said ${first}; stderr: ${errors}`)
  return {
    live,
    begin: (options) => void child.stdin.write(`${JSON.stringify(options)}\n`),
    signal: (signal) => void child.kill(signal),
    async end() {
      child.kill('SIGKILL')
      await closed
    },
  }
}
