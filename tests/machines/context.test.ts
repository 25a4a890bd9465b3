/** Prompts within a budget, case by case; whatever may be said, at random: context.property.test.ts. */
import { expect, test } from 'vitest'
import { buildContext, type Context, middleCut } from '../../src/machines/context.ts'
import { INTERRUPTED } from '../../src/machines/history.ts'
import { estimateTokens, tokensOfMessage } from '../../src/machines/tokens.ts'
import type { Message } from '../../src/machines/vocabulary.ts'

const system: Message = { role: 'system', content: 'You code.' }
const user = (content: string): Message => ({ role: 'user', content })
const says = (content: string): Message => ({ role: 'assistant', content })
const calls = (...ids: string[]): Message => ({ ...says(''), toolCalls: ids.map((id) => ({ id, name: 'read', args: {} })) })
const result = (toolCallId: string, content = 'text'): Message => ({ role: 'tool', toolCallId, content })
const note = (count: number): Message => ({ role: 'user', content: `[${count} messages are left out here]`, standsFor: count })
/** One token a message, so that a budget is a number of messages. */
const within = (budgetTokens: number, messages: readonly Message[]): Context => buildContext({ messages, budgetTokens, measure: () => 1 })
const shown = (context: Context): readonly Message[] => (context.ok ? context.messages : [])

test('S11: 100 messages of 1,000 characters become a prompt of at most 1,000 tokens with the newest of them', () => {
  const messages = [system, ...Array.from({ length: 100 }, (_, index) => user(`${index} `.padEnd(1_000, 'x')))]
  const measure = (message: Message): number => tokensOfMessage(message, estimateTokens)
  const built = buildContext({ messages, budgetTokens: 1_000, measure })
  expect(built).toMatchObject({ ok: true, tokens: 801, dropped: { from: 2, to: 99, count: 97 } })
  expect(shown(built).map(({ content }) => content.slice(0, 5))).toEqual(['You c', '0 xxx', '[97 m', '98 xx', '99 xx'])
})

test('what fits is shown as it was said', () => {
  const messages = [system, user('a'), calls('1'), result('1'), says('b'), user('c')]
  expect(within(6, messages)).toEqual({ ok: true, messages, tokens: 6, wholeTokens: 6, dropped: null, cut: 0 })
})

test('the oldest goes first, and the task that was given at the beginning last', () => {
  const messages = [system, user('task'), calls('1'), result('1'), says('b'), user('round 2'), calls('2'), result('2')]
  expect(shown(within(7, messages))).toEqual([system, user('task'), note(2), says('b'), ...messages.slice(5)])
  expect(shown(within(6, messages))).toEqual([system, user('task'), note(3), ...messages.slice(5)])
  expect(shown(within(5, messages))).toEqual([system, note(4), ...messages.slice(5)])
})

test('in a long tool loop its oldest exchanges go, never the newest, never a call without its result', () => {
  const loop = ['1', '2', '3', '4'].flatMap((id) => [calls(`${id}a`, `${id}b`), result(`${id}b`), result(`${id}a`)])
  const messages = [system, user('task'), ...loop]
  expect(shown(within(10, messages))).toEqual([system, user('task'), note(6), ...loop.slice(6)])
  expect(shown(within(8, messages))).toEqual([system, user('task'), note(9), ...loop.slice(9)])
  expect(within(5, messages)).toEqual({ ok: false, needed: 6, budget: 5 })
})

test('P10: a call whose result nobody knows gets one that says so, and a result of nobody is dropped', () => {
  const broken = [system, user('a'), calls('1', '2'), result('2'), result('nobody'), user('b'), calls('3')]
  const interrupted = (id: string): Message => result(id, INTERRUPTED)
  const mended = [system, user('a'), calls('1', '2'), result('2'), interrupted('1'), user('b'), calls('3'), interrupted('3')]
  expect(shown(within(99, broken))).toEqual(mended)
  expect(shown(within(99, mended))).toEqual(mended)
})

test('P10: a result that came after other words stands behind its call, and ids that come again belong to the newest call', () => {
  const messages = [system, calls('1'), user('wait'), result('1', 'first'), calls('1'), result('1', 'second'), result('1', 'twice')]
  expect(shown(within(99, messages))).toEqual([system, calls('1'), result('1', 'first'), user('wait'), calls('1'), result('1', 'second')])
})

