import { expect, test } from 'vitest'
import {
  compactQuestion,
  isFull,
  learned,
  openWindow,
  shortened,
  stretchOf,
  type Window,
  windowInput,
} from '../../src/machines/compacting.ts'
import { buildContext } from '../../src/machines/context.ts'
import { type Conversation, conversationOf, grown, tokensOf } from '../../src/machines/conversation.ts'
import { promptOf } from '../../src/machines/prompt.ts'
import { tokensOfMessage } from '../../src/machines/tokens.ts'
import type { Message } from '../../src/machines/vocabulary.ts'
import type { AskEvent } from '../../src/protocol.ts'

const LIMITS = { promptTokensMax: 2_000, toolsTokens: 0 }
const window = (limits = {}): Window => openWindow('/team/optimizer', { ...LIMITS, ...limits })
const exchange = (turn: number, chars = 300): readonly Message[] => [
  { role: 'assistant', content: `turn ${turn}`, toolCalls: [{ id: 'c', name: 'read', args: {} }] },
  { role: 'tool', toolCallId: 'c', content: `result ${turn} `.padEnd(chars, 'x') },
]
const OPENING: readonly Message[] = [
  { role: 'system', content: 'You code.' },
  { role: 'user', content: 'The task.' },
]

/** A conversation of so many exchanges, with its thread. */
function talking(turns: number, chars?: number): { conversation: Conversation; thread: Message[] } {
  const thread = [...OPENING, ...Array.from({ length: turns }, (_, index) => exchange(index + 1, chars)).flat()]
  const conversations = grown({ address: '/team/coder', conversations: [] }, 'flag', thread)
  return { conversation: conversationOf({ address: '/team/coder', conversations }, 'flag'), thread }
}
const answered = (summary: string): AskEvent => ({ type: 'ask.answered', id: 'compact/1', answer: { type: 'context.compacted', summary } })
const shownSize = (messages: readonly Message[]): number => {
  const built = buildContext({ messages, budgetTokens: Number.POSITIVE_INFINITY, measure: (message) => tokensOfMessage(message) })
  return built.ok ? built.tokens : -1
}

test('a conversation counts its tokens as its model is shown them, at most', () => {
  const { conversation, thread } = talking(4)
  expect(tokensOf(conversation)).toBe(shownSize(thread))
  expect(conversation.cuts?.map(({ at }) => at)).toEqual([2, 4, 6, 8])
  expect(conversation.cuts?.[1]?.tokens).toBe(shownSize(thread.slice(0, 4)))
  expect(conversation.lastUser).toEqual({ at: 1, tokens: tokensOfMessage(OPENING[1]!) })
})

test('a conversation of an earlier version is as long as its characters', () => {
  expect(tokensOf({ thread: 't', length: 3, turns: 1, chars: 700 })).toBe(700)
  expect(isFull(window(), { thread: 't', length: 3, turns: 1, chars: 7_000 })).toBe(false)
})

test('it is full from 80 % of what a prompt may take, where there is somebody to ask and something to gain', () => {
  const first = Array.from({ length: 20 }, (_, turns) => turns).find((turns) => isFull(window(), talking(turns).conversation))!
  expect(tokensOf(talking(first).conversation)).toBeGreaterThan(1_600)
  expect(tokensOf(talking(first - 1).conversation)).toBeLessThanOrEqual(1_600)
  const { conversation } = talking(first)
  expect(isFull(openWindow(undefined, LIMITS), conversation)).toBe(false)
  expect(isFull(openWindow('/team/optimizer', {}), conversation)).toBe(false)
  expect(isFull(window(), talking(1, 4_000).conversation)).toBe(false)
})

test('the stretch is everything from the first answer on but the newest answers, and ends between two exchanges', () => {
  const { conversation, thread } = talking(8)
  const { from, to } = stretchOf(window(), conversation)!
  expect(from.at).toBe(2)
  expect(thread[to.at]?.role).toBe('assistant')
  expect(tokensOf(conversation) - to.tokens).toBeLessThanOrEqual(0.3 * 2_000)
  expect(compactQuestion({ ...window(), asked: 3 }, conversation, 'flag')).toEqual({
    ...{ id: 'compact/3', to: '/team/optimizer', timeoutMs: 180_000 },
    event: {
      ...{ type: 'context.compact', thread: '/team/coder/flag', back: 16, count: to.at - 2, tokens: to.tokens - from.tokens },
      ...{ item: 'flag', budgetTokens: 300 },
    },
  })
})

test('an exchange that is larger than what is kept stays all the same: the newest one is never replaced', () => {
  const { conversation } = talking(3, 1_500)
  expect(stretchOf(window(), conversation)?.to.at).toBe(6)
})

test.for(['summary', 'truncated'] as const)('afterwards it counts what its model is then shown (%s), also the second time', (method) => {
  let { conversation, thread } = talking(8)
  let at = window()
  for (const _ of [1, 2]) {
    const made = shortened(
      at,
      conversation,
      method === 'summary' ? answered('Read much.') : { type: 'ask.timed_out', id: 'x', to: '', status: 'timed_out', partial: null },
    )!
    expect(made.fact).toMatchObject({ method, beforeTokens: tokensOf(conversation), afterTokens: tokensOf(made.conversation) })
    thread = [...thread, made.message]
    expect(tokensOf(made.conversation)).toBe(shownSize(thread))
    expect(isFull(made.window, made.conversation)).toBe(false)
    const more = [9, 10, 11, 12, 13].flatMap((turn) => exchange(turn))
    const grownOn = grown({ address: '/team/coder', conversations: [made.conversation] }, 'flag', more)
    conversation = conversationOf({ address: '/team/coder', conversations: grownOn }, 'flag')
    thread = [...thread, ...more]
    at = made.window
    expect(tokensOf(conversation)).toBe(shownSize(thread))
  }
})

