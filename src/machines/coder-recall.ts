/**
 * A coder that remembers: before the first words about an item are said, its project's memory is asked, and what it knows stands between role and item.
 *
 *   system   the role
 *   user     What is remembered of earlier work on this project ...     nothing is said where nothing is remembered, or nothing could be asked
 *   user     Work item flag (implementation): Add the flag              stays the last word
 *
 * The first words wait in the context until then. Without `memory` in its input none of this happens.
 */
import type { CoderContext, CoderInput } from './coder-rules.ts'
import { conversationOf, taskMessages, topicOf } from './conversation.ts'
import { RECALL_LIMITS, type RecallInput, type RecallLimits } from './memory-effects.ts'
import type { Message, TaskAssign } from './vocabulary.ts'

/** Of a window, what is remembered takes no more than one part in so many. */
const WINDOW_SHARE = 4
/** Characters of a question to the memory. */
const QUERY_CHARS_MAX = 4_000

/** The part of the context that a coder which remembers has. */
export interface Remembering {
  readonly memory?: RecallLimits
  /** What is asked, and the first words that wait for the answer; null: nothing is asked. */
  readonly recalling?: { readonly input: RecallInput; readonly opening: readonly Message[] } | null
}

/** Its part of the first context. `memory: true`: within the default limits. */
export function rememberingOf({ memory, window, contextTokensMax }: CoderInput): Remembering {
  if (memory === undefined || memory === false) return {}
  const limits = memory === true ? RECALL_LIMITS : memory
  const windowTokens = window?.promptTokensMax ?? contextTokensMax ?? RECALL_LIMITS.tokensMax
  return { memory: { ...limits, tokensMax: Math.max(1, Math.min(limits.tokensMax, Math.floor(windowTokens / WINDOW_SHARE))) } }
}

/** Is the memory asked before these first words are said? */
export const isRecalledFirst = (context: CoderContext, task: TaskAssign): boolean =>
  context.memory !== undefined && conversationOf(context, topicOf(task.item.id, task.conversation)).length === 0

/** What is asked about this item; nothing of it where the conversation has begun. */
export function beginRecall(context: CoderContext, task: TaskAssign): Remembering {
  if (context.memory === undefined) return {}
  if (!isRecalledFirst(context, task)) return { recalling: null }
  const { item, workspace } = task
  const query = [item.description, ...item.files].join('\n').slice(0, QUERY_CHARS_MAX).toWellFormed()
  const input = { project: workspace.source, query, limits: context.memory }
  return { recalling: { input, opening: taskMessages(context.system, true, task) } }
}

/** The first words, with what is remembered before the item. */
export function openingWith({ task, recalling }: CoderContext, remembered: string) {
  const opening = recalling?.opening ?? []
  const role = opening.filter((message) => message.role === 'system')
  const words: readonly Message[] = remembered === '' ? [] : [{ role: 'user', content: remembered }]
  return { topic: task?.topic ?? '', messages: [...role, ...words, ...opening.slice(role.length)] }
}
