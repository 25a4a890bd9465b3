/** A part of a measurement in a fresh process: nothing compiled, nothing cached, a heap of its own. It answers with one line of JSON, and may die. */
import { execFile } from 'node:child_process'

/**
 * Resolves with what the part answers, also when it kills itself after that.
 * @param part  a file that takes {@link question} and gives {@link answer}.
 */
export async function inFreshProcess<Output>(part: URL, input: unknown, nodeFlags: readonly string[] = []): Promise<Output> {
  const words = [...nodeFlags, part.pathname, JSON.stringify(input)]
  const { promise, resolve, reject } = Promise.withResolvers<Output>()
  execFile(process.execPath, words, { maxBuffer: 1e8 }, (error, stdout, stderr) => {
    if (stdout.endsWith('\n')) resolve(JSON.parse(stdout) as Output)
    else reject(new Error(`${part.pathname} gave no answer: ${stderr || error?.message}`))
  })
  return promise
}

/** In the fresh process: what it was given. */
export function question<Input>(): Input {
  return JSON.parse(process.argv[2] ?? 'null') as Input
}

/** In the fresh process: what it found, as the last thing. A pipe is written at once, so it may kill itself afterwards. */
export function answer(output: unknown): void {
  process.stdout.write(`${JSON.stringify(output)}\n`)
}

/** As a crash does it: nothing is closed, released or flushed. */
export function die(): never {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('a dead process goes on')
}
