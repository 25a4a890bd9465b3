/**
 * Has a body said that it is over? Clients stop reading there, and some close the connection before the server does: that is no answer that was cut.
 *
 *   Ollama     {..., "done": true}          one JSON object a line
 *   Anthropic  event: message_stop
 *   OpenAI     data: [DONE]
 */

/** A line that is longer is looked at only when it is whole. */
const PARTIAL_CHARS_MAX = 65_536

/** Fed with a body, piece by piece: true from the piece on that has its last word. */
export function lastWordIn(): (chunk: Uint8Array) => boolean {
  let rest = ''
  let isSaid = false
  return (chunk) => {
    if (isSaid) return true
    const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    isSaid = lines.some(isLastWord) || (rest.length <= PARTIAL_CHARS_MAX && isLastWord(rest))
    return isSaid
  }
}

function isLastWord(line: string): boolean {
  const text = line.trim()
  if (text === 'event: message_stop' || text === 'data: [DONE]') return true
  if (!text.startsWith('{') || !text.endsWith('}') || !/"done":\s*true/.test(text)) return false
  try {
    return (JSON.parse(text) as { done?: unknown }).done === true
  } catch {
    return false
  }
}
