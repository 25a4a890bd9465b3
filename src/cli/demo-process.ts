/** Another process of this program, seen through its frames: one that can be killed. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config.ts'
import type { JsonObject } from '../json.ts'
import type { Frame } from '../runtime/engine.ts'

/** What a process said before it ended. */
export interface Ended {
  readonly pid: number
  readonly exit: number | null
  readonly signal: NodeJS.Signals | null
  /** Facts that it reported as committed, in order. */
  readonly frames: readonly Frame[]
  /** Its last line, when it came to its end. */
  readonly result: JsonObject | null
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  kill(signal: NodeJS.Signals): void
  readonly ended: Promise<Ended>
}

const MAIN = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../main.ts' : '../main.js', import.meta.url))

/** Starts the program in a process group of its own, so that Ctrl-C reaches it only through us. `--jsonl` and the home are added. */
export function startProcess(config: Config, args: readonly string[], onFrame: (frame: Frame) => void): Running {
  const child = spawn(process.execPath, [MAIN, ...args, '--jsonl', '--home', config.home], {
    cwd: config.dir,
    env: config.childEnv({ TROUPE_PROJECT: config.project }),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const frames: Frame[] = []
  let result: JsonObject | null = null
  let stderr = ''
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = parsed(line)
    if (said === null) return
    if (said['type'] === 'result') result = said
    else {
      const frame = said as unknown as Frame
      if (frame.pos !== null) frames.push(frame)
      onFrame(frame)
    }
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exit, signal) => resolve({ pid: child.pid ?? 0, exit, signal, frames, result, stderr }))
  })
  return { pid: child.pid ?? 0, kill: (signal) => void child.kill(signal), ended }
}

/** A line that a kill has cut in two was never acknowledged. */
function parsed(line: string): JsonObject | null {
  try {
    return JSON.parse(line) as JsonObject
  } catch {
    return null
  }
}
