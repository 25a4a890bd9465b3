/**
 * Keys in a file, where a machine has no keychain: `<home>/keys/keys.json`, mode 0600, in a folder of mode 0700.
 *
 *   {"version": 1, "keys": {"anthropic": "..."}}
 *
 * Where others may read it, it is not read: a key that leaked must be replaced, and not used on. Written as a whole under another name, synced and renamed.
 */
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { exitOf } from '../../catalogue.ts'
import { UserError } from '../../errors.ts'
import type { KeyPlace } from '../credentials.ts'

const OTHERS = 0o077
const content = z.strictObject({ version: z.literal(1), keys: z.record(z.string(), z.string().min(1)) })
type Keys = Readonly<Record<string, string>>

/** The key file. @param shown  its name in messages. */
export function keyFile(file: string, shown: string): KeyPlace {
  return {
    name: 'file',
    read: async (provider) => own(readKeys(file, shown), provider),
    write: async (provider, key) => {
      writeKeys(file, { ...readKeys(file, shown), [provider]: key })
      return true
    },
    remove: async (provider) => {
      const { [provider]: removed, ...rest } = readKeys(file, shown)
      if (removed === undefined) return false
      if (Object.keys(rest).length === 0) rmSync(file)
      else writeKeys(file, rest)
      return true
    },
    describe: () => `file ${shown}`,
  }
}

const own = (keys: Keys, provider: string): string | null => (Object.hasOwn(keys, provider) ? (keys[provider] ?? null) : null)

/** What is in the file; nothing where there is none. Judged by the open file itself, so nobody can change it in between. */
function readKeys(file: string, shown: string): Keys {
  let handle: number
  try {
    handle = openSync(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return {}
    throw unsafe(code === 'ELOOP' ? 'is a link' : `cannot be read (${code ?? 'unknown'})`, shown, `look at ${shown}`)
  }
  try {
    const found = fstatSync(handle)
    if (!found.isFile()) throw unsafe('is no file', shown, `look at ${shown}`)
    const uid = process.getuid?.()
    if (uid !== undefined && found.uid !== uid) throw unsafe('belongs to somebody else', shown, `look at ${shown}`)
    if (process.platform !== 'win32' && (found.mode & OTHERS) !== 0) {
      throw unsafe(
        `may be read by others (mode ${(found.mode & 0o777).toString(8)})`,
        shown,
        `chmod 600 ${shown}; replace the keys in it at their providers`,
      )
    }
    return parsed(readFileSync(handle, 'utf8'), shown)
  } finally {
    closeSync(handle)
  }
}

/** The text itself is never part of a message. */
function parsed(text: string, shown: string): Keys {
  try {
    return content.parse(JSON.parse(text)).keys
  } catch {
    throw unsafe('is damaged', shown, `rm ${shown}, then: troupe auth login PROVIDER`)
  }
}

const unsafe = (why: string, shown: string, fix: string): UserError =>
  new UserError('E_CREDENTIALS_UNSAFE', `the key file ${why}; it is not used`, {
    where: shown,
    fix,
    exit: exitOf('E_CREDENTIALS_UNSAFE'),
    file: shown,
  })

function writeKeys(file: string, keys: Keys): void {
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
  const next = `${file}.${randomUUID()}`
  const handle = openSync(next, 'wx', 0o600)
  try {
    writeFileSync(handle, `${JSON.stringify({ version: 1, keys })}\n`)
    fsyncSync(handle)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  } finally {
    closeSync(handle)
  }
  renameSync(next, file)
}