test('thinking goes with its message: it is kept as it is, or left out with it', () => {
  const thinking = { provider: 'anthropic', blocks: [{ type: 'thinking', thinking: 'hm', signature: 's' }] }
  const messages = [system, user('a'), { ...calls('1'), thinking }, result('1'), { ...calls('2'), thinking }, result('2')]
  expect(shown(within(5, messages))).toEqual([system, user('a'), note(2), messages[4], messages[5]])
})

test('a summary stands in the place of what it is of; a newer one of more than that in its place', () => {
  const old: Message = { ...user('S1'), summaryOf: { back: 4, count: 2 } }
  const messages = [system, user('task'), calls('1'), result('1'), calls('2'), result('2'), old, calls('3'), result('3')]
  const first = { role: 'user', content: 'S1', standsFor: 2 }
  expect(shown(within(99, messages))).toEqual([system, user('task'), first, ...messages.slice(4, 6), ...messages.slice(7)])
  const more: Message = { ...user('S2'), summaryOf: { back: 7, count: 5 } }
  const second = { role: 'user', content: 'S2', standsFor: 4 }
  expect(shown(within(99, [...messages, more]))).toEqual([system, user('task'), second, ...messages.slice(7)])
})

test('a summary never takes the place of the system, of what a user said last, or of half an exchange', () => {
  const messages = [system, user('task'), calls('1'), result('1'), user('last'), calls('2'), result('2')]
  const all: Message = { ...user('S'), summaryOf: { back: 7, count: 6 } }
  const expected = [system, { role: 'user', content: 'S', standsFor: 3 }, user('last'), ...messages.slice(5)]
  expect(shown(within(99, [...messages, all]))).toEqual(expected)
})

test('a message that only looks like a summary is a message', () => {
  const forged = [
    { ...user('too far'), summaryOf: { back: 9, count: 1 } },
    { ...user('too many'), summaryOf: { back: 1, count: 2 } },
    { ...says('not a user'), summaryOf: { back: 1, count: 1 } },
  ]
  expect(shown(within(99, [system, ...forged]))).toEqual([system, ...forged])
})

test('a summary is left out after all that it is not of, and the task after it', () => {
  const S: Message = { ...user('S'), summaryOf: { back: 4, count: 2 } }
  const messages = [system, user('task'), says('a'), says('b'), says('c'), user('last'), S]
  const summary = { role: 'user', content: 'S', standsFor: 2 }
  expect(shown(within(5, messages))).toEqual([system, user('task'), summary, says('c'), user('last')])
  expect(shown(within(4, messages))).toEqual([system, user('task'), note(3), user('last')])
})

test('the result that the model waits for is cut in the middle before the task is left out', () => {
  const long = `begin ${'x'.repeat(5_000)} end`
  const messages = [system, user('task'), says('a'), user('last'), calls('1'), result('1', long)]
  const measure = ({ content }: Message): number => content.length
  const built = buildContext({ messages, budgetTokens: 1_000, measure })
  expect(built).toMatchObject({ ok: true, cut: 1, dropped: { from: 2, to: 3, count: 1 } })
  expect(shown(built).map(({ content }) => content.slice(0, 6))).toEqual(['You co', 'task', '[one m', 'last', '', 'begin '])
  expect(shown(built).at(-1)?.content).toMatch(/^begin x+\n\[4\d+ characters left out\]\nx+ end$/)
})

test('a text is cut without breaking a character, and not where the note would make it longer', () => {
  expect(middleCut('short', 3)).toBe('short')
  expect(middleCut('😀'.repeat(100), 51).isWellFormed()).toBe(true)
})

test("a line about what is left out is nobody's words: what a user said before it is kept", () => {
  const messages = [system, user('last words '.repeat(30)), note(4), calls('1'), result('1')]
  const built = buildContext({ messages, budgetTokens: 200, measure: ({ content }) => content.length })
  expect(built).toEqual({ ok: false, needed: 373, budget: 200 })
})

test('an empty conversation is an empty prompt', () => {
  expect(within(0, [])).toEqual({ ok: true, messages: [], tokens: 0, wholeTokens: 0, dropped: null, cut: 0 })
})
