/** What an actor has so far: `context.partial` of its newest snapshot. Given to whoever waited for it in vain, so that its work is not lost with its time. */
import type { Json } from '../../../json.ts'
import { PAYLOAD_BYTES_MAX } from '../../../limits.ts'
import type { Address } from '../../../protocol.ts'
import { contentOf } from '../../snapshot.ts'
import type { Tree } from './tree.ts'

/** `partial` is null where nobody lives, or nothing is there. `partialChars`: it is larger than an event may be, and this large. */
export interface TimedOut {
  readonly status: 'timed_out'
  readonly partial: Json
  readonly partialChars?: number
}

export function timedOutWith(tree: Tree, address: Address): TimedOut {
  const cell = tree.cells.get(address)
  const snapshot = cell === undefined ? null : tree.snapshotOf(cell)
  const context = snapshot === null ? null : contentOf(snapshot).context
  const isObject = typeof context === 'object' && context !== null && !Array.isArray(context)
  const fields = (isObject ? context : {}) as { readonly [key: string]: Json | undefined }
  const partial = fields['partial'] ?? null
  const { length } = JSON.stringify(partial)
  if (length > PAYLOAD_BYTES_MAX) return { status: 'timed_out', partial: null, partialChars: length }
  return { status: 'timed_out', partial }
}
