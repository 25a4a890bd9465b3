/** Values to text columns and back. Only what is stored as JSON passes here; text that the caller encoded already is stored as it came. */
import { Defect } from '../../../errors.ts'
import type { Json } from '../../../json.ts'

/**
 * A value as JSON text. Values were checked by `assertJson` where they entered; this is the last net.
 * @throws {Defect} `E_NOT_JSON` for a BigInt, a cycle, or something that has no JSON at all.
 */
export function toText(value: unknown, where: string): string {
  try {
    const text = JSON.stringify(value)
    if (text !== undefined) return text
  } catch (error) {
    throw new Defect('E_NOT_JSON', `${where} cannot be stored: ${error instanceof Error ? error.message : String(error)}`)
  }
  throw new Defect('E_NOT_JSON', `${where} cannot be stored: a ${typeof value} has no JSON`)
}

/** The value of a text column that {@link toText} wrote. */
export function fromText<T = Json>(text: string): T {
  return JSON.parse(text) as T
}
