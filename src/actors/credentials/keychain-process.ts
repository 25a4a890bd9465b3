/**
 * The process that asks the keychain, see keychain.ts: one question on stdin, one answer on stdout, and its end. The package is optional; on Linux only a
 * Secret Service counts: the keyring of the kernel forgets everything with the session.
 */
import { text } from 'node:stream/consumers'
import type { KeychainAnswer, KeychainRequest } from './keychain.ts'

const SERVICE = 'troupe'

async function answer({ do: what, provider, key }: KeychainRequest): Promise<KeychainAnswer> {
  try {
    const { Entry } = await import('@napi-rs/keyring')
    const entry = new Entry(SERVICE, provider, { linux: { store: 'secret-service' } })
    if (what === 'read') return { value: entry.getPassword() }
    if (what === 'remove') return { done: entry.deletePassword() }
    entry.setPassword(key ?? '')
    return { done: true }
  } catch {
    return { missing: true } // Not installed, no service, locked, refused: the next place is asked.
  }
}

const request = JSON.parse(await text(process.stdin)) as KeychainRequest
process.stdout.write(JSON.stringify(await answer(request)), () => process.exit())
