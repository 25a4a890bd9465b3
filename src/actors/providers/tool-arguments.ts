/**
 * The arguments of a tool call, strictly: what a model sent in pieces is one JSON object, or the answer is not usable. Nothing is repaired. The official
 * clients mend a broken text into an object with fewer members, and a tool that is run with those does something that nobody asked for.
 *
 *   ''                  {}     a tool without arguments
 *   {"path":"a.ts"}     as it is
 *   {"path":"a.t        E_PROVIDER_OUTPUT      cut
 *   [1]  "x"  null      E_PROVIDER_OUTPUT      no object
 */
import { Failure } from '../../effect.ts'
import { assertJson, type Json, type JsonObject } from '../../json.ts'
import type { ToolCall } from '../../machines/vocabulary.ts'

/** A call as its pieces came. */
export interface SpokenCall {
  readonly id: string
  readonly name: string
  readonly args: string
}

/**
 * Calls that a machine may be given. A call without an id of its own gets one, so that its result can be told from the others.
 * @param isCut  the answer ended at its limit: the same again would be cut again.
 * @throws {Failure} `E_PROVIDER_OUTPUT`
 */
export function toolCalls(spoken: readonly SpokenCall[], turn: number, isCut: boolean): ToolCall[] {
  const ids = new Set<string>()
  return spoken.map(({ id, name, args }, place) => {
    if (name === '') throw new Failure('E_PROVIDER_OUTPUT', 'a tool call without a name', { retry: 'backoff' })
    const own = id === '' || ids.has(id) ? freeId(`call-${turn}-${place + 1}`, ids) : id
    ids.add(own)
    return { id: own, name, args: parsed(args, isCut) } as ToolCall
  })
}

/** A server may have given this one to another call. */
const freeId = (id: string, ids: ReadonlySet<string>): string => (ids.has(id) ? freeId(`${id}-`, ids) : id)

function parsed(text: string, isCut: boolean): JsonObject {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      assertJson(value, 'arguments')
      return value as { readonly [key: string]: Json }
    }
  } catch {
    if (isCut) throw new Failure('E_PROVIDER_OUTPUT', 'the answer was cut at its limit in the middle of a tool call', { retry: 'never' })
  }
  throw new Failure('E_PROVIDER_OUTPUT', 'the arguments of a tool call are not one JSON object', { retry: 'backoff' })
}
