/**
 * What may be stored: plain JSON values, and nothing that JSON would change without a word.
 * `NaN`, `-0`, `undefined` and holes inside arrays, arrays with properties, Map, Date, class instances, functions, cycles are refused with the path at which they were found,
 * because a value that comes back different after a crash is worse than one that is refused. `undefined` object members are dropped, as JSON does.
 * Keys that JSON would write with an escape (a quote, a backslash, a control character) are refused too: V8 may read them as other keys.
 */
import { Defect } from './errors.ts'
import { PAYLOAD_BYTES_MAX } from './limits.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }
export type JsonObject = { readonly [key: string]: Json | undefined }

/** The key that marks a reference to an actor in stored data. Data that carries it already is refused: see {@link assertJson}. */
export const REF_KEY = '@troupe.ref'
/** The keys by which a large snapshot names the parts that are stored apart: see runtime/chunks.ts. Refused in data like {@link REF_KEY}. */
export const CHUNK_KEY = '@troupe.chunk'
export const CONCAT_KEY = '@troupe.concat'
const RESERVED: ReadonlySet<string> = new Set([REF_KEY, CHUNK_KEY, CONCAT_KEY])
/**
 * What JSON writes as an escape, in a key. V8 of Node 24 (seen in 24.21) may read such a key as another one: once it has parsed `{"k":{},"\\":1}`, it reads
 * `{"k":{},"\"":1}` as that, too. Values are read as they are.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
const ESCAPED_IN_KEYS = /["\\\u0000-\u001f\ud800-\udfff]/u

/**
 * Checks that a value survives a round trip through JSON unchanged.
 * @param where  what is being checked, for the message: `context`, `event`, `input`.
 * @param isRef  what passes without a look: actor stubs, whose `toJSON` gives their stored form, and what was checked before and cannot have changed.
 * @throws {Defect} `E_NOT_JSON` naming the path of the first value that would change; `E_PAYLOAD_TOO_LARGE` of the first string that is too long.
 */
export function assertJson(value: unknown, where: string, isRef: (value: object) => boolean = () => false): asserts value is Json {
  walk(value, where, isRef, new Set())
}

function walk(value: unknown, path: string, isRef: (value: object) => boolean, above: Set<object>): void {
  switch (typeof value) {
    case 'string':
      if (value.length > PAYLOAD_BYTES_MAX) throw tooLong(path, value.length)
      if (!value.isWellFormed()) throw notJson(path, 'a string with a lone surrogate', 'it is not valid Unicode and cannot be stored')
      return
    case 'boolean':
      return
    case 'number':
      if (!Number.isFinite(value) || Object.is(value, -0))
        throw notJson(path, String(Object.is(value, -0) ? '-0' : value), 'JSON has no such number')
      return
    case 'object':
      break
    default:
      throw notJson(path, `a ${typeof value}`, 'only plain data can be stored')
  }
  if (value === null || isRef(value)) return
  if (above.has(value)) throw notJson(path, 'a cycle', 'store an id instead of the object')
  above.add(value)
  if (Array.isArray(value)) {
    if (Object.keys(value).length !== value.length)
      throw notJson(path, 'an array with holes or with properties of its own', 'JSON keeps only its elements')
    for (let index = 0; index < value.length; index++) {
      const member: unknown = value[index]
      // Most members of a large value were looked at before: the path to them is not spelled out.
      if (typeof member !== 'object' || member === null || !isRef(member)) walk(member, `${path}[${index}]`, isRef, above)
    }
  } else {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) {
      throw notJson(path, `a ${value.constructor?.name ?? 'class instance'}`, 'turn it into plain data first')
    }
    for (const key in value) {
      if (key.startsWith('@') && RESERVED.has(key)) throw notJson(`${path}.${key}`, 'a reserved key', 'choose another name')
      if (ESCAPED_IN_KEYS.test(key)) throw escapedKey(path, key)
      const member = (value as Record<string, unknown>)[key]
      if (typeof member === 'object' ? member !== null && !isRef(member) : member !== undefined)
        walk(member, `${path}.${key}`, isRef, above)
    }
  }
  above.delete(value)
}

function notJson(path: string, found: string, why: string, hint = 'keep contexts, events, inputs and outputs plain JSON'): Defect {
  return new Defect('E_NOT_JSON', `${path} holds ${found}: ${why}`, { hint })
}

/** A key that could come back as another one. */
function escapedKey(path: string, key: string): Defect {
  const found = key.isWellFormed() ? 'a key with a quote, a backslash or a control character' : 'a key with a lone surrogate'
  const shown = JSON.stringify(key.length > KEY_SHOWN_CHARS ? `${key.slice(0, KEY_SHOWN_CHARS)}...` : key)
  return notJson(path, found, shown, 'use another key, or a list of pairs')
}
const KEY_SHOWN_CHARS = 80

/** One value that is longer than a whole event may be is no state of an actor, but a file. */
function tooLong(path: string, chars: number): Defect {
  return new Defect('E_PAYLOAD_TOO_LARGE', `${path} is a string of ${chars} characters, ${PAYLOAD_BYTES_MAX} are allowed`, {
    hint: 'keep it in a file, and its name here',
  })
}
