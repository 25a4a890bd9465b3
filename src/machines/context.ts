/**
 * What of a conversation a model is shown, within a hard budget of tokens (S11, P16). Pure: the same conversation and budget give the same prompt.
 *
 *   always kept   what the system says at the beginning, what a user has said last, the newest answer after that with the results of its calls
 *   left out      as little as possible, in this order: answers with their results and other messages, the oldest first; then
 *                 results of the newest answer are cut in the middle; then summaries; then what was said first: the task
 *   in its place  one line for each gap that says how many messages are missing
 *
 * Never over the budget; where even that does not fit there is no prompt, but what it would need (`E_CONTEXT_TOO_LARGE`). A larger budget keeps at least as
 * much, and a prompt that was built is built again as it is. Nothing here changes the thread: with another model there may be more room.
 */
import { countOf, type Group, type History, historyOf } from './history.ts'
import type { Message } from './vocabulary.ts'

/** Characters of a result that are never cut away. */
const RESULT_CHARS_MIN = 200

export interface ContextRequest {
  readonly messages: readonly Message[]
  /** Tokens for the messages, tools not included. `Infinity`: all of it, mended and with its summaries. */
  readonly budgetTokens: number
  /** Tokens of one message: `tokensOfMessage`. */
  readonly measure: (message: Message) => number
}

/** `needed`: tokens of the least that would have to be kept. */
export type Context =
  | {
      readonly ok: true
      readonly messages: readonly Message[]
      readonly tokens: number
      /** Tokens of all of it, mended and with its summaries. */
      readonly wholeTokens: number
      /** What is left out, by its places in the conversation: the first, the last + 1, and how many. */
      readonly dropped: { readonly from: number; readonly to: number; readonly count: number } | null
      /** Results of tools that are cut in the middle. */
      readonly cut: number
    }
  | { readonly ok: false; readonly needed: number; readonly budget: number }

/** Builds a prompt from a conversation. */
export function buildContext({ messages, budgetTokens, measure }: ContextRequest): Context {
  const history = historyOf(messages)
  const draft = new Draft(history.groups, measure, budgetTokens)
  const [ordinary, precious] = droppable(history)
  const whole = draft.leaveOut(ordinary)
  if (whole !== null) return whole
  const newest = newestOf(history)
  const isCut = newest !== undefined && draft.cutResults(newest)
  return draft.leaveOut(isCut ? [] : precious) ?? { ok: false, needed: draft.built().tokens, budget: budgetTokens }
}

/** A prompt that becomes smaller until it fits. */
class Draft {
  readonly #sizes: Map<Group, number>
  readonly #left = new Set<Group>()
  readonly #whole: number
  /** Without the notes about what is left out. */
  #kept: number
  /** What is shown of a group instead of all of it. */
  #cut: { readonly group: Group; readonly messages: readonly Message[] } | null = null

  readonly #groups: readonly Group[]
  readonly #measure: ContextRequest['measure']
  readonly #budget: number

  constructor(groups: readonly Group[], measure: ContextRequest['measure'], budget: number) {
    this.#groups = groups
    this.#measure = measure
    this.#budget = budget
    this.#sizes = new Map(groups.map((group) => [group, sizeOf(group.messages, measure)]))
    this.#whole = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0)
    this.#kept = this.#whole
  }

