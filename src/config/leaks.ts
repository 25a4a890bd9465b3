/**
 * No credential belongs into a config file: such files are shared, committed and copied. What has the form of one, or stands under a name that says so, is
 * refused, and never repeated. Environment variables are named (`api_key_env`), their values are not.
 */
import { exitOf } from '../catalogue.ts'
import { UserError } from '../errors.ts'
import { hasSecret, isSecretName } from '../secrets.ts'
import type { Layer } from './document.ts'

/** Keys that may hold one: the token of our own server. */
const ALLOWED: readonly string[] = ['http.token']
/** Under a name that says so, a text of this length or more is taken for a credential whatever it looks like. */
const SECRET_CHARS_MIN = 6

/** @throws {UserError} `E_SECRET_IN_CONFIG` (exit 3) with the place of the first one, and without it. */
export function refuseSecrets(layer: Layer): void {
  const path = firstSecret(layer.data, [])
  if (path === null) return
  const { where, file, line, column } = layer.originOf(path)
  const provider = path[0] === 'providers' && path.length > 2 ? path[1] : 'PROVIDER'
  throw new UserError('E_SECRET_IN_CONFIG', `${nameOf(path)} looks like a credential`, {
    where,
    fix: `troupe auth login ${provider}; take that line out and replace the key at its provider: it was on disk`,
    exit: exitOf('E_SECRET_IN_CONFIG'),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
  })
}

/** Somebody may have put it on the side of the key. */
const nameOf = (path: readonly string[]): string => path.map((part) => (hasSecret(part) ? '<secret>' : part)).join('.')

function firstSecret(value: unknown, path: readonly string[]): readonly string[] | null {
  if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      const found = firstSecret(member, [...path, key])
      if (found !== null) return found
    }
    return null
  }
  const name = path.findLast((part) => !/^\d+$/.test(part)) ?? ''
  const isAllowed = ALLOWED.includes(path.join('.'))
  if (hasSecret(name) || (typeof value === 'string' && !isAllowed && hasSecret(value))) return path
  if (typeof value !== 'string' || isAllowed || value.length < SECRET_CHARS_MIN) return null
  return isSecretName(name) || path.some((part) => /^(?:credentials|secrets|keys)$/i.test(part)) ? path : null
}
