/**
 * Keys in the keychain of the system. It is asked in a process of its own: a Secret Service that does not answer blocks the thread that asks, and nothing in
 * that thread could stop it. What takes longer than {@link KEYCHAIN_MS_MAX} is ended, and counts as no keychain.
 *
 *   we --{ do, provider, key }--> keychain-process.ts --> macOS Keychain, Windows Credential Manager, Secret Service
 *      <--{ value }, or { missing }--
 *
 * A key goes through pipes: it is in no argument and no environment.
 */
import { spawn } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KEYCHAIN_MS_MAX } from '../../limits.ts'
import { isSecretName } from '../../secrets.ts'
import type { KeyPlace } from '../credentials.ts'

/** What the process is asked. */
export interface KeychainRequest {
  readonly do: 'read' | 'write' | 'remove'
  readonly provider: string
  readonly key: string | null
}

/** What it answers: the key that was read, whether something was removed; `missing`: there is no keychain here. */
export type KeychainAnswer = { readonly value: string | null } | { readonly done: boolean } | { readonly missing: true }

const PROCESS = fileURLToPath(new URL(`./keychain-process${extname(fileURLToPath(import.meta.url))}`, import.meta.url))

/** The keychain. Once it did not answer, it is not asked again by this process. @param told  is told once why it is not used. */
export function keychain(told: (why: string) => void = () => {}): KeyPlace {
  let gone = false
  const asked = async (request: KeychainRequest): Promise<KeychainAnswer> => {
    if (gone) return { missing: true }
    const answer = await ask(request)
    if (!('late' in answer)) return answer
    gone = true
    told(`the keychain did not answer within ${KEYCHAIN_MS_MAX / 1_000} s; it is not used`)
    return { missing: true }
  }
  return {
    name: 'keychain',
    read: async (provider) => {
      const answer = await asked({ do: 'read', provider, key: null })
      return 'value' in answer ? answer.value : null
    },
    write: async (provider, key) => {
      const answer = await asked({ do: 'write', provider, key })
      return 'done' in answer && answer.done
    },
    remove: async (provider) => {
      const answer = await asked({ do: 'remove', provider, key: null })
      return 'done' in answer && answer.done
    },
    describe: () => 'keychain',
  }
}

/** One question to one process. Whatever goes wrong there, there is no keychain. */
function ask(request: KeychainRequest): Promise<KeychainAnswer | { readonly late: true }> {
  return new Promise((resolve) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSecretName(name)))
    const child = spawn(process.execPath, [PROCESS], { env, stdio: ['pipe', 'pipe', 'ignore'], windowsHide: true })
    let text = ''
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      resolve({ late: true })
    }, KEYCHAIN_MS_MAX)
    const end = (): void => {
      clearTimeout(timer)
      resolve(answerOf(text))
    }
    child.once('error', end)
    child.once('close', end)
    child.stdin.on('error', () => {}) // It has ended before it was asked: `close` says so.
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    child.stdin.end(JSON.stringify(request))
  })
}

function answerOf(text: string): KeychainAnswer {
  try {
    return JSON.parse(text) as KeychainAnswer
  } catch {
    return { missing: true }
  }
}