test('P16: it is not done again before some turns have passed, however full it is', () => {
  const { conversation } = talking(8)
  const made = shortened(window(), conversation, answered('Read much.'))!
  const turns = [1, 2, 3, 4].map((count) => {
    const more = Array.from({ length: count }, (_, index) => exchange(index, 1_200)).flat()
    const conversations = grown({ address: '/team/coder', conversations: [made.conversation] }, 'flag', more)
    return isFull(made.window, conversationOf({ address: '/team/coder', conversations }, 'flag'))
  })
  expect(turns).toEqual([false, false, false, true])
})

test('a summary that is longer than what it stands for is not taken', () => {
  const made = shortened(window(), talking(8).conversation, answered('word '.repeat(2_000)))
  expect(made?.fact.method).toBe('truncated')
  expect(made?.message.content).toMatch(/^\[\d+ messages that were here are left out/)
})

test('what a user said within the stretch last is shown all the same, and counted', () => {
  const { conversation, thread } = talking(5)
  const more: readonly Message[] = [{ role: 'user', content: 'Round 2: mend it.' }, ...[6, 7, 8, 9].flatMap((turn) => exchange(turn))]
  const conversations = grown({ address: '/team/coder', conversations: [conversation] }, 'flag', more)
  const made = shortened(window(), conversationOf({ address: '/team/coder', conversations }, 'flag'), answered('Read much.'))!
  expect(tokensOf(made.conversation)).toBe(shownSize([...thread, ...more, made.message]))
})

test('what a model has counted is believed for the next prompt, and forgotten when the conversation became shorter', () => {
  const { conversation } = talking(8)
  const usage = { inputTokens: 1_500, outputTokens: 5, costUsd: null, model: 'm' }
  const knowing = learned(window({ promptTokensMax: 2_500 }), conversation, { usage })
  const conversations = grown({ address: '/team/coder', conversations: [conversation] }, 'flag', exchange(9))
  const next = conversationOf({ address: '/team/coder', conversations }, 'flag')
  expect(windowInput(knowing, next)).toEqual({ promptTokensMax: 2_500, known: { model: 'm', tokens: 1_500, since: 2 } })
  const made = shortened(knowing, next, answered('Read much.'))!
  expect(windowInput(made.window, made.conversation)).toEqual({ promptTokensMax: 2_500 })
  expect(learned(window(), conversation, { usage: { ...usage, simulated: true } }).reported).toBe(null)
})

test('a count that cannot be is not believed', () => {
  const { conversation } = talking(8)
  const usage = { inputTokens: 1_500, outputTokens: 5, costUsd: null }
  const knowing = learned(window({ promptTokensMax: 2_500 }), conversation, { usage })
  const conversations = grown({ address: '/team/coder', conversations: [conversation] }, 'flag', exchange(9))
  const next = conversationOf({ address: '/team/coder', conversations }, 'flag')
  const heard = (inputTokens: number) => learned(knowing, next, { usage: { ...usage, inputTokens } }).reported?.tokens
  expect([1_600, 1_499, 0].map(heard)).toEqual([1_600, 1_500, 1_500])
  expect(learned(window({ promptTokensMax: 2_500 }), conversation, { usage: { ...usage, inputTokens: 100 } }).reported).toBe(null)
})

test('a prompt that its model is known to have room for is whole, although it would not fit at its worst', () => {
  const { conversation, thread } = talking(8)
  const request = { thread: () => thread, toolTokens: 0 }
  const known = { model: null, tokens: 900, since: 2 }
  const counts = [{ known }, { known: { ...known, model: 'other' } }, {}].map((extra) => {
    const built = promptOf({ ...request, input: { thread: conversation.thread, promptTokensMax: 1_500, ...extra } })
    return built.ok && built.dropped === null
  })
  expect(counts).toEqual([true, false, false])
})

test('a stretch that is longer than its reader has room for is shown whole in order, its long messages cut to one length', () => {
  const { thread } = talking(6, 2_000)
  const own: readonly Message[] = [OPENING[0]!, { role: 'user', content: 'Summarise.' }]
  const input = { thread: 'own', promptTokensMax: 1_200, stretch: { thread: 'other', back: 12, count: 10 } }
  const built = promptOf({ input, thread: (name) => (name === 'own' ? own : thread), toolTokens: 0 })
  expect(built).toMatchObject({ ok: true, dropped: null })
  const { messages, tokens } = built as Extract<typeof built, { ok: true }>
  expect(tokens).toBeLessThanOrEqual(1_200)
  expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'user'])
  expect([...messages[1]!.content.matchAll(/result (\d)/g)].map(([, turn]) => turn)).toEqual(['1', '2', '3', '4', '5'])
  expect(promptOf({ input: { ...input, promptTokensMax: 100 }, thread: () => thread, toolTokens: 0 })).toMatchObject({
    ok: false,
    budget: 100,
  })
})
