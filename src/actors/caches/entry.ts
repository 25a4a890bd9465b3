/**
 * One kept answer as a file: JSON with its own hash.
 *
 *   <home>/cache/ab/ab12...ef.json      {"sha256":"<of the payload>","payload":{"v":1,"key":"ab12...ef","at":"2026-11-20T09:12:04.118Z","answer":{...}}}
 *
 * The hash is over the payload as JSON with sorted names. The key is in the payload: an entry under another name is no entry. Written beside its place and
 * renamed: readers see the old one, the new one or none. It is not synced: what power loss leaves of it does not fit its hash, and is made again.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { z } from 'zod'
import { canonical } from '../../machines/fingerprint.ts'
import { message } from '../../machines/vocabulary.ts'
import type { CachedAnswer } from '../cache.ts'

const FORMAT = 1

const answer = z.strictObject({
  message,
  finish: z.enum(['stop', 'tool_calls']),
  provider: z.string(),
  model: z.string().nullable(),
})
const payload = z.strictObject({ v: z.literal(FORMAT), key: z.string(), at: z.iso.datetime(), answer })
const entry = z.strictObject({ sha256: z.string(), payload })

/** The text of an entry. */
export function entryText(key: string, answer: CachedAnswer, wallMs: number): string {
  const payload = { v: FORMAT, key, at: new Date(wallMs).toISOString(), answer }
  return `${JSON.stringify({ sha256: hashOf(payload), payload })}\n`
}

/** What an entry holds, or why it is none. */
export type Read = { readonly answer: CachedAnswer; readonly cause: null } | { readonly answer: null; readonly cause: string }

/** Reads one entry and checks all of it (A6). Null: there is none. Never rejects. */
export async function validateCacheEntry(path: string): Promise<Read | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => error)
  if (typeof text !== 'string') return text.code === 'ENOENT' ? null : none(`cannot be read (${text.code})`)
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return none(text === '' ? 'is empty' : 'is no JSON')
  }
  const found = data as { sha256?: unknown; payload?: { v?: unknown } | null } | null
  if (typeof found?.payload !== 'object' || found.payload === null) return none('is no entry')
  if (found.payload.v !== FORMAT) return none(`has format ${String(found.payload.v)}, this release reads ${FORMAT}`)
  if (found.sha256 !== hashOf(found.payload)) return none('sha256 differs')
  const parsed = entry.safeParse(data)
  if (!parsed.success) return none('is no entry')
  if (`${parsed.data.payload.key}.json` !== basename(path)) return none('is under another name')
  return { answer: parsed.data.payload.answer as CachedAnswer, cause: null }
}

const none = (cause: string): Read => ({ answer: null, cause })
const hashOf = (payload: object): string => createHash('sha256').update(canonical(payload)).digest('hex')
