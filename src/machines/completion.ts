/**
 * When is a coder done? Completion is a decision that the model makes with the tool `done`; text is none (S10).
 *
 *   the message calls a tool          decided    `done` ends the round, any other call goes on
 *   its text has a completion marker   marked     for models that cannot call tools; the marker is taken out of the text
 *   neither                           silent     it is told what to do, twice at most; then the round ends without a decision
 *
 * A script is believed: its text without a call has always been the summary of the work.
 */
import type { Message } from './vocabulary.ts'

/** How an answer stands to the end of the work. `text` is what it said, without markers. */
export interface Completion {
  readonly kind: 'decided' | 'marked' | 'silent'
  readonly text: string
}

/** Times that a model which neither calls a tool nor decides is told so, in a row. */
export const NUDGES_MAX = 2

const MARKER = /<(?:troupe|sindri):complete\s{0,8}\/>/g

/** How an answer stands. `simulated`: it is of a script or a tape. */
export function completionOf(message: Message, { simulated }: { readonly simulated: boolean }): Completion {
  const text = message.content.replace(MARKER, '').trim()
  if ((message.toolCalls ?? []).length > 0) return { kind: 'decided', text }
  if (text !== message.content.trim()) return { kind: 'marked', text }
  return { kind: simulated ? 'decided' : 'silent', text }
}

/** What a silent model is told for the `nudges + 1`th time, or null where it was told often enough. */
export function completionNudge(nudges: number): string | null {
  if (nudges >= NUDGES_MAX) return null
  const again = nudges === 0 ? '' : ' This is the last time you are asked.'
  return `You called no tool, so nothing was done. Call the next tool, or, where the work is finished, call \`done\` with a summary. If you cannot call tools, end your answer with <troupe:complete/>.${again}`
}
