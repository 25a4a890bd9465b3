/**
 * A conversation as a model may be shown it: mended, with its summaries in place, and in groups that are shown or left out together.
 *
 *   messages   system  user  assistant(calls a, b)  tool b  user  assistant  summary of 2..4
 *   groups     [system] [summary]                         [user] [assistant]                  a call is never apart from its results
 *
 * Mended (P10): a call without a result gets one that says so, a result without its call is dropped, a result that came late stands behind its call.
 * Providers refuse anything else. The thread itself is never changed.
 */
import type { Message } from './vocabulary.ts'

/** What a model is told of a call whose result nobody knows: its life or its process ended first. */
export const INTERRUPTED = 'interrupted: not performed'

/** Messages that are shown together. `at`: their places in the conversation, none of those that were made up. */
export interface Group {
  readonly kind: 'system' | 'user' | 'answer' | 'summary'
  readonly messages: readonly Message[]
  readonly at: readonly number[]
}

interface Placed {
  readonly message: Message
  readonly at: number
}

/** What a model is shown of a conversation where there is room for all of it. */
export interface History {
  readonly groups: readonly Group[]
  /** Groups at the beginning that are always shown: the system's words. */
  readonly head: number
  /** Index of the group with what a user has said last; -1: nobody has. */
  readonly lastUser: number
}

/** Mends a conversation and puts its summaries in the place of what they stand for. What must always be shown is never replaced. */
export function historyOf(messages: readonly Message[]): History {
  const placed = messages.map((message, at) => ({ message, at }))
  const summaries = placed.filter((one) => isSummary(one))
  const groups = grouped(placed.filter((one) => !isSummary(one)))
  const [head, last] = [headOf(groups), lastUserOf(groups)]
  const shown = summarised(groups, summaries, (index) => index < head || index === last)
  return { groups: shown, head, lastUser: lastUserOf(shown) }
}

/** One that names messages before it. Anything else that looks like one is a message like any other. */
function isSummary({ message: { role, summaryOf }, at }: Placed): boolean {
  return role === 'user' && summaryOf !== undefined && summaryOf.count <= summaryOf.back && summaryOf.back <= at
}

function grouped(placed: readonly Placed[]): readonly Group[] {
  const groups: Group[] = []
  for (const [index, { message, at }] of placed.entries()) {
    if (message.role === 'assistant') groups.push(answerOf(message, at, resultsAfter(placed, index)))
    else if (message.role !== 'tool') groups.push({ kind: message.role, messages: [message], at: [at] })
  }
  return groups
}

/** Results between this answer and the next: ids of calls are unique within one answer only. */
function resultsAfter(placed: readonly Placed[], index: number): readonly Placed[] {
  const next = placed.findIndex(({ message }, place) => place > index && message.role === 'assistant')
  return placed.slice(index + 1, next === -1 ? placed.length : next).filter(({ message }) => message.role === 'tool')
}

/** An answer with exactly one result for each of its calls: those that there are, in their order, then those that are missing. */
function answerOf(message: Message, at: number, results: readonly Placed[]): Group {
  const open = (message.toolCalls ?? []).map((call) => call.id)
  const found = results.filter(({ message: { toolCallId } }) => {
    const index = toolCallId === undefined ? -1 : open.indexOf(toolCallId)
    if (index !== -1) open.splice(index, 1)
    return index !== -1
  })
  const missing = open.map((toolCallId): Message => ({ role: 'tool', toolCallId, content: INTERRUPTED }))
  return { kind: 'answer', messages: [message, ...found.map((one) => one.message), ...missing], at: [at, ...found.map((one) => one.at)] }
}

function headOf(groups: readonly Group[]): number {
  const end = groups.findIndex(({ kind }) => kind !== 'system')
  return end === -1 ? groups.length : end
}

const lastUserOf = (groups: readonly Group[]): number =>
  groups.findLastIndex(({ kind, messages }) => kind === 'user' && messages[0]?.standsFor === undefined)

/** The newest summary first: what it stands for, older ones have nothing to say about any more. */
function summarised(groups: readonly Group[], summaries: readonly Placed[], isKept: (index: number) => boolean): readonly Group[] {
  const claimed = new Map<number, number>()
  for (const { message, at } of summaries.toReversed()) {
    const { back = 0, count = 0 } = message.summaryOf ?? {}
    const isMeant = (place: number): boolean => place >= at - back && place < at - back + count
    for (const [index, group] of groups.entries())
      if (!isKept(index) && !claimed.has(index) && group.at.every(isMeant)) claimed.set(index, at)
  }
  return groups.flatMap((group, index) => {
    const by = claimed.get(index)
    if (by === undefined) return [group]
    const all = groups.filter((_, other) => claimed.get(other) === by)
    return all[0] === group ? [summaryGroup(summaries.find(({ at }) => at === by)?.message, all)] : []
  })
}

function summaryGroup(summary: Message | undefined, all: readonly Group[]): Group {
  const standsFor = all.reduce((sum, group) => sum + countOf(group), 0)
  return { kind: 'summary', messages: [{ role: 'user', content: summary?.content ?? '', standsFor }], at: all.flatMap(({ at }) => at) }
}

/** Messages of the conversation that a group is, or stands for. */
export const countOf = ({ messages, at }: Group): number => messages[0]?.standsFor ?? at.length
