/** Values as JSON text and back. What is kept is text, so nobody holds an object of it, and every answer is new: as after a reopening. */
import { Defect } from '../../../errors.ts'
import type { Json } from '../../../json.ts'

/**
 * Values were checked by `assertJson` where they entered; this is the last net.
 * @throws {Defect} `E_NOT_JSON` for a BigInt, a cycle, or something that has no JSON at all.
 */
export function toText(value: unknown, where: string): string {
  let why = `a ${typeof value} has no JSON`
  try {
    const text = JSON.stringify(value)
    if (text !== undefined) return text
  } catch (error) {
    why = error instanceof Error ? error.message : String(error)
  }
  throw new Defect('E_NOT_JSON', `${where} cannot be stored: ${why}`)
}

/** The value of a text that {@link toText} made. */
export function fromText<T = Json>(text: string): T {
  return JSON.parse(text) as T
}
