/**
 * Where a JSON object or list that begins somewhere in a text ends. Only brackets and strings are looked at, so what is inside need not be JSON.
 * One loop and no regular expression: those run out of stack on strings of megabytes.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const NEWLINE = 0x0a
const isOpening = (code: number): boolean => code === 0x5b || code === 0x7b // [ {
const isClosing = (code: number): boolean => code === 0x5d || code === 0x7d // ] }

/** The place behind the bracket that closes the one at `start`; null where none does, where a string does not end, and where there is no bracket. */
export function jsonEnd(text: string, start: number): number | null {
  if (text[start] !== '{' && text[start] !== '[') return null
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = stringEnd(text, at)
      if (end === null) return null
      at = end
    }
    if (isOpening(code)) depth++
    else if (isClosing(code) && --depth === 0) return at + 1
  }
  return null
}

/** The place of the quote that ends the string that begins at `start`. A line break ends none. */
function stringEnd(text: string, start: number): number | null {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === NEWLINE) return null
    if (code === BACKSLASH) at++
  }
  return null
}
