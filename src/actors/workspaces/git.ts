/**
 * Calls to git that leave the user's repository as it is: no hooks, no prompts, no refresh of the index, no fsmonitor, nothing inherited from a git
 * process above us, no key of a provider, and no look at a repository further up than the folder that was named.
 */
import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { Failure } from '../../effect.ts'
import { isSecretName } from '../../secrets.ts'

const QUIET = ['-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-c', 'gc.auto=0', '-c', 'maintenance.auto=false']
const OUTPUT_BYTES_MAX = 256_000_000

/**
 * Runs git in a folder and gives its stdout.
 * @throws {Failure} `E_GIT_REFUSED` with git's own words.
 */
export function git(dir: string, args: readonly string[], options: { signal?: AbortSignal } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = gitEnv({ GIT_CEILING_DIRECTORIES: dirname(dir) })
    const settings = { cwd: dir, env, maxBuffer: OUTPUT_BYTES_MAX, ...(options.signal === undefined ? {} : { signal: options.signal }) }
    execFile('git', [...QUIET, ...args], settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      if (options.signal?.aborted === true) return reject(options.signal.reason)
      reject(new Failure('E_GIT_REFUSED', `git ${args[0]} in ${dir}: ${stderr.trim() || error.message}`))
    })
  })
}

function gitEnv(extra: Record<string, string>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_') && !isSecretName(name))
  return { ...Object.fromEntries(inherited), GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C', ...extra }
}