  built(): Context & { readonly ok: true } {
    const messages = withNotes(this.#groups, this.#left, this.#cut)
    const { group, messages: shown = [] } = this.#cut ?? {}
    const cut = shown.filter((message, index) => message !== group?.messages[index]).length
    return { ok: true, messages, tokens: sizeOf(messages, this.#measure), wholeTokens: this.#whole, dropped: droppedOf(this.#left), cut }
  }

  /** The first of them is left out, then the second, until it fits. Null: it does not without all of them. */
  leaveOut(order: readonly Group[]): Context | null {
    for (const group of [null, ...order]) {
      if (group !== null) this.#left.add(group)
      this.#kept -= group === null ? 0 : (this.#sizes.get(group) ?? 0)
      if (this.#kept > this.#budget) continue
      const built = this.built()
      if (built.tokens <= this.#budget) return built
    }
    return null
  }

  /** Cuts the results of this group so far that it fits; as far as they may be where it does not. */
  cutResults(group: Group): boolean {
    const size = this.#sizes.get(group) ?? 0
    const others = this.built().tokens - size
    const { messages, fits } = cutToFit(group.messages, (cut) => others + sizeOf(cut, this.#measure) <= this.#budget)
    this.#kept -= size - sizeOf(messages, this.#measure)
    this.#cut = { group, messages }
    return fits
  }
}

const sizeOf = (messages: readonly Message[], measure: ContextRequest['measure']): number =>
  messages.reduce((sum, message) => sum + measure(message), 0)

/** The newest answer after what a user has said last: a model that does not see what it has just done does it again. */
function newestOf({ groups, lastUser }: History): Group | undefined {
  const index = groups.findLastIndex(({ kind }) => kind === 'answer')
  return index > lastUser ? groups[index] : undefined
}

/** What may be left out, in the order in which it is: before results are cut, and after. */
function droppable(history: History): readonly [readonly Group[], readonly Group[]] {
  const { groups, head, lastUser } = history
  const newest = newestOf(history)
  const task = groups[head]?.kind === 'user' ? head : -1
  const free = groups.filter((group, index) => index >= head && index !== lastUser && group !== newest)
  const ordinary = free.filter((group) => group !== groups[task] && group.kind !== 'summary')
  const summaries = free.filter(({ kind }) => kind === 'summary')
  return [ordinary, [...summaries, ...free.filter((group) => group === groups[task])]]
}

function droppedOf(left: ReadonlySet<Group>): (Context & { ok: true })['dropped'] {
  const places = [...left].flatMap(({ at }) => at)
  if (places.length === 0) return null
  const [from, last] = places.reduce(([low, high], place) => [Math.min(low, place), Math.max(high, place)], [Number.POSITIVE_INFINITY, 0])
  return { from, to: last + 1, count: [...left].reduce((sum, group) => sum + countOf(group), 0) }
}

/** What is shown, with one line in the place of each gap. */
function withNotes(
  groups: readonly Group[],
  left: ReadonlySet<Group>,
  cut: { readonly group: Group; readonly messages: readonly Message[] } | null,
): readonly Message[] {
  const shown: Message[] = []
  let missing = 0
  for (const group of groups) {
    if (left.has(group)) {
      missing += countOf(group)
      continue
    }
    if (missing > 0) shown.push(noteOf(missing))
    missing = 0
    shown.push(...(group === cut?.group ? cut.messages : group.messages))
  }
  return missing > 0 ? [...shown, noteOf(missing)] : shown
}

const noteOf = (count: number): Message => ({
  role: 'user',
  content: count === 1 ? '[one message is left out here]' : `[${count} messages are left out here]`,
  standsFor: count,
})

/** Results cut so far that it fits, all to the same length; as short as they may be where it does not. */
function cutToFit(messages: readonly Message[], fits: (messages: readonly Message[]) => boolean) {
  const at = (chars: number): readonly Message[] =>
    messages.map((message) => (message.role === 'tool' ? withContent(message, middleCut(message.content, chars)) : message))
  let [low, high] = [RESULT_CHARS_MIN, Math.max(RESULT_CHARS_MIN, ...messages.map(({ content }) => content.length))]
  if (!fits(at(low))) return { messages: at(low), fits: false }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (fits(at(middle))) low = middle
    else high = middle - 1
  }
  return { messages: at(low), fits: true }
}

const withContent = (message: Message, content: string): Message => (content === message.content ? message : { ...message, content })

/** Beginning and end of a text, with a note between them. A text that the note would make longer stays as it is. */
export function middleCut(text: string, chars: number): string {
  const note = `\n[${text.length - chars} characters left out]\n`
  if (text.length <= chars + note.length) return text
  const tail = Math.floor(chars / 3)
  return `${text.slice(0, chars - tail)}${note}${text.slice(text.length - tail)}`.toWellFormed()
}
