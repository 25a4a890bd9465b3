/**
 * Conversations with a model: append-only threads outside the context, of which a context keeps only name and size.
 * What is said first in a round of work, and in which words, is decided here; the words of the roles come in by input.
 *
 *   thread `/team/coder/parse`     system, user (the item), assistant, tool, tool, assistant, user (feedback), assistant ...
 *   thread `/team/coder/parse~2`   the same item, begun anew after the first one went in circles
 */
import type { Json } from '../json.ts'
import type { ThreadAppend } from '../protocol.ts'
import { tokensOfMessage } from './tokens.ts'
import type { Message, ReviewRequest, TaskAssign } from './vocabulary.ts'

/** What a context remembers of one thread. */
export interface Conversation {
  readonly thread: string
  readonly length: number
  /** Answers of the model so far. They outlive rounds and restarts, and so do limits on them. */
  readonly turns: number
  readonly chars: number
  /** Tokens that it takes at most as its model is shown it: summaries stand in the place of what they are of. Absent in a context of an earlier version. */
  readonly tokens?: number
  /** Where it may be cut, oldest first: before each answer of the model, but for those that a summary stands for. */
  readonly cuts?: readonly Cut[]
  /** What a user has said last; it is always shown. */
  readonly lastUser?: { readonly at: number; readonly tokens: number }
}

/** A place in a conversation, and the tokens that are shown before it. */
export interface Cut {
  readonly at: number
  readonly tokens: number
}

interface Talking {
  readonly address: string
  readonly conversations: readonly Conversation[]
}

/** What a conversation is about, as the last part of its thread's name. */
export const topicOf = (item: string, conversation: number): string => (conversation === 1 ? item : `${item}~${conversation}`)

/** One thread for each actor and topic. */
const threadOf = (address: string, item: string): string => `${address}/${item}`

/** The conversation about an item; an empty one where nothing was said yet. */
export function conversationOf(context: Talking, item: string): Conversation {
  const thread = threadOf(context.address, item)
  return context.conversations.find((known) => known.thread === thread) ?? { thread, length: 0, turns: 0, chars: 0 }
}

/** Parameters of `thread.append`. Take the same messages to {@link grown} in the same step. */
export function appending(context: Talking, item: string, messages: readonly Message[]): ThreadAppend {
  return { thread: threadOf(context.address, item), items: messages as readonly Json[] }
}

/** The context's conversations after these messages. */
export function grown(context: Talking, item: string, messages: readonly Message[]): readonly Conversation[] {
  return withConversation(context, messages.reduce(plus, conversationOf(context, item)))
}

/** The same with one conversation changed. */
export const withConversation = ({ conversations }: Talking, changed: Conversation): readonly Conversation[] => [
  ...conversations.filter((known) => known.thread !== changed.thread),
  changed,
]

/** Tokens that a conversation takes at most. One of an earlier version has only its length, and a character is a token at most in what is written there. */
export const tokensOf = ({ tokens, chars }: Conversation): number => tokens ?? chars

function plus(conversation: Conversation, message: Message): Conversation {
  const { thread, length, turns, chars, cuts = [], lastUser } = conversation
  const [before, own] = [tokensOf(conversation), tokensOfMessage(message)]
  const last = message.role === 'user' ? { at: length, tokens: own } : lastUser
  const isAnswer = message.role === 'assistant'
  return {
    thread,
    length: length + 1,
    turns: turns + (isAnswer ? 1 : 0),
    chars: chars + charsOf(message),
    tokens: before + own,
    cuts: isAnswer ? [...cuts, { at: length, tokens: before }] : cuts,
    ...(last === undefined ? {} : { lastUser: last }),
  }
}

function charsOf(message: Message): number {
  return message.content.length + (message.toolCalls === undefined ? 0 : JSON.stringify(message.toolCalls).length)
}

/** A coder's first words of a round: role and item where the conversation is new, feedback where there is any. */
export function taskMessages(system: string, fresh: boolean, task: TaskAssign): readonly Message[] {
  const opening: Message[] = fresh
    ? [
        { role: 'system', content: system },
        { role: 'user', content: describeTask(task) },
      ]
    : []
  if (fresh && task.note !== null) opening.push({ role: 'user', content: `You begin anew, and the files stay as they are. ${task.note}` })
  if (task.feedback === null) return fresh ? opening : [{ role: 'user', content: describeTask(task) }]
  return [...opening, { role: 'user', content: `Round ${task.round}. Your change is not accepted yet:\n${task.feedback}` }]
}

function describeTask({ item, goal, input }: TaskAssign): string {
  const lines = [`Work item ${item.id} (${item.phase}): ${item.description}`]
  if (goal !== null && goal !== item.description) lines.push(`It is part of this goal: ${goal}`)
  if (item.files.length > 0) lines.push(`Files that matter: ${item.files.join(', ')}`)
  if (input !== null) lines.push(`Input: ${JSON.stringify(input)}`)
  return lines.join('\n')
}

/** A reviewer's first words of a round. */
export function reviewMessages(system: string, fresh: boolean, { item, diff, tree, round }: ReviewRequest): readonly Message[] {
  const change = diff === '' ? 'Nothing was changed.' : diff
  const content = `Round ${round} of work item ${item.id}: ${item.description}\nThe change, tree ${tree}:\n\n${change}`
  return [...(fresh ? [{ role: 'system' as const, content: system }] : []), { role: 'user', content }]
}
